"""What would complete a margin: the smallest further ball of ablation. Geometry alone; no needle path, vessel or heat sink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Triple, bounding_geometry, triple
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.distance import signed_distances_mm, voxelize
from ablmargin.metrics.enclosing import smallest_ball
from ablmargin.metrics.mesh import vertex_normals
from ablmargin.metrics.nearest import surface_tree
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

TOLERATED_MM = 0.15
"""A margin short by no more than this isn't worth a needle: outlines aren't known better than that."""
LEAST_ADDED_ML = 0.05
"""A ball that adds less than this, within the liver, mends nothing: what is missing lies outside."""
CAPSULE_STEP_MM = 1.5
FARTHEST_CAPSULE_MM = 25.0
"""Distances to the capsule are told up to here."""
BOX_PAD_MM = 5.0
LONGEST_EDGE_MM = 3.0
VOLUME_STEPS = 20
"""Grid steps in a ball's radius, for its volume."""
CENTER_STEPS = 12
"""Grid steps from the best center to the farthest that is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One further ball of ablation that would bring the margin to what is required.

    Parameters
    ----------
    center_mm : (float, float, float)
        LPS mm, in the frame of the exam after ablation; inside the liver.
    radius_mm : float
    added_volume_ml : float
        Liver that the ball ablates beyond the present zone.
    capsule_distance_mm : float or None
        From the center to the capsule, up to 25 mm, which stands for that or more; None without a liver.
    """

    center_mm: Triple
    radius_mm: float
    added_volume_ml: float
    capsule_distance_mm: float | None

    @property
    def leaves_liver(self) -> bool:
        """Whether the ball reaches beyond the capsule."""
        return self.capsule_distance_mm is not None and self.radius_mm > self.capsule_distance_mm


def propose_completion(
    tumor: Surface,
    zone: Surface,
    margin_mm: FloatArray,
    *,
    required_mm: float,
    liver: LabelMask | None = None,
    depth: LiverDepth | None = None,
    subcapsular: bool = False,
) -> Completion | None:
    """Find the smallest ball that holds all tissue which is missing of the required margin.

    Missing is what lies within ``required_mm`` of the tumor, in the liver and outside the zone, and all unablated tumor.

    Parameters
    ----------
    tumor, zone : Surface
        In one frame.
    margin_mm : ndarray, shape (n,)
        The margins at the tumor's vertices that the verdict is about.
    required_mm : float
    liver : LabelMask, optional
        The center is kept inside it, and only volume inside it is counted.
    depth : LiverDepth, optional
        Of the same liver around the same tumor and zone; goes with it.
    subcapsular : bool
        Whether the capsule limits what can be asked for. Tissue beyond it, or no deeper than its sampling could feign,
        then isn't missing.

    Returns
    -------
    Completion or None
        None if no more than ``TOLERATED_MM`` of the margin is missing anywhere, or next to nothing of it inside the
        liver.

    Notes
    -----
    The ball is the smallest one around the border of the missing tissue, made ``TOLERATED_MM`` larger. Slivers thinner than that are left out. Missing tissue all around a tumor has no smaller ball
    than one around the tumor and its margin.
    """
    if margin_mm.min() >= required_mm - TOLERATED_MM:
        return None
    limit = depth if subcapsular else None
    missing = _missing_border_mm(tumor, zone, margin_mm, reach_mm=required_mm - TOLERATED_MM, depth=limit)
    if not len(missing):
        return None
    center, radius = smallest_ball(missing)
    around, capsule_distance = None, None
    if liver is not None and depth is not None:
        around = _liver_around(liver, depth, center, max(radius, FARTHEST_CAPSULE_MM) + BOX_PAD_MM)
        center, radius = _centered_in(around, missing, center, radius)
        capsule_distance = _capsule_distance_mm(around, center)
    radius += TOLERATED_MM
    added_ml = _added_volume_ml(zone, around, center, radius)
    if added_ml < LEAST_ADDED_ML:
        return None
    return Completion(
        center_mm=triple(center), radius_mm=radius, added_volume_ml=added_ml, capsule_distance_mm=capsule_distance
    )


def _missing_border_mm(
    tumor: Surface, zone: Surface, margin_mm: FloatArray, *, reach_mm: float, depth: LiverDepth | None
) -> FloatArray:
    """Points all over the border of the missing tissue, shape (n, 3), its rims among them."""
    outward = vertex_normals(tumor.vertices_mm, tumor.triangles)
    grown = Surface(
        vertices_mm=tumor.vertices_mm + reach_mm * outward, triangles=tumor.triangles, frame_uid=tumor.frame_uid
    )
    outside = np.minimum(-signed_distances_mm(zone, grown.vertices_mm), _liver_beyond_mm(depth, grown.vertices_mm))
    near = reach_mm - _distances_mm(tumor, zone.vertices_mm, reach_mm)
    near[near > 0] = np.minimum(near[near > 0], _liver_beyond_mm(depth, zone.vertices_mm[near > 0]))
    pieces = [_where_positive(grown, outside), _where_positive(zone, near), _where_positive(tumor, -margin_mm)]
    if depth is not None:
        capsule = _capsule_points_mm(depth, tumor, reach_mm)
        reached = capsule[_distances_mm(tumor, capsule, reach_mm) < reach_mm]
        pieces.append(reached[signed_distances_mm(zone, reached) < 0])
    return np.concatenate(pieces)


def _distances_mm(tumor: Surface, points_mm: FloatArray, reach_mm: float) -> FloatArray:
    """Distance from a tumor's surface, shape (n,), within some hundredths of a millimeter; farther than reach if farther.

    Exact distances would cost more and move a ball of ablation by nothing that matters.
    """
    samples = surface_tree(np.concatenate([tumor.vertices_mm, tumor.centroids_mm]))
    found = samples.query(points_mm, distance_upper_bound=reach_mm + LONGEST_EDGE_MM)[0]
    return np.minimum(found, reach_mm + LONGEST_EDGE_MM)


def _liver_beyond_mm(depth: LiverDepth | None, points_mm: FloatArray) -> FloatArray:
    """How much deeper than the capsule's sampling could feign points lie, shape (n,); infinite without a capsule."""
    if depth is None:
        return np.full(len(points_mm), np.inf)
    return np.asarray(depth.at(points_mm) - depth.slack_at(points_mm))


def _where_positive(surface: Surface, values: FloatArray) -> FloatArray:
    """Vertices with a positive value, and the points on edges where it turns negative; shape (n, 3)."""
    starts, ends = surface.triangles.ravel(), np.roll(surface.triangles, -1, axis=1).ravel()
    crossed = (values[starts] > 0) & (values[ends] <= 0)  # every edge is met in both directions
    starts, ends = starts[crossed], ends[crossed]
    rims = _crossings(surface.vertices_mm[starts], surface.vertices_mm[ends], values[starts], values[ends])
    return np.concatenate([surface.vertices_mm[values > 0], rims])


def _crossings(first_mm: FloatArray, second_mm: FloatArray, first: Array, second: Array) -> FloatArray:
    share = np.nan_to_num(first / (first - second), nan=0.0)
    return np.asarray(first_mm + share[:, None] * (second_mm - first_mm))


def _capsule_points_mm(depth: LiverDepth, tumor: Surface, reach_mm: float) -> FloatArray:
    """Points where the liver that counts ends, a grid's step apart, in the box around the grown tumor; shape (n, 3)."""
    grid = bounding_geometry(tumor.vertices_mm, spacing_mm=CAPSULE_STEP_MM, pad_mm=reach_mm, frame_uid=tumor.frame_uid)
    nodes = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))
    inside = _liver_beyond_mm(depth, nodes.reshape(-1, 3)).reshape(grid.shape)
    pieces = []
    for axis in range(3):
        first, second = (np.moveaxis(inside, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        starts, ends = (np.moveaxis(nodes, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        crossed = (first > 0) != (second > 0)
        pieces.append(_crossings(starts[crossed], ends[crossed], first[crossed], second[crossed]))
    return np.concatenate(pieces)


def _liver_around(liver: LabelMask, depth: LiverDepth, center_mm: FloatArray, reach_mm: float) -> LabelMask:
    """The liver in a box: as its depth was told of where that is known, without cavities beyond."""
    part = liver.cropped(*liver.geometry.box_around(center_mm[None], pad_mm=reach_mm))
    return LabelMask(voxels=depth.mended_in(part), geometry=part.geometry, structure=liver.structure)


def _is_in(mask: LabelMask, points_mm: FloatArray) -> BoolArray:
    """Which points, shape (n, 3), lie in a mask; beyond the edge of its image it goes on as it is there."""
    index = mask.geometry.indices_at(points_mm)
    share = ndimage.map_coordinates(mask.voxels.astype(np.float32), index.T, order=1, mode="nearest")
    return np.asarray(share >= 0.5)


def _centered_in(
    liver: LabelMask, missing_mm: FloatArray, center_mm: FloatArray, radius_mm: float
) -> tuple[FloatArray, float]:
    """The smallest ball around the missing tissue whose center lies in the liver; as it is if no liver is near."""
    if liver.is_empty or _is_in(liver, center_mm[None])[0]:
        return center_mm, radius_mm
    voxels = liver.voxel_centers_mm()
    distances = np.linalg.norm(voxels - center_mm, axis=1)
    best, away = voxels[distances.argmin()], float(distances.min())
    # A ball centered farther off than this is larger than the one centered at the nearest voxel.
    reach = float(np.sqrt(2 * radius_mm * away + away**2))
    for around, half in ((center_mm, reach), (best, 2 * reach / CENTER_STEPS)):
        cube = np.linspace(-half, half, 2 * CENTER_STEPS + 1)
        tried = around + np.stack(np.meshgrid(cube, cube, cube), axis=-1).reshape(-1, 3)
        best, radius_mm = _best_center(np.vstack([best, tried[_is_in(liver, tried)]]), missing_mm)
    return best, radius_mm


def _best_center(centers_mm: FloatArray, points_mm: FloatArray) -> tuple[FloatArray, float]:
    """Which of the centers, shape (m, 3), has the smallest ball around all points, shape (n, 3), and its radius."""
    least = np.zeros(len(centers_mm))
    while True:
        chosen = int(least.argmin())
        distances = np.linalg.norm(points_mm - centers_mm[chosen], axis=1)
        farthest = int(distances.argmax())
        if distances[farthest] <= least[chosen] + 1e-6:
            return centers_mm[chosen], float(distances[farthest])
        least = np.maximum(least, np.linalg.norm(centers_mm - points_mm[farthest], axis=1))


def _capsule_distance_mm(liver: LabelMask, center_mm: FloatArray) -> float:
    """From a point to the faces of the nearest voxels outside the liver, up to ``FARTHEST_CAPSULE_MM``."""
    geometry, spacing = liver.geometry, np.array(liver.geometry.spacing_mm)
    steps = (np.argwhere(~liver.voxels) - geometry.indices_at(center_mm)) * spacing
    distances = np.linalg.norm(steps, axis=1)
    half_voxels = np.abs(steps) @ spacing / np.maximum(2 * distances, 1e-9)
    return float(np.clip((distances - half_voxels).min(initial=FARTHEST_CAPSULE_MM), 0.0, FARTHEST_CAPSULE_MM))


def _added_volume_ml(zone: Surface, liver: LabelMask | None, center_mm: FloatArray, radius_mm: float) -> float:
    step = radius_mm / VOLUME_STEPS
    grid = bounding_geometry(center_mm[None], spacing_mm=step, pad_mm=radius_mm + step, frame_uid=zone.frame_uid)
    points = grid.points_at(np.argwhere(~voxelize(zone, grid)))
    share = np.clip((radius_mm - np.linalg.norm(points - center_mm, axis=1)) / step + 0.5, 0.0, 1.0)
    points, share = points[share > 0], share[share > 0]
    if liver is not None:
        share = share[_is_in(liver, points)]
    return float(share.sum()) * grid.voxel_volume_ml
