"""Splines on the voxels of a working grid: the two directions between control points and voxels."""

from __future__ import annotations

import numpy as np

from ablmargin.geometry import Array, FloatArray, Geometry
from ablmargin.registration.bspline import Bending, basis, separable


class Lattice:
    """A spline's values on the voxels of a working grid, or on blocks of them, and the way back."""

    def __init__(self, grid: Geometry, spline: Bending, *, block: int = 1) -> None:
        self.shape = tuple(-(-n // block) for n in grid.shape)
        self.block = block
        centers = [
            np.minimum(block * np.arange(n) + (block - 1) / 2.0, size - 1) * grid.spacing_mm[0]
            for n, size in zip(self.shape, grid.shape, strict=True)
        ]
        self.matrices = [
            basis(center / spline.knot_mm, count) for center, count in zip(centers, spline.counts, strict=True)
        ]
        self._forward = [matrix.astype(np.float32) for matrix in self.matrices]
        self._transposed = [np.ascontiguousarray(matrix.T) for matrix in self._forward]
        self._squared = [matrix**2 for matrix in self._transposed]

    def spread(self, coefficients: FloatArray) -> Array:
        return separable(self._forward, coefficients.astype(np.float32))

    def gather(self, values: Array) -> FloatArray:
        return np.asarray(separable(self._transposed, values).astype(float))

    def gather_squared(self, values: Array) -> FloatArray:
        return np.asarray(separable(self._squared, values).astype(float))

    def block_of(self, voxels: Array, grid: Geometry) -> Array:
        """Flat index of the block that holds each voxel, given by flat index of the grid."""
        index = np.unravel_index(voxels, grid.shape)
        return np.asarray(np.ravel_multi_index([axis // self.block for axis in index], self.shape))
