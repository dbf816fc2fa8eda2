"""Which parts of an organ a tumor lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.volume import LabelMask


@dataclass(frozen=True, slots=True, kw_only=True)
class Territories:
    """Shares of a tumor's volume, 0..1: one for each part of the organ, in their order, and what lies in none."""

    shares: tuple[float, ...]
    outside: float


def holds(mask: LabelMask, points_mm: FloatArray) -> BoolArray:
    """Which points, shape (n, 3), LPS mm, lie in a voxel of a mask; none does beside its grid."""
    index = np.rint(mask.geometry.indices_at(points_mm)).astype(int)
    on_grid = ((index >= 0) & (index < mask.geometry.shape)).all(axis=1)
    held = np.zeros(len(points_mm), np.bool_)
    held[on_grid] = mask.voxels[tuple(index[on_grid].T)]
    return held


def territories(tumor: LabelMask, parts: Sequence[LabelMask]) -> Territories:
    """How a tumor's volume is distributed over the parts of an organ.

    Parameters
    ----------
    tumor : LabelMask
        Its voxels count by their shares if it is soft. Not empty.
    parts : sequence of LabelMask
        In the tumor's frame, each on any grid; at least one. A voxel in several parts counts as much in each.
    """
    index = np.argwhere(tumor.touched)
    weights = np.ones(len(index)) if tumor.fractions is None else tumor.fractions[tumor.touched].astype(float)
    held = np.stack([holds(part, tumor.geometry.points_at(index)) for part in parts])
    several = np.maximum(held.sum(axis=0), 1)
    shares = (held / several) @ weights / weights.sum()
    return Territories(shares=tuple(shares.tolist()), outside=max(0.0, 1.0 - float(shares.sum())))
