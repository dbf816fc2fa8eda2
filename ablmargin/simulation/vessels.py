"""Portal and hepatic vessel trees of the phantom's liver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import FloatArray, Triple, triple
from ablmargin.simulation.fields import Lattice, Points, Values, cone_level, lattice_shape

FIELD_REACH_MM = 3.0
"""Vessel levels are known to this distance; farther away they read as this."""
SMALLEST_RADIUS_MM = 0.8
PATENT_RADIUS_MM = 2.2
"""Larger vessels stay open inside an ablation zone: flowing blood cools their wall."""
LANDMARK_RADIUS_MM = 1.3
MAX_DEPTH = 9
PIECE_MM = 6.0
WINDING = 0.12
"""Standard deviation by which the direction changes from piece to piece."""
TAPER = 0.985
CAPSULE_MM = 4.0
"""Vessels end this far below the capsule."""

Level = Callable[[Points], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprout:
    """Where a branch begins, where it heads, how thick and how long it is; ``depth`` counts the forks before it."""

    point_mm: Triple
    way: Triple
    radius_mm: float
    length_mm: float
    depth: int = 0

    @property
    def pieces(self) -> int:
        return max(2, round(self.length_mm / PIECE_MM))


PORTAL_ROOTS = (
    Sprout(point_mm=(-12.0, 5.0, -20.0), way=(-1.0, 0.0, 0.5), radius_mm=5.2, length_mm=30.0),
    Sprout(point_mm=(-12.0, 5.0, -20.0), way=(-1.0, -0.35, -0.35), radius_mm=4.8, length_mm=30.0),
    Sprout(point_mm=(-12.0, 5.0, -20.0), way=(-1.0, 0.5, -0.15), radius_mm=4.6, length_mm=30.0),
    Sprout(point_mm=(-10.0, -8.0, -5.0), way=(0.9, -0.5, 0.5), radius_mm=4.2, length_mm=26.0),
)
HEPATIC_ROOTS = (
    Sprout(point_mm=(-12.0, 24.0, 50.0), way=(-1.0, 0.1, -0.5), radius_mm=5.0, length_mm=34.0),
    Sprout(point_mm=(-12.0, 18.0, 52.0), way=(-0.6, -0.65, -0.7), radius_mm=5.0, length_mm=34.0),
    Sprout(point_mm=(-8.0, 16.0, 52.0), way=(0.6, -0.85, -0.2), radius_mm=4.2, length_mm=28.0),
    Sprout(point_mm=(-14.0, 28.0, 20.0), way=(-0.9, 0.3, -0.6), radius_mm=3.4, length_mm=26.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A rounded cone between two points."""

    start_mm: FloatArray
    stop_mm: FloatArray
    first_radius_mm: float
    last_radius_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselTree:
    """The segments of one tree and the points where it branches, (n, 3) LPS mm in the pre frame."""

    segments: tuple[Segment, ...]
    bifurcations_mm: FloatArray

    def field(self, *, step_mm: float = 1.0, above_radius_mm: float = 0.0) -> Lattice:
        """The tree's level on a lattice, of the segments thicker than a radius."""
        thick = [segment for segment in self.segments if segment.first_radius_mm > above_radius_mm]
        ends = np.concatenate([[s.start_mm, s.stop_mm] for s in self.segments])
        low, high = ends.min(axis=0) - 9.0, ends.max(axis=0) + 9.0
        values = np.full(lattice_shape(low, high, step_mm), FIELD_REACH_MM, np.float32)
        for segment in thick:
            _lower(values, low, step_mm, segment)
        return Lattice(values=values, low_mm=low, step_mm=step_mm)


def grow_tree(rng: np.random.Generator, roots: tuple[Sprout, ...], liver: Level) -> VesselTree:
    """Grow a tree from its roots, branching in two, until it meets the capsule.

    Radii shrink by 0.70 to 0.84 at each branching, near the 0.79 of Murray's law (doi:10.1073/pnas.12.3.207).
    """
    segments: list[Segment] = []
    forks: list[Triple] = []
    waiting = list(roots)
    while waiting:
        sprout = waiting.pop()
        branch, way = _branch(rng, sprout, liver)
        segments.extend(branch)
        if len(branch) < sprout.pieces:
            continue
        end = triple(branch[-1].stop_mm)
        if sprout.radius_mm > LANDMARK_RADIUS_MM:
            forks.append(end)
        waiting.extend(_children(rng, sprout, end, way))
    return VesselTree(segments=tuple(segments), bifurcations_mm=np.array(forks).reshape(-1, 3))


def _branch(rng: np.random.Generator, sprout: Sprout, liver: Level) -> tuple[list[Segment], FloatArray]:
    """The pieces of one winding branch and its last direction; fewer pieces than planned if it met the capsule."""
    point, way = np.array(sprout.point_mm), np.array(sprout.way) / np.linalg.norm(sprout.way)
    radius, branch = sprout.radius_mm, []
    for _ in range(sprout.pieces):
        way = way + rng.normal(0.0, WINDING, 3)
        way /= np.linalg.norm(way)
        ahead = point + way * (sprout.length_mm / sprout.pieces)
        if sprout.depth > 0 and float(liver(ahead[None])[0]) > -CAPSULE_MM:
            break
        thinner = radius * TAPER
        branch.append(Segment(start_mm=point, stop_mm=ahead, first_radius_mm=radius, last_radius_mm=thinner))
        point, radius = ahead, thinner
    return branch, way


def _children(rng: np.random.Generator, parent: Sprout, end: Triple, way: FloatArray) -> list[Sprout]:
    """The two branches to either side of a branch's end, as far as they are thick enough to be seen."""
    side = np.cross(way, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    children = []
    for sign in (-1.0, 1.0):
        angle = np.deg2rad(rng.uniform(22.0, 48.0))
        child = Sprout(
            point_mm=end,
            way=triple(np.cos(angle) * way + np.sin(angle) * sign * side),
            radius_mm=parent.radius_mm * rng.uniform(0.70, 0.84),
            length_mm=parent.length_mm * rng.uniform(0.78, 0.95),
            depth=parent.depth + 1,
        )
        if child.radius_mm >= SMALLEST_RADIUS_MM and child.depth <= MAX_DEPTH:
            children.append(child)
    return children


def _lower(values: NDArray[np.float32], low: FloatArray, step: float, segment: Segment) -> None:
    """Enter one segment into a lattice, within its own small box."""
    reach = segment.first_radius_mm + FIELD_REACH_MM
    ends = np.stack([segment.start_mm, segment.stop_mm])
    first = np.maximum(np.floor((ends.min(axis=0) - reach - low) / step).astype(int), 0)
    last = np.minimum(np.ceil((ends.max(axis=0) + reach - low) / step).astype(int) + 1, values.shape)
    axes = [low[axis] + step * np.arange(first[axis], last[axis]) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    level = cone_level(
        points, segment.start_mm, segment.stop_mm, segment.first_radius_mm, segment.last_radius_mm
    ).reshape([len(axis) for axis in axes])
    box = values[first[0] : last[0], first[1] : last[1], first[2] : last[2]]
    np.minimum(box, level, out=box)
