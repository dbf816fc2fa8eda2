"""Without a second exam, a gap that a liver mask leaves beside the zone must not pass for the capsule."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.metrics.livers import liver_across_gaps
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import surface_of
from ablmargin.volume import Structure

ACROSS = {"shape": (60, 84, 90), "spacing_mm": (1.0, 0.8, 0.7)}
ZONE_CENTER, ZONE_MM = (0.0, 0.0, -4.0), 12.0


@pytest.fixture
def scene(mask_of, ball):
    """A zone that reaches from the liver's capsule, at z = -14, inward; the tumor lies 1 mm from its right side."""
    grid = grid_around((0.0, 0.0, 0.0), **ACROSS)
    tumor = surface_of(mask_of(ball((-4.0, 0.0, -4.0), 7.0), grid))
    zone = surface_of(mask_of(ball(ZONE_CENTER, ZONE_MM), grid, Structure.ABLATION_ZONE))
    return grid, tumor, zone


def test_a_gap_that_follows_the_zone_is_liver(scene, mask_of):
    grid, tumor, zone = scene

    def bitten(points):
        away = np.linalg.norm(points - ZONE_CENTER, axis=-1)
        gap = (away > ZONE_MM) & (away < ZONE_MM + 6) & (points[..., 0] < 0) & (points[..., 2] < 4)
        return np.where(gap, -1.0, points[..., 2] + 14)

    liver = mask_of(bitten, grid, Structure.LIVER)
    mended = liver_across_gaps(liver, zone)
    assert not (liver.voxels & ~mended.voxels).any()
    assert mended.volume_ml - liver.volume_ml > 1.0
    whole = mask_of(lambda points: points[..., 2] + 14, grid, Structure.LIVER)
    assert not (mended.voxels & ~whole.voxels).any(), "nothing beyond the capsule is added"
    excused, right, true = (
        measure_margin(tumor, zone, liver=mask).constrained_minimum_mm for mask in (liver, mended, whole)
    )
    assert (right, true) == pytest.approx((1.0, 1.0), abs=0.3)
    assert excused > max(right, true) + 0.15, "the gap passes for the capsule where it is not mended"


@pytest.mark.parametrize("radius_mm", [30.0, 80.0, None])
def test_a_true_capsule_is_not_moved(scene, mask_of, ball, radius_mm):
    grid, _, zone = scene
    shape = (lambda points: points[..., 2] + 14) if radius_mm is None else ball((0, 0, radius_mm - 14), radius_mm)
    liver = mask_of(shape, grid, Structure.LIVER)
    assert liver_across_gaps(liver, zone) is liver


def test_an_organ_that_is_not_liver_stays_outside(scene, mask_of):
    grid, _, zone = scene
    liver = mask_of(lambda points: 9 - points[..., 0], grid, Structure.LIVER)  # cuts the zone on its left
    assert liver_across_gaps(liver, zone) is liver
