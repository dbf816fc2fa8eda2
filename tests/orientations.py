"""Grids in every orientation, for tests: LPS, RAS, flipped and oblique; thick slices, no cube."""

from __future__ import annotations

import numpy as np

from ablmargin.geometry import Geometry, triples


def rotation(x_degrees: float, y_degrees: float, z_degrees: float) -> np.ndarray:
    """Rotation matrix about x, then y, then z."""
    matrix = np.eye(3)
    for axis, degrees in enumerate((x_degrees, y_degrees, z_degrees)):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        matrix = step @ matrix
    return matrix


AXES = {
    "LPS": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "RAS": np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], float),
    "flipped": np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], float),
    "oblique": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float) @ rotation(20, 10, -15).T,
}
"""Rows: where the slice, row and column index grow, as (x, y, z)."""


def grid_around(
    center_mm: tuple[float, float, float],
    *,
    orientation: str = "LPS",
    shape: tuple[int, int, int] = (14, 60, 70),
    spacing_mm: tuple[float, float, float] = (5.0, 0.8, 0.7),
    frame_uid: str | None = None,
) -> Geometry:
    """A grid whose center lies at a point, in one of the orientations."""
    axes = AXES[orientation]
    half = (np.array(shape) - 1) / 2 * np.array(spacing_mm)
    return Geometry(
        shape=shape,
        spacing_mm=spacing_mm,
        origin_mm=tuple(np.array(center_mm) - half @ axes),
        directions=triples(axes),
        frame_uid=frame_uid,
    )
