"""From shapes to voxels: paints an exam slab by slab, each voxel by where its tissue lies in the pre frame."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import Geometry
from ablmargin.progress import Progress
from ablmargin.simulation.ct import HIGHEST_HU, LOWEST_HU, SLAB_POINTS, Phase, blend, ct_noise, grid_points
from ablmargin.simulation.fields import Lattice, Points, Values, inside_share
from ablmargin.simulation.lesions import LesionLook, paint_tumor, paint_zone
from ablmargin.simulation.liver import LiverShape
from ablmargin.simulation.motion import Motion
from ablmargin.simulation.organs import Organ, cavity_hu
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.trunk import body_level, cavity_level, paint_ribs, paint_spine, table_hu, wall_hu

THREADS = 2
SAMPLE_MM = 1.7
"""A slice is the mean of about one sample per this thickness: the partial volume effect."""
LIVER_BEYOND_CAVITY_MM = 10.0
"""The moving liver may press into the wall by at most this much."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """Everything that one patient has inside, in the pre frame. Textures have unit standard deviation."""

    liver: LiverShape
    portal: Lattice
    hepatic: Lattice
    patent: Lattice
    parenchyma: Lattice
    fat: Lattice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One exam of the patient: how tissue got to where it is, and how it looks.

    ``motion`` is None before ablation; ``zones`` are in this exam's frame, ``tumors`` in the pre frame.
    """

    anatomy: Anatomy
    organs: tuple[Organ, ...]
    phase: Phase
    tumors: tuple[StarShape, ...]
    zones: tuple[StarShape, ...] = ()
    motion: Motion | None = None

    def static(self, points_mm: Points) -> Points:
        """Where points of skeleton and wall lie in the pre frame."""
        return points_mm if self.motion is None else self.motion.static_points(points_mm)

    def moving(self, points_mm: Points) -> Points:
        """Where points of the liver and its neighbors lie in the pre frame."""
        return points_mm if self.motion is None else self.motion.organ_points(points_mm)


def render(
    view: View, geometry: Geometry, *, rng: np.random.Generator, noise_sd_hu: float, progress: Progress, step: str
) -> NDArray[np.float32]:
    """The exam as CT: whole HU, float32, shape ``geometry.shape``."""
    voxels = np.empty(geometry.shape, np.float32)

    def fill(slab: tuple[int, int]) -> int:
        voxels[slice(*slab)] = _slab_hu(view, geometry, *slab)
        return slab[1]

    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for last in pool.map(fill, slabs(geometry)):
            done = max(done, last)
            progress(step, done / geometry.shape[0])
    voxels += ct_noise(rng, geometry, sd_hu=noise_sd_hu)
    return np.asarray(np.clip(np.round(voxels, out=voxels), LOWEST_HU, HIGHEST_HU, out=voxels))


def slabs(geometry: Geometry) -> Iterator[tuple[int, int]]:
    """First and one past the last slice of each part of a grid that is worked on at once."""
    count, rows, columns = geometry.shape
    thickness = max(1, SLAB_POINTS // (rows * columns))
    for first in range(0, count, thickness):
        yield first, min(first + thickness, count)


def _slab_hu(view: View, geometry: Geometry, first: int, last: int) -> NDArray[np.float32]:
    samples = max(1, round(geometry.spacing_mm[0] / SAMPLE_MM))
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    total = sum(_point_hu(view, grid_points(geometry, first, last, slice_offset=float(at))) for at in offsets)
    return np.asarray(total / np.float32(samples), np.float32).reshape(-1, *geometry.shape[1:])


def _point_hu(view: View, points_mm: Points) -> Values:
    """HU at points (n, 3) of the exam's own frame, without noise."""
    static = view.static(points_mm)
    hu = table_hu(static)
    body = body_level(static)
    inside = np.flatnonzero(body < 1.0)
    if len(inside):
        tissue = _body_hu(view, points_mm[inside], static[inside])
        hu[inside] = blend(hu[inside], inside_share(body[inside]), tissue)
    return hu


def _body_hu(view: View, points_mm: Points, static_mm: Points) -> Values:
    texture = view.anatomy.fat(static_mm)
    hu = wall_hu(static_mm, view.phase, view.anatomy.fat)
    cavity = cavity_level(static_mm)
    reached = np.flatnonzero(cavity < LIVER_BEYOND_CAVITY_MM)
    moving = view.moving(points_mm[reached])
    level = view.anatomy.liver.level(moving)
    content = _content_hu(view, moving, level)
    hu[reached] = blend(hu[reached], inside_share(cavity[reached], 1.0), content)
    hu = paint_spine(hu, static_mm, view.phase, texture)
    hu[reached] = _with_liver(view, hu[reached], points_mm[reached], moving, level)
    return paint_ribs(hu, static_mm, texture)


def _content_hu(view: View, moving_mm: Points, liver_level: Values) -> Values:
    hu = cavity_hu(moving_mm, liver_level, view.phase, view.anatomy.fat)
    low, high = moving_mm.min(axis=0), moving_mm.max(axis=0)
    for organ in view.organs:
        if (organ.low_mm > high).any() or (organ.high_mm < low).any():
            continue
        kind = moving_mm.dtype
        near = np.flatnonzero(
            ((moving_mm > organ.low_mm.astype(kind)) & (moving_mm < organ.high_mm.astype(kind))).all(axis=1)
        )
        level = organ.level(moving_mm[near])
        touched = level < 1.0
        near, level = near[touched], level[touched]
        hu[near] = blend(hu[near], inside_share(level), organ.tissue(moving_mm[near], level))
    return hu


def _with_liver(view: View, hu: Values, points_mm: Points, moving_mm: Points, level: Values) -> Values:
    """HU with the liver and its lesions painted over."""
    inside = np.flatnonzero(level < 1.0)
    if len(inside):
        tissue = liver_hu(view, points_mm[inside], moving_mm[inside])
        hu[inside] = blend(hu[inside], inside_share(level[inside]), tissue)
    return hu


def liver_hu(view: View, points_mm: Points, moving_mm: Points) -> Values:
    """HU of the liver with vessels, tumors and zones, at points in the exam's and in the pre frame."""
    phase, anatomy = view.phase, view.anatomy
    texture = 4.0 * anatomy.parenchyma(moving_mm)
    hu = phase.liver + texture
    hu = blend(hu, inside_share(anatomy.hepatic(moving_mm)), phase.hepatic_vein)
    hu = blend(hu, inside_share(anatomy.portal(moving_mm)), phase.portal_vein)
    for tumor in view.tumors:
        hu = paint_tumor(hu, moving_mm, tumor, phase.tumor, 1.5 * texture)
    look = LesionLook(tumor_hu=phase.tumor, zone_hu=phase.zone, rim_hu=phase.rim)
    patent = anatomy.patent(moving_mm)
    for zone in view.zones:
        hu = paint_zone(hu, points_mm, zone, look=look, texture=texture, patent=patent)
    return hu
