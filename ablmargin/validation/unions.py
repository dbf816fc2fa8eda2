"""Unions of shapes that overlap, as ablations do: smooth but for the creases in which their surfaces cut each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.simulation.fields import sphere_directions
from ablmargin.validation.shapes import NEAREST_POINTS, SURFACE_POINTS, Ball, Shape, Sheet, Star, whole_sheet

NEAREST_PIECES = 6
HALVINGS, NEWTON_STEPS = 30, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedBalls(Shape):
    """The union of two balls that overlap: two ablations, with a sharp crease where they meet.

    Raises
    ------
    ValueError
        If the surfaces of the balls don't cut each other.
    """

    first: Ball
    second: Ball

    def __post_init__(self) -> None:
        apart = float(np.linalg.norm(self.second.middle_mm - self.first.middle_mm))
        if not abs(self.first.radius_mm - self.second.radius_mm) < apart < self.first.radius_mm + self.second.radius_mm:
            raise ValueError("fused balls must cut each other")

    @property
    def middle_mm(self) -> FloatArray:
        return self._crease()[0]

    @property
    def reach_mm(self) -> float:
        balls = (self.first, self.second)
        return max(float(np.linalg.norm(ball.middle_mm - self.middle_mm)) + ball.radius_mm for ball in balls)

    def level_mm(self, points_mm: FloatArray) -> FloatArray:
        return np.maximum(self.first.level_mm(points_mm), self.second.level_mm(points_mm))

    def signed_distance_mm(self, points_mm: FloatArray) -> FloatArray:
        """To the exposed part of either sphere, where the nearest point lies on it, or to the circle of the crease."""
        distance = self._distance_to_crease_mm(points_mm)
        for ball, other in ((self.first, self.second), (self.second, self.first)):
            offset = points_mm - ball.middle_mm
            away = np.linalg.norm(offset, axis=1)
            foot = ball.middle_mm + ball.radius_mm * offset / np.maximum(away, 1e-9)[:, None]
            exposed = other.level_mm(foot) <= 0
            distance = np.where(exposed, np.minimum(distance, np.abs(away - ball.radius_mm)), distance)
        return np.where(self.contains(points_mm), distance, -distance)

    def surface_points(self, count: int = SURFACE_POINTS) -> tuple[FloatArray, FloatArray]:
        points, areas = [], []
        for ball, other in ((self.first, self.second), (self.second, self.first)):
            places, shares = ball.surface_points(count // 2)
            exposed = other.level_mm(places) <= 0
            points.append(places[exposed])
            areas.append(shares[exposed])
        return np.concatenate(points), np.concatenate(areas)

    def _crease(self) -> tuple[FloatArray, FloatArray, float]:
        """Center, unit normal and radius of the circle in which the spheres cut each other."""
        between = self.second.middle_mm - self.first.middle_mm
        apart = float(np.linalg.norm(between))
        along = (apart**2 + self.first.radius_mm**2 - self.second.radius_mm**2) / (2 * apart)
        normal = between / apart
        return self.first.middle_mm + along * normal, normal, float(np.sqrt(self.first.radius_mm**2 - along**2))

    def _distance_to_crease_mm(self, points_mm: FloatArray) -> FloatArray:
        center, normal, radius = self._crease()
        offset = points_mm - center
        height = offset @ normal
        away = np.linalg.norm(offset - height[:, None] * normal, axis=1)
        return np.asarray(np.hypot(height, away - radius))


@dataclass(frozen=True, slots=True, kw_only=True)
class Union(Shape):
    """The union of smooth shapes that overlap in any way."""

    parts: tuple[Star, ...]

    @property
    def middle_mm(self) -> FloatArray:
        return np.asarray(np.mean([part.middle_mm for part in self.parts], axis=0))

    @property
    def reach_mm(self) -> float:
        return max(float(np.linalg.norm(part.middle_mm - self.middle_mm)) + part.reach_mm for part in self.parts)

    def level_mm(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(np.max([part.level_mm(points_mm) for part in self.parts], axis=0))

    def signed_distance_mm(self, points_mm: FloatArray) -> FloatArray:
        """To what each part shows of its surface, where the nearest point lies on it, or to a crease; good to 0.01 mm."""
        sheets, creases = _exposed(self)
        distance = np.full(len(points_mm), np.inf) if creases is None else creases.distances_mm(points_mm)
        for number, sheet in sheets:
            nearest, feet = sheet.feet(points_mm)
            there = np.linalg.norm(points_mm - feet, axis=1)
            distance = np.minimum(distance, np.minimum(nearest, np.where(self.shows(number, feet), there, np.inf)))
        return np.where(self.contains(points_mm), distance, -distance)

    def surface_points(self, count: int = SURFACE_POINTS) -> tuple[FloatArray, FloatArray]:
        points, areas = [], []
        for number, part in enumerate(self.parts):
            places, shares = part.surface_points(count // len(self.parts))
            shown = self.shows(number, places)
            points.append(places[shown])
            areas.append(shares[shown])
        return np.concatenate(points), np.concatenate(areas)

    def shows(self, number: int, points_mm: FloatArray) -> BoolArray:
        """Which points, shape (n, 3), on one part's surface no other part covers; shape (n,)."""
        others = [part for place, part in enumerate(self.parts) if place != number]
        return np.asarray(np.max([part.level_mm(points_mm) for part in others], axis=0) <= 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    """Straight pieces of curves, from ``starts`` to ``stops``, shape (n, 3) each, mm."""

    starts: FloatArray
    stops: FloatArray
    tree: cKDTree

    def distances_mm(self, points_mm: FloatArray) -> FloatArray:
        """Of points, shape (n, 3), to the nearest piece; shape (n,)."""
        number = self.tree.query(points_mm, k=min(NEAREST_PIECES, len(self.starts)))[1].reshape(len(points_mm), -1)
        start, piece = self.starts[number], self.stops[number] - self.starts[number]
        offset = points_mm[:, None] - start
        along = np.einsum("nkc,nkc->nk", offset, piece) / np.maximum((piece**2).sum(axis=-1), 1e-12)
        return np.asarray(np.linalg.norm(offset - np.clip(along, 0, 1)[..., None] * piece, axis=-1).min(axis=1))


@lru_cache(maxsize=4)
def _exposed(union: Union) -> tuple[list[tuple[int, Sheet]], _Lines | None]:
    """What each part shows of its surface, by its number, and the creases where that ends; None if all show all."""
    sheets, pieces = [], []
    for number, part in enumerate(union.parts):
        points = whole_sheet(part).points_mm
        shown = union.shows(number, points)
        if shown.any():
            sheets.append((number, Sheet.of(part, points[shown])))
            pieces.append(_rim(union, number, shown))
    starts, stops = (np.concatenate(ends) for ends in zip(*pieces, strict=True))
    if not len(starts):
        return sheets, None
    return sheets, _Lines(starts=starts, stops=stops, tree=cKDTree((starts + stops) / 2))


def _rim(union: Union, number: int, shown: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Where a part's surface passes under the others, as straight pieces across the triangles between its points."""
    directions = sphere_directions(NEAREST_POINTS)
    corners = _sphere_triangles()[np.isin(shown[_sphere_triangles()].sum(axis=1), (1, 2))]
    single = shown[corners].sum(axis=1) == 1
    lone = (shown[corners] == single[:, None]).argmax(axis=1)
    rows = np.arange(len(corners))
    apex = directions[corners[rows, lone]]
    ends = []
    for step in (1, 2):
        other = directions[corners[rows, (lone + step) % 3]]
        ends.append(
            _last_shown(union, number, np.where(single[:, None], apex, other), np.where(single[:, None], other, apex))
        )
    return _with_corners(union, number, *ends)


def _with_corners(union: Union, number: int, starts: FloatArray, stops: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The pieces, those that pass from one other part to the next led through the point where three surfaces meet."""
    levels = [[part.level_mm(ends) for part in union.parts] for ends in (starts, stops)]
    first, second = (
        np.where(np.arange(len(union.parts))[:, None] == number, -np.inf, level).argmax(axis=0) for level in levels
    )
    turning = np.flatnonzero(first != second)
    corners = [
        _corner(
            [union.parts[part] for part in (number, first[place], second[place])],
            (starts[place] + stops[place]) / 2,
        )
        for place in turning
    ]
    if not corners:
        return starts, stops
    kept = np.delete(np.arange(len(starts)), turning)
    return (
        np.concatenate([starts[kept], starts[turning], corners]),
        np.concatenate([stops[kept], corners, stops[turning]]),
    )


def _corner(parts: Sequence[Star], near_mm: FloatArray) -> FloatArray:
    """The point near another one at which three surfaces meet, by Newton's method."""
    place, steps = near_mm, 1e-4 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    for _ in range(NEWTON_STEPS):
        levels = np.stack([part.level_mm(place + steps) for part in parts])
        place = place - np.linalg.lstsq((levels[:, 1:4] - levels[:, 4:]) / 2e-4, levels[:, 0], rcond=1e-6)[0]
    return place


def _last_shown(union: Union, number: int, shown: FloatArray, hidden: FloatArray) -> FloatArray:
    """Points of a part's surface between directions that show and others that don't, shape (n, 3), where this ends."""
    part = union.parts[number]
    for _ in range(HALVINGS):
        middle = (shown + hidden) / 2
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        shows = union.shows(number, part.surface_along(middle))[:, None]
        shown, hidden = np.where(shows, middle, shown), np.where(shows, hidden, middle)
    return part.surface_along(shown)


@lru_cache(maxsize=1)
def _sphere_triangles() -> Array:
    """Between the directions of all sheets; shape (n, 3)."""
    return np.asarray(ConvexHull(sphere_directions(NEAREST_POINTS)).simplices)
