"""The connected parts of a mask and the cavities in them, each in a box of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray
from ablmargin.metrics.levelcandidates import PAD_VOXELS

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solid:
    """A connected part with its cavities filled, or a cavity that faces inward, in a box with ``PAD_VOXELS`` around it.

    ``first`` is the index of the box's first voxel.
    """

    voxels: BoolArray
    shares: Shares | None
    first: Array
    faces_out: bool


def solids_of(voxels: BoolArray, shares: Shares | None) -> Iterator[Solid]:
    """All parts of a mask, also such as touch at a corner, each followed by its cavities."""
    for part, first in _parts(voxels, np.ones((3, 3, 3))):
        filled = np.asarray(ndimage.binary_fill_holes(part))
        own = None if shares is None else _box(shares, first, part.shape)
        yield Solid(voxels=filled, shares=_shares_of(filled, own, among=part), first=first, faces_out=True)
        for cavity, start in _parts(filled & ~part, None):
            empty = None if own is None else 1 - _box(own, start, cavity.shape)
            yield Solid(
                voxels=cavity, shares=_shares_of(cavity, empty, among=cavity), first=first + start, faces_out=False
            )


def _parts(voxels: BoolArray, structure: Array | None) -> Iterator[tuple[BoolArray, Array]]:
    if not voxels.any():
        return
    labels, _ = ndimage.label(voxels, structure=structure)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        yield np.pad(labels[box] == number, PAD_VOXELS), np.array([axis.start for axis in box]) - PAD_VOXELS


def _box(values: Shares, first: Array, shape: tuple[int, ...]) -> Shares:
    """A box of an array that may reach beyond it; zero there."""
    box = np.zeros(shape, values.dtype)
    low, high = np.maximum(first, 0), np.minimum(first + shape, values.shape)
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    box[tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))] = values[inside]
    return box


def _shares_of(solid: BoolArray, shares: Shares | None, *, among: BoolArray) -> Shares | None:
    """The shares that belong to a solid: 1 in what was filled, 0 where another part may be."""
    if shares is None:
        return None
    around = np.asarray(ndimage.binary_dilation(solid, np.ones((3, 3, 3), dtype=bool)))
    return np.where(solid & ~among, 1, np.where(around, np.where(solid, shares, np.minimum(shares, 0.499)), 0))
