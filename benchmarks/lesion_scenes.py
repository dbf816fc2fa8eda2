"""Tumors and ablation zones with exact truth, painted into a phantom and into a real CT: to try segmentation on.

Shapes are unions of balls, stretched, with a wobble in space: no star, no ellipsoid, no spherical harmonic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lesion_hosts import DATA, Ground, Host, phantom_host, real_host
from lesion_shapes import Shape, tumor_shape, zone_shape
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.segmentation.protocol import Prompt
from ablmargin.simulation.ct import GAS_HU, blend, grid_points
from ablmargin.simulation.fields import Points, Values, WaveField, cone_level, inside_share
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

TUMOR_KINDS = ("plain", "heterogeneous", "isodense part", "rim", "hyperdense", "vessel", "subcapsular", "lobulated")
ZONE_KINDS = ("plain", "gas", "needle", "rim", "subcapsular", "remnant")
HOSTS = ("phantom", "real")
LIVERS = ("true", "imperfect", "none")
TUMOR_SIZES_MM, ZONE_SIZES_MM = (8.0, 40.0), (25.0, 55.0)
CONTRASTS = (0.8, 3.0)
SLICES_MM = (1.0, 2.0, 3.0)
SOFTNESS_MM = 0.8
SAMPLES_A_MM = 0.7
NEAR_RADII, RIM_MM = 1.9, 8.0
"""Nothing is painted farther from a center than so many radii and this; nor farther than this from a surface."""
CLICK_SHARE = 0.6
"""A click lies anywhere in the lesion, shrunk to this share of its size."""
JITTER_MM = 2.0
"""Root mean square displacement of the end of an axis as readers draw it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """One lesion in its surroundings.

    ``liver`` is the mask that a segmenter is given, not the truth; ``diameter_mm`` that of a ball of the same volume;
    ``contrast_to_noise`` that of the lesion's bulk to the liver, by the noise of a voxel, without sign.
    """

    name: str
    volume: Volume
    liver: LabelMask | None
    truth: LabelMask
    structure: Structure
    diameter_mm: float
    contrast_to_noise: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """What a scene is made from; ``number`` is its seed."""

    structure: Structure
    kind: str
    host: str
    liver: str
    diameter_mm: float
    contrast_to_noise: float
    slice_mm: float
    number: int


def plans(structure: Structure, count: int, *, first: int) -> Iterator[ScenePlan]:
    """Plans that mix kind, host, liver mask, size, contrast and slices independently; another ``first``, other scenes."""
    kinds = TUMOR_KINDS if structure is Structure.TUMOR else ZONE_KINDS
    low, high = TUMOR_SIZES_MM if structure is Structure.TUMOR else ZONE_SIZES_MM
    rng = np.random.default_rng([first, len(kinds)])
    sizes, contrasts = (rng.permutation((np.arange(count) + rng.uniform(0, 1, count)) / count) for _ in range(2))
    for at in range(count):
        yield ScenePlan(
            structure=structure,
            kind=kinds[at % len(kinds)],
            host=HOSTS[at // len(kinds) % 2],
            liver=LIVERS[(at + at // len(kinds)) % 3],
            diameter_mm=float(low * (high / low) ** sizes[at]),
            contrast_to_noise=float(CONTRASTS[0] + (CONTRASTS[1] - CONTRASTS[0]) * contrasts[at]),
            slice_mm=SLICES_MM[int(rng.integers(3))],
            number=first + at,
        )


def scenes(structure: Structure, count: int, *, first: int, data: Path = DATA) -> Iterator[Scene]:
    """Scenes one after the other; those in the real CT only where the data is."""
    for plan in plans(structure, count, first=first):
        if plan.host == "phantom" or data.is_dir():
            yield scene(plan, data=data)


def scene(plan: ScenePlan, *, data: Path = DATA) -> Scene:
    """Paint one scene."""
    rng = np.random.default_rng([plan.number, 5])
    host: Host = phantom_host(plan.number // 12) if plan.host == "phantom" else real_host(data)
    shape = (
        tumor_shape(plan.diameter_mm / 2, rng, is_lobulated=plan.kind == "lobulated")
        if plan.structure is Structure.TUMOR
        else zone_shape(plan.diameter_mm / 2, rng)
    )
    center = _place(plan, shape, host, rng)
    ground = host.ground(center, 1.5 * shape.radius_mm, plan.slice_mm, rng)
    is_cut = plan.structure is Structure.ABLATION_ZONE or rng.uniform() < 0.5
    level = _Placed(shape=shape, center_mm=center, host=host, is_cut=is_cut)
    hu, truth = _painted(plan, ground, level, rng)
    grid = ground.geometry
    return Scene(
        name=f"{plan.number} {plan.host} {plan.kind}, liver {plan.liver}",
        volume=Volume(voxels_hu=np.clip(np.round(hu), -1024, 3071), geometry=grid),
        liver=_liver(plan, ground, truth, rng),
        truth=LabelMask(
            voxels=truth, geometry=grid, structure=plan.structure, origin=MaskOrigin(method="exact shape of the scene")
        ),
        structure=plan.structure,
        diameter_mm=float(6 / np.pi * truth.sum() * grid.voxel_volume_ml * 1000) ** (1 / 3),
        contrast_to_noise=plan.contrast_to_noise,
        kind=plan.kind,
    )


def click(truth: LabelMask, rng: np.random.Generator) -> Prompt:
    """A click anywhere in the inner part of a structure."""
    points = truth.voxel_centers_mm()
    center = points.mean(axis=0)
    inside = _is_in(truth, tries := center + CLICK_SHARE * (points - center))
    x, y, z = tries[rng.choice(np.flatnonzero(inside))].tolist()
    return Prompt(point_mm=(x, y, z))


def drawn_axis(truth: LabelMask, rng: np.random.Generator) -> Prompt:
    """The longest diameter in the slice where it is longest, as readers draw it, its ends a little off."""
    longest = max(
        (_longest_in_slice(truth, int(k)) for k in _largest_slices(truth)),
        key=lambda ends: np.ptp(ends, 0) @ np.ptp(ends, 0),
    )
    ends = longest + rng.normal(0, JITTER_MM / np.sqrt(3), (2, 3))
    first, second = (tuple(end) for end in ends.tolist())
    return Prompt(axis_mm=(first, second))


def _largest_slices(truth: LabelMask) -> NDArray[np.intp]:
    areas = truth.voxels.sum(axis=(1, 2))
    return np.flatnonzero(areas >= 0.8 * areas.max())


def _longest_in_slice(truth: LabelMask, k: int) -> FloatArray:
    plane = truth.voxels[k]
    edge = np.argwhere(plane & ~ndimage.binary_erosion(plane))
    points = truth.geometry.points_at(np.column_stack([np.full(len(edge), k), edge]))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return points[list(np.unravel_index(distance.argmax(), distance.shape))]


def _is_in(mask: LabelMask, points_mm: FloatArray) -> BoolArray:
    k, j, i = np.rint(mask.geometry.indices_at(points_mm)).astype(int).T
    return np.asarray(mask.voxels[k, j, i])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Placed:
    """A shape at its place, cut off at the capsule or bulging through it."""

    shape: Shape
    center_mm: FloatArray
    host: Host
    is_cut: bool

    def __call__(self, points_mm: Points) -> Values:
        level = self.shape.level(points_mm - self.center_mm.astype(points_mm.dtype))
        return np.maximum(level, -self.host.depth_mm(points_mm)) if self.is_cut else level


def _place(plan: ScenePlan, shape: Shape, host: Host, rng: np.random.Generator) -> FloatArray:
    """A center in the liver that suits the kind; the best of those tried if none does."""
    candidates = host.candidates_mm(rng)[:600]
    depth, radius = host.depth_mm(candidates), shape.radius_mm
    deep = (0.5 * radius, 0.95 * radius) if plan.kind == "subcapsular" else (1.0 * radius + 2, np.inf)
    fitting = candidates[(depth > deep[0]) & (depth < deep[1])]
    if not len(fitting):
        return candidates[depth.argmax()]
    directions = rng.normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def cost(center: FloatArray) -> float:
        core = host.vessel_share(center + directions * radius * rng.uniform(0.2, 0.9, (300, 1)))
        shell = host.vessel_share(center + directions * (radius + 2))
        wanted = 0.15 if plan.kind == "vessel" else 0.0
        return core + abs(shell - wanted) * (plan.kind != "subcapsular")

    some = fitting[:60]
    return np.asarray(min(some, key=cost))


def _painted(plan: ScenePlan, ground: Ground, level: _Placed, rng: np.random.Generator) -> tuple[FloatArray, BoolArray]:
    """The CT with the lesion, and its truth: a voxel is inside if its center is."""
    grid = ground.geometry
    samples = max(1, round(grid.spacing_mm[0] * SAMPLES_A_MM))
    paint = (
        _tumor_paint(plan, ground, rng) if plan.structure is Structure.TUMOR else _zone_paint(plan, ground, level, rng)
    )
    total = np.zeros(int(np.prod(grid.shape)), np.float32)
    for at in (np.arange(samples) + 0.5) / samples - 0.5:
        points = grid_points(grid, 0, grid.shape[0], slice_offset=float(at))
        hu = ground.clean_hu.ravel().copy()
        near, levels = _near(points, level)
        hu[near] = paint(hu[near], points[near], levels)
        total += hu
    truth = np.zeros(total.shape, bool)
    near, levels = _near(grid_points(grid, 0, grid.shape[0]), level)
    truth[near] = levels < 0
    return (total / samples).reshape(grid.shape) + ground.noise_hu, truth.reshape(grid.shape)


def _near(points: Points, level: _Placed) -> tuple[NDArray[np.intp], Values]:
    """The points that a lesion or what surrounds it can touch, and its level there."""
    offset = np.abs(points - level.center_mm.astype(points.dtype)).max(axis=1)
    near = np.flatnonzero(offset < NEAR_RADII * level.shape.radius_mm + RIM_MM)
    levels = level(points[near])
    close = levels < RIM_MM
    return near[close], levels[close]


Paint = Callable[[Values, Points, Values], Values]


def _tumor_paint(plan: ScenePlan, ground: Ground, rng: np.random.Generator) -> Paint:
    sign = 1.0 if plan.kind == "hyperdense" else -1.0
    contrast = sign * plan.contrast_to_noise * ground.noise_sd_hu
    radius = plan.diameter_mm / 2
    coarse = WaveField.random(rng, correlation_mm=0.6 * radius)
    fine = WaveField.random(rng, correlation_mm=float(rng.uniform(2.5, 5.0)))
    rim = min(float(rng.uniform(1.5, 3.0)), 0.35 * radius)

    def paint(hu: Values, points: Points, level: Values) -> Values:
        strength = 1.0 + 0.15 * fine.scalar(points)
        if plan.kind == "heterogeneous":
            strength = 1.0 + 0.65 * fine.scalar(points)
        elif plan.kind == "isodense part":
            strength = strength * np.clip(1.2 + 1.6 * coarse.scalar(points), 0, 1)
        elif plan.kind == "rim":
            strength = strength * np.where(level > -rim, -0.8, 1.0)
        return blend(hu, inside_share(level, SOFTNESS_MM), ground.liver_hu + contrast * strength)

    return paint


def _zone_paint(plan: ScenePlan, ground: Ground, level: _Placed, rng: np.random.Generator) -> Paint:
    contrast = -plan.contrast_to_noise * ground.noise_sd_hu
    fine = WaveField.random(rng, correlation_mm=4.0)
    axis, radius, center = level.shape.axis, level.shape.radius_mm, level.center_mm
    tip, entry = center - 0.5 * radius * axis, center + (radius + 25) * axis
    remnant = center + rng.normal(0, 0.2 * radius, 3)

    def paint(hu: Values, points: Points, level: Values) -> Values:
        core = (
            ground.liver_hu
            + contrast * (1 + 0.15 * fine.scalar(points))
            + 12.0 * np.exp(-((level / 0.4 / radius + 2.5) ** 2))
        )
        if plan.kind == "remnant":
            old = np.linalg.norm(points - remnant.astype(points.dtype), axis=1) - 0.45 * radius
            core = blend(core, inside_share(old), ground.liver_hu + 0.2 * contrast)
        if plan.kind in ("gas", "needle"):
            track = cone_level(points, tip, center + 0.4 * radius * axis, 2.5, 3.5)
            core = blend(core, inside_share(track) * np.clip(0.6 * fine.scalar(points) + 0.4, 0, 1), GAS_HU)
        painted = blend(hu, inside_share(level, SOFTNESS_MM), core)
        if plan.kind in ("rim", "gas", "subcapsular"):
            inside_liver = inside_share(-(hu - 0.6 * ground.liver_hu), 10.0)
            painted = painted + 1.3 * ground.noise_sd_hu * np.exp(-(((level - 2.0) / 1.7) ** 2)) * inside_liver
        if plan.kind == "needle":
            painted = blend(painted, inside_share(cone_level(points, tip, entry, 0.9, 0.9), 0.5), 900.0)
        return np.asarray(painted)

    return paint


def _liver(plan: ScenePlan, ground: Ground, truth: BoolArray, rng: np.random.Generator) -> LabelMask | None:
    """The mask to hand on: the truth; none; or one that is too small and leaves out half of the lesion or all of it."""
    if plan.liver == "none":
        return None
    liver = ground.liver | truth
    if plan.liver == "imperfect":
        spacing = ground.geometry.spacing_mm
        depth = ndimage.distance_transform_edt(liver, spacing)
        points = ground.geometry.points_at(np.argwhere(truth))
        bite_mm = points[rng.integers(len(points))]
        bitten = (
            np.linalg.norm(ground.geometry.points_at(np.moveaxis(np.indices(truth.shape), 0, -1)) - bite_mm, axis=-1)
            < float(rng.uniform(0.5, 1.3)) * plan.diameter_mm / 2 + 2
        )
        liver = (depth > float(rng.uniform(1, 3))) & ~bitten
    return LabelMask(voxels=liver, geometry=ground.geometry, structure=Structure.LIVER)
