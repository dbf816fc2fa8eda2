"""How margins change when an error of the alignment moves the tumor's points: random draws for the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, bounding_geometry
from ablmargin.metrics.distance import distances_mm, signed_distances_mm
from ablmargin.metrics.surface import Surface

GRID_NODES = 12_000
DRAWS_AT_ONCE = 100

Field = Callable[[FloatArray], FloatArray]
"""Margins at displaced points: (draws, n, 3) to (draws, n)."""


def drawn_changes_mm(
    field: Field, points_mm: FloatArray, *, sd_mm: float, correlation_length_mm: float, draws: int, seed: int
) -> FloatArray:
    """Changes of a field at points, shape (n, 3), under random smooth displacements; shape (draws, n).

    The displacements are Gaussian, ``sd_mm`` per component, and correlate over space like exp(-d²/2l²).
    """
    rng, factor = np.random.default_rng(seed), _field_factor(points_mm, correlation_length_mm)
    at_rest, changes = field(points_mm[None]), []
    for done in range(0, draws, DRAWS_AT_ONCE):
        normal = rng.normal(size=(min(DRAWS_AT_ONCE, draws - done), factor.shape[1], 3))
        changes.append(field(points_mm + sd_mm * np.einsum("nm,cmd->cnd", factor, normal)) - at_rest)
    return np.concatenate(changes)


def plain_field(zone: Surface, points_mm: FloatArray, *, reach_mm: float) -> Field:
    """Signed distance to the zone, for points within reach of those given, shape (n, 3)."""
    grid, nodes_mm = _grid(points_mm, reach_mm)
    return _reader(signed_distances_mm(zone, nodes_mm), grid)


def capsule_field(
    zone: Surface, inside_liver: BoolArray, allowed: BoolArray, points_mm: FloatArray, *, reach_mm: float
) -> Field:
    """Distance to the zone's border inside the liver, for points in the zone and for those ``allowed``, shape (n,).

    Allowed points count as ablated wherever they are moved: at the capsule, tumor, zone and liver move together.
    """
    grid, nodes_mm = _grid(points_mm, reach_mm)
    plain = _reader(signed_distances_mm(zone, nodes_mm), grid)
    free = _reader(distances_mm(zone.vertices_mm, zone.triangles[inside_liver], nodes_mm), grid)

    def field(where: FloatArray) -> FloatArray:
        signed = plain(where)
        return np.where(allowed | (signed >= 0), np.maximum(free(where), signed), signed)

    return field


def spread_points(points_mm: FloatArray, values: FloatArray, count: int) -> Array:
    """Numbers of at most ``count`` points spread evenly, the one with the smallest value first."""
    chosen = [int(values.argmin())]
    nearest = np.linalg.norm(points_mm - points_mm[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points_mm)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points_mm - points_mm[chosen[-1]], axis=1))
    return np.array(chosen)


def _grid(points_mm: FloatArray, reach_mm: float) -> tuple[Geometry, FloatArray]:
    """A grid of limited size around points, and its nodes, shape (m, 3)."""
    sides = np.ptp(points_mm, axis=0) + 2 * reach_mm
    spacing = max(1.0, float((sides.prod() / GRID_NODES) ** (1 / 3)))
    grid = bounding_geometry(points_mm, spacing_mm=spacing, pad_mm=reach_mm, frame_uid=None)
    return grid, grid.points_at(np.argwhere(np.ones(grid.shape, dtype=bool)))


def _reader(values: FloatArray, grid: Geometry) -> Field:
    def read(where: FloatArray) -> FloatArray:
        index = grid.indices_at(where).reshape(-1, 3).T
        found = ndimage.map_coordinates(values.reshape(grid.shape), index, order=1, mode="nearest")
        return np.asarray(found.reshape(where.shape[:-1]))

    return read


def _field_factor(points_mm: FloatArray, correlation_length_mm: float) -> FloatArray:
    """A matrix, shape (n, modes), whose product with its transpose is the correlation among the points."""
    if math.isinf(correlation_length_mm):
        return np.ones((len(points_mm), 1))
    apart = ((points_mm[:, None] - points_mm[None]) ** 2).sum(axis=-1)
    power, modes = np.linalg.eigh(np.exp(-apart / (2 * correlation_length_mm**2)))
    strong = power > 1e-4 * power.max()
    return np.asarray(modes[:, strong] * np.sqrt(power[strong]))
