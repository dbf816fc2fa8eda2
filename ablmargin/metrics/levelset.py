"""Level sets that are tensor products of uniform cubic B-splines, in millimeters along an array's own axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, FloatArray
from ablmargin.metrics.bspline import axis_basis, evaluated


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelSet:
    """The largest of some tensor products of uniform cubic B-splines; positive inside the structure.

    Parameters
    ----------
    coefficients : ndarray, shape (parts, a, b, c)
    low_mm : ndarray, shape (3,)
        Where the first cell begins, along the array axes.
    cell_mm : float
        Size of the cells, the same along all axes.
    unevenness_mm : float
        Standard deviation of the outlines from each other, slice by slice, that it was fitted through.
    """

    coefficients: FloatArray
    low_mm: FloatArray
    cell_mm: float
    unevenness_mm: float = 0.0

    @property
    def parts(self) -> int:
        return len(self.coefficients)

    @property
    def high_mm(self) -> FloatArray:
        return np.asarray(self.low_mm + (np.array(self._sizes) - 3) * self.cell_mm)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        _, first, second, third = self.coefficients.shape
        return first, second, third

    def on_grid(self, *axes_mm: FloatArray) -> FloatArray:
        """Values of the parts on the grid spanned by three axes, mm, within the box; shape (parts, a, b, c)."""
        bases = [
            axis_basis((axis - low) / self.cell_mm, size)
            for axis, low, size in zip(axes_mm, self.low_mm, self._sizes, strict=True)
        ]
        return np.asarray(np.einsum("ai,bj,ck,pijk->pabc", *bases, self.coefficients, optimize=True))

    def values_at(self, points_mm: FloatArray) -> FloatArray:
        """Values of the parts at points, shape (n, 3), mm, within the box; shape (n, parts)."""
        return evaluated(self.coefficients, self._scaled(points_mm)).T

    def slopes_at(self, points_mm: FloatArray) -> FloatArray:
        """Gradients of the parts, per mm, at points, shape (n, 3); shape (n, parts, 3)."""
        scaled = self._scaled(points_mm)
        slopes = [evaluated(self.coefficients, scaled, slope_along=axis).T / self.cell_mm for axis in range(3)]
        return np.stack(slopes, axis=-1)

    def pulled_to_zero(self, points_mm: FloatArray, *, max_step_mm: float) -> FloatArray:
        """Points, shape (n, 3), moved onto the zero level along the gradient of the leading part by one Newton step."""
        values, slopes = self.values_at(points_mm), self.slopes_at(points_mm)
        rows, leading = np.arange(len(values)), values.argmax(axis=1)
        value, slope = values[rows, leading], slopes[rows, leading]
        step = (value / np.maximum((slope**2).sum(axis=1), 1e-6))[:, None] * slope
        return points_mm - _shortened(step, max_step_mm)

    def pulled_to_crease(self, points_mm: FloatArray, first: Array, second: Array, *, max_step_mm: float) -> FloatArray:
        """Points, shape (n, 3), moved to where two parts, numbers of shape (n,) each, are zero together; two Newton steps."""
        rows, places = np.arange(len(points_mm)), points_mm
        for _ in range(2):
            values, slopes = self.values_at(places), self.slopes_at(places)
            both = np.stack([slopes[rows, first], slopes[rows, second]], axis=1)
            zero = np.stack([values[rows, first], values[rows, second]], axis=1)
            gram = both @ both.transpose(0, 2, 1) + 1e-6 * np.eye(2)
            places = places - np.einsum("nij,ni->nj", both, np.linalg.solve(gram, zero[..., None])[..., 0])
        return points_mm + _shortened(places - points_mm, max_step_mm)

    def _scaled(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray((points_mm - self.low_mm) / self.cell_mm)


def _shortened(steps: FloatArray, longest: float) -> FloatArray:
    """Steps, shape (n, 3), none longer than allowed."""
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    return np.asarray(steps * np.minimum(1.0, longest / np.maximum(lengths, 1e-12)))
