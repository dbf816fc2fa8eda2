from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ct_files import grid
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_files import ball, soft_ball

from ablmargin.errors import GeometryMismatchError
from ablmargin.geometry import Geometry
from ablmargin.regrid import moved_onto, transferred
from ablmargin.volume import LabelMask, Structure


@pytest.mark.parametrize("soft", [False, True])
@given(turn=st.permutations(range(3)), mirror=st.tuples(*[st.booleans()] * 3), cut=st.integers(0, 2))
@settings(max_examples=20)
def test_turned_and_mirrored_grids_have_the_same_voxels(turn, mirror, cut, soft):
    target = grid((12, 20, 22), orientation="oblique")
    mask = soft_ball(target) if soft else ball(target)
    part = mask.geometry.cropped((cut, cut, 0), target.shape)
    affine = part.affine.copy()
    size = np.array(part.shape)
    voxels = mask.voxels[cut:, cut:]
    shares = None if not soft else mask.fractions[cut:, cut:]
    for axis in np.flatnonzero(mirror):
        affine[:3, 3] += affine[:3, axis] * (size[axis] - 1)
        affine[:3, axis] *= -1
        voxels, shares = np.flip(voxels, axis), None if shares is None else np.flip(shares, axis)
    affine[:3, :3] = affine[:3, list(turn)]
    voxels, shares = voxels.transpose(turn), None if shares is None else shares.transpose(turn)
    geometry = Geometry.from_affine(affine, voxels.shape)
    moved = LabelMask(voxels=voxels, geometry=geometry, structure=Structure.TUMOR, fractions=shares)
    back = transferred(moved, target)
    np.testing.assert_array_equal(back.voxels, np.pad(mask.voxels[cut:, cut:], ((cut, 0), (cut, 0), (0, 0))))
    if soft:
        expected = np.pad(mask.fractions[cut:, cut:], ((cut, 0), (cut, 0), (0, 0)))
        np.testing.assert_array_equal(back.fractions, expected)


def test_grids_whose_voxels_dont_meet():
    target = grid((12, 20, 22))
    mask = ball(target)
    for other in (
        replace(target, origin_mm=tuple(np.array(target.origin_mm) + 0.02)),
        grid((12, 20, 22), (5.0, 1.1, 0.9)),
        grid((12, 20, 22), orientation="oblique"),
        target.cropped((0, 0, 0), (6, 20, 22)),
    ):
        assert transferred(mask, other) is None


def test_another_frame_is_refused_whatever_the_numbers_say():
    mask = ball(grid(frame_uid="1.2.3"))
    with pytest.raises(GeometryMismatchError, match="FRAME_MISMATCH: --tumor x"):
        moved_onto(mask, grid(frame_uid="1.2.4"), name="--tumor x", cautions=[])
    assert moved_onto(mask, grid(), name="x", cautions=[]).geometry.frame_uid is None
