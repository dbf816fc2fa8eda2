"""What fills the cavity beside the liver and moves with it: lungs, heart, gut, kidneys, spleen, large veins.

All in the pre frame, as the liver's own shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ablmargin.geometry import FloatArray
from ablmargin.simulation.ct import AIR_HU, BILE_HU, FAT_HU, FLUID_HU, LUNG_HU, Phase, blend
from ablmargin.simulation.fields import (
    Lattice,
    Points,
    Values,
    ellipsoid_level,
    inside_share,
    smooth_common,
    smooth_union,
    tube_level,
)
from ablmargin.simulation.liver import LiverShape

LUMPS_MM = 1.3
"""Standard deviation of an organ's surface about its simple shape."""

Tissue = Callable[[Points, Values], "Values | float"]
"""HU at points (n, 3) inside an organ, given its level there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Organ:
    """One organ: its level, the box (low, high) outside of which it needn't be asked, and its HU."""

    low_mm: FloatArray
    high_mm: FloatArray
    level: Callable[[Points], Values]
    tissue: Tissue


def cavity_hu(points_mm: Points, liver_level: Values, phase: Phase, fat: Lattice) -> Values:
    """Fat with small vessels, and above the diaphragm the lungs, at points within the cavity."""
    texture = fat(points_mm)
    hu = FAT_HU + 8.0 * texture + 90.0 * np.clip(texture - 1.4, 0.0, 1.3)
    high = np.flatnonzero(points_mm[:, 2] > -40.0)
    part = points_mm[high]
    abdomen = _abdomen_level(part, liver_level[high])
    lung = LUNG_HU + 30.0 * texture[high] + 160.0 * np.maximum(np.abs(texture[high]) - 1.6, 0)
    above = blend(hu[high], inside_share(-abdomen), lung)
    hu[high] = blend(above, inside_share(np.abs(abdomen + 1.2) - 1.2), phase.muscle)
    return hu


def _abdomen_level(points_mm: Points, liver_level: Values) -> Values:
    """Level of what lies below the diaphragm: two domes, and low recesses along the wall."""
    _, y, z = points_mm.T
    domes = smooth_union(liver_level - 2.4, ellipsoid_level(points_mm, (56.0, 6.0, -25.0), (90.0, 92.0, 84.0)), 10.0)
    middle = ellipsoid_level(points_mm, (0.0, 66.0, 0.0), (30.0, 42.0, 1e4))
    return smooth_union(smooth_union(domes, z - (2.0 - 0.45 * y), 10.0), middle, 8.0)


def organs(rng: np.random.Generator, phase: Phase, liver: LiverShape, texture: Lattice) -> tuple[Organ, ...]:
    """All organs but the liver, in the order in which they are painted."""
    shift = rng.uniform(-4.0, 4.0, (8, 3))
    plain = (
        *_chest(phase, shift[0]),
        _stomach(phase, shift[1]),
        _spleen(phase, shift[2]),
        _kidney(phase, np.array([60.0, 47.0, -48.0]) + shift[3]),
        _kidney(phase, np.array([-62.0, 49.0, -92.0]) + 0.5 * shift[4]),
        *_bowel(rng, phase, texture),
        *_veins(phase),
        Organ(
            low_mm=np.array(liver.gallbladder.center_mm) - 32.0,
            high_mm=np.array(liver.gallbladder.center_mm) + 32.0,
            level=liver.gallbladder.level,
            tissue=lambda _, level: np.where(level > -1.2, 45.0, BILE_HU),
        ),
    )
    return tuple(_lumpy(organ, texture) for organ in plain)


def _lumpy(organ: Organ, texture: Lattice) -> Organ:
    """The organ with a less even surface."""
    return replace(organ, level=lambda points: organ.level(points) + np.float32(LUMPS_MM) * texture(points))


def _ball(center: tuple[float, ...] | FloatArray, radii: tuple[float, ...], tissue: Tissue | float) -> Organ:
    middle, half = np.asarray(center, float), np.asarray(radii, float)
    return Organ(
        low_mm=middle - half - 2.0,
        high_mm=middle + half + 2.0,
        level=lambda points: ellipsoid_level(points, tuple(middle), tuple(half)),
        tissue=tissue if callable(tissue) else _plain(tissue),
    )


def _tube(path: tuple[tuple[float, ...], ...], radii: tuple[float, ...], tissue: Tissue | float) -> Organ:
    line, thickness = np.array(path), np.array(radii)
    return Organ(
        low_mm=line.min(axis=0) - thickness.max() - 2.0,
        high_mm=line.max(axis=0) + thickness.max() + 2.0,
        level=lambda points: tube_level(points, line, thickness),
        tissue=tissue if callable(tissue) else _plain(tissue),
    )


def _plain(hu: float) -> Tissue:
    return lambda _points, _level: hu


def _chest(phase: Phase, shift: FloatArray) -> tuple[Organ, ...]:
    heart = np.array([28.0, -32.0, 106.0]) + 0.5 * shift
    return (
        _ball(heart, (64.0, 50.0, 47.0), FAT_HU),
        _ball(heart, (59.0, 45.0, 42.0), phase.muscle + 35.0),
        _ball(heart + np.array([6.0, -4.0, 2.0]), (22.0, 26.0, 28.0), phase.heart),
        _ball(heart + np.array([-32.0, 2.0, 2.0]), (20.0, 26.0, 28.0), phase.heart),
        _tube(((10.0, 22.0, 30.0), (8.0, 26.0, 200.0)), (8.0, 8.0), phase.bowel_wall),
    )


def _stomach(phase: Phase, shift: FloatArray) -> Organ:
    middle = np.array([62.0, -14.0, 8.0]) + 0.5 * shift

    def tissue(points: Points, level: Values) -> Values:
        filling = np.where(points[:, 1] < middle[1] - 14.0, AIR_HU + 40.0, FLUID_HU)
        return np.asarray(np.where(level > -4.0, phase.bowel_wall, filling))

    return _ball(middle, (40.0, 37.0, 52.0), tissue)


def _spleen(phase: Phase, shift: FloatArray) -> Organ:
    middle = np.array([98.0, 34.0, 6.0]) + 0.5 * shift

    def level(points: Points) -> Values:
        outer = ellipsoid_level(points, tuple(middle), (31.0, 40.0, 54.0))
        hollow = ellipsoid_level(points, tuple(middle + np.array([-36.0, -16.0, 0.0])), (32.0, 38.0, 60.0))
        return smooth_common(outer, -hollow, 6.0)

    return Organ(low_mm=middle - 58.0, high_mm=middle + 58.0, level=level, tissue=_plain(phase.spleen))


def _kidney(phase: Phase, middle: FloatArray) -> Organ:
    inward = -np.sign(middle[0])

    def tissue(points: Points, level: Values) -> Values:
        sinus = ellipsoid_level(points, tuple(middle + np.array([inward * 13.0, -5.0, 0.0])), (11.0, 7.0, 20.0))
        tissue_hu = np.where(level > -7.0, phase.cortex, phase.medulla)
        return np.asarray(np.where(sinus < 0, FAT_HU + 25.0, tissue_hu))

    return _ball(middle, (26.0, 25.0, 54.0), tissue)


def _bowel(rng: np.random.Generator, phase: Phase, texture: Lattice) -> tuple[Organ, ...]:
    def stool(points: Points, level: Values) -> Values:
        filling = np.where(texture(points) > 0.4, -420.0, 30.0 + 25.0 * texture(points))
        return np.asarray(np.where(level > -3.0, phase.bowel_wall - 20.0, filling))

    def chyme(points: Points, level: Values) -> Values:
        return np.asarray(np.where(level > -3.0, phase.bowel_wall, 25.0 + 8.0 * texture(points)))

    loops = rng.uniform((-40.0, -70.0, -150.0), (85.0, 20.0, -72.0), (16, 3))
    colon = ((-88.0, -5.0, -160.0), (-92.0, -20.0, -112.0), (-40.0, -60.0, -104.0), (30.0, -66.0, -84.0), (86.0, -38.0, -56.0), (106.0, 5.0, -66.0), (108.0, 18.0, -160.0))  # fmt: skip
    head = ((-26.0, -6.0, -62.0), (-4.0, -16.0, -46.0), (22.0, -20.0, -40.0), (54.0, 6.0, -30.0), (80.0, 22.0, -14.0))
    return (
        _tube(head, (13.0, 10.0, 9.0, 9.0, 7.0), phase.pancreas),
        _tube(((-38.0, -10.0, -44.0), (-42.0, -2.0, -78.0), (-20.0, 10.0, -100.0)), (13.0, 13.0, 12.0), chyme),
        *(_ball(loop, tuple(rng.uniform(10.0, 22.0, 3)), chyme) for loop in loops),
        _tube(colon, (20.0, 22.0, 19.0, 18.0, 18.0, 16.0, 16.0), stool),
    )


def _veins(phase: Phase) -> tuple[Organ, ...]:
    portal = ((-13.0, 5.0, -20.0), (-2.0, 4.0, -34.0), (10.0, 0.0, -46.0), (14.0, 0.0, -140.0))
    splenic = ((10.0, 0.0, -46.0), (45.0, 12.0, -32.0), (84.0, 30.0, -8.0))
    cava = ((-14.0, 36.0, -180.0), (-12.0, 33.0, -30.0), (-11.0, 29.0, 40.0), (-6.0, 18.0, 66.0), (-4.0, -6.0, 96.0))
    arteries = ((16.0, 37.0, -20.0), (13.0, 14.0, -24.0), (13.0, 8.0, -140.0))
    return (
        _tube(cava, (11.5, 11.5, 12.0, 12.5, 13.0), phase.cava),
        _tube(portal, (6.5, 6.5, 6.0, 5.0), phase.portal_vein),
        _tube(splenic, (5.0, 4.5, 3.5), phase.portal_vein),
        _tube(arteries, (3.5, 3.5, 3.0), phase.aorta),
    )
