"""How margins change when an error of the alignment moves the tumor's points: random draws for the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, bounding_geometry
from ablmargin.metrics.mesh import areas_mm2, vertex_normals
from ablmargin.metrics.nearest import surface_tree
from ablmargin.metrics.surface import Surface

GRID_NODES = 6_000
DRAWS_AT_ONCE = 200
CANDIDATES = 3000
REACH_SD = 4.0

Single = NDArray[np.float32]
Field = Callable[[NDArray[Any]], Single]
"""Margins at displaced points: (n, draws, 3) to (n, draws)."""


def drawn_changes_mm(
    field: Field, points_mm: FloatArray, *, sd_mm: float, correlation_length_mm: float, draws: int, seed: int
) -> Single:
    """Changes of a field at points, shape (n, 3), under random smooth displacements; shape (n, draws).

    The displacements are Gaussian, ``sd_mm`` per component, and correlate over space like exp(-d²/2l²). They come in
    pairs of opposite ones, which takes noise out of what is read from them.
    """
    rng, factor = np.random.default_rng(seed), _field_factor(points_mm, correlation_length_mm)
    factor = (sd_mm * factor).astype(np.float32)
    at_rest, changes = field(points_mm[:, None]), []
    for done in range(0, draws, DRAWS_AT_ONCE):
        pairs = (min(DRAWS_AT_ONCE, draws - done) + 1) // 2
        normal = rng.standard_normal((factor.shape[1], 3 * pairs), dtype=np.float32)
        shift = (factor @ normal).reshape(-1, pairs, 3)
        changes.append(field(points_mm[:, None] + np.concatenate([shift, -shift], axis=1)) - at_rest)
    return np.concatenate(changes, axis=1)[:, :draws]


def plain_field(zone: Surface, points_mm: FloatArray, *, sd_mm: float) -> Field:
    """Signed distance to the zone where points, shape (n, 3), can get by displacements of this standard deviation."""
    grid, nodes_mm = _grid(points_mm, sd_mm)
    read = _reader(grid, _Sheet.of(zone.vertices_mm, zone.triangles).signed_distances_mm(nodes_mm))
    return lambda where: read(where)[0]


def capsule_field(
    zone: Surface, inside_liver: BoolArray, allowed: BoolArray, points_mm: FloatArray, *, sd_mm: float
) -> Field:
    """Distance to the zone's border inside the liver, for points in the zone and for those ``allowed``, shape (n,).

    Allowed points count as ablated wherever they are moved: at the capsule, tumor, zone and liver move together.
    """
    grid, nodes_mm = _grid(points_mm, sd_mm)
    border = _Sheet.of(zone.vertices_mm, zone.triangles[inside_liver])
    to_zone = _Sheet.of(zone.vertices_mm, zone.triangles).signed_distances_mm(nodes_mm)
    read = _reader(grid, to_zone, np.abs(border.signed_distances_mm(nodes_mm)))

    def field(where: NDArray[Any]) -> Single:
        signed, free = read(where)
        return np.where(allowed[:, None] | (signed >= 0), np.maximum(free, signed), signed)

    return field


def spread_points(points_mm: FloatArray, values: FloatArray, count: int) -> Array:
    """Numbers of at most ``count`` points spread evenly, the one with the smallest value first."""
    lowest = int(values.argmin())
    few = np.union1d(np.arange(0, len(points_mm), math.ceil(len(points_mm) / CANDIDATES)), [lowest])
    places, chosen = points_mm[few].astype(np.float32).T, [int(np.searchsorted(few, lowest))]
    nearest = np.full(len(few), np.inf, np.float32)
    while True:
        x, y, z = places - places[:, chosen[-1], None]
        np.minimum(nearest, x * x + y * y + z * z, out=nearest)
        if len(chosen) == min(count, len(few)):
            return np.asarray(few[chosen])
        chosen.append(int(nearest.argmax()))


def nearest_normals(zone: Surface, points_mm: FloatArray) -> FloatArray:
    """Outward unit normals of a zone where it is nearest to points, both of shape (n, 3)."""
    sheet = _Sheet.of(zone.vertices_mm, zone.triangles)
    return np.asarray(sheet.normals[sheet.tree.query(points_mm)[1]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sheet:
    """Corners of a triangle mesh: they tell distances to some hundredths of a millimeter, far faster than the triangles.

    Parameters
    ----------
    tree : cKDTree
    corners_mm, normals : ndarray, shape (n, 3)
        Outward unit normals.
    apart_mm : float
        Typical distance of neighboring corners.
    """

    tree: cKDTree
    corners_mm: FloatArray
    normals: FloatArray
    apart_mm: float

    @classmethod
    def of(cls, vertices_mm: FloatArray, triangles: Array) -> _Sheet:
        used, compact = np.unique(triangles, return_inverse=True)
        corners, faces = vertices_mm[used], compact.reshape(-1, 3)
        return cls(
            tree=surface_tree(corners),
            corners_mm=corners,
            normals=vertex_normals(corners, faces),
            apart_mm=math.sqrt(float(areas_mm2(corners, faces).sum()) / len(corners)),
        )

    def signed_distances_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distances of points, shape (n, 3), positive inside: to the tangent plane at the nearest corner.

        Where that corner lies farther aside, as beyond an edge of the sheet, to the corner itself.
        """
        distance, nearest = self.tree.query(points_mm)
        above = np.einsum("nd,nd->n", points_mm - self.corners_mm[nearest], self.normals[nearest])
        aside = distance**2 - above**2 > self.apart_mm**2
        return np.asarray(np.where(aside, -np.copysign(distance, above), -above))


def _grid(points_mm: FloatArray, sd_mm: float) -> tuple[Geometry, FloatArray]:
    """A grid of limited size around displaced points, and its nodes, shape (m, 3)."""
    reach_mm = REACH_SD * sd_mm + 1.0
    sides = np.ptp(points_mm, axis=0) + 2 * reach_mm
    spacing = max(1.0, float((sides.prod() / GRID_NODES) ** (1 / 3)))
    grid = bounding_geometry(points_mm, spacing_mm=spacing, pad_mm=reach_mm, frame_uid=None)
    return grid, grid.points_at(np.argwhere(np.ones(grid.shape, dtype=bool)))


def _reader(grid: Geometry, *values: FloatArray) -> Callable[[NDArray[Any]], list[Single]]:
    """What several fields, known at a grid's nodes, are at points in between."""
    on_grid = [nodes.reshape(grid.shape).astype(np.float32) for nodes in values]

    def read(where: NDArray[Any]) -> list[Single]:
        index = grid.indices_at(where).reshape(-1, 3).T
        found = [ndimage.map_coordinates(nodes, index, output=np.float32, order=1, mode="nearest") for nodes in on_grid]
        return [np.asarray(field.reshape(where.shape[:-1])) for field in found]

    return read


def _field_factor(points_mm: FloatArray, correlation_length_mm: float) -> FloatArray:
    """A matrix, shape (n, modes), whose product with its transpose is the correlation among the points."""
    if math.isinf(correlation_length_mm):
        return np.ones((len(points_mm), 1))
    apart = ((points_mm[:, None] - points_mm[None]) ** 2).sum(axis=-1)
    power, modes = np.linalg.eigh(np.exp(-apart / (2 * correlation_length_mm**2)))
    strong = power > 1e-4 * power.max()
    return np.asarray(modes[:, strong] * np.sqrt(power[strong]))
