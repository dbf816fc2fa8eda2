"""From a mask to its surface, finer than the voxels.

Every connected part of a mask becomes a closed surface of its own, and every cavity in it one that faces inward:
nothing is filled or dropped, since untreated tissue inside an ablation zone counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal

import numpy as np
from scipy import ndimage
from skimage import measure

from ablmargin.geometry import Array, BoolArray, FloatArray, PointTransform, Triple
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.edt import averaged_signed_edt_mm
from ablmargin.metrics.spline import PAD_VOXELS, LevelSet, fit_level_set
from ablmargin.volume import LabelMask

MIN_SPLINE_VOXELS = 50
MIN_SPLINE_SLICES = 2
LIGHT_BLUR_MM = 0.7
MAX_OFFSET_VOXELS = 0.15
"""How far a plausible surface may lie from the mask on average, by volume, in units of the largest spacing."""

Method = Literal["spline", "fast"]
Mesh = tuple[FloatArray, Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A closed triangle mesh that faces outward.

    Parameters
    ----------
    vertices_mm : ndarray, shape (n, 3)
        LPS mm; a locked copy is kept.
    triangles : ndarray of int, shape (m, 3)
        Vertex numbers, counterclockwise seen from outside; a locked copy is kept.
    frame_uid : str, optional
        DICOM FrameOfReferenceUID of the coordinates.

    Examples
    --------
    >>> corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    >>> faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    >>> round(Surface(vertices_mm=corners, triangles=faces).volume_ml * 6000, 9)
    1.0
    """

    vertices_mm: FloatArray
    triangles: Array
    frame_uid: str | None = None

    def __post_init__(self) -> None:
        vertices, triangles = np.array(self.vertices_mm, np.float64), np.array(self.triangles, np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or triangles.ndim != 2 or triangles.shape[1] != 3:
            raise ValueError(f"a surface needs points (n, 3) and triangles (m, 3): {vertices.shape}, {triangles.shape}")
        if not len(triangles) or not np.isfinite(vertices).all():
            raise ValueError("a surface needs triangles and finite points")
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise ValueError("a triangle names a point that isn't there")
        for name, array in (("vertices_mm", vertices), ("triangles", triangles)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def triangle_areas_mm2(self) -> FloatArray:
        a, b, c = (self.vertices_mm[self.triangles[:, corner]] for corner in range(3))
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)

    @property
    def vertex_areas_mm2(self) -> FloatArray:
        """A third of the triangles around each vertex, shape (n,); sums to ``area_mm2``."""
        shares = np.repeat(self.triangle_areas_mm2 / 3, 3)
        return np.asarray(np.bincount(self.triangles.ravel(), shares, minlength=len(self.vertices_mm)), np.float64)

    @property
    def area_mm2(self) -> float:
        return float(self.triangle_areas_mm2.sum())

    @property
    def volume_ml(self) -> float:
        return _enclosed_mm3(self.vertices_mm, self.triangles) / 1000.0

    @property
    def centroids_mm(self) -> FloatArray:
        """Centers of the triangles, shape (m, 3)."""
        return np.asarray(self.vertices_mm[self.triangles].mean(axis=1))

    def moved(self, transform: PointTransform, *, frame_uid: str | None) -> Surface:
        """The surface with its vertices mapped into another frame."""
        mapped = np.asarray(transform.map_points(self.vertices_mm), np.float64)
        return Surface(vertices_mm=mapped, triangles=self.triangles, frame_uid=frame_uid)


def surface_of(mask: LabelMask, *, method: Method = "spline") -> Surface:
    """Surface of a mask, closed also where the mask ends at the edge of its image.

    ``"spline"`` fits a smooth level set to each connected part (see :mod:`ablmargin.metrics.spline`) and is accurate to
    a fraction of a voxel on smooth shapes. A sharp crease, as where two ablations overlap, is rounded, which reads up to
    a few tenths of a millimeter too large. ``"fast"`` runs marching cubes on the voxel distances; it keeps creases but
    follows the staircase of thick slices. It also stands in wherever the spline can't be trusted: parts of less than 50
    voxels or a single slice, and fits that stray from the mask.

    Parameters
    ----------
    mask : LabelMask
    method : {"spline", "fast"}

    Returns
    -------
    Surface
        In the mask's frame.

    Raises
    ------
    EmptyMaskError
        If no voxel is set.
    """
    start, stop = mask.bounding_box()
    voxels = np.pad(mask.cropped(start, stop).voxels, PAD_VOXELS)
    spacing = mask.geometry.spacing_mm
    vertices, triangles = _voxel_mesh(voxels, spacing) if method == "fast" else _spline_meshes(voxels, spacing)
    points = mask.geometry.points_at(vertices / np.array(spacing) - PAD_VOXELS + np.array(start))
    if _enclosed_mm3(points, triangles) < 0:
        triangles = triangles[:, ::-1]
    return Surface(vertices_mm=points, triangles=triangles, frame_uid=mask.geometry.frame_uid)


def _spline_meshes(voxels: BoolArray, spacing_mm: Triple) -> Mesh:
    """The mesh of all parts and cavities; of the bare voxels if the smooth ones cut each other."""
    meshes = []
    for solid, faces_out in _solids(voxels):
        mesh = _spline_mesh(solid, spacing_mm) or _voxel_mesh(solid, spacing_mm)
        meshes.append(mesh if faces_out else (mesh[0], mesh[1][:, ::-1]))
    return _voxel_mesh(voxels, spacing_mm) if _cut_each_other(meshes) else _joined(meshes)


def _solids(voxels: BoolArray) -> Iterator[tuple[BoolArray, bool]]:
    """Connected parts with their cavities filled (True), and the cavities (False)."""
    parts, count = ndimage.label(voxels, structure=np.ones((3, 3, 3)))
    for part in range(1, count + 1):
        filled = np.asarray(ndimage.binary_fill_holes(parts == part))
        yield filled, True
        cavities, holes = ndimage.label(filled & (parts != part))
        for cavity in range(1, holes + 1):
            yield cavities == cavity, False


def _spline_mesh(solid: BoolArray, spacing_mm: Triple) -> Mesh | None:
    """Mesh of the smoothest level set that stays with the mask; None if there is none."""
    used = ndimage.find_objects(solid.astype(np.uint8))[0]
    thinnest = min(axis.stop - axis.start for axis in used)
    if thinnest < MIN_SPLINE_SLICES or np.count_nonzero(solid) < MIN_SPLINE_VOXELS:
        return None
    crop = tuple(slice(axis.start - PAD_VOXELS, axis.stop + PAD_VOXELS) for axis in used)
    offset = np.array([axis.start for axis in crop]) * np.array(spacing_mm)
    first = _smoothness(max(spacing_mm))
    for smoothness in (first, first / 10, first / 100):
        level_set = fit_level_set(solid[crop], spacing_mm, smoothness=smoothness)
        mesh = _level_set_mesh(level_set)
        if mesh is not None and _is_plausible(level_set, mesh, solid[crop], spacing_mm):
            return mesh[0] + offset, mesh[1]
    return None


def _smoothness(coarsest_mm: float) -> float:
    """Weight of the penalty: the coarser the slices, the more the shape must help."""
    return 100.0 if coarsest_mm <= 1.25 else 300.0 if coarsest_mm <= 3.5 else 1000.0


def _level_set_mesh(level_set: LevelSet) -> Mesh | None:
    """The zero level of the largest positive region; None if it is empty or leaves the box."""
    extent = level_set.high_mm - level_set.low_mm
    step = float(np.clip(extent.mean() / 24, 0.5, 1.2))
    counts = np.ceil(extent / step).astype(int) + 1
    axes = [np.linspace(low, high, n) for low, high, n in zip(level_set.low_mm, level_set.high_mm, counts, strict=True)]
    field = level_set.on_grid(*axes)
    regions, found = ndimage.label(field > 0)
    if not found:
        return None
    main = 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    field = np.where(regions == main, field, -np.abs(field) - 1e-9)
    if any(face.max() > 0 for axis in range(3) for face in (field.take(0, axis=axis), field.take(-1, axis=axis))):
        return None
    steps = np.array([axis[1] - axis[0] for axis in axes])
    vertices, triangles = _marching_cubes(field, tuple(steps))
    pulled = level_set.pulled_to_zero(vertices + level_set.low_mm, max_step_mm=step / 2)
    return pulled, triangles


def _is_plausible(level_set: LevelSet, mesh: Mesh, voxels: BoolArray, spacing_mm: Triple) -> bool:
    """Whether volume and voxels agree: every voxel that isn't next to the border keeps its side."""
    vertices, triangles = mesh
    inner = np.asarray(ndimage.binary_erosion(voxels))
    outer = ~np.asarray(ndimage.binary_dilation(voxels))
    axes = [np.arange(size) * spacing for size, spacing in zip(voxels.shape, spacing_mm, strict=True)]
    within = [(a >= low) & (a <= high) for a, low, high in zip(axes, level_set.low_mm, level_set.high_mm, strict=True)]
    box = np.ix_(*within)
    field = level_set.on_grid(*(axis[part] for axis, part in zip(axes, within, strict=True)))
    area = Surface(vertices_mm=vertices, triangles=triangles).area_mm2
    expected = np.count_nonzero(voxels) * float(np.prod(spacing_mm))
    offset = abs(abs(_enclosed_mm3(vertices, triangles)) - expected) / area
    stray = np.count_nonzero(inner[box] & (field <= 0)) + np.count_nonzero(outer[box] & (field >= 0))
    return stray == 0 and bool(offset <= MAX_OFFSET_VOXELS * max(spacing_mm))


def _voxel_mesh(voxels: BoolArray, spacing_mm: Triple) -> Mesh:
    """Marching cubes on the voxel distances, blurred a little; every voxel keeps its side."""
    distance = averaged_signed_edt_mm(voxels, spacing_mm)
    blurred = ndimage.gaussian_filter(distance, LIGHT_BLUR_MM / np.array(spacing_mm))
    least = 0.1 * min(spacing_mm)
    return _marching_cubes(np.where(voxels, np.maximum(blurred, least), np.minimum(blurred, -least)), spacing_mm)


def _marching_cubes(field: FloatArray, spacing_mm: tuple[float, ...]) -> Mesh:
    marching_cubes: Any = measure.marching_cubes  # has no annotations
    vertices, triangles, _, _ = marching_cubes(field, 0.0, spacing=spacing_mm, allow_degenerate=False)
    return np.asarray(vertices, np.float64), np.asarray(triangles, np.int64)


def _cut_each_other(meshes: list[Mesh]) -> bool:
    """Whether a part lies neither wholly inside nor wholly outside another."""
    return any(_straddles(mine, other) for mine, other in permutations(meshes, 2))


def _straddles(mine: Mesh, other: Mesh) -> bool:
    points, (low, high) = mine[0], (other[0].min(axis=0), other[0].max(axis=0))
    if (points.min(axis=0) > high).any() or (points.max(axis=0) < low).any():
        return False
    inside = signed_distances_mm(Surface(vertices_mm=other[0], triangles=other[1]), points) > 0
    return bool(inside.any() and not inside.all())


def _joined(meshes: list[Mesh]) -> Mesh:
    firsts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes[:-1])])
    triangles = [faces + first for (_, faces), first in zip(meshes, firsts, strict=True)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(triangles)


def _enclosed_mm3(vertices: FloatArray, triangles: Array) -> float:
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    return float(np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6)
