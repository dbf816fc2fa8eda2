"""Readers with known differences."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.agreement.comparison import compare_readings
from ablmargin.agreement.readings import Reading, Readings


def reader(name: str, margins_mm, *, cases=None, verdicts=None) -> Readings:
    cases = cases or [f"c{number}" for number in range(len(margins_mm))]
    verdicts = verdicts or [None] * len(margins_mm)
    keys = [(case, str(number)) for number, case in enumerate(cases)]
    return Readings(
        name=name,
        lesions={
            key: Reading(margin_mm=margin, verdict=verdict)
            for key, margin, verdict in zip(keys, margins_mm, verdicts, strict=True)
        },
    )


FIRST = [1.0, 3.0, 4.5, 6.0, 8.0, 11.0]


def test_the_sign_is_second_minus_first():
    (pair,) = compare_readings([reader("A", FIRST), reader("B", [mm + 0.5 for mm in FIRST])]).pairs
    margins = pair.margins
    assert (pair.first, pair.second) == ("A", "B")
    assert margins.bias_mm.value == pytest.approx(0.5)
    assert (margins.lower_limit_mm.value, margins.upper_limit_mm.value) == pytest.approx((0.5, 0.5))
    assert margins.slope.value == pytest.approx(0.0, abs=1e-12)
    assert margins.icc_consistency.value == pytest.approx(1.0)
    assert margins.icc_agreement.value < 1.0
    assert margins.share_within(0.5) == 1.0
    assert margins.share_within(0.49) == 0.0


def test_lesions_flip_at_the_threshold_that_they_cross():
    second = [1.0, 3.0, 5.0, 6.0, 8.0, 9.9]
    comparison = compare_readings([reader("A", FIRST), reader("B", second)])
    flips = {key: [question.key for question in questions] for key, questions in comparison.flips}
    assert flips == {("c2", "2"): ["margin_5"], ("c5", "5"): ["margin_10"]}
    (pair,) = comparison.pairs
    assert pair.margins.largest == (("c5", "5"), pytest.approx(-1.1))
    assert {one.question.key: one.same.value for one in pair.verdicts} == {
        "margin_5": pytest.approx(5 / 6),
        "margin_10": pytest.approx(5 / 6),
    }


def test_a_lesion_without_a_margin_is_told_and_left_out():
    second = [*FIRST[:-1], None]
    comparison = compare_readings([reader("A", FIRST), reader("B", second)])
    assert comparison.matched.without_margin == {("c5", "5"): {"B": "no margin"}}
    assert len(comparison.pairs[0].margins.keys) == 5
    assert comparison.pairs[0].margins.bias_mm.value == 0.0


def test_three_readers_have_three_pairs_and_one_whole():
    verdicts = ["inadequate", "inadequate", "indeterminate", "adequate", "adequate", "adequate"]
    readers = [reader(name, FIRST, verdicts=verdicts) for name in "ABC"]
    comparison = compare_readings(readers)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert comparison.overall.icc_agreement.value == pytest.approx(1.0)
    assert {one.question.key for one in comparison.overall.verdicts} == {"verdict", "margin_5", "margin_10"}
    assert all(one.kappa.value == one.ac1.value == 1.0 for one in comparison.overall.verdicts)
    assert comparison.flips == ()
    assert not comparison.is_clustered


def test_several_lesions_of_one_case_widen_the_interval():
    """The second reader's error is the same for all five lesions of a case: 12 cases tell, not 60 lesions."""
    rng = np.random.default_rng(8)
    cases = [f"p{number // 5}" for number in range(60)]
    first = rng.normal(6, 3, 60)
    second = first + np.repeat(rng.normal(0, 1, 12), 5)
    grouped = compare_readings([reader("A", first, cases=cases), reader("B", second, cases=cases)])
    alone = compare_readings([reader("A", first), reader("B", second)])
    assert grouped.is_clustered
    wide, narrow = (one.pairs[0].margins.bias_mm for one in (grouped, alone))
    assert wide.value == pytest.approx(narrow.value)
    assert wide.upper - wide.lower > 1.6 * (narrow.upper - narrow.lower)


@pytest.mark.parametrize("count", [1, 2])
def test_few_lesions_get_figures_but_no_made_up_intervals(count):
    (pair,) = compare_readings([reader("A", FIRST[:count]), reader("B", [mm + 1 for mm in FIRST[:count]])]).pairs
    assert pair.margins.bias_mm.value == pytest.approx(1.0)
    assert pair.margins.slope.lower is None
    if count == 1:
        assert pair.margins.sd_mm.value is None
        assert pair.margins.icc_agreement.value is None


def test_lesions_of_one_case_alone_have_no_intervals():
    one, other = reader("A", FIRST, cases=["p"] * 6), reader("B", FIRST[::-1], cases=["p"] * 6)
    margins = compare_readings([one, other]).pairs[0].margins
    assert margins.bias_mm.value == pytest.approx(0.0)
    assert margins.sd_mm.value is None
    assert margins.bias_mm.lower is None
    assert margins.icc_agreement.lower is None


def test_readers_without_a_lesion_in_common():
    comparison = compare_readings(
        [reader("A", [1.0]), Readings(name="B", lesions={("x", "1"): Reading(margin_mm=2.0)})]
    )
    assert comparison.matched.common == ()
    assert comparison.pairs[0].margins is None
    assert comparison.pairs[0].verdicts == ()
