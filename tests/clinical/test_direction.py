from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablmargin.clinical.direction import clock_face, describe_deficit, direction_in_words, sides_in_words

# A sphere of 10 mm around the origin, every point standing for the same area.
COUNT = 20_000
HEIGHTS = 1 - (2 * np.arange(COUNT) + 1) / COUNT
TURNS = np.pi * (1 + 5**0.5) * np.arange(COUNT)
RAYS = np.stack([np.cos(TURNS), np.sin(TURNS), HEIGHTS * 0], axis=1) * np.sqrt(1 - HEIGHTS**2)[:, None]
RAYS[:, 2] = HEIGHTS
SPHERE_MM, AREAS_MM2 = 10 * RAYS, np.full(COUNT, 4 * np.pi * 100 / COUNT)


def deficit_of(margin_mm, required_mm=5.0):
    return describe_deficit(SPHERE_MM, margin_mm, AREAS_MM2, required_mm=required_mm)


def cap(toward, half_angle_deg: float):
    """Margins of 8 mm, 3 mm within an angle of a direction."""
    cosines = RAYS @ (np.array(toward, float) / np.linalg.norm(toward))
    return np.where(cosines > np.cos(np.radians(half_angle_deg)), 3.0, 8.0)


@pytest.mark.parametrize(
    ("vector", "words", "sides"),
    [
        ((0, 0, 1), "superior", "cranial"),
        ((0, 0, -2), "inferior", "caudal"),
        ((0, 1, 0), "posterior", "posterior"),
        ((1, 0, 0), "left", "left"),
        ((-1, -1, 0), "right-anterior", "right and anterior"),
        ((3, 4, 5), "superior-posterior-left", "cranial, posterior and left"),
        ((0.3, 0, -1), "inferior", "caudal"),  # 17° from the axis
    ],
)
def test_words(vector, words, sides):
    assert direction_in_words(vector) == words
    assert sides_in_words(vector) == sides


def test_no_direction_is_central():
    assert direction_in_words([0, 0, 0]) == "central"


@pytest.mark.parametrize(
    ("vector", "hour"),
    [
        ((0, -1, 0), 12),
        ((1, 0, 0), 3),  # the patient's left is on the image's right
        ((0, 1, 0), 6),
        ((-1, 0, 0), 9),
        ((-0.01, -1, 0), 12),
        ((np.sin(np.radians(14)), -np.cos(np.radians(14)), 0), 12),
        ((np.sin(np.radians(16)), -np.cos(np.radians(16)), 0), 1),
        ((0, 1, np.tan(np.radians(59))), 6),
        ((0, 1, np.tan(np.radians(-59))), 6),
        ((0, 1, np.tan(np.radians(61))), None),
        ((0, 0, -1), None),
    ],
)
def test_the_hour_on_the_axial_slice(vector, hour):
    assert clock_face(vector) == hour


@given(st.integers(1, 12), st.floats(-14, 14), st.floats(0.1, 100), st.floats(-55, 55))
def test_every_hour_has_its_thirty_degrees(hour, off_deg, length, elevation_deg):
    angle, up = np.radians(30 * hour + off_deg), np.tan(np.radians(elevation_deg))
    assert clock_face(length * np.array([np.sin(angle), -np.cos(angle), up])) == hour


@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_the_opposite_direction_has_the_opposite_words(vector):
    opposite = {"cranial": "caudal", "anterior": "posterior", "left": "right"}
    opposite |= {after: before for before, after in opposite.items()}
    words = sides_in_words(vector).replace(" and ", ", ").split(", ")
    assert sides_in_words(-np.array(vector)).replace(" and ", ", ").split(", ") == [opposite[word] for word in words]


class TestDeficit:
    def test_nothing_deficient(self):
        assert deficit_of(np.full(COUNT, 5.0)) is None  # exactly 5 mm passes a 5 mm rule

    def test_a_cap(self):
        """Half angle 60°: a quarter of the sphere; its directions' mean lies 0.75 radii from the center."""
        deficit = deficit_of(cap((-1, 1.732, 0), 60))
        assert deficit.share == pytest.approx(0.25, abs=1e-3)
        assert deficit.area_mm2 == pytest.approx(100 * np.pi, rel=5e-3)
        assert deficit.direction == "posterior and right"
        assert deficit.clock_face == 7
        assert deficit.axial_offset_mm == pytest.approx(0, abs=0.05)

    def test_a_caudal_cap_has_no_hour(self):
        deficit = deficit_of(cap((0, 0, -1), 60))
        assert deficit.direction == "caudal"
        assert deficit.clock_face is None
        assert deficit.axial_offset_mm == pytest.approx(-7.5, abs=0.05)

    def test_all_around(self):
        deficit = deficit_of(np.full(COUNT, 3.0))
        assert deficit.direction == "all around"
        assert deficit.clock_face is None
        assert deficit.share == 1.0

    @pytest.mark.parametrize(("covered", "direction"), [(0.70, "left"), (0.80, "all around")])
    def test_a_patch_over_three_quarters_names_no_side(self, covered, direction):
        assert deficit_of(cap((1, 0, 0), np.degrees(np.arccos(1 - 2 * covered)))).direction == direction

    def test_a_ring_is_all_around(self):
        assert deficit_of(np.where(np.abs(RAYS[:, 0]) < 0.3, 3.0, 8.0)).direction == "all around"

    def test_the_worse_side_weighs_more(self):
        """Too thin everywhere, by 0 mm in front and by 4 mm behind."""
        deficit = deficit_of(5 - 2 * (1 + RAYS[:, 1]))
        assert deficit.direction == "posterior"
        assert deficit.clock_face == 6

    def test_area_weighs(self):
        """Four times the points on one side, each for a quarter of the area, change nothing."""
        left = RAYS[:, 0] > 0
        points = np.concatenate([SPHERE_MM, *[SPHERE_MM[left]] * 3])
        margin = np.where(np.abs(points[:, 0]) > 5, 3.0, 8.0)
        deficit = describe_deficit(points, margin, np.where(points[:, 0] > 0, 0.25, 1.0), required_mm=5.0)
        assert deficit.direction == "all around"
        assert deficit.share == pytest.approx(0.5, abs=1e-3)

    @given(st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100))
    def test_the_place_in_the_body_does_not_matter(self, x, y, z):
        margin = cap((1, 1, 1), 40)
        moved = describe_deficit(SPHERE_MM + np.array([x, y, z]), margin, AREAS_MM2, required_mm=5.0)
        here = deficit_of(margin)
        assert (moved.direction, moved.clock_face) == (here.direction, here.clock_face)
        assert moved.axial_offset_mm == pytest.approx(here.axial_offset_mm, abs=1e-6)
