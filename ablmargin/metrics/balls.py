"""A rough shape as a union of balls: a first guess at which overlapping ablations it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, FloatArray

FEWEST_POINTS = 24
"""A ball that rests on fewer border points isn't told apart."""
MOST_ROUNDS = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balls:
    """Balls that together follow a border, centers of shape (k, 3), mm, radii of shape (k,)."""

    centers_mm: FloatArray
    radii_mm: FloatArray

    def nearest(self, points_mm: FloatArray) -> Array:
        """Number of the ball that each point, shape (n, 3), belongs to; two balls part at the plane of their crease."""
        apart = ((points_mm[:, None] - self.centers_mm) ** 2).sum(axis=-1)
        return np.asarray((apart - self.radii_mm**2).argmin(axis=1))

    def misfit_mm2(self, points_mm: FloatArray) -> FloatArray:
        """Squared distance of each point to the border of its ball, shape (n,)."""
        apart = np.linalg.norm(points_mm[:, None] - self.centers_mm, axis=-1)
        return np.asarray(((self.radii_mm - apart).max(axis=1)) ** 2)


def fit_balls(points_mm: FloatArray, weights: FloatArray) -> Iterator[Balls]:
    """Unions of 1, 2, 3 ... balls fitted to border points, shape (n, 3), each with one ball of the last one split.

    Ends where no more ball can be told apart.
    """
    labels = np.zeros(len(points_mm), int)
    balls: Balls | None = _fitted(points_mm, weights, labels, count=1)
    while balls is not None:
        yield balls
        balls = _with_one_more(points_mm, weights, balls)


def _with_one_more(points: FloatArray, weights: FloatArray, balls: Balls) -> Balls | None:
    """The best union with that ball split which fits worst, tried across each of its three axes."""
    labels, misfit = balls.nearest(points), weights * balls.misfit_mm2(points)
    count = len(balls.radii_mm)
    worst = int(np.bincount(labels, misfit, minlength=count).argmax())
    part = points[labels == worst]
    middle = np.average(part, axis=0, weights=weights[labels == worst])
    axes = np.linalg.svd(part - middle, full_matrices=False)[2]
    trials = []
    for axis in axes:
        split = np.where((labels == worst) & ((points - middle) @ axis > 0), count, labels)
        trial = _settled(points, weights, split, count=count + 1)
        if trial is not None:
            trials.append(trial)
    return min(trials, key=lambda trial: float((weights * trial.misfit_mm2(points)).sum()), default=None)


def _settled(points: FloatArray, weights: FloatArray, labels: Array, *, count: int) -> Balls | None:
    """Fit and assign in turn until nothing changes; None if a ball runs out of points."""
    balls = _fitted(points, weights, labels, count=count)
    for _ in range(MOST_ROUNDS):
        if balls is None:
            return None
        assigned = balls.nearest(points)
        if np.array_equal(assigned, labels):
            break
        labels = assigned
        balls = _fitted(points, weights, labels, count=count)
    return balls


def _fitted(points: FloatArray, weights: FloatArray, labels: Array, *, count: int) -> Balls | None:
    """The algebraic least-squares ball of each group of points; None if a group is too small."""
    if np.bincount(labels, minlength=count).min() < FEWEST_POINTS:
        return None
    centers, radii = np.empty((count, 3)), np.empty(count)
    for number in range(count):
        own = labels == number
        root = np.sqrt(weights[own])
        design = np.column_stack([2 * points[own], np.ones(np.count_nonzero(own))])
        solution = np.linalg.lstsq(design * root[:, None], (points[own] ** 2).sum(axis=1) * root, rcond=None)[0]
        centers[number] = solution[:3]
        radii[number] = np.sqrt(max(float(solution[3] + solution[:3] @ solution[:3]), 0.0))
    return Balls(centers_mm=centers, radii_mm=radii)
