"""From a prompt to a solid: along a drawn axis, or over all sizes that a click leaves open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, FloatArray
from ablmargin.segmentation.lesion_field import SIZE_UNSURE, Weights, neighborhood_mm, solve
from ablmargin.segmentation.lesion_patch import Patch, patch_around
from ablmargin.segmentation.lesion_prior import axis_log_odds, ball_log_odds
from ablmargin.segmentation.lesion_solid import Solid, solid_at, stretched, unshrunk
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import LabelMask, Structure, Volume

RADII_MM = {
    Structure.TUMOR: (2.9, 4.1, 5.8, 8.2, 11.6, 16.4, 23.2),
    Structure.ABLATION_ZONE: (8.2, 11.6, 16.4, 23.2, 28.0),
}
"""Sizes tried for a click. A zone holds gas and metal that stand out more than it does, so nothing small is tried."""
RADIUS_SPREAD = 0.35
FINEST_MM = 0.9
CONTEXT_MM = 9.0
SMALLEST_MM3 = 20.0
MARK_LOG_ODDS, MARK_SHARE, LEAST_MARK_MM = 60.0, 0.08, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How fine a grid is: so many voxels across the expected size, but none larger than a limit."""

    voxels_across: int
    coarsest_mm: float

    def spacing_mm(self, size_mm: float) -> float:
        return float(np.clip(size_mm / self.voxels_across, FINEST_MM, self.coarsest_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of a lesion whose axis was drawn: its half width, as a share of its half length, and what counts how much."""

    width: float
    weights: Weights


ALONG_AXIS = {
    Structure.TUMOR: Expected(width=0.72, weights=Weights(coupling=3.0, outside_reach_mm=7.0)),
    Structure.ABLATION_ZONE: Expected(width=0.8, weights=SIZE_UNSURE),
}
"""A tumor lies among tissue that looks like it, and what it looks like tells less than where its axis ends."""
FINE, COARSE = Detail(voxels_across=22, coarsest_mm=1.8), Detail(voxels_across=11, coarsest_mm=2.6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Image and liver mask, and the points that the reader marked besides."""

    volume: Volume
    liver: LabelMask | None
    inside_mm: FloatArray
    outside_mm: FloatArray

    @classmethod
    def of(cls, volume: Volume, liver: LabelMask | None, prompt: Prompt) -> Scene:
        inside, outside = (np.array(points, float).reshape(-1, 3) for points in (prompt.inside_mm, prompt.outside_mm))
        return cls(volume=volume, liver=liver, inside_mm=inside, outside_mm=outside)

    def patch(self, center_mm: FloatArray, *, half_mm: float, size_mm: float, detail: Detail) -> Patch:
        spacing = detail.spacing_mm(size_mm)
        return patch_around(self.volume, self.liver, center_mm, half_mm=half_mm, size_mm=size_mm, spacing_mm=spacing)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A solid found from one expected size, and how much its tissue differs from what is around."""

    solid: Solid
    expected_radius_mm: float
    distinction: float


def from_axis(scene: Scene, ends_mm: FloatArray, expected: Expected, *, detail: Detail = FINE) -> Solid | None:
    """The solid whose long axis was drawn, shape (2, 3)."""
    length, middle = float(np.linalg.norm(ends_mm[1] - ends_mm[0])), ends_mm.mean(axis=0)
    patch = scene.patch(middle, half_mm=0.65 * length + CONTEXT_MM, size_mm=length, detail=detail)
    prior = axis_log_odds(patch, ends_mm, width=expected.width)
    solid = _solved(scene, patch, prior, middle, size_mm=length, at_mm=middle, weights=expected.weights)
    return None if solid is None else stretched(solid, ends_mm)


def from_click(scene: Scene, point_mm: FloatArray, *, radii_mm: tuple[float, ...]) -> tuple[Candidate, ...]:
    """What is found with each expected size, the most distinct first."""
    found = (_trial(scene, point_mm, radius) for radius in radii_mm)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.distinction))


def _trial(scene: Scene, point_mm: FloatArray, radius_mm: float) -> Candidate | None:
    solid = of_size(scene, point_mm, radius_mm)
    if solid is None:
        return None
    return Candidate(solid=solid, expected_radius_mm=radius_mm, distinction=solid.distinction())


def of_size(scene: Scene, point_mm: FloatArray, radius_mm: float) -> Solid | None:
    """The solid at a point that has about an expected size, on a coarse grid."""
    size = 2 * radius_mm
    patch = scene.patch(point_mm, half_mm=2.3 * radius_mm + CONTEXT_MM - 2, size_mm=size, detail=COARSE)
    return _solved(scene, patch, _ball(patch, point_mm, radius_mm), point_mm, size_mm=size, at_mm=point_mm)


def refined(scene: Scene, solid: Solid, point_mm: FloatArray) -> Solid:
    """The same solid again, on a finer grid about its own center, with its own size expected."""
    radius, center = solid.radius_mm, solid.center_mm
    patch = scene.patch(center, half_mm=1.6 * radius + CONTEXT_MM, size_mm=2 * radius, detail=FINE)
    prior = _ball(patch, center, radius)
    return _solved(scene, patch, prior, center, size_mm=2 * radius, at_mm=point_mm) or solid


def _ball(patch: Patch, center_mm: FloatArray, radius_mm: float) -> Array:
    return ball_log_odds(patch, center_mm, 1.05 * radius_mm, spread=RADIUS_SPREAD)


def _solved(
    scene: Scene,
    patch: Patch,
    prior: Array,
    center_mm: FloatArray,
    *,
    size_mm: float,
    at_mm: FloatArray,
    weights: Weights = SIZE_UNSURE,
) -> Solid | None:
    """The solid at a point, given the prior; None if there is none worth a name."""
    log_odds = solve(patch, prior, size_mm, weights=weights, marks=_marks(scene, patch, center_mm, size_mm))
    solid = solid_at(patch, log_odds, at_mm)
    if solid is None or solid.volume_mm3 < SMALLEST_MM3:
        return None
    return unshrunk(solid, patch.smoothing_mm, neighborhood_mm(size_mm))


def _marks(scene: Scene, patch: Patch, center_mm: FloatArray, size_mm: float) -> Array:
    """Log odds about marked points: inside on the way from the center to one, outside from one on outward."""
    marks = np.zeros(patch.geometry.shape, np.float32)
    width = max(MARK_SHARE * size_mm, LEAST_MARK_MM)
    for point in scene.inside_mm:
        marks += MARK_LOG_ODDS * _near_segment(patch, center_mm, point, width)
    for point in scene.outside_mm:
        marks -= MARK_LOG_ODDS * _near_segment(patch, point, point + 3 * (point - center_mm), width)
    return marks


def _near_segment(patch: Patch, start_mm: FloatArray, stop_mm: FloatArray, width_mm: float) -> Array:
    """1 on a segment, falling off as a Gaussian of the distance to it."""
    offset, way = patch.offsets_mm(start_mm), (stop_mm - start_mm)[::-1].astype(np.float32)
    along = np.clip(np.tensordot(way, offset, 1) / max(float(way @ way), 1e-6), 0, 1)
    offset = offset - way[:, None, None, None] * along
    return np.asarray(np.exp(-np.einsum("dkji,dkji->kji", offset, offset) / (2 * width_mm**2)), np.float32)
