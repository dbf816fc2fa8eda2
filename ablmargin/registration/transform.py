"""Maps from points of one exam to points of the other, named ``target_from_source``.

All of them have ``map_points``. Resampling an image through a map is something else and isn't done here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablmargin.errors import RegistrationError
from ablmargin.geometry import Array, FloatArray, Geometry, PointTransform, Triple, triple
from ablmargin.registration.bspline import basis, evaluate

_CHUNK = 1_000_000
_FAR_MM = 1000.0
_PARALLEL_TOLERANCE = 1e-6
"""Directions of a grid this close to x, y and z move no voxel of a body by more than 0.001 mm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidTransform:
    """A rotation about a center, then a translation.

    Parameters
    ----------
    rotation : ndarray, shape (3, 3)
        Proper orthonormal matrix, applied to column vectors (x, y, z).
    center_mm, translation_mm : (float, float, float)
        LPS mm.

    Examples
    --------
    >>> quarter = RigidTransform(rotation=np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), translation_mm=(0, 0, 5))
    >>> quarter.map_points(np.array([[10.0, 0.0, 0.0]])).tolist()
    [[0.0, 10.0, 5.0]]
    """

    rotation: FloatArray
    center_mm: Triple = (0.0, 0.0, 0.0)
    translation_mm: Triple = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        rotation = _locked(self.rotation)
        off = np.abs(rotation @ rotation.T - np.eye(3)).max() if rotation.shape == (3, 3) else np.inf
        if not (off < 1e-6 and np.linalg.det(rotation) > 0):
            raise ValueError(f"a rotation must be a proper orthonormal 3×3 matrix, not {rotation.tolist()}")
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "center_mm", triple(self.center_mm))
        object.__setattr__(self, "translation_mm", triple(self.translation_mm))

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map points, shape (n, 3), LPS mm; same shape."""
        center = np.array(self.center_mm)
        return np.asarray((points_mm - center) @ self.rotation.T + center + np.array(self.translation_mm))

    def inverse(self) -> RigidTransform:
        """The map back."""
        return RigidTransform(
            rotation=self.rotation.T,
            center_mm=triple(np.array(self.center_mm) + np.array(self.translation_mm)),
            translation_mm=triple(-np.array(self.translation_mm)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplineTransform:
    """A rigid map plus a smooth displacement: ``rigid(p) + u(p)``.

    Parameters
    ----------
    rigid : RigidTransform
    origin_mm : (float, float, float)
        Lower corner of the region that the spline covers, in the source frame.
    knot_mm : float
        Distance of neighboring control points, the same along x, y and z.
    coefficients_mm : ndarray, shape (a, b, c, 3)
        Control vectors of u along x, y, z; the region covered is (a - 3, b - 3, c - 3) × ``knot_mm``. Outside of it u
        keeps the value at the nearest point of the region. A locked copy is kept.
    """

    rigid: RigidTransform
    origin_mm: Triple
    knot_mm: float
    coefficients_mm: FloatArray

    def __post_init__(self) -> None:
        coefficients = _locked(self.coefficients_mm)
        if coefficients.ndim != 4 or coefficients.shape[3] != 3 or min(coefficients.shape[:3]) < 4:
            raise ValueError(f"coefficients must have shape (a, b, c, 3) with 4 or more each, not {coefficients.shape}")
        if not np.isfinite(coefficients).all():
            raise ValueError("the coefficients of a spline must be finite")
        object.__setattr__(self, "coefficients_mm", coefficients)
        object.__setattr__(self, "origin_mm", triple(self.origin_mm))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Control points along x, y and z."""
        x, y, z, _ = self.coefficients_mm.shape
        return (x, y, z)

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map points, shape (n, 3), LPS mm; same shape."""
        positions = (points_mm - np.array(self.origin_mm)) / self.knot_mm
        return self.rigid.map_points(points_mm) + evaluate(self.coefficients_mm, positions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InverseTransform:
    """The map back along another one, point by point; see :func:`inverse_points`."""

    forward: PointTransform

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map points, shape (n, 3), LPS mm; same shape. RegistrationError where the other map can't be inverted."""
        return inverse_points(self.forward, points_mm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComposedTransform:
    """One map after another.

    Examples
    --------
    >>> ten, turned = (RigidTransform(rotation=np.eye(3), translation_mm=(10, 0, 0)), RigidTransform(rotation=-np.diag([1.0, 1, -1])))
    >>> ComposedTransform(first=ten, then=turned).map_points(np.zeros((1, 3))).tolist()
    [[-10.0, 0.0, 0.0]]
    """

    first: PointTransform
    then: PointTransform

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map points, shape (n, 3), LPS mm; same shape."""
        return self.then.map_points(self.first.map_points(points_mm))


def inverse_points(
    transform: PointTransform, points_mm: FloatArray, tolerance_mm: float = 1e-3, *, iterations: int = 100
) -> FloatArray:
    """Source points whose images are the given points, shape (n, 3) to (n, 3), LPS mm.

    Fixed-point iteration with the map's linear part, which is read off far outside of its displacement.

    Raises
    ------
    RegistrationError
        If a point isn't reached to ``tolerance_mm``: the map folds or nearly folds there.
    """
    targets = np.asarray(points_mm, float)
    backward, source = _rough_inverse(transform, targets)
    for _ in range(iterations):
        miss = targets - transform.map_points(source)
        if not miss.size or np.abs(miss).max() <= tolerance_mm:
            return source
        source = source + miss @ backward.T
    raise RegistrationError(
        f"the alignment can't be inverted: {iterations} iterations leave {np.abs(miss).max():.3g} mm"
        f" (allowed: {tolerance_mm:g} mm)"
    )


def displacement_on(transform: PointTransform, geometry: Geometry) -> NDArray[np.float32]:
    """The map as a vector image: shape (k, j, i, 3), float32, (x, y, z) LPS mm; target point = source point + vector."""
    field = np.empty((*geometry.shape, 3), np.float32)
    if isinstance(transform, SplineTransform) and _is_along_axes(geometry):
        _fill_axis_by_axis(field, transform, geometry)
    else:
        _fill_point_by_point(field, transform, geometry)
    return field


def jacobian_determinants(transform: PointTransform, points_mm: FloatArray, *, step_mm: float = 0.5) -> FloatArray:
    """Local change of volume at points (n, 3): shape (n,). 1 keeps it, 0 or less means that the map folds.

    Central differences over ``step_mm`` to either side.
    """
    columns = [
        (transform.map_points(points_mm + step) - transform.map_points(points_mm - step)) / (2.0 * step_mm)
        for step in step_mm * np.eye(3)
    ]
    return np.asarray(np.linalg.det(np.stack(columns, axis=-1)))


def _is_along_axes(geometry: Geometry) -> bool:
    """Whether each axis of a grid runs along x, y or z, up or down."""
    return bool(np.sort(np.abs(geometry.directions), axis=1)[:, :2].max() <= _PARALLEL_TOLERANCE)


def _fill_axis_by_axis(field: NDArray[np.float32], spline: SplineTransform, geometry: Geometry) -> None:
    """A cubic B-spline is a product of one function an axis: two small matrix products a slice give all its vectors."""
    axes = np.abs(geometry.directions).argmax(axis=1).tolist()
    slices, rows, columns = (_basis_along(spline, geometry, index, axis) for index, axis in enumerate(axes))
    across, down, right = _rigid_vectors(spline.rigid, geometry)
    control = spline.coefficients_mm.transpose(*axes, 3).astype(np.float32)
    for k, vectors in enumerate(np.tensordot(slices, control, axes=1)):
        slab = field[k]
        np.matmul(rows, (columns @ vectors).reshape(rows.shape[1], -1), out=slab.reshape(len(rows), -1))
        slab += (across[k] + right).astype(np.float32)
        slab += down[:, None].astype(np.float32)


def _basis_along(spline: SplineTransform, geometry: Geometry, index: int, axis: int) -> NDArray[np.float32]:
    """The basis functions along x, y or z (``axis``) at each index of one array axis: shape (voxels, control points)."""
    step_mm = geometry.spacing_mm[index] * geometry.directions[index][axis]
    places_mm = geometry.origin_mm[axis] + step_mm * np.arange(geometry.shape[index])
    count = spline.counts[axis]
    positions = (places_mm - spline.origin_mm[axis]) / spline.knot_mm
    return basis(np.clip(positions, 0.0, count - 3.0), count).astype(np.float32)


def _rigid_vectors(rigid: RigidTransform, geometry: Geometry) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Three arrays, one an array axis, shape (voxels, 3), whose sum at (k, j, i) is where the rigid map leads from there."""
    points = geometry.points_at(np.concatenate([np.zeros((1, 3)), np.eye(3)]))
    start, *neighbors = rigid.map_points(points) - points
    first, second, third = (
        np.arange(size)[:, None] * (neighbor - start) for size, neighbor in zip(geometry.shape, neighbors, strict=True)
    )
    return start + first, second, third


def _fill_point_by_point(field: NDArray[np.float32], transform: PointTransform, geometry: Geometry) -> None:
    flat = field.reshape(-1, 3)
    for start in range(0, len(flat), _CHUNK):
        numbers = np.arange(start, min(start + _CHUNK, len(flat)))
        points = geometry.points_at(np.stack(np.unravel_index(numbers, geometry.shape), axis=-1))
        flat[numbers] = transform.map_points(points) - points


def _rough_inverse(transform: PointTransform, targets_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The inverse of the map's linear part, and where that sends the targets."""
    probes = transform.map_points(_FAR_MM * np.concatenate([np.eye(3), -np.eye(3)]))
    backward = np.linalg.inv((probes[:3] - probes[3:]).T / (2.0 * _FAR_MM))
    return np.asarray(backward, float), np.asarray((targets_mm - probes.mean(axis=0)) @ backward.T)


def _locked(values: Array) -> FloatArray:
    copy = np.array(values, float)
    copy.setflags(write=False)
    return copy
