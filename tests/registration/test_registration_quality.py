"""The gate: each finding alone, its limit, and the worst of several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.agreement import LiverAgreement, TextureAgreement, bright_meets_bright
from ablmargin.registration.quality import Grading, RegistrationQuality, grade, worst_of

LIVERS = LiverAgreement(dice=0.97, hd95_mm=2.0, asd_mm=0.8, jacobian_min=0.8, folded_share=0.0)
TEXTURES = TextureAgreement(correlation=0.8, correlation_near=0.8)
FINE = {
    "livers": LIVERS,
    "textures": TEXTURES,
    "better_shift_mm": (0.0, 0.0, 0.0),
    "phases_match": True,
    "both_ways": True,
    "inverse_consistency_mm": 0.4,
    "sd_mm": 0.5,
    "volume_change": 0.0,
}


def test_nothing_to_complain_about():
    assert grade(**FINE) == Grading(quality="good", reasons=(), unquantified=())


def test_an_error_that_was_not_estimated_is_no_finding():
    assert grade(**{**FINE, "sd_mm": None}).quality == "good"


@pytest.mark.parametrize(
    ("change", "expected", "word", "code"),
    [
        ({"livers": replace(LIVERS, dice=0.9)}, "doubtful", "Dice of only 0.90", "LIVERS_OVERLAP_LITTLE"),
        ({"livers": replace(LIVERS, dice=0.84)}, "failed", "Dice of only 0.84", "LIVERS_OVERLAP_LITTLE"),
        ({"livers": replace(LIVERS, folded_share=0.001)}, "doubtful", "folds in 0.10%", "REGISTRATION_FOLDS"),
        ({"livers": replace(LIVERS, folded_share=0.02)}, "failed", "folds in 2.00%", "REGISTRATION_FOLDS"),
        ({"livers": replace(LIVERS, asd_mm=3.0)}, "doubtful", "3.0 mm apart", "LIVERS_APART"),
        ({"livers": replace(LIVERS, asd_mm=float("nan"))}, "failed", "apart", "LIVERS_APART"),
        ({"phases_match": False}, "doubtful", "contrast phases", "PHASES_SEEM_TO_DIFFER"),
        ({"textures": replace(TEXTURES, correlation=0.2)}, "doubtful", "correlation 0.20", "TEXTURES_DIFFER"),
        ({"textures": replace(TEXTURES, correlation_near=0.1)}, "doubtful", "misplaced", "TEXTURES_DIFFER_NEAR_ZONE"),
        ({"sd_mm": 1.6}, "doubtful", "uncertain by 1.6 mm", "TUMOR_PLACE_UNCERTAIN"),
        ({"sd_mm": 3.1}, "failed", "uncertain by 3.1 mm", "TUMOR_PLACE_UNCERTAIN"),
        ({"sd_mm": float("nan")}, "failed", "uncertain", "TUMOR_PLACE_UNCERTAIN"),
        ({"sd_mm": 1.6, "phases_match": False}, "failed", "uncertain by 1.6 mm", "TUMOR_PLACE_UNCERTAIN"),
        ({"both_ways": False}, "doubtful", "folds near the liver", "REGISTRATION_ONE_WAY"),
        ({"inverse_consistency_mm": 2.1}, "doubtful", "ends 2.1 mm from where it was", "REGISTRATION_INCONSISTENT"),
        ({"inverse_consistency_mm": float("nan")}, "doubtful", "misplaced", "REGISTRATION_INCONSISTENT"),
        ({"volume_change": 0.25}, "doubtful", "+25%", "TUMOR_VOLUME_CHANGED"),
        ({"volume_change": -0.25}, "doubtful", "-25%", "TUMOR_VOLUME_CHANGED"),
    ],
)
def test_each_finding(change, expected, word, code):
    grading = grade(**{**FINE, **change})
    level, reasons = grading.quality, grading.reasons
    assert level == expected
    assert [reason.code for reason in reasons if word in reason.sentence] == [code]


@pytest.mark.parametrize(
    "limit",
    [{"sd_mm": 1.5}, {"volume_change": 0.2}, {"livers": replace(LIVERS, dice=0.92)}],
)
def test_at_the_limit_all_is_well(limit):
    assert grade(**{**FINE, **limit}).quality == "good"


def test_the_worst_finding_decides_and_all_are_told():
    grading = grade(**{**FINE, "sd_mm": 5.0, "volume_change": 0.5})
    level, reasons = grading.quality, grading.reasons
    assert level == "failed"
    assert len(reasons) == 2


@pytest.mark.parametrize(
    ("correlation", "balance", "share", "match"),
    [
        (0.8, 0.9, 0.8, True),
        (0.4, 0.9, 0.6, True),
        (0.6, 0.5, 0.8, False),
        (0.6, 1.8, 0.8, False),
        (0.2, 0.9, 0.8, False),
        (0.8, 0.0, 0.0, False),
        (0.8, 1.0, 0.5, False),
    ],
)
def test_phases_match_when_bright_meets_bright(correlation, balance, share, match):
    assert bright_meets_bright(correlation, balance, share) is match


def test_textures_that_agree_better_elsewhere_are_doubtful_only_where_bright_meets_bright():
    shifted = {**FINE, "better_shift_mm": (2.5, 0.0, -1.47)}
    assert grade(**shifted).quality == "doubtful"
    (told,) = grade(**shifted).unquantified
    assert "2.9 mm away" in told.sentence
    assert told.code is ReasonCode.TEXTURES_SHIFTED
    assert grade(**{**FINE, "better_shift_mm": (0.0, 1.5, 0.0)}).quality == "good"
    other = grade(**{**shifted, "phases_match": False})
    assert ReasonCode.TEXTURES_SHIFTED not in {reason.code for reason in other.reasons}


def test_what_the_error_estimate_cannot_speak_for_is_told_apart():
    grading = grade(**{**FINE, "sd_mm": 2.0, "volume_change": 0.5})
    assert len(grading.reasons) == 2
    assert [reason.code for reason in grading.unquantified] == [ReasonCode.TUMOR_VOLUME_CHANGED]


def because(sentence: str) -> Reason:
    return Reason(code=ReasonCode.TUMOR_VOLUME_CHANGED, sentence=sentence)


def quality(level: str, sd_mm: float, *reasons: Reason) -> RegistrationQuality:
    return RegistrationQuality(
        method="m",
        liver_dice=0.97,
        liver_hd95_mm=2.0,
        liver_asd_mm=0.8,
        jacobian_min=0.8,
        folded_share=0.0,
        inverse_consistency_mm=0.2,
        sd_mm=sd_mm,
        quality=level,
        reasons=reasons,
        unquantified=reasons[:1],
    )


def test_a_case_is_as_badly_registered_as_at_its_worst_tumor():
    a, b, c = map(because, "abc")
    worst = worst_of([quality("good", 0.9), quality("doubtful", 0.4, a, b), quality("doubtful", 0.6, c, a)])
    assert (worst.quality, worst.sd_mm) == ("doubtful", 0.9)  # the largest error, whichever tumor it is at
    assert worst.reasons == (a, b, c)
    assert worst.unquantified == (a, c)
