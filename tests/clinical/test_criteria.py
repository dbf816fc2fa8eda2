from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import THRESHOLDS_MM, Measured, Verdict, judge, worst
from ablmargin.clinical.direction import direction_in_words
from ablmargin.reasons import Reason, ReasonCode


def measured(minimum: float, lower: float | None, upper: float | None) -> dict[float, Measured]:
    return dict.fromkeys(THRESHOLDS_MM, Measured(minimum_mm=minimum, lower_mm=lower, upper_mm=upper))


@pytest.mark.parametrize(
    ("ras", "lower", "upper", "expected"),
    [
        (RasMutation.WILD_TYPE, 5.0, 9.0, Verdict.ADEQUATE),  # at the required margin is enough
        (RasMutation.WILD_TYPE, 4.99, 9.0, Verdict.INDETERMINATE),
        (RasMutation.WILD_TYPE, 1.0, 5.0, Verdict.INDETERMINATE),  # the upper bound must be below
        (RasMutation.WILD_TYPE, 1.0, 4.99, Verdict.INADEQUATE),
        (RasMutation.MUTANT, 5.0, 9.0, Verdict.INADEQUATE),
        (RasMutation.UNKNOWN, 5.0, 9.0, Verdict.INADEQUATE),
        (RasMutation.UNKNOWN, 9.0, 12.0, Verdict.INDETERMINATE),
        (RasMutation.UNKNOWN, 10.0, 12.0, Verdict.ADEQUATE),
    ],
)
def test_the_rule(ras, lower, upper, expected):
    assert judge(measured((lower + upper) / 2, lower, upper), ras).verdict is expected


def test_without_bounds_nothing_is_adequate_but_the_point_is_told():
    judgement = judge(measured(20.0, None, None), RasMutation.WILD_TYPE)
    assert judgement.verdict is Verdict.INDETERMINATE
    assert judgement.point_verdict is Verdict.ADEQUATE
    assert set(judgement.by_threshold.values()) == {Verdict.INDETERMINATE}


def test_a_hindrance_comes_first_and_makes_everything_indeterminate():
    thick = Reason(code=ReasonCode.GEOM_COARSE, sentence="Slices too thick.")
    judgement = judge(measured(20.0, 18.0, 22.0), RasMutation.WILD_TYPE, hindrances=[thick])
    assert judgement.verdict is Verdict.INDETERMINATE
    assert judgement.reasons[0] == thick
    assert set(judgement.by_threshold.values()) == {Verdict.INDETERMINATE}


def test_both_thresholds_are_judged_whatever_the_mutation():
    by_threshold = judge(measured(7.0, 6.0, 8.0), RasMutation.MUTANT).by_threshold
    assert by_threshold == {5.0: Verdict.ADEQUATE, 10.0: Verdict.INADEQUATE}


@pytest.mark.parametrize("ras", list(RasMutation))
def test_what_is_shown_for_a_threshold_does_not_depend_on_the_mutation(ras):
    per_threshold = measured(2.0, 1.0, 3.0) | {10.0: Measured(minimum_mm=12.0, lower_mm=11.0, upper_mm=13.0)}
    judgement = judge(per_threshold, ras)
    assert judgement.by_threshold == {5.0: Verdict.INADEQUATE, 10.0: Verdict.ADEQUATE}
    assert judgement.verdict is judgement.by_threshold[judgement.required_margin_mm]


@pytest.mark.parametrize(
    ("lower", "upper", "code"),
    [
        (5.0, 9.0, ReasonCode.LOWER_BOUND_REACHES),
        (1.0, 4.99, ReasonCode.UPPER_BOUND_BELOW),
        (4.99, 5.0, ReasonCode.REQUIRED_BETWEEN_BOUNDS),
        (None, None, ReasonCode.BOUNDS_UNKNOWN),
        (None, 4.0, ReasonCode.BOUNDS_UNKNOWN),
    ],
)
def test_what_the_numbers_say_is_the_last_reason_whatever_hinders(lower, upper, code):
    numbers = measured(4.995, lower, upper)
    (plain,) = judge(numbers, RasMutation.WILD_TYPE).reasons
    tiny = Reason(code=ReasonCode.MASK_TINY, sentence="The tumor mask has only 1 voxel.")
    first, last = judge(numbers, RasMutation.WILD_TYPE, hindrances=[tiny]).reasons
    assert (plain.code, first.code, last.code) == (code, ReasonCode.MASK_TINY, code)
    assert last.sentence == f"By the numbers alone: {plain.sentence[0].lower()}{plain.sentence[1:]}"


@given(lower=st.floats(-20, 40), width=st.floats(0, 20), wider=st.floats(0, 10), ras=st.sampled_from(RasMutation))
def test_less_certainty_never_decides_more(lower, width, wider, ras):
    narrow = judge(measured(lower, lower, lower + width), ras).verdict
    wide = judge(measured(lower, lower - wider, lower + width + wider), ras).verdict
    assert wide in {narrow, Verdict.INDETERMINATE}


@given(lower=st.floats(-20, 40), width=st.floats(0, 20))
def test_mutant_is_never_easier_than_wild_type(lower, width):
    ease = [Verdict.INADEQUATE, Verdict.INDETERMINATE, Verdict.ADEQUATE]
    wild, mutant = (
        judge(measured(lower, lower, lower + width), ras).verdict for ras in (RasMutation.WILD_TYPE, RasMutation.MUTANT)
    )
    assert ease.index(mutant) <= ease.index(wild)


def test_the_case_is_as_bad_as_its_worst_lesion():
    assert worst([Verdict.ADEQUATE, Verdict.INADEQUATE, Verdict.INDETERMINATE]) is Verdict.INADEQUATE
    assert worst([Verdict.ADEQUATE]) is Verdict.ADEQUATE


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ((1, 0, 0), "left"),
        ((-1, 0, 0), "right"),
        ((0, 1, 0), "posterior"),
        ((0, -1, 0), "anterior"),
        ((0, 0, 1), "superior"),
        ((0, 0, -1), "inferior"),
        ((-1, 0, 1.2), "superior-right"),
        ((1, 1.1, 1.2), "superior-posterior-left"),
        ((0.3, 1, 0), "posterior"),
        ((0, 0, 0), "central"),
    ],
)
def test_directions(vector, words):
    assert direction_in_words(vector) == words


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        (1.0, 4.987, "4.99 mm, stays below"),
        (1.0, 4.9999, "just below 5 mm, stays below"),
        (5.0, 9.0, "5.0 mm, reaches"),
        (4.96, 9.0, "4.96 and 9.0 mm"),
        (-0.04, 9.0, "bounds, 0.0 and"),
    ],
)
def test_reasons_never_contradict_themselves_by_rounding(lower, upper, words):
    (reason,) = judge(measured(lower, lower, upper), RasMutation.WILD_TYPE).reasons
    assert words in reason.sentence
