"""Outlines that don't agree from slice to slice: smoothed through, while what sticks out of them all is kept."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.validation.jitter import MANNERS, jittered_mask
from ablmargin.validation.shapes import Ball, Ellipsoid
from ablmargin.volume import LabelMask, Structure

TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
SHAPES = (
    Ball(center_mm=(0.2, -0.1, 0.3), radius_mm=13.0),
    Ellipsoid(center_mm=(0.0, 0.0, 0.0), radii_mm=(11.0, 14.0, 17.0), axes=TURNED),
)


def grid(spacing: float) -> Geometry:
    return Geometry(
        shape=(round(44 / spacing), 64, 64), spacing_mm=(spacing, 0.7, 0.7), origin_mm=(-22.1, -22.3, -21.8)
    )


@pytest.mark.parametrize("spacing", [1.0, 2.0])
@pytest.mark.parametrize("manner", MANNERS)
def test_the_surface_lies_well_closer_than_the_voxels_own(manner, spacing):
    """Half a millimeter from slice to slice: the mean over n slices, not the worst of them, is what remains."""
    for number, shape in enumerate(SHAPES):
        rng = np.random.default_rng(number)
        mask = jittered_mask(shape, grid(spacing), Structure.TUMOR, rng, manner=manner, sd_mm=0.5)
        smooth, voxels = (
            np.abs(shape.signed_distance_mm(surface_of(mask, method=method).vertices_mm)).max()
            for method in ("spline", "fast")
        )
        assert smooth < 0.75 * voxels
        assert smooth < 1.0


def with_rod(mask: LabelMask, *, reach_mm: float) -> LabelMask:
    """The mask with a rod of three voxels by three slices added, along x from the middle."""
    centers = mask.geometry.points_at(np.moveaxis(np.indices(mask.geometry.shape), 0, -1))
    x, y, z = np.moveaxis(centers, -1, 0)
    rod = (x > 0) & (x < reach_mm) & (np.abs(y) < 1.1) & (np.abs(z) < 1.6)
    return LabelMask(voxels=mask.voxels | rod, geometry=mask.geometry, structure=mask.structure)


@pytest.mark.parametrize("sd_mm", [0.0, 0.5])
def test_a_thin_object_is_not_smoothed_away_with_the_jitter(sd_mm):
    """A rod that sticks out by 6 mm: half a voxel of its tip may go, the jitter's own size besides."""
    mask = jittered_mask(SHAPES[0], grid(1.0), Structure.TUMOR, np.random.default_rng(3), manner="shift", sd_mm=sd_mm)
    surface = surface_of(with_rod(mask, reach_mm=19.0))
    along = np.array([(x, 0.0, 0.0) for x in (14.0, 15.0, 16.0, 17.0)])
    assert (signed_distances_mm(surface, along) > 0).all()
