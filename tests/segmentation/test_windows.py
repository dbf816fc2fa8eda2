"""Windows over an image: each voxel seen, no seam left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablmargin.segmentation.windows import blended

sizes = st.tuples(*[st.integers(1, 14)] * 3)


@given(size=sizes, patch=st.tuples(*[st.integers(1, 6)] * 3), overlap=st.floats(0, 0.9))
@settings(max_examples=40, deadline=None)
def test_what_sees_single_voxels_sees_no_windows(size, patch, overlap):
    """Means of equal numbers, so to single precision."""
    voxels = np.random.default_rng(3).normal(size=size).astype(np.float32)
    shapes = set()

    def predict(part):
        shapes.add(part.shape)
        return np.stack([2 * part + 1, part**2])

    output = blended(voxels, predict, patch=patch, overlap=overlap, fill=-9.0)
    np.testing.assert_allclose(output, [2 * voxels + 1, voxels**2], rtol=1e-5, atol=1e-5)
    assert shapes == {patch}


def test_a_windows_border_counts_least():
    """A network that is wrong by 1 in the outermost voxels of what it sees: blended it is wrong by little between windows."""

    def predict(part):
        wrong = np.ones(part.shape, np.float32)
        wrong[1:-1, 1:-1, 1:-1] = 0
        return wrong[None]

    voxels = np.zeros((48, 48, 48), np.float32)
    error = blended(voxels, predict, patch=(16, 16, 16), overlap=0.5, fill=0.0)[0, 8:-8, 8:-8, 8:-8]
    # At the border of one window lies the center of the next, whose weight is exp(½ · (7.5 / 2)²) ≈ 1100 times as large.
    assert error.max() < 0.01
    seamed = blended(voxels, predict, patch=(16, 16, 16), overlap=0.0, fill=0.0)[0, 8:-8, 8:-8, 8:-8]
    assert seamed.max() == pytest.approx(1.0)


def test_an_image_smaller_than_a_patch_is_filled_up():
    seen = []

    def predict(part):
        seen.append(part)
        return part[None]

    voxels = np.ones((2, 3, 4), np.float32)
    output = blended(voxels, predict, patch=(4, 3, 5), overlap=0.5, fill=-7.0)
    np.testing.assert_array_equal(output, voxels[None])
    (part,) = seen
    assert part.sum() == 24 - 7 * (60 - 24)
