"""Readers with known differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ablmargin.agreement.comparison import compare_readings
from ablmargin.agreement.plot import draw_pair
from ablmargin.agreement.readings import Reading, Readings
from ablmargin.agreement.sheet import flip_rows


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
    flips = {key: [question.key for question in questions] for key, questions in comparison.flips.items()}
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
    assert comparison.gaps == {("c5", "5"): {"B": "no margin"}}
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
    assert not comparison.flips
    assert comparison.overall.patients == comparison.overall.lesions


def test_several_lesions_of_one_case_widen_the_interval():
    """The second reader's error is the same for all five lesions of a case: 12 cases tell, not 60 lesions."""
    rng = np.random.default_rng(8)
    cases = [f"p{number // 5}" for number in range(60)]
    first = rng.normal(6, 3, 60)
    second = first + np.repeat(rng.normal(0, 1, 12), 5)
    grouped = compare_readings([reader("A", first, cases=cases), reader("B", second, cases=cases)])
    alone = compare_readings([reader("A", first), reader("B", second)])
    assert grouped.pairs[0].patients == 12
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


def test_long_names_stay_inside_the_picture():
    """Every label lies within the figure, whatever readers are called; names that need more than two lines are shortened."""
    names = ["results-of-the-second-reader-" * 5 + "A", "$W$ " * 40 + "B", "A reader of ours", "M" * 60]
    for first, second in pairwise(names):
        (pair,) = compare_readings([reader(first, FIRST), reader(second, FIRST[::-1])]).pairs
        figure = draw_pair(pair, pair.flips)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axis in figure.axes:
            for label in (axis.xaxis.label, axis.yaxis.label):
                box = label.get_window_extent(canvas.get_renderer())
                assert 0 <= box.x0 < box.x1 <= figure.bbox.x1, label.get_text()
                assert 0 <= box.y0 < box.y1 <= figure.bbox.y1, label.get_text()
        assert ("…" in figure.axes[1].get_xlabel()) == (len(first) > 50)


def test_margins_beside_a_threshold_are_told_apart():
    comparison = compare_readings([reader("A", [4.99, 9.9996]), reader("B", [5.0, 10.0])])
    told = [row[1:3] for row in flip_rows(comparison)]
    assert told == [("4.99 mm", "5.0 mm"), ("just below 10 mm", "10.0 mm")]


def test_readers_without_a_lesion_in_common():
    comparison = compare_readings(
        [reader("A", [1.0]), Readings(name="B", lesions={("x", "1"): Reading(margin_mm=2.0)})]
    )
    assert comparison.lesions == ()
    assert comparison.pairs[0].margins is None
    assert comparison.pairs[0].verdicts == ()


@pytest.mark.parametrize("cases", [None, ["p", "p", *"qrstuv"]], ids=["independent", "by case"])
def test_kappa_says_nothing_where_a_reader_says_one_thing(cases):
    one, other = ["adequate"] * 8, ["adequate"] * 6 + ["inadequate"] * 2
    first, second = (reader(name, [6.0] * 8, cases=cases, verdicts=words) for name, words in (("A", one), ("B", other)))
    verdict = compare_readings([first, second]).pairs[0].verdicts[0]
    assert (verdict.same.value, verdict.kappa.value, verdict.kappa.lower) == (0.75, None, None)
    assert verdict.ac1.value > 0.6
    assert verdict.ac1.lower < verdict.ac1.value < verdict.ac1.upper


@pytest.mark.parametrize("cases", [None, ["p", "p", *"qrstuv"]], ids=["independent", "by case"])
def test_answers_without_scatter_have_no_interval_but_their_share(cases):
    words = ["adequate"] * 5 + ["inadequate"] * 3
    turned = ["inadequate"] * 5 + ["adequate"] * 3
    for others, share, kappa in ((words, 1.0, 1.0), (turned, 0.0, -15 / 17)):
        readers = [reader(name, [6.0] * 8, cases=cases, verdicts=told) for name, told in (("A", words), ("B", others))]
        verdict = compare_readings(readers).pairs[0].verdicts[0]
        assert verdict.same.value == share
        assert 0.3 < verdict.same.upper - verdict.same.lower < 0.45, "Wilson's of 8 lesions or 7 cases"
        assert verdict.kappa.value == pytest.approx(kappa)
        if share:
            assert (verdict.kappa.lower, verdict.ac1.lower) == (None, None)


def test_ac1_of_verdicts_takes_three_categories_whoever_used_them():
    """Nine of ten alike; of three categories chance is 0.55 * 0.45 and not twice that."""
    one, other = ["adequate"] * 5 + ["inadequate"] * 5, ["adequate"] * 6 + ["inadequate"] * 4
    readers = [reader(name, [6.0] * 10, verdicts=words) for name, words in (("A", one), ("B", other))]
    verdict = compare_readings(readers).pairs[0].verdicts[0]
    chance = 0.55 * 0.45
    assert verdict.ac1.value == pytest.approx((0.9 - chance) / (1 - chance))


def test_the_interval_of_icc_hardly_changes_when_two_lesions_turn_out_to_be_of_one_case():
    rng = np.random.default_rng(1)
    first = rng.normal(6, 3, 20)
    second = first + 1.0 + rng.normal(0, 1, 20)
    cases = [f"c{number}" for number in range(20)]
    alone, joined = (
        compare_readings([reader("A", first, cases=told), reader("B", second, cases=told)]).pairs[0].margins
        for told in (cases, ["c1", *cases[1:]])
    )
    for one, other in (
        (alone.icc_agreement, joined.icc_agreement),
        (alone.icc_consistency, joined.icc_consistency),
    ):
        assert one.value == other.value
        assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), abs=0.02)
        assert one.lower < one.value < one.upper
