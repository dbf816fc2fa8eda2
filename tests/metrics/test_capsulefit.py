"""The capsule's place between the slices, from the steps around it."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around
from scipy import ndimage

from ablmargin.metrics.capsulefit import smooth_feet
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.surface import surface_of
from ablmargin.volume import Structure

TOP = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, -6.0, 0.0], [-4.0, 4.0, 0.0]])
"""Where depths are asked for, as places along and across a capsule that touches z = 0."""


def depth_below(mask_of, ball, capsule, *, slice_mm, shift_mm=0.0):
    """Depth around a tumor of 8 mm and a zone of 15 mm in a liver whose exact depth is ``capsule``."""
    sizes = (int(52 / slice_mm), 75, 75)
    grid = grid_around((0.0, 0.0, 8.0 + shift_mm), shape=sizes, spacing_mm=(slice_mm, 0.7, 0.7))
    tumor, zone = (surface_of(mask_of(ball((0, 0, 8), radius), grid), method="fast") for radius in (8.0, 15.0))
    return LiverDepth.around(mask_of(capsule, grid, Structure.LIVER), tumor, zone)


def slanted(points):
    return points @ (np.array([0.1, 0.05, 1.0]) / np.linalg.norm([0.1, 0.05, 1.0]))


def dome(points):
    return 60 - np.linalg.norm(points - (0.0, 0.0, 60.0), axis=-1)


@pytest.mark.parametrize("shift_mm", [0.0, 0.8, 1.7])
@pytest.mark.parametrize("slice_mm", [1.0, 3.0])
@pytest.mark.parametrize("capsule", [slanted, dome])
def test_steps_tell_a_capsule_to_a_fraction_of_a_slice(mask_of, ball, capsule, slice_mm, shift_mm):
    depth = depth_below(mask_of, ball, capsule, slice_mm=slice_mm, shift_mm=shift_mm)
    points = TOP + np.array([0.0, 0.0, 1.0])
    limit_mm = 0.15 if slice_mm == 1.0 else 0.3  # halfway between the slices it would be off by up to 0.5 and 1.5
    assert depth.at(points) == pytest.approx(capsule(points), abs=limit_mm)


def test_a_flat_capsule_along_the_slices_is_known_to_half_a_slice_and_says_so(mask_of, ball):
    flat, tilted = (
        depth_below(mask_of, ball, capsule, slice_mm=3.0) for capsule in (lambda points: points[..., 2], slanted)
    )
    assert flat.doubt_at(TOP) == pytest.approx(1.5, abs=0.05)
    assert (np.abs(flat.at(TOP)) <= flat.doubt_at(TOP) + 0.05).all()
    assert tilted.doubt_at(TOP).max() < 0.2


def test_nothing_is_known_of_a_capsule_that_is_far_away(mask_of, ball):
    depth = depth_below(mask_of, ball, lambda points: points[..., 2] + 8, slice_mm=3.0)
    assert depth.doubt_at(np.array([[0.0, 0.0, 40.0]])) == pytest.approx(
        depth.sampling_at(np.array([[0.0, 0.0, 40.0]]))
    )


@pytest.mark.parametrize("deeper_mm", [-1.0, 0.5])
def test_a_shifted_capsule_makes_all_so_much_deeper(mask_of, ball, deeper_mm):
    depth = depth_below(mask_of, ball, slanted, slice_mm=1.0)
    assert depth.shifted(deeper_mm).at(TOP) == pytest.approx(depth.at(TOP) + deeper_mm)


def test_where_the_fit_leaves_the_voxels_the_feet_stay():
    """A fissure of 2 mm, too narrow for the fit: its walls keep their places."""
    places = np.indices((40, 40, 40)).transpose(1, 2, 3, 0)
    voxels = np.abs(places[..., 0] - 19.5) > 1.0
    walls = np.array([[18.5, 20.0, 20.0], [20.5, 20.0, 20.0]])
    inward = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    feet, normals = smooth_feet(voxels, np.ones(3), walls, inward)
    assert np.abs(feet - walls).max() <= 0.75 + 1e-6  # half a voxel and the spare quarter
    assert (normals * inward).sum(axis=1) == pytest.approx(np.ones(2), abs=0.5)


def test_the_smooth_capsule_lies_in_the_middle_of_a_jagged_one(mask_of, ball):
    rng = np.random.default_rng(0)
    grid = grid_around((0.0, 0.0, 8.0), shape=(52, 75, 75), spacing_mm=(1.0, 0.7, 0.7))
    heights = ndimage.gaussian_filter(rng.normal(0, 1, grid.shape[1:]), 2.0)
    heights *= 0.5 / heights.std()
    liver = mask_of(lambda points: slanted(points) + heights, grid, Structure.LIVER)
    tumor, zone = (
        surface_of(
            mask_of(lambda points, reach=reach: np.minimum(ball((0, 0, 8), reach)(points), slanted(points) - 2), grid)
        )
        for reach in (8.0, 15.0)
    )
    inside = TOP + np.array([0.0, 0.0, 2.0])
    # the noise is correlated over 2 mm and averaged over about a centimeter: 0.5 / 3 mm remain
    assert LiverDepth.around(liver, tumor, zone).at(inside) == pytest.approx(slanted(inside), abs=0.4)
