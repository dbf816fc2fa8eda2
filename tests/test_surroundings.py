"""What a result tells of segments and vessels around a tumor of 9 mm, 10 mm of margin required."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from report_cases import PRE, Bend, grid_points, measured_case

from ablmargin.case import Anatomy
from ablmargin.result import CaseResult, LesionResult, anatomy_records
from ablmargin.surroundings import vessel_cautions, with_surroundings
from ablmargin.volume import LabelMask, Structure

RADIUS_MM, CENTER_MM = 9.0, np.array([-30.0, 10.0, 80.0])
POINTS_MM = grid_points(PRE)


@pytest.fixture(scope="module")
def case_result() -> CaseResult:
    return measured_case()


def drawn(voxels: np.ndarray, structure: Structure) -> LabelMask:
    return LabelMask(voxels=voxels, geometry=PRE, structure=structure)


def tube(direction, gap_mm: float, *, width_mm: float = 7.0) -> LabelMask:
    """A vessel across a direction from the tumor's center, so far from its surface."""
    way = np.array(direction, float) / np.linalg.norm(direction)
    along = np.cross(way, [0.3, 0.2, 1.0])
    along /= np.linalg.norm(along)
    arm = POINTS_MM - CENTER_MM - (RADIUS_MM + gap_mm + width_mm / 2) * way
    return drawn(np.linalg.norm(np.cross(arm, along), axis=-1) <= width_mm / 2, Structure.VESSELS)


def thinnest_way(lesion: LesionResult) -> np.ndarray:
    return lesion.tumor_pre.vertices_mm[lesion.judged_index] - CENTER_MM


def located(result: CaseResult, **anatomy) -> LesionResult:
    (lesion,) = with_surroundings(
        result.case.lesions, result.lesions, Anatomy(**anatomy), post_from_pre=result.alignment.post_from_pre
    )
    return lesion


def test_nothing_that_was_measured_changes(case_result):
    (before,) = case_result.lesions
    after = located(case_result, vessels=tube([1, 0, 0], 3.0))
    measured = {field.name for field in fields(before)} - {"surroundings"}
    assert all(getattr(after, name) is getattr(before, name) for name in measured)
    unchanged = with_surroundings(case_result.case.lesions, case_result.lesions, None, post_from_pre=Bend())
    assert unchanged[0] is before


@pytest.mark.parametrize("gap_mm", [-2.0, 4.0, 12.0])
def test_distance_and_place_of_the_vessel(case_result, gap_mm):
    """Voxels of 3 mm place a vessel's wall to half a millimeter or so."""
    lesion = located(case_result, vessels=tube([1, 0.2, 0], gap_mm))
    vessel = lesion.surroundings.vessel
    assert vessel.distance_mm == pytest.approx(gap_mm, abs=0.6)
    np.testing.assert_allclose(vessel.post_mm, Bend().map_points(vessel.pre_mm), atol=0.05)
    away_mm = np.linalg.norm(vessel.pre_mm - CENTER_MM) - RADIUS_MM
    assert away_mm == pytest.approx(vessel.distance_mm, abs=0.4)  # the tumor's surface isn't quite the ball


def test_the_margin_is_thinnest_at_a_vessel_on_that_side_only(case_result):
    (lesion,) = case_result.lesions
    way = thinnest_way(lesion)
    there = located(case_result, vessels=tube(way, 2.0)).surroundings.vessel
    assert there.at_thinnest is True
    assert there.from_thinnest_mm == pytest.approx(there.distance_mm, abs=0.5)
    opposite = located(case_result, vessels=tube(-way, 2.0)).surroundings.vessel
    assert opposite.at_thinnest is False
    assert opposite.from_thinnest_mm > 15


def test_a_vessel_beyond_the_required_margin_explains_nothing(case_result):
    """10 mm are required: on the same side, one at 8 mm counts, one at 13 mm doesn't."""
    way = thinnest_way(case_result.lesions[0])
    assert located(case_result, vessels=tube(way, 8.0)).surroundings.vessel.at_thinnest is True
    assert located(case_result, vessels=tube(way, 13.0)).surroundings.vessel.at_thinnest is False


def test_a_second_vessel_at_the_thinnest_place_counts_too(case_result):
    way = thinnest_way(case_result.lesions[0])
    both = tube(-way, 1.0).union(tube(way, 3.5))
    vessel = located(case_result, vessels=both).surroundings.vessel
    assert vessel.distance_mm == pytest.approx(1.0, abs=0.6)
    assert vessel.at_thinnest is True
    assert vessel.from_thinnest_mm == pytest.approx(3.5, abs=0.6)


def test_only_a_near_vessel_is_cautioned_about(case_result):
    near, far, inside = (located(case_result, vessels=tube([1, 0, 0], gap_mm)) for gap_mm in (3.0, 8.0, -3.0))
    assert [caution.code for caution in vessel_cautions([near])] == ["VESSEL_NEAR"]
    assert f"{near.surroundings.vessel.distance_mm:.1f} mm from it" in vessel_cautions([near])[0].message
    assert "reaches it" in vessel_cautions([inside])[0].message
    assert vessel_cautions([far, *case_result.lesions]) == ()


def test_no_vessel_that_is_wide_is_told_apart_from_none_given(case_result):
    thin = located(case_result, vessels=tube([1, 0, 0], 1.0, width_mm=1.9)).surroundings.vessel
    assert thin.distance_mm is None
    half = drawn(POINTS_MM[..., 0] < -30.0, Structure.LIVER_SEGMENT)
    assert located(case_result, segments={"VII": half}).surroundings.vessel is None


def test_shares_of_segments(case_result):
    """A cut through the center leaves a half, one layer of voxels of 1.8 mm being 15 % of a ball of 9 mm."""
    right = drawn(POINTS_MM[..., 0] < -30.0, Structure.LIVER_SEGMENT)
    front = drawn((POINTS_MM[..., 0] >= -30.0) & (POINTS_MM[..., 1] < 10.0), Structure.LIVER_SEGMENT)
    segments = located(case_result, segments={"V": front, "VII": right}).surroundings.segments
    assert [one.segment for one in segments.told] == ["VII", "V"]
    assert segments.told[0].share == pytest.approx(0.5, abs=0.08)
    assert segments.told[1].share == pytest.approx(0.25, abs=0.06)
    assert segments.outside == pytest.approx(1 - sum(one.share for one in segments.told))


def test_masks_are_recorded_once_for_all_segments():
    half = drawn(POINTS_MM[..., 0] < -30.0, Structure.LIVER_SEGMENT)
    anatomy = Anatomy(segments={"V": half, "VI": half}, vessels=tube([1, 0, 0], 1.0))
    records = anatomy_records(anatomy, exam="pre")
    assert [record.structure for record in records] == [Structure.LIVER_SEGMENT, Structure.VESSELS]
    assert {record.exam for record in records} == {"pre"}
    assert anatomy_records(None, exam="pre") == ()
