"""Balls of known radius rolled over balls, slabs and slits of known size."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.segmentation.morphology import (
    FAR_MM,
    closed,
    distance_to,
    largest_part,
    opened,
    parts_touching,
    without_holes,
)

MM = 2.0
SHAPE = (30, 30, 30)


def slab(first: int, last: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, :, first:last] = True
    return mask


def test_distances_are_those_to_the_nearest_center():
    distance = distance_to(slab(10, 20), MM)
    assert distance[5, 5] == pytest.approx([2 * max(10 - i, 0, i - 19) for i in range(30)])
    assert (distance_to(slab(0, 0), MM) == FAR_MM).all()


@pytest.mark.parametrize(("radius_mm", "stays"), [(5.0, True), (7.0, False)])
def test_an_opening_keeps_a_slab_that_is_thicker_than_its_ball(radius_mm, stays):
    six_voxels = slab(10, 16)  # the middle lies 6 mm from the nearest center outside
    assert opened(six_voxels, radius_mm, MM).any() == stays


@pytest.mark.parametrize(("radius_mm", "is_filled"), [(5.0, True), (3.0, False)])
def test_a_closing_fills_a_slit_that_is_narrower_than_its_ball(radius_mm, is_filled):
    slit = ~slab(14, 18)  # four voxels, 8 mm wide
    assert closed(slit, radius_mm, MM)[15, 15, 15:17].all() == is_filled


def test_parts_are_picked_by_size_and_by_marker():
    both = slab(2, 4) | slab(10, 20)
    assert (largest_part(both) == slab(10, 20)).all()
    assert (parts_touching(both, slab(3, 5)) == slab(2, 4)).all()
    assert not largest_part(slab(0, 0)).any()


def test_holes_of_planes_are_filled_and_bays_are_not():
    mask = slab(0, 0)
    mask[10, 5:15, 5:15] = True
    mask[10, 8:10, 8:10] = False
    mask[10, 12:15, 12:15] = False
    filled = without_holes(mask, axes=(0,))
    assert filled[10, 8:10, 8:10].all()
    assert not filled[10, 12:15, 12:15].any()
