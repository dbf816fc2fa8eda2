"""Whether an image is cut out of another: the same pixels under another name, wherever they lie and however they were turned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import Array
from ablmargin.volume import Volume

PATCH = (4, 8)
"""Rows and columns of a patch, in differences of neighbors. Noise makes 32 of them as good as unique."""
MOST_SLICES = 32
"""So many slices of the smaller image are looked for, evenly spaced."""
FEWEST_PATCHES = 8
SAME_SHARE = 0.5
"""Of a slice's patches. No two exposures share even a hundredth."""
_KEPT = 1 << 59
"""Hashes below are kept: one of 32, the same ones wherever a patch lies."""
_FACTOR, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)

Hashes = NDArray[np.uint64]


def shared_slices(one: Volume, other: Volume) -> float:
    """Share of the smaller image's slices of which the larger one holds at least half of the pixels.

    Compared are the differences of neighboring pixels in patches of 4 × 9, so that neither the place of a slice or of its part
    matters, nor right angles, mirroring, or an offset of all values. Patches in which a row is of one value don't count.

    Returns
    -------
    float
        Between 0 and 1; 0 where nothing can be compared.
    """
    small, large = sorted((one.voxels_hu, other.voxels_hu), key=lambda voxels: voxels.size)
    steps = np.linspace(0, len(small) - 1, min(MOST_SLICES, len(small))).round().astype(int)
    wanted = [small[index] for index in steps.tolist() if len(_patches(small[index])) >= FEWEST_PATCHES]
    if not wanted:
        return 0.0
    known = np.unique(np.concatenate([_patches(image) for image in large]))
    return float(np.mean([_is_known(image, known) for image in wanted]))


def _is_known(image: Array, known: Hashes) -> bool:
    return any(_share(_patches(way), known) >= SAME_SHARE for way in _ways(image))


def _ways(image: Array) -> Iterator[Array]:
    """The image as it is, mirrored and turned; the order of rows changes no patch."""
    for turned in (image, image.T):
        yield turned
        yield turned[:, ::-1]


def _share(hashes: Hashes, known: Hashes) -> float:
    if not len(hashes) or not len(known):
        return 0.0
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return float(np.mean(known[places] == hashes))


def _patches(image: Array) -> Hashes:
    """Hashes of one in 32 patches of an image, each once."""
    rows, columns = PATCH
    if image.shape[0] < rows or image.shape[1] <= columns:
        return np.empty(0, np.uint64)
    steps = np.rint(np.diff(image, axis=1)).astype(np.int64).view(np.uint64)
    width, height = steps.shape[1] - columns + 1, steps.shape[0] - rows + 1
    runs = np.zeros((steps.shape[0], width), np.uint64)
    for first in range(columns):
        runs *= _FACTOR
        runs += steps[:, first : first + width]
    changing = runs != 0
    runs ^= runs >> _HALF
    runs *= _MIX
    runs ^= runs >> _HALF
    sums = np.zeros((height, width), np.uint64)
    for first in range(rows):
        sums += runs[first : first + height]
    sums *= _MIX
    kept = sums < _KEPT
    for first in range(rows):
        kept &= changing[first : first + height]
    return np.unique(sums[kept])
