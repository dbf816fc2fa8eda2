"""Triangle meshes as bare arrays, and the one that follows a mask's voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from ablmargin.geometry import Array, BoolArray, FloatArray, Triple
from ablmargin.metrics.edt import averaged_signed_edt_mm

LIGHT_BLUR_MM = 0.7
LEAST_VOLUME = 0.85
"""Share of the voxels' volume that their mesh encloses at least. All of it would make round tumors too wide: at their
edge the mesh would follow the corners of the voxels."""
MAX_RAISES = 8

Mesh = tuple[FloatArray, Array]
"""Vertices in mm, shape (n, 3), and triangles, shape (m, 3)."""


def voxel_mesh(voxels: BoolArray, spacing_mm: Triple, shares: NDArray[np.float32] | None = None) -> Mesh:
    """Marching cubes on the voxel distances, blurred a little, or on shares; every voxel center keeps its side.

    Where a mask is only a few voxels thick this cuts its edges off, half of the volume or more. The level is then
    raised until the mesh holds about ``LEAST_VOLUME``, or as near to it as ``MAX_RAISES`` steps lead.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        With empty voxels on every side.
    spacing_mm : (float, float, float)
    shares : ndarray, shape (k, j, i), optional
        Of a soft mask: the share of each voxel that lies inside, 0.5 or more where ``voxels`` are set.

    Returns
    -------
    Mesh
        In mm along the array's axes, voxel (0, 0, 0) at the origin.
    """
    if shares is not None:
        beyond = shares.astype(float) - 0.5
        return marching_cubes(np.where(voxels, np.maximum(beyond, 1e-3), np.minimum(beyond, -1e-3)), spacing_mm)
    distance = averaged_signed_edt_mm(voxels, spacing_mm)
    blurred = ndimage.gaussian_filter(distance, LIGHT_BLUR_MM / np.array(spacing_mm))
    needed = LEAST_VOLUME * np.count_nonzero(voxels) * float(np.prod(spacing_mm))
    mesh = _at_level(blurred, voxels, spacing_mm)
    for _ in range(MAX_RAISES):
        missing = needed - abs(enclosed_mm3(*mesh))
        if missing <= 0.02 * needed:
            break
        blurred = blurred + min(missing / float(areas_mm2(*mesh).sum()), 0.5 * min(spacing_mm))
        mesh = _at_level(blurred, voxels, spacing_mm)
    return mesh


def _at_level(distance: FloatArray, voxels: BoolArray, spacing_mm: Triple) -> Mesh:
    least = 0.1 * min(spacing_mm)
    return marching_cubes(np.where(voxels, np.maximum(distance, least), np.minimum(distance, -least)), spacing_mm)


def marching_cubes(field: FloatArray, spacing_mm: tuple[float, ...]) -> Mesh:
    """The zero level of a field on a grid, shape (k, j, i), mm along its axes."""
    cubes: Any = measure.marching_cubes  # has no annotations
    vertices, triangles, _, _ = cubes(field, 0.0, spacing=spacing_mm, allow_degenerate=False)
    return np.asarray(vertices, np.float64), np.asarray(triangles, np.int64)


def joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    firsts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes[:-1])])
    triangles = [faces + first for (_, faces), first in zip(meshes, firsts, strict=True)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(triangles)


def centroids_mm(vertices_mm: FloatArray, triangles: Array) -> FloatArray:
    """Centers of the triangles, shape (m, 3)."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    return np.asarray((a + b + c) / 3)


def areas_mm2(vertices_mm: FloatArray, triangles: Array) -> FloatArray:
    """Areas of the triangles, shape (m,)."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def normals(vertices_mm: FloatArray, triangles: Array) -> FloatArray:
    """Unit normals of the triangles, shape (m, 3), outward if they face outward; zero for one without area."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    return np.asarray(across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12))


def vertex_normals(vertices_mm: FloatArray, triangles: Array) -> FloatArray:
    """Unit normals at the vertices, shape (n, 3), the mean of the triangles around by area; zero at one without any."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    across, corners = np.repeat(np.cross(b - a, c - a), 3, axis=0), triangles.ravel()
    sums = np.stack([np.bincount(corners, part, minlength=len(vertices_mm)) for part in across.T], axis=1)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12))


def enclosed_mm3(vertices_mm: FloatArray, triangles: Array) -> float:
    """Volume inside a closed mesh; negative if it faces inward."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    return float(np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6)
