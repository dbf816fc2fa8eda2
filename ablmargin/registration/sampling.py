"""Trilinear samples of a picture and its gradient at many points, several columns in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablmargin.geometry import Array, Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Columns of numbers at every voxel of a working grid, kept together so that a sample reads one row a corner.

    Parameters
    ----------
    grid : Geometry
        Its array axes run along x, y, z.
    rows : ndarray of float32, shape (voxels, columns)
    """

    grid: Geometry
    rows: Array

    @classmethod
    def with_gradient(cls, grid: Geometry, values: Array, *, extra: Sequence[Array] = ()) -> Table:
        """Columns: the values, their three derivatives by mm, and whatever is given extra."""
        return cls.of_columns(grid, values, *np.gradient(values, *grid.spacing_mm), *extra)

    @classmethod
    def of_columns(cls, grid: Geometry, *columns: Array) -> Table:
        """Any arrays of the grid's shape."""
        rows = np.empty((*grid.shape, len(columns)), np.float32)
        for number, column in enumerate(columns):
            rows[..., number] = column
        return cls(grid=grid, rows=rows.reshape(-1, len(columns)))

    def at(self, points_mm: Array) -> Array:
        """Samples at points (n, 3): shape (n, columns), float32. Outside the grid, the nearest border counts."""
        last = (np.array(self.grid.shape) - 1.001).astype(np.float32)
        origin = np.array(self.grid.origin_mm, np.float32)
        index = np.clip((points_mm - origin) / np.float32(self.grid.spacing_mm[0]), np.float32(0), last)
        corner = index.astype(np.int32)
        upper = index - corner
        shares = np.stack([1 - upper, upper])
        strides = (self.grid.shape[1] * self.grid.shape[2], self.grid.shape[2], 1)
        first = corner @ np.array(strides, np.int32)
        samples = np.zeros((len(points_mm), self.rows.shape[1]), np.float32)
        for a, b, c in product((0, 1), repeat=3):
            offset = a * strides[0] + b * strides[1] + c
            share = shares[a, :, 0] * shares[b, :, 1] * shares[c, :, 2]
            samples += np.take(self.rows, first + offset, axis=0) * share[:, None]
        return samples
