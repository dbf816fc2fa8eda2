from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ablmargin.validation.shapes import Ball, Ellipsoid
from ablmargin.validation.truth import truth_of
from ablmargin.validation.unions import FusedBalls, Union

FIRST = Ball(center_mm=(-7.0, 1.0, 2.0), radius_mm=14.0)
SECOND = Ball(center_mm=(8.0, 2.0, -1.0), radius_mm=12.0)
TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
ELLIPSOIDS = Union(
    parts=(
        Ellipsoid(center_mm=(-6.0, 0.0, 1.0), radii_mm=(11.0, 15.0, 18.0), axes=TURNED),
        Ellipsoid(center_mm=(9.0, 2.0, 0.0), radii_mm=(16.0, 10.0, 12.0), axes=TURNED),
    )
)
AROUND = np.random.default_rng(0).uniform(-25, 25, (3000, 3))


def test_two_balls_agree_with_their_closed_form():
    distance = Union(parts=(FIRST, SECOND)).signed_distance_mm(AROUND)
    exact = FusedBalls(first=FIRST, second=SECOND).signed_distance_mm(AROUND)
    assert np.abs(distance - exact).max() < 0.005


def test_three_balls_meet_in_two_points():
    """Balls of 10 mm, 6 mm from the middle of their plane: sqrt(100 - 36) = 8 mm above it and below."""
    angles = 2 * np.pi * np.arange(3) / 3
    places = 6.0 * np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], axis=1)
    balls = Union(parts=tuple(Ball(center_mm=tuple(place), radius_mm=10.0) for place in places))
    deepest = np.array([(0.0, 0.0, 0.0), (0.0, 0.0, 5.0), (0.0, 0.0, 8.5)])
    assert balls.signed_distance_mm(deepest)[:2] == pytest.approx([8.0, 3.0], abs=1e-4)
    assert -0.5 < balls.signed_distance_mm(deepest)[2] < 0
    assert truth_of(Ball(center_mm=(0.0, 0.0, 0.0), radius_mm=5.0), balls).mam_mm == pytest.approx(3.0, abs=1e-3)


def test_overlapping_ellipsoids_agree_with_a_search():
    """Against 500 000 points of the surface, 0.06 mm apart: the nearest of them may miss the crease by half of that."""
    exposed = ELLIPSOIDS.surface_points(500_000)[0]
    nearest = cKDTree(exposed).query(AROUND[:300])[0]
    far = nearest > 1.0
    assert np.abs(np.abs(ELLIPSOIDS.signed_distance_mm(AROUND[:300])) - nearest)[far].max() < 0.03


def test_sign_and_surface_agree():
    distance = ELLIPSOIDS.signed_distance_mm(AROUND)
    assert ((distance > 0) == ELLIPSOIDS.contains(AROUND)).all()
    points, areas = ELLIPSOIDS.surface_points(2000)
    assert np.abs(ELLIPSOIDS.signed_distance_mm(points)).max() < 5e-3
    assert np.linalg.norm(points - ELLIPSOIDS.middle_mm, axis=1).max() <= ELLIPSOIDS.reach_mm
    assert areas.sum() < sum(part.surface_points()[1].sum() for part in ELLIPSOIDS.parts)


def test_a_part_within_another_changes_nothing():
    hidden = Union(parts=(FIRST, Ball(center_mm=(-6.0, 1.0, 2.0), radius_mm=3.0)))
    assert np.abs(hidden.signed_distance_mm(AROUND) - FIRST.signed_distance_mm(AROUND)).max() < 0.005


def test_parts_that_do_not_touch_are_both_there():
    apart = Ball(center_mm=(40.0, 0.0, 0.0), radius_mm=5.0)
    union = Union(parts=(FIRST, apart))
    assert union.signed_distance_mm(np.array([(40.0, 0.0, 0.0), (28.0, 0.0, 0.0)])) == pytest.approx([5, -7], abs=0.005)
