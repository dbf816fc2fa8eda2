"""Shares of a tumor in parts of the liver: halves of a ball, by hand and by their volumes."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.geometry import Geometry
from ablmargin.metrics.territories import holds, territories
from ablmargin.volume import LabelMask, Structure

LINE = Geometry(shape=(1, 1, 8), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(0.0, 0.0, 0.0))


def part(*voxels: int) -> LabelMask:
    inside = np.isin(np.arange(8), voxels).reshape(LINE.shape)
    return LabelMask(voxels=inside, geometry=LINE, structure=Structure.LIVER_SEGMENT)


def test_voxels_are_counted():
    tumor = LabelMask(voxels=part(1, 2, 3, 4, 5).voxels, geometry=LINE, structure=Structure.TUMOR)
    found = territories(tumor, [part(0, 1), part(2, 3, 4), part(7)])
    assert found.shares == pytest.approx((0.2, 0.6, 0.0))
    assert found.outside == pytest.approx(0.2)


def test_a_voxel_in_two_parts_counts_half_in_each():
    tumor = LabelMask(voxels=part(1, 2).voxels, geometry=LINE, structure=Structure.TUMOR)
    found = territories(tumor, [part(1, 2), part(2)])
    assert found.shares == pytest.approx((0.75, 0.25))
    assert found.outside == 0.0


def test_voxels_of_a_soft_tumor_count_by_their_shares():
    shares = np.array([0, 1.0, 0.25, 0.75, 0, 0, 0, 0]).reshape(LINE.shape)
    tumor = LabelMask.soft(shares, geometry=LINE, structure=Structure.TUMOR)
    found = territories(tumor, [part(1, 2), part(3)])
    assert found.shares == pytest.approx((0.625, 0.375))


def test_parts_are_found_by_their_place_whatever_their_grid(orientation):
    """A ball cut at 2 mm from its center: (2 - u)(1 + u)² / 4 of it lies on the larger side, u being 2/10."""
    grid = grid_around((5.0, -3.0, 40.0), shape=(24, 32, 34), spacing_mm=(1.0, 0.8, 0.7))
    points = grid.points_at(np.stack(np.indices(grid.shape), axis=-1)) - np.array([5.0, -3.0, 40.0])
    tumor = LabelMask(voxels=np.linalg.norm(points, axis=-1) <= 10, geometry=grid, structure=Structure.TUMOR)
    other = grid_around((5.0, -3.0, 40.0), orientation=orientation, shape=(60, 70, 64), spacing_mm=(0.6, 0.5, 0.5))
    side = other.points_at(np.stack(np.indices(other.shape), axis=-1))[..., 0] - 5.0 <= 2.0
    halves = [LabelMask(voxels=x, geometry=other, structure=Structure.LIVER_SEGMENT) for x in (side, ~side)]
    found = territories(tumor, halves)
    assert found.shares[0] == pytest.approx((2 - 0.2) * 1.2**2 / 4, abs=0.02)  # a voxel's layer at the cut is 2 %
    assert sum(found.shares) + found.outside == pytest.approx(1.0)


def test_nothing_is_held_beside_the_grid():
    points = LINE.points_at(np.array([(0, 0, 0), (0, 0, 8), (0, 0, -1), (0, 1, 0)], float))
    assert holds(part(0, 7), points).tolist() == [True, False, False, False]
