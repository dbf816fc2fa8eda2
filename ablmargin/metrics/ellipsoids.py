"""A shape as a union of ellipsoids: what overlapping ablations look like before each gets a surface of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, FloatArray

FEWEST_POINTS = 24
"""An ellipsoid that rests on fewer border points isn't told apart."""
MOST_ROUNDS = 15
STIFFNESS = 2e-4
"""Pull toward a ball, which keeps an ellipsoid that shows little of itself from running away."""
FLATTEST = 0.15
"""Smallest eigenvalue of a shape's matrix, their mean being 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ellipsoids:
    """Ellipsoids that together follow a border: (p - c)ᵀ S (p - c) = 1 with centers c, (n, 3), mm, and S, (n, 3, 3)."""

    centers_mm: FloatArray
    shapes_per_mm2: FloatArray

    def __len__(self) -> int:
        return len(self.centers_mm)

    def heights_mm(self, points_mm: FloatArray) -> FloatArray:
        """How deep points, shape (m, 3), lie in each, to first order from its border; shape (m, n)."""
        offset = points_mm[:, None] - self.centers_mm
        slope = np.einsum("mni,nij->mnj", offset, self.shapes_per_mm2)
        reach = np.sqrt(np.maximum(np.einsum("mni,mni->mn", offset, slope), 1e-12))
        return np.asarray((1 - reach) * reach / np.maximum(np.linalg.norm(slope, axis=-1), 1e-12))

    def nearest(self, points_mm: FloatArray) -> Array:
        """Number of the ellipsoid whose border each point, shape (m, 3), belongs to."""
        return np.asarray(self.heights_mm(points_mm).argmax(axis=1))

    def misfit_mm2(self, points_mm: FloatArray) -> FloatArray:
        """Squared distance of each point to the border of the union, to first order; shape (m,)."""
        return np.asarray(self.heights_mm(points_mm).max(axis=1) ** 2)


def fit_ellipsoids(points_mm: FloatArray, weights: FloatArray, labels: Array) -> Ellipsoids | None:
    """As many ellipsoids as labels tell, fitted and given their points in turn until nothing changes.

    Parameters
    ----------
    points_mm : ndarray, shape (m, 3)
    weights : ndarray, shape (m,)
    labels : ndarray of int, shape (m,)
        The ellipsoid that each point belongs to at first, from 0.

    Returns
    -------
    Ellipsoids or None
        None if one runs out of points or isn't an ellipsoid.
    """
    count, found = int(labels.max()) + 1, None
    for _ in range(MOST_ROUNDS):
        fits = [_fitted(points_mm[labels == number], weights[labels == number]) for number in range(count)]
        sound = [fit for fit in fits if fit is not None]
        if len(sound) < count:
            return None
        centers, shapes = zip(*sound, strict=True)
        found = Ellipsoids(centers_mm=np.array(centers), shapes_per_mm2=np.array(shapes))
        assigned = found.nearest(points_mm)
        if np.array_equal(assigned, labels):
            break
        labels = assigned
    return found


def _fitted(points: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Center and matrix of the algebraic least-squares ellipsoid, its matrix's trace held; None if it is none."""
    if len(points) < FEWEST_POINTS:
        return None
    middle, shares = np.average(points, axis=0, weights=weights), weights / weights.sum()
    scale = np.sqrt(shares @ ((points - middle) ** 2).sum(axis=1))
    x, y, z = local = ((points - middle) / scale).T
    design = np.stack([x * x - z * z, y * y - z * z, 2 * x * y, 2 * x * z, 2 * y * z, *(2 * local), np.ones(len(x))])
    normal = (design * shares) @ design.T
    normal[range(5), range(5)] += STIFFNESS
    wanted = (design * shares) @ (local**2).sum(axis=0)
    a, b, c, d, e, *toward, rest = np.linalg.lstsq(normal, wanted, rcond=1e-9)[0]  # two slices leave one unknown open
    matrix = np.eye(3) - np.array([[a, c, d], [c, b, e], [d, e, -a - b]])
    if np.linalg.eigvalsh(matrix)[0] < FLATTEST:
        return None
    center = np.linalg.solve(matrix, toward)
    size = rest + center @ matrix @ center
    return (middle + scale * center, matrix / (size * scale**2)) if size > 0 else None
