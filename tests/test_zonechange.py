"""A zone that the exam after ablation doesn't show is told; one that it shows, or can't show, is not."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.case import Case, Exam, Lesion, SeriesRecord
from ablmargin.geometry import Geometry
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume
from ablmargin.zonechange import unseen_zones

PRE = Geometry(shape=(30, 60, 60), spacing_mm=(2.5, 1.5, 1.5), origin_mm=(0.0, 0.0, 0.0))
POST = Geometry(shape=(34, 66, 62), spacing_mm=(2.5, 1.5, 1.5), origin_mm=(100.0, -50.0, 20.0))
SHIFT_MM = np.array([104.0, -46.0, 24.0])
MIDDLE_MM = np.array([44.0, 44.0, 36.0])
TUMOR_HU, UNENHANCED_HU = 60.0, 55.0


class ToPre:
    def map_points(self, points_mm):
        return points_mm - SHIFT_MM


def distance_mm(geometry, center_mm):
    return np.linalg.norm(geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1)) - center_mm, axis=-1)


def mask(geometry, center_mm, radius_mm, structure):
    origin = MaskOrigin(name=f"--{structure}")
    inside = distance_mm(geometry, center_mm) <= radius_mm
    return LabelMask(voxels=inside, geometry=geometry, structure=structure, origin=origin)


def exam(geometry, moved_mm, *, liver_hu=110.0, painted=(), seed=0):
    """A ball of liver in fat with balls (radius, HU) in its middle, and noise."""
    away = distance_mm(geometry, MIDDLE_MM + moved_mm)
    voxels = np.where(away < 34, liver_hu, -100.0)
    for radius_mm, level_hu in painted:
        voxels[away < radius_mm] = level_hu
    voxels += np.random.default_rng(seed).normal(0, 15, voxels.shape)
    liver = mask(geometry, MIDDLE_MM + moved_mm, 34, Structure.LIVER)
    return Exam(volume=Volume(voxels_hu=voxels, geometry=geometry), record=SeriesRecord(), liver=liver)


def codes(post, **placed):
    return [caution.code for caution in unseen(post, **placed).cautions]


def unseen(post, *, zone_mm=16.0, aside_mm=(0.0, 0.0, 0.0), accepted=()):
    tumor = mask(PRE, MIDDLE_MM, 8, Structure.TUMOR)
    case = Case(
        case_id="c",
        pre=exam(PRE, np.zeros(3), painted=[(8, TUMOR_HU)], seed=1),
        post=post,
        lesions=(Lesion(lesion_id="1", tumor=tumor),),
        zones=(mask(POST, MIDDLE_MM + SHIFT_MM + aside_mm, zone_mm, Structure.ABLATION_ZONE),),
    )
    return unseen_zones(case, ToPre(), accepted)


@pytest.mark.parametrize("zone_hu", [85.0, 50.0, -150.0, 160.0])
def test_a_zone_that_shows_is_no_word_worth(zone_hu):
    assert codes(exam(POST, SHIFT_MM, painted=[(16, zone_hu)], seed=2)) == []


def test_the_exam_before_ablation_once_more_is_told():
    assert codes(exam(POST, SHIFT_MM, painted=[(8, TUMOR_HU)], seed=2)) == ["ABLATION_UNSEEN"]


@pytest.mark.parametrize(
    ("changed_hu", "hinders"), [(0, True), (2, True), (-2, True), (4, False), (-9, False), (-50, False)]
)
def test_no_verdict_rests_on_what_did_not_change(changed_hu, hinders):
    found = unseen(exam(POST, SHIFT_MM, painted=[(16, 110 + changed_hu), (8, TUMOR_HU)], seed=2))
    assert [reason.code for reason in found.hindrances] == ["ABLATION_UNSEEN"] * hinders
    assert bool(found.cautions) is (abs(changed_hu) < 10)


def test_a_zone_that_does_not_show_can_be_taken_on_purpose():
    found = unseen(exam(POST, SHIFT_MM, painted=[(8, TUMOR_HU)], seed=2), accepted={"ABLATION_UNSEEN"})
    assert found.hindrances == ()
    assert found.cautions[0].message.startswith("accepted on purpose: ")


def test_so_is_a_zone_drawn_where_none_is():
    post = exam(POST, SHIFT_MM, painted=[(8, TUMOR_HU)], seed=2)
    assert codes(post, zone_mm=9.0, aside_mm=(0.0, 0.0, 18.0)) == ["ABLATION_UNSEEN"]


def test_the_phase_alone_is_no_change():
    brighter = exam(POST, SHIFT_MM, liver_hu=130, painted=[(8, TUMOR_HU)], seed=2)
    assert codes(brighter) == ["ABLATION_UNSEEN"]


def test_without_contrast_agent_a_zone_may_look_like_liver():
    assert codes(exam(POST, SHIFT_MM, liver_hu=UNENHANCED_HU, seed=2)) == []


def test_too_little_beyond_the_tumor_tells_nothing():
    assert codes(exam(POST, SHIFT_MM, painted=[(8, TUMOR_HU)], seed=2), zone_mm=10.0) == []


def test_what_the_exam_before_does_not_show_is_not_compared():
    assert codes(exam(POST, SHIFT_MM, seed=2), zone_mm=12.0, aside_mm=(0.0, 0.0, 30.0)) == []
