from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.validation.jitter import MANNERS, jittered_mask
from ablmargin.validation.shapes import Ball
from ablmargin.volume import Structure

CENTER = (12.0, -30.0, 55.0)
BALL = Ball(center_mm=CENTER, radius_mm=14.0)
GRID = grid_around(CENTER, orientation="oblique", shape=(34, 100, 100), spacing_mm=(1.0, 0.4, 0.4))


def jittered(manner: str, sd_mm: float):
    return jittered_mask(BALL, GRID, Structure.TUMOR, np.random.default_rng(0), manner=manner, sd_mm=sd_mm)


@pytest.mark.parametrize("manner", MANNERS)
def test_without_jitter_it_is_the_shapes_mask(manner):
    assert np.array_equal(jittered(manner, 0.0).voxels, BALL.mask_on(GRID, Structure.TUMOR).voxels)


def in_plane_middles_and_radii(mask) -> tuple[np.ndarray, np.ndarray]:
    """Of each slice: how far its middle lies from the unjittered one along both axes, and its mean radius, mm."""
    exact = BALL.mask_on(GRID, Structure.TUMOR).voxels
    used = [k for k in range(len(exact)) if exact[k].sum() > 500]
    middles = [(np.argwhere(mask.voxels[k]).mean(axis=0) - np.argwhere(exact[k]).mean(axis=0)) * 0.4 for k in used]
    radii = [np.sqrt(mask.voxels[k].sum() / np.pi) * 0.4 - np.sqrt(exact[k].sum() / np.pi) * 0.4 for k in used]
    return np.array(middles), np.array(radii)


def test_shifts_move_slices_and_keep_their_size():
    middles, radii = in_plane_middles_and_radii(jittered("shift", 0.5))
    assert middles.std() == pytest.approx(0.5, rel=0.3)  # 40 draws: 11 %
    assert np.abs(radii).max() < 0.1  # pixels of 0.4 mm, counted anew


def test_scales_keep_slices_in_place_and_change_their_radius():
    middles, radii = in_plane_middles_and_radii(jittered("scale", 0.5))
    assert radii.std() == pytest.approx(0.5, rel=0.4)  # 20 draws: 16 %
    assert np.abs(middles).max() < 0.05
