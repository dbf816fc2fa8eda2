"""The gate: each finding alone, its limit, and the worst of several."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
    ("change", "expected", "word"),
    [
        ({"livers": replace(LIVERS, dice=0.9)}, "doubtful", "Dice of only 0.90"),
        ({"livers": replace(LIVERS, dice=0.84)}, "failed", "Dice of only 0.84"),
        ({"livers": replace(LIVERS, folded_share=0.001)}, "doubtful", "folds in 0.10%"),
        ({"livers": replace(LIVERS, folded_share=0.02)}, "failed", "folds in 2.00%"),
        ({"livers": replace(LIVERS, asd_mm=3.0)}, "doubtful", "3.0 mm apart"),
        ({"livers": replace(LIVERS, asd_mm=float("nan"))}, "failed", "apart"),
        ({"phases_match": False}, "doubtful", "contrast phases"),
        ({"textures": replace(TEXTURES, correlation=0.2)}, "doubtful", "correlation 0.20"),
        ({"textures": replace(TEXTURES, correlation_near=0.1)}, "doubtful", "misplaced"),
        ({"sd_mm": 1.6}, "doubtful", "uncertain by 1.6 mm"),
        ({"sd_mm": 3.1}, "failed", "uncertain by 3.1 mm"),
        ({"sd_mm": float("nan")}, "failed", "uncertain"),
        ({"sd_mm": 1.6, "phases_match": False}, "failed", "uncertain by 1.6 mm"),
        ({"both_ways": False}, "doubtful", "folds near the liver"),
        ({"inverse_consistency_mm": 2.1}, "doubtful", "ends 2.1 mm from where it was"),
        ({"inverse_consistency_mm": float("nan")}, "doubtful", "misplaced"),
        ({"volume_change": 0.25}, "doubtful", "+25%"),
        ({"volume_change": -0.25}, "doubtful", "-25%"),
    ],
)
def test_each_finding(change, expected, word):
    grading = grade(**{**FINE, **change})
    level, reasons = grading.quality, grading.reasons
    assert level == expected
    assert any(word in reason for reason in reasons)


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
    assert "2.9 mm away" in grade(**shifted).unquantified[0]
    assert grade(**{**FINE, "better_shift_mm": (0.0, 1.5, 0.0)}).quality == "good"
    other = grade(**{**shifted, "phases_match": False})
    assert not any("away" in reason for reason in other.reasons)


def test_what_the_error_estimate_cannot_speak_for_is_told_apart():
    grading = grade(**{**FINE, "sd_mm": 2.0, "volume_change": 0.5})
    assert len(grading.reasons) == 2
    assert len(grading.unquantified) == 1
    assert "volume" in grading.unquantified[0]


def quality(level: str, sd_mm: float, *reasons: str) -> RegistrationQuality:
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
    worst = worst_of([quality("good", 0.9), quality("doubtful", 0.4, "a", "b"), quality("doubtful", 0.6, "c", "a")])
    assert (worst.quality, worst.sd_mm) == ("doubtful", 0.9)  # the largest error, whichever tumor it is at
    assert worst.reasons == ("a", "b", "c")
    assert worst.unquantified == ("a", "c")
