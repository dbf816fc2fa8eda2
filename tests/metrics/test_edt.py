"""Distances from voxels, against every pair of voxels measured one by one."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ablmargin.metrics.edt import UNBOUNDED_MM, averaged_signed_edt_mm, border_voxels

SPACINGS = [(1.0, 0.7, 0.7), (5.0, 0.8, 0.7), (0.6, 2.0, 1.1)]
REACH_MM = 5.0


def blobs():
    """Two parts that don't touch the array's faces, one with a cavity."""
    voxels = np.zeros((13, 17, 15), dtype=bool)
    voxels[2:8, 3:10, 2:9] = True
    voxels[4:6, 5:8, 4:6] = False
    voxels[9:11, 12:14, 10:13] = True
    return voxels


def beside(voxels):
    """Inner and outer border voxels by the definition: a neighbor across a face that isn't the same."""
    inner, outer = np.zeros_like(voxels), np.zeros_like(voxels)
    for place in np.argwhere(np.ones_like(voxels)):
        for step in np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]):
            other = place + step
            if (other >= 0).all() and (other < voxels.shape).all() and voxels[tuple(other)] != voxels[tuple(place)]:
                (inner if voxels[tuple(place)] else outer)[tuple(place)] = True
    return inner, outer


def to_nearest(places, spacing):
    centers = np.argwhere(np.ones_like(places)) * spacing
    return cdist(centers, np.argwhere(places) * spacing).min(axis=1).reshape(places.shape)


def test_border_voxels_touch_the_other_side_by_a_face():
    """Also where the mask ends at the array's own face, which is no border."""
    for voxels in (blobs(), blobs()[4:, 5:, :7], ~blobs()):
        for found, expected in zip(border_voxels(voxels), beside(voxels), strict=True):
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("reach", [np.inf, REACH_MM, 0.5])
def test_distances_are_those_of_voxel_pairs_up_to_the_reach(spacing, reach):
    """Both ways to find them; a reach shorter than a voxel tells no distance but zero and itself."""
    voxels = blobs()
    far = [np.minimum(to_nearest(side, spacing), reach) for side in beside(voxels)]
    expected = np.where(voxels, 0.5, -0.5) * (far[0] + far[1])
    assert averaged_signed_edt_mm(voxels, spacing, reach_mm=reach) == pytest.approx(
        expected, abs=1e-6
    )  # single precision


def test_a_mask_without_a_border_is_unbounded():
    full = np.ones((3, 4, 5), dtype=bool)
    assert (averaged_signed_edt_mm(full, (1.0, 1.0, 1.0), reach_mm=REACH_MM) == UNBOUNDED_MM).all()
    assert (averaged_signed_edt_mm(~full, (1.0, 1.0, 1.0), reach_mm=REACH_MM) == -UNBOUNDED_MM).all()
