"""From a mask to smooth level sets, the preferred one first; which of them stays with the mask is for others to judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import BoolArray, FloatArray, Triple
from ablmargin.metrics.levelfit import Fit, Problem
from ablmargin.metrics.levelparts import in_parts
from ablmargin.metrics.levelset import LevelSet

PAD_VOXELS = 3
SOFTER = (0.1, 0.01)
"""The penalty is weakened by these factors where the smoothest level set isn't plausible."""
UNEVENNESS_ROUNDS = 2
"""A field that was bent by uneven outlines tells their unevenness too small, so it is measured again on the next."""


def fit_level_set(
    voxels: BoolArray,
    distance_mm: FloatArray,
    spacing_mm: Triple,
    *,
    smoothness: float,
    shares: NDArray[np.float32] | None = None,
) -> Iterator[LevelSet]:
    """Fit level sets to one connected mask, the preferred one first: in parts if it has any, then smooth, then less so.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        With at least ``PAD_VOXELS`` empty voxels on every side.
    distance_mm : ndarray, shape (k, j, i)
        The mask's averaged signed distances, see :mod:`ablmargin.metrics.edt`.
    spacing_mm : (float, float, float)
    smoothness : float
        Weight of the penalty.
    shares : ndarray, shape (k, j, i), optional
        Of a soft mask: the share of each voxel that lies inside, 0.5 or more where ``voxels`` are set.

    Yields
    ------
    LevelSet
        In mm along the array axes, voxel (0, 0, 0) at the origin.
    """
    problem = Problem.of(voxels, distance_mm, np.array(spacing_mm), smoothness=smoothness, shares=shares)
    whole = _whole(problem)
    for _ in range(UNEVENNESS_ROUNDS):
        uneven = problem.if_uneven(whole.level_set)
        if uneven is problem:
            break
        problem, whole = uneven, _whole(uneven)
    parts = in_parts(problem, whole)
    if parts is not None:
        yield parts.refined()
    yield whole.refined()
    for softer in SOFTER:
        looser = replace(problem, penalty=softer * problem.penalty)
        yield _whole(looser).refined()


def _whole(problem: Problem) -> Fit:
    """One field for the whole border."""
    return Fit(problem, (np.ones(len(problem.edges), dtype=bool),))
