"""What stays while the liver breathes: body wall, spine, ribs, aorta, and the table. In the pre frame.

The patient lies on the back: x grows to the left, y to the back, z to the head; the spine is near x = 0, y = 60.
"""

from __future__ import annotations

import numpy as np

from ablmargin.simulation.ct import AIR_HU, BONE_HU, FAT_HU, MARROW_HU, Phase, blend
from ablmargin.simulation.fields import Lattice, Points, Values, ellipsoid_level, inside_share

BODY = (166.0, 116.0, 112.0)
WALL = (150.0, 100.0, 103.0)
CAVITY = (137.0, 89.0, 78.0)
RIB_RING = (144.0, 95.0, 86.0)
"""Half width, then half depth toward the front and toward the back, in mm."""
OVALNESS = 2.3
VERTEBRA_MM = 31.0
RIB_STEP_MM = 28.0
RIB_DROP_MM = 34.0
"""How far a rib descends for each radian that it runs around the body."""
RIB_REACH_MM = 8.0
TABLE_TOP_MM = 114.0
TABLE_CURVE_MM = 520.0


def ring_level(points_mm: Points, ring: tuple[float, float, float]) -> Values:
    """Level of an oval cylinder along z, deeper in front than in the back."""
    kind = points_mm.dtype
    x, y = points_mm[:, 0], points_mm[:, 1]
    depth = np.where(y < 0, kind.type(ring[1]), kind.type(ring[2]))
    scaled = (np.abs(x) / kind.type(ring[0])) ** kind.type(OVALNESS) + (np.abs(y) / depth) ** kind.type(OVALNESS)
    scaled = np.maximum(scaled, kind.type(1e-4)) ** kind.type(1 / OVALNESS)
    return np.asarray(np.hypot(x, y) * (1 - 1 / scaled))


def cavity_level(points_mm: Points) -> Values:
    """Level of the space within the body wall."""
    return ring_level(points_mm, CAVITY)


def body_level(points_mm: Points) -> Values:
    """Level of the skin."""
    return ring_level(points_mm, BODY)


def table_hu(points_mm: Points) -> Values:
    """Air, and the table below the back: a thin curved shell around foam."""
    x, y = points_mm[:, 0], points_mm[:, 1]
    depth = y - TABLE_TOP_MM + x**2 / (2 * TABLE_CURVE_MM)
    hu = np.full(len(points_mm), AIR_HU, points_mm.dtype)
    foam = np.maximum(np.maximum(-depth, depth - 26.0), np.abs(x) - 205.0)
    hu = blend(hu, inside_share(foam), -960.0)
    return blend(hu, inside_share(np.abs(foam + 1.0) - 1.0), 0.0)


def wall_hu(points_mm: Points, phase: Phase, fat: Lattice) -> Values:
    """Skin, subcutaneous fat, muscle and the fat lining of the cavity, at points within the body."""
    texture = fat(points_mm)
    hu = FAT_HU + 5.0 * texture
    hu = blend(hu, inside_share(np.abs(body_level(points_mm) + 1.0) - 1.0), 10.0)
    wall = ring_level(points_mm, WALL) + 1.2 * texture
    muscle = phase.muscle + 4.0 * texture
    hu = blend(hu, inside_share(wall), muscle)
    septum = np.abs(wall + 5.5 + texture) - 0.4
    hu = blend(hu, 0.6 * inside_share(septum), FAT_HU)
    for side in (-1.0, 1.0):
        paraspinal = ellipsoid_level(points_mm, (side * 30.0, 88.0, 0.0), (26.0, 15.0, 1e4)) + 1.5 * texture
        hu = blend(hu, inside_share(paraspinal), muscle)
    return blend(hu, inside_share(cavity_level(points_mm) - 2.0), FAT_HU)


def paint_spine(hu: Values, points_mm: Points, phase: Phase, texture: Values) -> Values:
    """Vertebrae with discs, canal and processes, the muscles beside them, and the aorta, over what is there."""
    x, y, z = points_mm.T
    phase_mm = np.mod(z + 300.0, VERTEBRA_MM) - VERTEBRA_MM / 2
    for side in (-1.0, 1.0):
        psoas = ellipsoid_level(points_mm, (side * 30.0, 57.0, -110.0), (17.0, 14.0, 75.0))
        crus = ellipsoid_level(points_mm, (side * 15.0 + 3.0, 40.0, 0.0), (7.0, 10.0, 90.0))
        hu = blend(hu, inside_share(np.minimum(psoas, crus)), phase.muscle)
    waist = 2.0 * np.cos(phase_mm * (2 * np.pi / VERTEBRA_MM))
    body = ellipsoid_level(points_mm, (0.0, 58.0, 0.0), (22.0, 16.5, 1e5)) + waist
    disc = np.abs(phase_mm) > VERTEBRA_MM / 2 - 3.5
    marrow = MARROW_HU + 30.0 * texture
    hu = blend(hu, inside_share(body), np.where(disc, 85.0, np.where(body > -2.2, BONE_HU, marrow)))
    arch = ellipsoid_level(points_mm, (0.0, 82.0, 0.0), (15.0, 13.0, 1e5)) + 2 * waist
    spinous = np.maximum(np.abs(x) - 3.5, np.maximum(np.abs(y - 94.0) - 9.0, np.abs(phase_mm - 6.0) - 8.0))
    transverse = np.maximum(
        np.abs(y - 78.0 - 0.15 * np.abs(x)) - 3.5, np.maximum(np.abs(x) - 30.0, np.abs(phase_mm) - 4.0)
    )
    process = np.minimum(np.minimum(arch, spinous), transverse)
    hu = blend(hu, inside_share(process), np.where(process > -2.0, BONE_HU, marrow))
    hu = blend(hu, inside_share(ellipsoid_level(points_mm, (0.0, 81.0, 0.0), (9.0, 7.5, 1e5))), 25.0)
    return blend(hu, inside_share(ellipsoid_level(points_mm, (16.0, 37.0, 0.0), (10.5, 10.5, 1e5))), phase.aorta)


def paint_ribs(hu: Values, points_mm: Points, texture: Values) -> Values:
    """Ribs that descend from back to front and turn to cartilage there, and the sternum, over what is there."""
    through = ring_level(points_mm, RIB_RING)
    near = np.flatnonzero(np.abs(through) < RIB_REACH_MM)
    hu[near] = _near_ribs(hu[near], points_mm[near], through[near], texture[near])
    return hu


def _near_ribs(hu: Values, points_mm: Points, through: Values, texture: Values) -> Values:
    x, y, z = points_mm.T
    around = np.arctan2(np.abs(x), y)  # 0 at the back, pi in front
    descended = z + RIB_DROP_MM * around - 20.0
    across = np.mod(descended + 280.0, RIB_STEP_MM) - RIB_STEP_MM / 2
    rank = np.floor((descended + 280.0) / RIB_STEP_MM) - 10.0
    end = np.clip(2.0 + 0.28 * rank, 1.1, 2.3)  # lower ribs end farther back
    rib = np.sqrt((through * 1.6) ** 2 + across**2) - 6.5
    rib = np.maximum(rib, np.maximum((around - end - 0.45) * 100, 20.0 - np.abs(x)))
    bone = np.where(rib > -1.8, BONE_HU + 60.0, MARROW_HU + 30.0 * texture)
    hu = blend(hu, inside_share(rib), np.where(around > end, 90.0, bone))
    sternum = ellipsoid_level(points_mm, (0.0, -95.0, 122.0), (17.0, 6.0, 62.0))
    return blend(hu, inside_share(sternum), np.where(sternum > -1.5, BONE_HU - 100.0, MARROW_HU))
