"""Which reasons an analysis gives, and in which order, by what its registration is worth."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from report_cases import Bend, Shift, failed_quality, good_quality, measured_case

from ablmargin import pipeline
from ablmargin.hindrances import hindrances_of
from ablmargin.pipeline import Settings
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.local_error import LocalError
from ablmargin.target import Rule, Target
from ablmargin.volume import MaskOrigin

FOLDS = Reason(code=ReasonCode.REGISTRATION_FOLDS, sentence="The map folds in 0.20% of the liver.")
UNCERTAIN = Reason(code=ReasonCode.TUMOR_PLACE_UNCERTAIN, sentence="The tumor's place is uncertain by 1.6 mm.")

PROPOSED = MaskOrigin(source="point", method="a method", reviewed=False)


@pytest.fixture(scope="module")
def measured():
    return measured_case()


@pytest.fixture
def reasons(measured, monkeypatch):
    """The reasons for the verdict on the one lesion of a case whose registration has a quality."""

    def of(quality, case=measured.case):
        bend = Bend()
        alignment = SimpleNamespace(
            assess=lambda _points_mm: quality,
            local_error=lambda _points_mm: LocalError(sd_mm=0.61, correlation_length_mm=30.0),
            post_from_pre=bend,
            pre_from_post=SimpleNamespace(map_points=bend.back),
            rigid_post_from_pre=Shift(),
        )
        monkeypatch.setattr(pipeline, "register_case", lambda *_, **__: alignment)
        (lesion,) = pipeline.analyze(case, Settings.of(seed=0, threads=1)).lesions
        return lesion.judgement.reasons

    return of


def codes(reasons):
    return [reason.code for reason in reasons]


def test_a_good_registration_leaves_the_numbers_alone(reasons):
    assert codes(reasons(good_quality())) == ["UPPER_BOUND_BELOW"]


def test_a_failed_one_comes_first_with_all_its_findings_in_one_sentence(reasons, measured):
    quality = replace(failed_quality(), reasons=(*failed_quality().reasons, FOLDS))
    case = measured.case
    first, *rest = reasons(quality, replace(case, zones=tuple(replace(zone, origin=PROPOSED) for zone in case.zones)))
    assert first.code is ReasonCode.REGISTRATION_QUALITY_FAILED
    assert str(first) == f"The registration failed: {quality.reasons[0]} {FOLDS}"
    assert codes(rest) == ["ZONE_NOT_REVIEWED", "UPPER_BOUND_BELOW"]


def test_of_a_doubtful_one_only_what_the_bounds_do_not_speak_for_hinders(reasons):
    quality = good_quality(quality="doubtful", reasons=(FOLDS, UNCERTAIN), unquantified=(FOLDS,))
    assert codes(reasons(quality)) == ["REGISTRATION_FOLDS", "UPPER_BOUND_BELOW"]


def test_zones_come_before_the_registration_and_the_tumor_of_the_lesion_last(reasons, measured):
    case = measured.case
    (lesion,), (zone,) = case.lesions, case.zones
    case = replace(
        case,
        lesions=(replace(lesion, tumor=replace(lesion.tumor, origin=PROPOSED)),),
        zones=(replace(zone, origin=PROPOSED),),
    )
    quality = good_quality(quality="doubtful", reasons=(FOLDS,), unquantified=(FOLDS,))
    expected = ["ZONE_NOT_REVIEWED", "REGISTRATION_FOLDS", "TUMOR_NOT_REVIEWED", "UPPER_BOUND_BELOW"]
    assert codes(reasons(quality, case)) == expected


@pytest.mark.parametrize(
    ("seen", "capsule", "expected"),
    [
        (True, {}, []),
        (False, {}, ["TUMOR_OUT_OF_VIEW"]),
        (True, {"outside_share": 0.21}, ["TUMOR_BEYOND_LIVER"]),
        (True, {"excused_mm": 0.61}, ["CAPSULE_UNCLEAR"]),
        (True, {"outside_share": 0.2, "excused_mm": 0.6}, []),
        (
            False,
            {"excused_mm": 1.0, "outside_share": 0.5},
            ["TUMOR_OUT_OF_VIEW", "TUMOR_BEYOND_LIVER", "CAPSULE_UNCLEAR"],
        ),
    ],
)
def test_what_a_margin_shows_itself(measured, seen, capsule, expected):
    (lesion,), case = measured.lesions, measured.case
    rule = Rule(ras_mutation=case.ras_mutation, contour_sd_mm=0.5, hindrances=(FOLDS,))
    found = hindrances_of(
        rule,
        Target.of(case.ablated, case.post.liver),
        lesion.margin,
        seen=seen,
        capsule=replace(lesion.capsule, **capsule),
    )
    assert codes(found) == ["REGISTRATION_FOLDS", *expected]
