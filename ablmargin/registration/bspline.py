"""Algebra of uniform cubic B-splines on a regular grid of control points.

Positions count knot intervals. A grid of n control points along an axis covers positions 0 to n - 3; the first control
point stands at -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, FloatArray

_PIECES = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
"""Row p: the factors of f**p in the four basis functions that overlap an interval, f in 0..1 along it."""


def basis(positions: FloatArray, count: int, *, derivative: int = 0) -> FloatArray:
    """Values, or derivatives by position, of ``count`` basis functions at positions (n,): shape (n, count).

    Examples
    --------
    >>> basis(np.array([0.0, 0.5]), 4).round(3).tolist()
    [[0.167, 0.667, 0.167, 0.0], [0.021, 0.479, 0.479, 0.021]]
    """
    interval = np.clip(np.floor(positions).astype(int), 0, count - 4)
    fraction = positions - interval
    pieces = np.polynomial.polynomial.polyder(_PIECES, derivative)
    matrix = np.zeros((len(positions), count))
    np.put_along_axis(
        matrix,
        interval[:, None] + np.arange(4),
        np.polynomial.polynomial.polyval(fraction, pieces).T,
        axis=1,
    )
    return matrix


def separable(matrices: Sequence[Array], values: Array) -> Array:
    """Apply one matrix along each of the first three axes of an array (a, b, c, k)."""
    first, second, third = matrices
    a, b, c, k = values.shape
    values = (first @ values.reshape(a, -1)).reshape(-1, b, c * k)
    values = np.matmul(second, values).reshape(-1, c, k)
    return np.asarray(np.matmul(third, values).reshape(len(first), len(second), len(third), k))


def evaluate(coefficients: FloatArray, positions: FloatArray) -> FloatArray:
    """Vectors (n, 3) of a spline with coefficients (a, b, c, 3) at positions (n, 3), held constant outside the grid."""
    covered = np.clip(positions, 0.0, np.array(coefficients.shape[:3]) - 3.0).T + 1.0
    return np.stack(
        [
            ndimage.map_coordinates(coefficients[..., axis], covered, order=3, prefilter=False, mode="nearest")
            for axis in range(3)
        ],
        axis=-1,
    )


def fit_on_lattice(values: Array, matrices: Sequence[FloatArray]) -> FloatArray:
    """Coefficients whose spline comes closest to values (a, b, c, k) given on a lattice, in least squares."""
    return np.asarray(separable([np.linalg.pinv(matrix) for matrix in matrices], values.astype(float)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bending:
    """The bending energy of a displacement: half the integral of its squared second derivatives over the grid.

    Parameters
    ----------
    counts : (int, int, int)
        Control points along each axis.
    knot_mm : float
        Distance of neighboring control points; the energy of a displacement in mm is then in mm.
    """

    counts: tuple[int, int, int]
    knot_mm: float

    def gradient(self, coefficients: FloatArray) -> FloatArray:
        """Derivative of the energy by the coefficients, shape (a, b, c, 3); linear in them."""
        return np.asarray(sum(f * separable(grams, coefficients) for f, grams in self._products()) / self.knot_mm)

    def diagonal(self) -> FloatArray:
        """Diagonal of that linear map, shape (a, b, c, 1)."""
        outer = (f * np.einsum("a,b,c->abc", *(np.diagonal(gram) for gram in grams)) for f, grams in self._products())
        return np.asarray(sum(outer))[..., None] / self.knot_mm

    def scattered(self, random: np.random.Generator, count: int) -> FloatArray:
        """Random arrays, shape (a, b, c, count), whose covariance is :meth:`gradient`."""
        parts = (
            np.sqrt(f / self.knot_mm)
            * separable([_root(gram) for gram in grams], random.standard_normal((*self.counts, count)))
            for f, grams in self._products()
        )
        return np.asarray(sum(parts))

    def energy(self, coefficients: FloatArray) -> float:
        return 0.5 * float((coefficients * self.gradient(coefficients)).sum())

    def _products(self) -> list[tuple[float, list[FloatArray]]]:
        orders = (((2, 0, 0), 1.0), ((0, 2, 0), 1.0), ((0, 0, 2), 1.0))
        mixed = (((1, 1, 0), 2.0), ((1, 0, 1), 2.0), ((0, 1, 1), 2.0))
        return [
            (factor, [_gram(count, order) for count, order in zip(self.counts, derivative, strict=True)])
            for derivative, factor in orders + mixed
        ]


@lru_cache(maxsize=256)
def _gram(count: int, derivative: int) -> FloatArray:
    """Integrals of products of basis derivatives; four Gauss points an interval are exact for these polynomials."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    positions = (np.arange(count - 3)[:, None] + (nodes + 1.0) / 2.0).ravel()
    values = basis(positions, count, derivative=derivative)
    gram = values.T @ (values * np.tile(weights / 2.0, count - 3)[:, None])
    gram.setflags(write=False)
    return gram


def _root(gram: FloatArray) -> FloatArray:
    """A square matrix whose product with its transpose is the given one, positive but for rounding."""
    power, axes = np.linalg.eigh(gram)
    return np.asarray(axes * np.sqrt(np.maximum(power, 0.0)))
