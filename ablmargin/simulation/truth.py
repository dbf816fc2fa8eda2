"""The exact truth of a simulated pair, computed from the shapes and the map, not from voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ablmargin.geometry import FloatArray
from ablmargin.simulation.fields import Points, Values
from ablmargin.simulation.motion import Motion, PostFromPre, PreFromPost
from ablmargin.simulation.pair import LesionTruth, Truth
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.zone import ZoneSurface

Level = Callable[[Points], Values]

TUMOR_POINTS = 4000
COARSE_STEP = 3
"""The search for the lowest point starts from every third of them."""
REFINEMENTS = 6
SUBCAPSULAR_MM = 5.0
RESIDUAL_STEP_MM = 0.4
LANDMARKS = 300
LANDMARK_DEPTH_MM = 3.0


def lesion_truth(lesion_id: str, tumor: StarShape, zone: ZoneSurface, motion: Motion) -> LesionTruth:
    """What is true of one tumor (pre frame) and its ablation zone (post frame)."""
    pre = tumor.surface(TUMOR_POINTS)
    lowest = _lowest(tumor, zone.signed_distances_mm, pre, motion)
    pre = np.vstack([pre, lowest])
    post = motion.inverse_organ_points(pre)
    return LesionTruth(
        lesion_id=lesion_id,
        mam_mm=float(zone.signed_distances_mm(post[-1:])[0]),
        mam_location_mm=post[-1],
        subcapsular=_depth_mm(zone.liver, post) < SUBCAPSULAR_MM,
        tumor_volume_ml=tumor.volume_ml,
        tumor_surface_pre_mm=pre,
        tumor_surface_post_mm=post,
        mam_constrained_mm=_constrained_minimum(tumor, zone, pre, motion),
        residual_tumor_ml=_residual_ml(tumor, zone, post, motion),
        margins_mm=zone.signed_distances_mm,
    )


def pair_truth(
    name: str, seed: int, motion: Motion, lesions: tuple[LesionTruth, ...], landmarks_pre_mm: FloatArray
) -> Truth:
    """The truth of a whole pair."""
    return Truth(
        name=name,
        seed=seed,
        post_from_pre=PostFromPre(motion=motion),
        pre_from_post=PreFromPost(motion=motion),
        lesions=lesions,
        landmarks_pre_mm=landmarks_pre_mm,
        landmarks_post_mm=motion.inverse_organ_points(landmarks_pre_mm),
        deformation=motion.describe(),
    )


def spread_landmarks(
    rng: np.random.Generator, liver: Level, box_mm: tuple[FloatArray, FloatArray], *, count: int = LANDMARKS
) -> FloatArray:
    """Points spread evenly over the liver, away from its surface: one in each cell of a grid, shape (count, 3)."""
    low, high = (np.asarray(corner, float) for corner in box_mm)
    for step in np.arange(30.0, 4.0, -1.0):
        axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
        cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        points = cells + rng.uniform(0.0, step, cells.shape)
        inside = points[liver(points) < -LANDMARK_DEPTH_MM]
        if len(inside) >= count:
            return np.asarray(inside[rng.permutation(len(inside))[:count]])
    raise ValueError("the liver is too small for its landmarks")


def _lowest(
    tumor: StarShape, distances: Callable[[FloatArray], FloatArray], surface_mm: FloatArray, motion: Motion
) -> FloatArray:
    """The point of the tumor's surface, pre frame, (1, 3), where a distance in the post frame is least.

    The lowest of the given points is refined by ever finer fans of directions around it.
    """
    center = np.array(tumor.center_mm)
    rng = np.random.default_rng(0)
    spread = 2.0 * np.sqrt(COARSE_STEP / len(surface_mm))
    points = surface_mm[::COARSE_STEP]
    for _ in range(REFINEMENTS):
        best = points[distances(motion.inverse_organ_points(points)).argmin()]
        direction = (best - center) / np.linalg.norm(best - center)
        fan = direction + spread * rng.uniform(-1.0, 1.0, (120, 3))
        fan[0] = direction
        points = tumor.surface_along(fan / np.linalg.norm(fan, axis=1, keepdims=True))
        spread /= 2.5
    at = distances(motion.inverse_organ_points(points)).argmin()
    return points[at : at + 1]


def _constrained_minimum(tumor: StarShape, zone: ZoneSurface, surface_mm: FloatArray, motion: Motion) -> float | None:
    if zone.free_tree is None:
        return None

    def distances(points_mm: FloatArray) -> FloatArray:
        return np.asarray(zone.constrained_distances_mm(points_mm))

    lowest = motion.inverse_organ_points(_lowest(tumor, distances, surface_mm, motion))
    return float(distances(lowest)[0])


def _residual_ml(tumor: StarShape, zone: ZoneSurface, surface_post_mm: FloatArray, motion: Motion) -> float:
    """Volume of the tumor in the post frame that lies outside the zone, on a fine grid."""
    low, high = surface_post_mm.min(axis=0), surface_post_mm.max(axis=0)
    axes = [np.arange(a, b + RESIDUAL_STEP_MM, RESIDUAL_STEP_MM) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    outside = points[~zone.holds(points)]
    left = np.count_nonzero(tumor.holds(motion.organ_points(outside)))
    return float(left * RESIDUAL_STEP_MM**3 / 1000)


def _depth_mm(liver: Level, points_mm: FloatArray) -> float:
    """Smallest distance from points inside the liver to its surface, to about 0.1 mm."""
    step = 0.5
    gradient = np.stack(
        [(liver(points_mm + axis) - liver(points_mm - axis)) / (2 * step) for axis in step * np.eye(3)], axis=-1
    )
    return float((-liver(points_mm) / np.linalg.norm(gradient, axis=1)).min())
