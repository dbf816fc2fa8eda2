"""The masks that a good reader would draw: the exact shapes on the voxel grids, or with a given error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import BoolArray, FloatArray, Geometry
from ablmargin.simulation.ct import grid_points
from ablmargin.simulation.fields import Points, Values, WaveField
from ablmargin.simulation.motion import Motion
from ablmargin.simulation.render import slabs
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.zone import ZoneSurface
from ablmargin.volume import LabelMask, MaskOrigin, Structure

Level = Callable[[Points], Values]
Box = tuple[FloatArray, FloatArray]

ERROR_CORRELATION_MM = 10.0
PAD_MM = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Masks:
    """Liver on both grids, tumors on the pre grid, zones on the post grid."""

    liver_pre: LabelMask
    liver_post: LabelMask
    tumors: tuple[LabelMask, ...]
    zones: tuple[LabelMask, ...]


def draw_masks(
    liver: Level,
    liver_box_mm: Box,
    *,
    motion: Motion,
    tumors: Sequence[StarShape],
    zones: Sequence[ZoneSurface],
    grids: tuple[Geometry, Geometry],
    error_mm: float,
    rng: np.random.Generator,
) -> Masks:
    """Rasterize all structures: a voxel belongs to one if its center does.

    Parameters
    ----------
    liver : callable
        Level of the liver, pre frame; ``liver_box_mm`` holds it.
    error_mm : float
        Standard deviation of a smooth random shift of the borders.
    """
    pre, post = grids

    def liver_post(points_mm: Points) -> Values:
        return liver(motion.organ_points(points_mm))

    def drawn(level: Level) -> Level:
        return _misdrawn(level, rng, error_mm) if error_mm > 0 else level

    corners = np.array(np.meshgrid(*zip(*liver_box_mm, strict=True))).reshape(3, -1).T
    moved = motion.inverse_organ_points(corners)
    box_post = moved.min(axis=0) - 10 * PAD_MM, moved.max(axis=0) + 10 * PAD_MM
    return Masks(
        liver_pre=_mask(pre, drawn(liver), liver_box_mm, Structure.LIVER),
        liver_post=_mask(post, drawn(liver_post), box_post, Structure.LIVER),
        tumors=tuple(_mask(pre, drawn(tumor.level), _box(tumor), Structure.TUMOR) for tumor in tumors),
        zones=tuple(_mask(post, drawn(_cut(zone)), _box(zone.shape), Structure.ABLATION_ZONE) for zone in zones),
    )


def _mask(grid: Geometry, level: Level, box_mm: Box, structure: Structure) -> LabelMask:
    voxels = np.zeros(grid.shape, bool)
    corners = np.array(np.meshgrid(*zip(*box_mm, strict=True))).reshape(3, -1).T
    index = grid.indices_at(corners)
    start = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (start < stop).all():
        k, j, i = (slice(a, b) for a, b in zip(start, stop, strict=True))
        voxels[k, j, i] = _inside(grid.cropped(start, stop), level)
    return LabelMask(
        voxels=voxels,
        geometry=grid,
        structure=structure,
        origin=MaskOrigin(source="reader", method="exact shape of the simulation"),
    )


def _inside(grid: Geometry, level: Level) -> BoolArray:
    parts = [level(grid_points(grid, first, last)) < 0 for first, last in slabs(grid)]
    return np.concatenate(parts).reshape(grid.shape)


def _cut(zone: ZoneSurface) -> Level:
    """Level of a zone within the liver."""

    def level(points_mm: Points) -> Values:
        return np.asarray(np.maximum(zone.shape.level(points_mm), zone.liver(points_mm)))

    return level


def _box(shape: StarShape) -> Box:
    center, reach = np.array(shape.center_mm), shape.reach_mm + PAD_MM
    return center - reach, center + reach


def _misdrawn(level: Level, rng: np.random.Generator, error_mm: float) -> Level:
    error = WaveField.random(rng, correlation_mm=ERROR_CORRELATION_MM)

    def shifted(points_mm: Points) -> Values:
        return np.asarray(level(points_mm) + points_mm.dtype.type(error_mm) * error.scalar(points_mm))

    return shifted
