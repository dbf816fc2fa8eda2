"""Exact distances to surfaces, and the voxels inside them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry
from ablmargin.metrics.nearest import TriangleSearch

if TYPE_CHECKING:
    from ablmargin.metrics.surface import Surface


def signed_distances_mm(surface: Surface, points_mm: FloatArray) -> FloatArray:
    """Signed distance of points to a closed surface, positive inside.

    Exact for the triangles as given. The sign is that of the angle-weighted normal at the closest point (Baerentzen
    and Aanaes 2005), so the parts of a surface must not cut each other.

    Parameters
    ----------
    surface : Surface
    points_mm : ndarray, shape (n, 3)
        LPS mm, in the surface's frame.

    Returns
    -------
    ndarray of float, shape (n,)

    References
    ----------
    doi:10.1109/TVCG.2005.49
    """
    return _search(surface).signed_distances_mm(points_mm) if len(points_mm) else np.empty(0)


def distances_mm(vertices_mm: FloatArray, triangles: Array, points_mm: FloatArray) -> FloatArray:
    """Distance of points, shape (n, 3), to any set of triangles, closed or not; shape (n,), never negative."""
    return TriangleSearch.of(vertices_mm, triangles).distances_mm(points_mm) if len(points_mm) else np.empty(0)


@lru_cache(maxsize=2)
def _search(surface: Surface) -> TriangleSearch:
    """Kept for the latest surfaces, since the same zone is asked again and again."""
    return TriangleSearch.of(surface.vertices_mm, surface.triangles)


def voxelize(surface: Surface, geometry: Geometry) -> BoolArray:
    """Which voxel centers of a grid lie inside a closed surface.

    Parameters
    ----------
    surface : Surface
    geometry : Geometry
        Any grid in the surface's frame: oblique, flipped, cutting through the surface or beside it.

    Returns
    -------
    ndarray of bool, shape ``geometry.shape``

    Notes
    -----
    A voxel lies inside if the row of voxels that leads to it crosses an odd number of triangles. A center on the surface
    itself may count either way.
    """
    inside = np.zeros(geometry.shape, dtype=bool)
    corners = geometry.indices_at(surface.vertices_mm)
    start = np.clip(np.ceil(corners.min(axis=0)), 0, geometry.shape).astype(int)
    stop = np.clip(np.floor(corners.max(axis=0)) + 1, start, geometry.shape).astype(int)
    inside[tuple(slice(first, last) for first, last in zip(start, stop, strict=True))] = _filled(
        corners - start, surface.triangles, stop - start
    )
    return inside


def _filled(corners: FloatArray, triangles: Array, shape: Array) -> BoolArray:
    """Which places of a grid, in whose indices corners are given, see an odd number of triangles below them in their row."""
    row, column, triangle = _columns(corners[:, :2], triangles, shape[:2])
    places = np.stack([row, column], axis=1)
    covered = _covers(corners[:, :2], triangles[triangle], places)
    places, triangle = places[covered], triangle[covered]
    height = np.ceil(_heights(corners, triangles[triangle], places)).clip(0).astype(int)
    below = height < shape[2]
    crossed = np.zeros(shape, np.uint8)
    np.add.at(crossed, (*places[below].T, height[below]), 1)
    return np.bitwise_and(np.cumsum(crossed, axis=2, dtype=np.uint8), 1).astype(bool)


def _columns(corners: FloatArray, triangles: Array, shape: Array) -> tuple[Array, Array, Array]:
    """All (k, j) columns of a grid in the boxes around triangles, and the number of each one's triangle."""
    ends = corners[triangles.T]
    low = np.clip(np.ceil(ends.min(axis=0)), 0, None).astype(int)
    size = np.clip(np.floor(ends.max(axis=0)).astype(int) + 1, None, shape) - low
    counts = np.where((size > 0).all(axis=1), size.prod(axis=1), 0)
    triangle = np.repeat(np.arange(len(triangles)), counts)
    step = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(step, size[triangle, 1])
    return low[triangle, 0] + row, low[triangle, 1] + column, triangle


def _covers(corners: FloatArray, triangles: Array, places: Array) -> BoolArray:
    """Which columns pass their triangle, both of shape (n, ...); through a side that two share they pass exactly one."""
    covered = np.zeros(len(places), dtype=bool)
    row, column = places.T
    for side in ([0, 1], [1, 2], [2, 0]):
        ends = np.sort(triangles[:, side], axis=1)  # the same numbers for both triangles, so the same rounding
        first, second = corners[ends[:, 0]], corners[ends[:, 1]]
        crossed = np.flatnonzero((first[:, 0] <= row) != (second[:, 0] <= row))
        first, second = first[crossed], second[crossed]
        share = (row[crossed] - first[:, 0]) / (second[:, 0] - first[:, 0])
        covered[crossed] ^= first[:, 1] + share * (second[:, 1] - first[:, 1]) <= column[crossed]
    return covered


def _heights(corners: FloatArray, triangles: Array, places: Array) -> FloatArray:
    """Where along axis i columns pass their triangles; between its corners also where it stands almost upright."""
    a, b, c = (corners[triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    upright = normal[:, 2] == 0
    slope = normal[:, :2] / np.where(upright, 1.0, normal[:, 2])[:, None]
    height = a[:, 2] - np.einsum("nd,nd->n", places - a[:, :2], slope)
    ends = np.stack([a[:, 2], b[:, 2], c[:, 2]])
    return np.asarray(np.clip(height, ends.min(axis=0), ends.max(axis=0)))
