"""A network over an image that is larger than what it takes at a time: overlapping windows, blended without seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int, int]
Window = tuple[slice, slice, slice]
Predictor = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SD_SHARE = 1 / 8
"""Standard deviation of the weights, as a share of the patch: a network sees least at a patch's border."""


def blended(
    voxels: NDArray[np.float32], predict: Predictor, *, patch: Size, overlap: float, fill: float
) -> NDArray[np.float32]:
    """A network's output over a whole image: the mean over all windows, weighted by how near their center is.

    Parameters
    ----------
    voxels : ndarray, shape (a, b, c)
    predict : callable
        From voxels of shape ``patch`` to channels, shape (n, *patch).
    overlap : float
        Share of a patch that the next one sees again.
    fill : float
        Stands beyond an image that is smaller than a patch.

    Returns
    -------
    ndarray of float32, shape (n, a, b, c)
    """
    size = voxels.shape
    padded = np.pad(voxels, [(0, max(p - n, 0)) for p, n in zip(patch, size, strict=True)], constant_values=fill)
    weights = _weights(patch)
    total = np.zeros(padded.shape, np.float32)
    channels: NDArray[np.float32] | None = None
    for window in _windows(padded.shape, patch, overlap):
        output = predict(padded[window])
        if channels is None:
            channels = np.zeros((len(output), *padded.shape), np.float32)
        channels[(slice(None), *window)] += output * weights
        total[window] += weights
    assert channels is not None
    channels /= total
    a, b, c = size
    return channels[:, :a, :b, :c]


def _windows(size: tuple[int, ...], patch: Size, overlap: float) -> Iterator[Window]:
    starts = [_starts(n, p, overlap) for n, p in zip(size, patch, strict=True)]
    for corner in product(*starts):
        first, second, third = (slice(start, start + p) for start, p in zip(corner, patch, strict=True))
        yield first, second, third


def _starts(size: int, patch: int, overlap: float) -> list[int]:
    """Evenly spread from the first to the last place, no farther apart than the overlap asks."""
    step = max(int(patch * (1 - overlap)), 1)
    count = -(-(size - patch) // step) + 1
    return [round(start) for start in np.linspace(0, size - patch, count).tolist()]


def _weights(patch: Size) -> NDArray[np.float32]:
    """A Gaussian around the patch's center, nowhere 0 in single precision."""
    weights = np.ones((1, 1, 1))
    for axis, length in enumerate(patch):
        from_center = (np.arange(length) - (length - 1) / 2) / (SD_SHARE * length)
        shape = [1, 1, 1]
        shape[axis] = length
        weights = weights * np.exp(-0.5 * from_center**2).reshape(shape)
    return np.asarray(weights, np.float32)
