"""From a mask to its surface, finer than the voxels.

Every connected part of a mask becomes a closed surface of its own, and every cavity in it one that faces inward:
nothing is filled or dropped, since untreated tissue inside an ablation zone counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, PointTransform, Triple
from ablmargin.metrics.distance import distances_mm, signed_distances_mm, voxelize
from ablmargin.metrics.edt import averaged_signed_edt_mm, border_voxels
from ablmargin.metrics.isosurface import zero_level
from ablmargin.metrics.levelcandidates import PAD_VOXELS, fit_level_set
from ablmargin.metrics.mesh import Mesh, areas_mm2, centroids_mm, enclosed_mm3, joined, voxel_mesh
from ablmargin.metrics.nearest import surface_tree
from ablmargin.metrics.solids import Shares, Solid, solids_of
from ablmargin.threads import one_blas_thread
from ablmargin.volume import LabelMask

MIN_SPLINE_VOXELS = 50
MIN_SPLINE_SLICES = 2
MAX_OFFSET_VOXELS = 0.15
"""How far a plausible surface may lie from the mask on average, by volume, in units of the largest spacing."""
MAX_STRAY_MM, MAX_STRAY_VOXELS, MAX_EXCURSION_VOXELS = 0.75, 0.5, 0.6
"""How far a plausible surface may leave a voxel center on its wrong side, and how far it may itself go from the border
between the voxels: so many mm or, if that is more, so many of the largest spacing."""
MAX_STRAY_SDS = 4.0
"""The same in standard deviations of the outlines, where these don't agree from slice to slice."""

REACH_MM, REACH_VOXELS = 4.0, 4.0
"""How far from the border anything asks for distances: so many mm or, if that is more, so many of the largest spacing."""

Method = Literal["spline", "fast"]


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
        return areas_mm2(self.vertices_mm, self.triangles)

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
        return enclosed_mm3(self.vertices_mm, self.triangles) / 1000.0

    @property
    def centroids_mm(self) -> FloatArray:
        """Centers of the triangles, shape (m, 3)."""
        return centroids_mm(self.vertices_mm, self.triangles)

    def moved(self, transform: PointTransform, *, frame_uid: str | None) -> Surface:
        """The surface with its vertices mapped into another frame."""
        mapped = np.asarray(transform.map_points(self.vertices_mm), np.float64)
        return Surface(vertices_mm=mapped, triangles=self.triangles, frame_uid=frame_uid)


@one_blas_thread()
def surface_of(mask: LabelMask, *, method: Method = "spline") -> Surface:
    """Surface of a mask, closed also where the mask ends at the edge of its image.

    ``"spline"`` fits a smooth level set to each connected part (see :mod:`ablmargin.metrics.levelfit`) and is accurate to
    a fraction of a voxel on smooth shapes and on unions of a few of them, as overlapping ablations are. Other sharp
    creases are rounded, which reads up to a few tenths of a millimeter too large. ``"fast"`` runs marching cubes on the
    voxel distances; it keeps creases but follows the staircase of thick slices. It also stands in wherever the spline
    can't be trusted: parts of less than 50 voxels or a single slice, and fits that stray from the mask.

    Parameters
    ----------
    mask : LabelMask
        The shares of a soft mask say where between two voxels the surface passes.
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
    part = mask.cropped(start, stop)
    voxels = np.pad(part.voxels, PAD_VOXELS)
    shares = None if part.fractions is None else np.pad(part.fractions, PAD_VOXELS)
    spacing = mask.geometry.spacing_mm
    make = voxel_mesh if method == "fast" else _spline_meshes
    vertices, triangles = make(voxels, spacing, shares)
    points = mask.geometry.points_at(vertices / np.array(spacing) - PAD_VOXELS + np.array(start))
    if enclosed_mm3(points, triangles) < 0:
        triangles = triangles[:, ::-1]
    return Surface(vertices_mm=points, triangles=triangles, frame_uid=mask.geometry.frame_uid)


def _spline_meshes(voxels: BoolArray, spacing_mm: Triple, shares: Shares | None) -> Mesh:
    """The mesh of all parts and cavities; of the bare voxels if the smooth ones cut each other."""
    meshes: list[Mesh] = []
    known: dict[tuple[object, ...], Mesh] = {}
    for solid in solids_of(voxels, shares):
        vertices, triangles = _spline_mesh(solid, spacing_mm) or _voxel_mesh(solid, spacing_mm, known)
        placed = vertices + solid.first * np.array(spacing_mm)
        meshes.append((placed, triangles if solid.faces_out else triangles[:, ::-1]))
    return voxel_mesh(voxels, spacing_mm, shares) if _cut_each_other(meshes) else joined(meshes)


def _voxel_mesh(solid: Solid, spacing_mm: Triple, known: dict[tuple[object, ...], Mesh]) -> Mesh:
    """The mesh that follows a solid's voxels; noise is made of few shapes many times over, so these are ``known``."""
    if solid.shares is not None:
        return voxel_mesh(solid.voxels, spacing_mm, solid.shares)
    shape = (*solid.voxels.shape, solid.voxels.tobytes())
    if shape not in known:
        known[shape] = voxel_mesh(solid.voxels, spacing_mm)
    return known[shape]


def _spline_mesh(solid: Solid, spacing_mm: Triple) -> Mesh | None:
    """Mesh of the smoothest level set that stays with the mask, padded tightly; None if there is none."""
    voxels = solid.voxels
    if min(voxels.shape) - 2 * PAD_VOXELS < MIN_SPLINE_SLICES or np.count_nonzero(voxels) < MIN_SPLINE_VOXELS:
        return None
    coarsest = max(spacing_mm)
    distance = averaged_signed_edt_mm(voxels, spacing_mm, reach_mm=max(REACH_MM, REACH_VOXELS * coarsest))
    smoothness = _smoothness(coarsest)
    for level_set in fit_level_set(voxels, distance, spacing_mm, smoothness=smoothness, shares=solid.shares):
        mesh = zero_level(level_set)
        if mesh is not None and _is_plausible(mesh, voxels, distance, spacing_mm, level_set.unevenness_mm):
            return mesh
    return None


def _smoothness(coarsest_mm: float) -> float:
    """Weight of the penalty: the coarser the slices, the more the shape must help."""
    return 100.0 if coarsest_mm <= 1.25 else 300.0 if coarsest_mm <= 3.5 else 1000.0


def _is_plausible(
    mesh: Mesh, voxels: BoolArray, distance_mm: FloatArray, spacing_mm: Triple, unevenness_mm: float
) -> bool:
    """Whether a mesh, mm along the array's axes, stays with the voxels and their distances to the border.

    The volume agrees, and every voxel center that isn't next to the border keeps its side. No other center lies far on
    its wrong side, as in a spike that is cut off; no vertex lies far from the border, as at a spike that is drawn out.
    Where outlines are uneven from slice to slice, so much is allowed everywhere.
    """
    coarsest = max(spacing_mm)
    expected = np.count_nonzero(voxels) * float(np.prod(spacing_mm))
    offset = abs(abs(enclosed_mm3(*mesh)) - expected) / float(areas_mm2(*mesh).sum())
    excursion = np.abs(ndimage.map_coordinates(distance_mm, (mesh[0] / np.array(spacing_mm)).T, order=1)).max()
    allowed = max(MAX_STRAY_MM, MAX_STRAY_SDS * unevenness_mm)
    if offset > MAX_OFFSET_VOXELS * coarsest or excursion > max(allowed, MAX_EXCURSION_VOXELS * coarsest):
        return False
    stray = _strays(mesh, voxels, spacing_mm)
    if (stray & ~np.logical_or(*border_voxels(voxels)) & (np.abs(distance_mm) > MAX_STRAY_SDS * unevenness_mm)).any():
        return False
    return _are_within(max(allowed, MAX_STRAY_VOXELS * coarsest), mesh, np.argwhere(stray) * np.array(spacing_mm))


def _are_within(reach_mm: float, mesh: Mesh, points: FloatArray) -> bool:
    """Whether all points, shape (n, 3), lie so near to a mesh; nearly all are that near to a corner or center, found sooner."""
    places = surface_tree(np.concatenate([mesh[0], centroids_mm(*mesh)]))
    far = points[places.query(points)[0] > reach_mm]
    return bool(distances_mm(*mesh, far).max(initial=0.0) <= reach_mm)


def _strays(mesh: Mesh, voxels: BoolArray, spacing_mm: Triple) -> BoolArray:
    """Voxels whose centers lie on the wrong side of a mesh, mm along the array's axes."""
    own_axes = Geometry(
        shape=(voxels.shape[0], voxels.shape[1], voxels.shape[2]),
        spacing_mm=spacing_mm,
        origin_mm=(0.0, 0.0, 0.0),
        directions=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    )
    return np.asarray(voxelize(Surface(vertices_mm=mesh[0], triangles=mesh[1]), own_axes) != voxels)


def _cut_each_other(meshes: list[Mesh]) -> bool:
    """Whether a part lies neither wholly inside nor wholly outside another."""
    counts = np.array([len(vertices) for vertices, _ in meshes])
    points, owners = np.concatenate([vertices for vertices, _ in meshes]), np.repeat(np.arange(len(meshes)), counts)
    order = np.argsort(points[:, 0])
    points, owners = points[order], owners[order]
    for number, mesh in enumerate(meshes):
        near = _in_box_of(mesh[0], points)
        near = near[owners[near] != number]
        if not len(near):
            continue
        inside = np.bincount(owners[near[_inside(mesh, points[near])]], minlength=len(meshes))
        if ((inside > 0) & (inside < counts)).any():
            return True
    return False


def _in_box_of(vertices: FloatArray, points: FloatArray) -> Array:
    """Numbers of the points, sorted along the first axis, that lie in the box around vertices."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    first, last = np.searchsorted(points[:, 0], low[0]), np.searchsorted(points[:, 0], high[0], side="right")
    span = points[first:last]
    return np.asarray(first + np.flatnonzero(((span >= low) & (span <= high)).all(axis=1)))


def _inside(mesh: Mesh, points: FloatArray) -> BoolArray:
    return np.asarray(signed_distances_mm(Surface(vertices_mm=mesh[0], triangles=mesh[1]), points) > 0)
