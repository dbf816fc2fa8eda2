"""How an alignment's energy bends around a spline: the Gauss-Newton Hessian of one level, never built.

It is gathered into cells of a few millimeters and applied to spline coefficients, shape (a, b, c, 3, k), k of them at once.
"""

from __future__ import annotations

import numpy as np

from ablmargin.geometry import Array, FloatArray
from ablmargin.registration.bspline import Bending
from ablmargin.registration.lattice import Lattice

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""The six entries of a cell's symmetric matrix, in the order in which they are kept."""

_UNPACK = [0, 1, 2, 1, 3, 4, 2, 4, 5]
_DIAGONAL = [0, 3, 5]
_DAMPING = 1e-4
_FLOOR = 1e-7
"""Of the largest diagonal entry: keeps the map positive where nothing is seen."""
_CG_STEPS = 25
_CG_TOLERANCE = 4e-4


class Curvature:
    """Data terms in cells, shape (cells, 6), plus the stiffness of the bending energy."""

    def __init__(self, data: Array, cells: Lattice, bending: Bending, *, stiffness: float) -> None:
        self._matrices = data[:, _UNPACK].reshape(-1, 3, 3)
        self._columns = np.ascontiguousarray(self._matrices.transpose(2, 0, 1))[..., None]
        self._cells, self._bending, self._stiffness = cells, bending, stiffness
        seen = cells.gather_squared(data[:, _DIAGONAL].reshape(*cells.shape, 3))
        diagonal = seen + stiffness * bending.diagonal()
        self._floor = _FLOOR * diagonal.max()
        self._preconditioner = (1.0 / (diagonal + _DAMPING * diagonal.max()))[..., None]

    def applied(self, coefficients: FloatArray) -> FloatArray:
        """The map itself."""
        flat = coefficients.reshape(*coefficients.shape[:3], -1)
        spread = self._cells.spread(flat)
        parts = spread.reshape(len(self._matrices), 3, -1)
        pulled = sum(column * parts[:, axis, None] for axis, column in enumerate(self._columns))
        bent = self._stiffness * self._bending.gradient(flat)
        gathered = self._cells.gather(np.asarray(pulled).reshape(spread.shape))
        return np.asarray((gathered + bent + self._floor * flat).reshape(coefficients.shape))

    def solved(self, right: FloatArray) -> FloatArray:
        """Coefficients that the map takes to the right sides, about: by conjugate gradients."""
        solution = np.zeros_like(right)
        rest = right.copy()
        scaled = self._preconditioner * rest
        direction = scaled
        product, aim = _dot(rest, scaled), _CG_TOLERANCE * _dot(rest, rest)
        for _ in range(_CG_STEPS):
            if (_dot(rest, rest) <= aim).all():
                break
            applied = self.applied(direction)
            length = product / _dot(direction, applied)
            solution += length * direction
            rest -= length * applied
            scaled = self._preconditioner * rest
            product, last = _dot(rest, scaled), product
            direction = scaled + product / last * direction
        return solution

    def scattered(self, random: np.random.Generator, count: int) -> FloatArray:
        """Random right sides, ``count`` of them, whose covariance is the map."""
        spread = random.standard_normal((len(self._matrices), 3, count)).astype(np.float32)
        tiny = 1e-6 * np.trace(self._matrices, axis1=1, axis2=2).max() * np.eye(3)
        data = (np.linalg.cholesky(self._matrices + tiny) @ spread).reshape(*self._cells.shape, -1)
        bending = np.sqrt(self._stiffness) * self._bending.scattered(random, 3 * count)
        both = self._cells.gather(data) + bending
        return np.asarray(both.reshape(*both.shape[:3], 3, count))


def _dot(one: FloatArray, other: FloatArray) -> FloatArray:
    """Inner products over all but the last axis."""
    return np.asarray((one * other).sum(axis=(0, 1, 2, 3)))
