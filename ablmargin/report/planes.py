"""Cuts through both exams: CT values and outlines in the axial, coronal and sagittal plane of one point.

A picture's coordinates are mm to the right and mm down from its center, in the radiological convention: the patient's
right is on the left, the front is up in axial and left in sagittal pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from ablmargin.geometry import BoolArray, FloatArray, PointTransform
from ablmargin.loaded import AIR_HU
from ablmargin.metrics.completion import Completion
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.surface import Surface
from ablmargin.result import CaseResult, LesionResult
from ablmargin.volume import LabelMask, Volume

STEP_MM = 0.5
OUTLINE_STRIDE = 2
"""Outlines are traced in distances known every millimeter; between them a distance is all but linear."""

SMALLEST_FIELD_MM = 100.0
LARGEST_FIELD_MM = 180.0
SURROUNDINGS_MM = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One of the three planes that radiologists read: the directions of a picture's axes (x, y, z), LPS, and their names."""

    name: str
    right: tuple[float, float, float]
    down: tuple[float, float, float]
    letters: str
    """Of the left, right, upper and lower edge."""

    @property
    def normal(self) -> FloatArray:
        return np.cross(self.right, self.down)


PLANES = (
    Plane(name="Axial", right=(1.0, 0.0, 0.0), down=(0.0, 1.0, 0.0), letters="RLAP"),
    Plane(name="Coronal", right=(1.0, 0.0, 0.0), down=(0.0, 0.0, -1.0), letters="RLSI"),
    Plane(name="Sagittal", right=(0.0, 1.0, 0.0), down=(0.0, 0.0, -1.0), letters="APSI"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What one plane shows of a lesion.

    ``before_hu`` and ``after_hu`` have shape (n, n), rows going down, or are None without images. ``tumor`` are line
    pieces, shape (m, 2, 2), right and down in mm. ``zone_mm`` and ``grown_mm`` are signed distances, positive inside,
    to the zone, to the tumor grown by the required margin (NaN outside the liver) and to the ball that would complete
    the margin (None if none is proposed), on every second pixel. There, ``in_liver`` tells the liver with its tumor and
    zone; None if it isn't known. ``vessels`` are shares of voxels, 0..1, on every second pixel; None if none are known.
    """

    plane: Plane
    half_field_mm: float
    thinnest: tuple[float, float]
    before_hu: FloatArray | None
    after_hu: FloatArray | None
    tumor: FloatArray
    zone_mm: FloatArray
    grown_mm: FloatArray
    ball_mm: FloatArray | None
    in_liver: BoolArray | None
    vessels: FloatArray | None = None

    @property
    def outline_axis_mm(self) -> FloatArray:
        """Where the columns (and rows) of the distance arrays lie."""
        return _axis_mm(self.half_field_mm)[::OUTLINE_STRIDE]


def views_at_thinnest(result: CaseResult, lesion: LesionResult) -> tuple[View, ...]:
    """Cut one lesion through its thinnest place, in the three planes.

    The planes lie in the exam before ablation; what was seen after it is fetched through the registration's map, so
    that both show the same tissue. Without images the planes lie in the only frame there is.
    """
    assert result.zone is not None, "a measured lesion has a zone"
    place_mm, _ = result.thinnest_place(lesion)
    scene = _Scene(
        before=None if result.case is None else result.case.pre.volume,
        after=None if result.case is None else result.case.post.volume,
        liver=_liver_before(result),
        vessels=_vessels(result),
        post_from_pre=None if result.alignment is None else result.alignment.post_from_pre,
        lesion=lesion,
        zone=result.zone,
        place_mm=place_mm,
        center_mm=lesion.tumor_pre.vertices_mm.mean(axis=0),
        half_field_mm=_half_field_mm(result.zone, lesion),
    )
    return tuple(_view(plane, scene) for plane in PLANES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """What all three planes are cut from: the place and the center lie in the frame before ablation, the zone after."""

    before: Volume | None
    after: Volume | None
    liver: LabelMask | None
    vessels: LabelMask | None
    post_from_pre: PointTransform | None
    lesion: LesionResult
    zone: Surface
    place_mm: FloatArray
    center_mm: FloatArray
    half_field_mm: float


def _liver_before(result: CaseResult) -> LabelMask | None:
    if result.case is not None:
        return result.case.pre.liver
    return None if result.outlines is None else result.outlines.liver


def _vessels(result: CaseResult) -> LabelMask | None:
    drawn = result.case or result.outlines
    return None if drawn is None or drawn.anatomy is None else drawn.anatomy.vessels


def cut(surface: Surface, point_mm: FloatArray, normal: FloatArray) -> FloatArray:
    """Cut a closed surface with a plane: line pieces, shape (m, 2, 3), LPS mm, in no order."""
    heights = (surface.vertices_mm - point_mm) @ normal
    heights[heights == 0] = 1e-9
    corners = surface.vertices_mm[surface.triangles]
    corner_heights = heights[surface.triangles]
    nexts, next_heights = np.roll(corners, -1, axis=1), np.roll(corner_heights, -1, axis=1)
    crossed = corner_heights * next_heights < 0
    share = corner_heights / np.where(crossed, corner_heights - next_heights, 1.0)
    crossings = corners + share[..., None] * (nexts - corners)
    return np.asarray(crossings[crossed].reshape(-1, 2, 3))


def sample_hu(volume: Volume, points_mm: FloatArray) -> FloatArray:
    """CT values at points, shape (..., 3) LPS mm, by linear interpolation; air outside the image."""
    index = np.moveaxis(volume.geometry.indices_at(points_mm), -1, 0)
    return np.asarray(ndimage.map_coordinates(volume.voxels_hu, index, order=1, cval=AIR_HU, prefilter=False))


def _view(plane: Plane, scene: _Scene) -> View:
    lesion, normal, axes = scene.lesion, plane.normal, np.array([plane.right, plane.down])
    origin_mm = scene.center_mm + normal * ((scene.place_mm - scene.center_mm) @ normal)
    across, along = np.meshgrid(_axis_mm(scene.half_field_mm), _axis_mm(scene.half_field_mm))
    before_mm = origin_mm + across[..., None] * axes[0] + along[..., None] * axes[1]
    after_mm = _mapped(before_mm, scene.post_from_pre)
    coarse_mm = after_mm[::OUTLINE_STRIDE, ::OUTLINE_STRIDE]
    zone_mm, tumor_mm = (_distances_mm(surface, coarse_mm) for surface in (scene.zone, lesion.tumor_post))
    in_liver = _in_liver(scene.liver, before_mm[::OUTLINE_STRIDE, ::OUTLINE_STRIDE])
    if in_liver is not None:
        in_liver |= (zone_mm >= 0) | (tumor_mm >= 0)  # many outlines leave their targets out
    grown_mm = tumor_mm + lesion.judgement.required_margin_mm
    right, down = axes @ (scene.place_mm - origin_mm)
    return View(
        plane=plane,
        half_field_mm=scene.half_field_mm,
        thinnest=(float(right), float(down)),
        before_hu=None if scene.before is None else sample_hu(scene.before, before_mm),
        after_hu=None if scene.after is None else sample_hu(scene.after, after_mm),
        tumor=(cut(lesion.tumor_pre, origin_mm, normal) - origin_mm) @ axes.T,
        zone_mm=zone_mm,
        grown_mm=grown_mm if in_liver is None else np.where(in_liver, grown_mm, np.nan),
        in_liver=in_liver,
        ball_mm=_ball_mm(lesion.completion, coarse_mm),
        vessels=_shares(scene.vessels, before_mm[::OUTLINE_STRIDE, ::OUTLINE_STRIDE]),
    )


def _ball_mm(completion: Completion | None, points_mm: FloatArray) -> FloatArray | None:
    if completion is None:
        return None
    return np.asarray(completion.radius_mm - np.linalg.norm(points_mm - completion.center_mm, axis=-1))


def _half_field_mm(zone: Surface, lesion: LesionResult) -> float:
    """Half the side of a square picture that holds the tumor and most of the zone around it."""
    center_mm = lesion.tumor_post.vertices_mm.mean(axis=0)
    near_mm = np.concatenate([_nearest_part_mm(zone, center_mm), lesion.tumor_post.vertices_mm])
    field_mm = 2 * (np.abs(near_mm - center_mm).max() + SURROUNDINGS_MM)
    return float(np.ceil(np.clip(field_mm, SMALLEST_FIELD_MM, LARGEST_FIELD_MM) / 2))


def _nearest_part_mm(surface: Surface, point_mm: FloatArray) -> FloatArray:
    """Vertices (n, 3) of that connected part of a surface that comes closest to a point."""
    count = len(surface.vertices_mm)
    first, second = surface.triangles[:, [0, 1]].ravel(), surface.triangles[:, [1, 2]].ravel()
    edges = sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    _, part = csgraph.connected_components(edges, directed=False)
    closest = np.linalg.norm(surface.vertices_mm - point_mm, axis=1).argmin()
    return np.asarray(surface.vertices_mm[part == part[closest]])


def _axis_mm(half_mm: float) -> FloatArray:
    return np.arange(-half_mm, half_mm + STEP_MM / 2, STEP_MM)


def _mapped(points_mm: FloatArray, transform: PointTransform | None) -> FloatArray:
    if transform is None:
        return points_mm
    return transform.map_points(points_mm.reshape(-1, 3)).reshape(points_mm.shape)


def _in_liver(liver: LabelMask | None, points_mm: FloatArray) -> BoolArray | None:
    """Which points lie in the liver's mask."""
    if liver is None:
        return None
    index = np.rint(liver.geometry.indices_at(points_mm)).astype(int)
    within = ((index >= 0) & (index < liver.geometry.shape)).all(axis=-1)
    found = np.zeros(points_mm.shape[:-1], bool)
    found[within] = liver.voxels[tuple(index[within].T)]
    return found


def _shares(mask: LabelMask | None, points_mm: FloatArray) -> FloatArray | None:
    """How far points lie inside a mask, 0..1, by linear interpolation."""
    if mask is None:
        return None
    index = np.moveaxis(mask.geometry.indices_at(points_mm), -1, 0)
    values = mask.voxels if mask.fractions is None else mask.fractions
    return np.asarray(ndimage.map_coordinates(values, index, output=np.float64, order=1, prefilter=False))


def _distances_mm(surface: Surface, points_mm: FloatArray) -> FloatArray:
    return signed_distances_mm(surface, points_mm.reshape(-1, 3)).reshape(points_mm.shape[:-1])
