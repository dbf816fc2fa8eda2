"""Trilinear samples of pictures and their gradients at many points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Columns of numbers at every voxel of a working grid.

    Parameters
    ----------
    grid : Geometry
        Its array axes run along x, y, z.
    columns : tuple of ndarray of float32
        Each has the grid's shape.
    """

    grid: Geometry
    columns: tuple[Array, ...]

    @classmethod
    def with_gradient(cls, grid: Geometry, values: Array, *, extra: Sequence[Array] = ()) -> Table:
        """Columns: the values, their three derivatives by mm, and whatever is given extra."""
        return cls.of_columns(grid, values, *np.gradient(values, *grid.spacing_mm), *extra)

    @classmethod
    def of_columns(cls, grid: Geometry, *columns: Array) -> Table:
        """Any arrays of the grid's shape."""
        return cls(grid=grid, columns=tuple(np.asarray(column, np.float32) for column in columns))

    def at(self, points_mm: Array) -> Array:
        """Samples at points (n, 3): shape (n, columns), float32. Outside the grid, the nearest border counts."""
        index = (points_mm - np.array(self.grid.origin_mm, points_mm.dtype)).T / self.grid.spacing_mm[0]
        samples = np.empty((len(self.columns), len(points_mm)), np.float32)
        for column, found in zip(self.columns, samples, strict=True):
            ndimage.map_coordinates(column, index, output=found, order=1, mode="nearest", prefilter=False)
        return samples.T
