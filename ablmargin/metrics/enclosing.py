"""The smallest ball around points."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ablmargin.geometry import FloatArray


def smallest_ball(points_mm: FloatArray) -> tuple[FloatArray, float]:
    """Center, shape (3,), and radius of the smallest ball that holds all points, shape (n, 3).

    Notes
    -----
    Exact: the farthest point joins the at most four that carry the ball, until none lies outside (Gaertner 1999).

    References
    ----------
    doi:10.1007/3-540-48481-7_29

    Examples
    --------
    >>> center, radius = smallest_ball(np.array([[0.0, 0, 0], [4, 0, 0], [2, 1, 0]]))
    >>> center.tolist(), radius
    ([2.0, 0.0, 0.0], 2.0)
    """
    support, center, radius = points_mm[:1], points_mm[0], 0.0
    while True:
        farthest = points_mm[((points_mm - center) ** 2).sum(axis=1).argmax()]
        if np.linalg.norm(farthest - center) <= radius + 1e-6:
            return center, radius
        support, center, wider = _ball_of_few(support, farthest)
        if wider <= radius:
            return center, float(np.linalg.norm(points_mm - center, axis=1).max())
        radius = wider


def _ball_of_few(support: FloatArray, added: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """The smallest ball around at most four points and one more, which lies on it: its own support, center, radius."""
    everything, best = np.vstack([added, support]), None
    for others in (list(chosen) for count in range(1, 4) for chosen in combinations(range(1, len(everything)), count)):
        on_it = everything[[0, *others]]
        center = _equidistant(on_it)
        radius = float(np.linalg.norm(on_it - center, axis=1).max())
        if np.linalg.norm(everything - center, axis=1).max() <= radius + 1e-9 and (best is None or radius < best[2]):
            best = (on_it, center, radius)
    assert best is not None, "some of the points carry the ball"
    return best


def _equidistant(points_mm: FloatArray) -> FloatArray:
    """The nearest place as far from each of two to four points, shape (m, 3)."""
    sides = points_mm[1:] - points_mm[0]
    found = np.linalg.lstsq(sides, (sides**2).sum(axis=1) / 2)[0]
    return np.asarray(points_mm[0] + found)
