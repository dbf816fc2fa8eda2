"""A liver mask that leaves tissue out beside the zone must not pass for a capsule there."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.geometry import Geometry
from ablmargin.metrics.livers import liver_seen_in_either
from ablmargin.volume import LabelMask, Structure

SHIFT = np.array([7.0, -4.0, 12.0])


class Shifted:
    """pre_from_post: the patient lay elsewhere before."""

    def map_points(self, points_mm):
        return points_mm - SHIFT


def points_of(grid: Geometry) -> np.ndarray:
    return grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))


def mask(grid: Geometry, voxels: np.ndarray, structure: Structure = Structure.LIVER) -> LabelMask:
    return LabelMask(voxels=voxels, geometry=grid, structure=structure)


@pytest.fixture
def scene(orientation):
    """A ball of liver of radius 45 mm, the same ball before, and a zone of 12 mm near its side."""
    after_grid = grid_around((0, 0, 0), orientation=orientation, shape=(36, 110, 120), spacing_mm=(3.0, 1.0, 0.9))
    before_grid = grid_around(tuple(-SHIFT), shape=(36, 110, 110), spacing_mm=(3.0, 1.0, 1.0))
    after_points = points_of(after_grid)
    after = mask(after_grid, np.linalg.norm(after_points, axis=-1) < 45)
    before = mask(before_grid, np.linalg.norm(points_of(before_grid) + SHIFT, axis=-1) < 45)
    zone = mask(after_grid, np.linalg.norm(after_points - (20, 0, 0), axis=-1) < 12, Structure.ABLATION_ZONE)
    return after, before, zone, after_points


def test_two_livers_that_agree_stay_as_they_are(scene):
    after, before, zone, _ = scene
    assert liver_seen_in_either(after, before, Shifted(), near=zone) is after


def test_tissue_left_out_beside_the_zone_is_liver_again(scene):
    after, before, zone, points = scene
    left_out = (points[..., 0] < 6) & (points[..., 0] > -14) & (np.linalg.norm(points, axis=-1) < 38)
    bitten = mask(after.geometry, after.voxels & ~left_out)
    mended = liver_seen_in_either(bitten, before, Shifted(), near=zone)
    deep = left_out & (np.linalg.norm(points - (20, 0, 0), axis=-1) < 30)
    assert deep.sum() > 1000
    assert not bitten.voxels[deep].any()
    assert mended.voxels[deep].all()
    assert not (mended.voxels & ~after.voxels).any(), "nothing outside of the liver is added"


def test_a_capsule_that_is_off_by_two_millimeters_is_no_left_out_tissue(scene):
    after, before, zone, points = scene
    smaller = mask(after.geometry, np.linalg.norm(points, axis=-1) < 43)
    assert liver_seen_in_either(smaller, before, Shifted(), near=zone) is smaller
