"""From a level set to the mesh of its zero level, with sharp creases where parts of it meet."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, FloatArray
from ablmargin.metrics.levelset import LevelSet
from ablmargin.metrics.mesh import Mesh, marching_cubes, normals

STEPS = 24
"""Steps of the grid along the mean side of the box, if that makes them neither finer nor coarser than allowed."""
FINEST_STEP_MM, COARSEST_STEP_MM = 0.5, 1.2
LEAST_PART = 0.1
"""Of a side, on either hand of the crease that cuts it."""
LEAST_COSINE = 0.2
MOST_REPAIRS = 5
"""How far a triangle may turn when its corners are pulled, and how often the corners of others are put back."""


def zero_level(level_set: LevelSet) -> Mesh | None:
    """The zero level around the largest positive region, mm along the array's axes; None if it is empty or leaves the box.

    The field isn't held far from the border, so deep inside a large structure it may dip below zero: that is filled.
    """
    extent = level_set.high_mm - level_set.low_mm
    step = float(np.clip(extent.mean() / STEPS, FINEST_STEP_MM, COARSEST_STEP_MM))
    counts = np.ceil(extent / step).astype(int) + 1
    axes = [np.linspace(low, high, n) for low, high, n in zip(level_set.low_mm, level_set.high_mm, counts, strict=True)]
    field = level_set.on_grid(*axes).max(axis=0)
    regions, found = ndimage.label(field > 0)
    if not found:
        return None
    main = 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    solid = ndimage.binary_fill_holes(regions == main)
    field = np.where(solid, 1.0, -1.0) * np.maximum(np.abs(field), 1e-9)
    if any(face.max() > 0 for axis in range(3) for face in (field.take(0, axis=axis), field.take(-1, axis=axis))):
        return None
    steps = np.array([axis[1] - axis[0] for axis in axes])
    vertices, triangles = marching_cubes(field, tuple(steps))
    vertices = vertices + level_set.low_mm
    pulled = level_set.pulled_to_zero(vertices, max_step_mm=step / 2)
    if level_set.parts > 1:
        vertices, pulled, triangles = _creased(vertices, pulled, triangles, level_set, step)
    return _unfolded(vertices, pulled, triangles), triangles


def _creased(
    vertices: FloatArray, pulled: FloatArray, triangles: Array, level_set: LevelSet, step_mm: float
) -> tuple[FloatArray, FloatArray, Array]:
    """The mesh with every side cut where it passes from one part of the level set to another.

    The new vertices are pulled onto the crease. Without them triangles would bridge it.
    """
    values = level_set.values_at(pulled)
    leading = values.argmax(axis=1)
    sides = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2)
    crossing = leading[sides[..., 0]] != leading[sides[..., 1]]
    if not crossing.any():
        return vertices, pulled, triangles
    cut, number = np.unique(sides[crossing], axis=0, return_inverse=True)
    added = np.full(sides.shape[:2], -1)
    added[crossing] = len(vertices) + number.ravel()
    first, second = leading[cut].T
    lead = values[cut, first[:, None]] - values[cut, second[:, None]]
    along = np.clip(lead[:, 0] / np.maximum(lead[:, 0] - lead[:, 1], 1e-12), LEAST_PART, 1 - LEAST_PART)[:, None]
    flat = (1 - along) * vertices[cut[:, 0]] + along * vertices[cut[:, 1]]
    start = (1 - along) * pulled[cut[:, 0]] + along * pulled[cut[:, 1]]
    crease = level_set.pulled_to_crease(start, first, second, max_step_mm=step_mm)
    return np.concatenate([vertices, flat]), np.concatenate([pulled, crease]), _divided(triangles, added)


def _unfolded(flat: FloatArray, pulled: FloatArray, triangles: Array) -> FloatArray:
    """The pulled vertices, but the flat ones where a triangle would turn over: the side of such a one can't be told."""
    vertices = pulled.copy()
    wanted = normals(flat, triangles)
    for _ in range(MOST_REPAIRS):
        now = normals(vertices, triangles)
        turned = np.einsum("ni,ni->n", now, wanted) < LEAST_COSINE * np.linalg.norm(now, axis=1)
        if not turned.any():
            break
        back = np.unique(triangles[turned])
        vertices[back] = flat[back]
    return vertices


def _divided(triangles: Array, added: Array) -> Array:
    """Triangles, shape (n, 3), with the vertices added on their sides (-1 for none; side s joins corners s and s + 1)."""
    count = (added >= 0).sum(axis=1)
    whole, quartered = triangles[count == 0], count == 3
    a, b, c = triangles[quartered].T
    ab, bc, ca = added[quartered].T
    quarters = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    corners, sides = triangles[count == 2], added[count == 2]
    turn = (sides < 0).argmax(axis=1) + 2  # brings the corner that faces the uncut side to the front
    rows, around = np.arange(len(corners))[:, None], (turn[:, None] + np.arange(3)) % 3
    (a, b, c), (ab, _, ca) = corners[rows, around].T, sides[rows, around].T
    thirds = [(a, ab, ca), (ab, b, c), (ab, c, ca)]
    return np.concatenate([whole, *(np.stack(part, axis=1) for part in (*quarters, *thirds))])
