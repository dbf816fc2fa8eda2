"""How a liver moves between two exams, and what the ablation does to it: the same for phantoms and real livers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ablmargin.geometry import triple
from ablmargin.simulation.fields import Points, Values
from ablmargin.simulation.lesions import LesionPlan, outward_direction, place_zone, random_direction, zone_shape
from ablmargin.simulation.motion import Contraction, Motion, RigidMap, random_bending
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.zone import ZoneSurface

Level = Callable[[Points], Values]

LARGEST_TURN_DEG = 6.0
ZONE_TRIES = 40


def random_motion(
    rng: np.random.Generator,
    *,
    breathing_mm: float,
    bending_mm: float,
    center_mm: tuple[float, ...] = (-40.0, 0.0, 0.0),
    frame_shift_mm: tuple[float, ...] = (6.0, -5.0, 140.0),
) -> Motion:
    """A movement of a given size: along the body most, turning and bending besides; another table position."""
    along = breathing_mm * rng.uniform(0.85, 1.15) * rng.choice([-1.0, 1.0])
    turn = rng.uniform(0.3, 1.0, 3) * rng.choice([-1.0, 1.0], 3) * LARGEST_TURN_DEG
    table = rng.uniform(-1.5, 1.5, 3)
    return Motion(
        frame=RigidMap.from_degrees(
            tuple(table),
            tuple(np.array(frame_shift_mm) + rng.uniform(-4, 4, 3)),
            center_mm=tuple(np.array(center_mm) - frame_shift_mm),
        ),
        breathing=RigidMap.from_degrees(
            tuple(turn), (float(rng.uniform(-3, 3)), float(rng.uniform(-4, 4)), float(along)), center_mm=center_mm
        ),
        bending=random_bending(rng, rms_mm=bending_mm),
    )


def contracted(motion: Motion, tumors: Sequence[StarShape], lesions: Sequence[LesionPlan], *, share: float) -> Motion:
    """The same motion, with the tissue around each tumor shrunk toward the tumor's center."""
    if share == 0:
        return motion
    centers = motion.inverse_organ_points(np.array([tumor.center_mm for tumor in tumors]))
    return motion.with_contractions(
        *(
            Contraction(center_mm=triple(center), share=share, width_mm=lesion.zone_radius_mm * 0.85)
            for center, lesion in zip(centers, lesions, strict=True)
        )
    )


def ablate(rng: np.random.Generator, lesion: LesionPlan, tumor: StarShape, liver: Level, motion: Motion) -> ZoneSurface:
    """An ablation zone, post frame, placed so that its margin around the tumor is as planned.

    A zone deep in the liver stays within it; the zone of a subcapsular tumor is pushed against the capsule.

    Raises
    ------
    ValueError
        If no such zone fits.
    """
    surface = motion.inverse_organ_points(tumor.surface(500))

    def liver_post(points_mm: Points) -> Values:
        return liver(motion.organ_points(points_mm))

    capsule = outward_direction(liver_post, surface.mean(axis=0))
    for _ in range(ZONE_TRIES):
        direction = capsule if lesion.subcapsular else random_direction(rng)
        zone = place_zone(zone_shape(rng, lesion), surface, direction, lesion.nominal_mam_mm)
        if lesion.subcapsular or liver_post(zone.surface(3000)).max() < -1.0:
            return ZoneSurface.of(zone, liver_post)
    raise ValueError("no ablation zone with this margin fits into the liver around this tumor")


def made_up_uid(rng: np.random.Generator) -> str:
    """A unique identifier as DICOM allows for made-up ones: 2.25 and a random number of 128 bits."""
    return f"2.25.{int.from_bytes(rng.bytes(16), 'big')}"
