"""Where voxels lie: the grid of an image in DICOM patient coordinates (LPS, mm).

Array axes are ``(k, j, i)``: slice, row, column. Points are ``(x, y, z)``: toward the patient's left, back and head.
The two orders meet in :meth:`Geometry.points_at` and :meth:`Geometry.indices_at`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Triple = tuple[float, float, float]

ORTHONORMAL_TOLERANCE = 1e-4
"""How far the axis directions may be from orthonormal. DICOM writes direction cosines with about 6 digits."""

SAME_GRID_TOLERANCE_MM = 0.01
"""Two grids are the same when all their corners agree to this."""


class PointTransform(Protocol):
    """Maps points from one exam's frame to the other's; named ``target_from_source``, as in ``post_from_pre``."""

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map points, shape (n, 3), LPS mm, to the target frame; same shape."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A regular, right-angled grid of voxels in patient space.

    Parameters
    ----------
    shape : (int, int, int)
        Number of slices, rows and columns.
    spacing_mm : (float, float, float)
        Distance of neighboring voxel centers along the array axes (slice, row, column). Taken from positions,
        never from SliceThickness.
    origin_mm : (float, float, float)
        Center of voxel (0, 0, 0) as (x, y, z).
    directions : three unit vectors (x, y, z)
        Where the slice, row and column index grow. Right angles; either handedness.
    frame_uid : str, optional
        DICOM FrameOfReferenceUID: two images with different UIDs don't share coordinates, whatever their numbers say.
        Part of equality.

    Raises
    ------
    ValueError
        If the shape isn't positive, a number isn't finite, a spacing isn't positive or the axes aren't orthonormal.

    Examples
    --------
    >>> grid = Geometry(shape=(2, 3, 4), spacing_mm=(5.0, 0.8, 0.7), origin_mm=(-10.0, 20.0, 30.0))
    >>> grid.points_at([(1, 0, 2)]).tolist()
    [[-8.6, 20.0, 35.0]]
    >>> grid.indices_at([(-8.6, 20.0, 35.0)]).round(6).tolist()
    [[1.0, 0.0, 2.0]]
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple
    directions: tuple[Triple, Triple, Triple] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    frame_uid: str | None = None

    def __post_init__(self) -> None:
        # Plain Python numbers, so that geometries made from arrays compare and hash like typed-in ones.
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "spacing_mm", triple(self.spacing_mm))
        object.__setattr__(self, "origin_mm", triple(self.origin_mm))
        object.__setattr__(self, "directions", tuple(triple(axis) for axis in self.directions))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a grid needs three positive sizes, not {self.shape}")
        if not (np.isfinite(self.spacing_mm).all() and min(self.spacing_mm) > 0):
            raise ValueError(f"spacing must be finite and positive, not {self.spacing_mm} mm")
        if not np.isfinite(self.origin_mm).all():
            raise ValueError(f"the origin must be finite, not {self.origin_mm} mm")
        axes = np.array(self.directions)
        if axes.shape != (3, 3) or not np.abs(axes @ axes.T - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE:
            raise ValueError(f"axis directions must be orthonormal, not {self.directions}")

    @classmethod
    def from_affine(cls, affine: FloatArray, shape: tuple[int, int, int], *, frame_uid: str | None = None) -> Geometry:
        """Build from a 4×4 matrix that maps (k, j, i, 1) to (x, y, z, 1), LPS mm."""
        columns = np.asarray(affine, float)[:3, :3].T
        spacing = np.linalg.norm(columns, axis=1)
        if not (np.isfinite(spacing).all() and spacing.min() > 0):
            raise ValueError(f"an affine's columns must be finite and not zero: {columns.tolist()}")
        return cls(
            shape=shape,
            spacing_mm=triple(spacing),
            origin_mm=triple(np.asarray(affine, float)[:3, 3]),
            directions=triples(columns / spacing[:, None]),
            frame_uid=frame_uid,
        )

    @property
    def affine(self) -> FloatArray:
        """4×4 matrix from (k, j, i, 1) to (x, y, z, 1), LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.directions).T * np.array(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def voxel_volume_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def corners_mm(self) -> FloatArray:
        """Centers of the eight corner voxels, shape (8, 3), LPS mm."""
        last = np.array(self.shape) - 1
        return self.points_at(np.array([(k, j, i) for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * last)

    @property
    def center_mm(self) -> FloatArray:
        """Center of the whole grid, shape (3,), LPS mm."""
        center: FloatArray = self.corners_mm.mean(axis=0)
        return center

    def points_at(self, indices: Array | Sequence[Sequence[float]]) -> FloatArray:
        """World points of (k, j, i) indices, fractions allowed: (..., 3) to (..., 3) LPS mm."""
        matrix = self.affine
        return np.asarray(np.asarray(indices, float) @ matrix[:3, :3].T + matrix[:3, 3])

    def indices_at(self, points_mm: Array | Sequence[Sequence[float]]) -> FloatArray:
        """Fractional (k, j, i) indices of world points: (..., 3) LPS mm to (..., 3)."""
        back = np.linalg.inv(self.affine[:3, :3])
        return np.asarray((np.asarray(points_mm, float) - np.array(self.origin_mm)) @ back.T)

    def contains(self, points_mm: FloatArray, *, margin_mm: float = 0.0) -> BoolArray:
        """Which points, shape (n, 3), lie between the outer voxel centers, ``margin_mm`` or more from the border."""
        index = self.indices_at(points_mm)
        margin = margin_mm / np.array(self.spacing_mm) - 1e-9
        return np.asarray(((index >= margin) & (index <= np.array(self.shape) - 1 - margin)).all(axis=-1))

    def box_around(
        self, points_mm: FloatArray, *, pad_mm: float | FloatArray = 0.0
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """First and one past the last (k, j, i) index of the voxels around points, cut at the grid's border.

        Parameters
        ----------
        points_mm : ndarray, shape (n, 3)
            LPS mm.
        pad_mm : float or ndarray, shape (3,)
            How far around the points, the same or one each along the array axes.

        Returns
        -------
        start, stop : (int, int, int)
            One voxel at least: where the points lie beside the grid, those at its border that are nearest.
        """
        index, pad = self.indices_at(points_mm), pad_mm / np.array(self.spacing_mm)
        size = np.array(self.shape)
        start = np.clip(np.floor(index.min(axis=0) - pad), 0, size - 1).astype(int).tolist()
        stop = np.clip(np.ceil(index.max(axis=0) + pad) + 1, np.array(start) + 1, size).astype(int).tolist()
        return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])

    def cropped(self, start: Sequence[int], stop: Sequence[int]) -> Geometry:
        """The grid of ``array[start[0]:stop[0], start[1]:stop[1], start[2]:stop[2]]``."""
        return replace(
            self,
            shape=(int(stop[0] - start[0]), int(stop[1] - start[1]), int(stop[2] - start[2])),
            origin_mm=triple(self.points_at([start])[0]),
        )

    def in_frame(self, frame_uid: str | None) -> Geometry:
        """The same grid, said to lie in another frame of reference."""
        return replace(self, frame_uid=frame_uid)

    def shares_frame_with(self, other: Geometry) -> bool:
        """Whether coordinates may be compared: False only if both frames are known and differ."""
        return self.frame_uid is None or other.frame_uid is None or self.frame_uid == other.frame_uid

    def same_grid_as(self, other: Geometry, *, tolerance_mm: float = SAME_GRID_TOLERANCE_MM) -> bool:
        """Whether voxel (k, j, i) means the same place in both: equal shape, corners within the tolerance, one frame."""
        if self.shape != other.shape or not self.shares_frame_with(other):
            return False
        return bool(np.abs(self.corners_mm - other.corners_mm).max() <= tolerance_mm)


def bounding_geometry(points_mm: FloatArray, *, spacing_mm: float, pad_mm: float, frame_uid: str | None) -> Geometry:
    """An axis-aligned isotropic grid that holds all points, shape (n, 3), with ``pad_mm`` around them."""
    low, high = points_mm.min(axis=0) - pad_mm, points_mm.max(axis=0) + pad_mm
    sizes = np.ceil((high - low) / spacing_mm).astype(int) + 1
    return Geometry(
        shape=(int(sizes[2]), int(sizes[1]), int(sizes[0])),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        origin_mm=triple(low),
        frame_uid=frame_uid,
    )


def triple(values: Sequence[float] | FloatArray) -> Triple:
    """Three numbers of any kind as a tuple of floats."""
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def triples(rows: FloatArray) -> tuple[Triple, Triple, Triple]:
    """A 3×3 array as three tuples of floats."""
    first, second, third = (triple(row) for row in rows)
    return (first, second, third)
