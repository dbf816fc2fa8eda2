"""The coefficients against worked examples that others published, and the intervals against simulation."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np
import pytest

from ablmargin.agreement.categories import (
    coefficient,
    coefficient_interval,
    cohen_chance,
    fleiss_chance,
    gwet_chance,
    votes_of,
)
from ablmargin.agreement.estimate import percentile_intervals, resamples_by_patient
from ablmargin.agreement.icc import (
    MeanSquares,
    icc_agreement,
    icc_consistency,
    icc_intervals,
)
from ablmargin.agreement.limits import (
    limits_intervals_mm,
    limits_mm,
    limits_over_patients_mm,
    slope,
    slope_interval,
    spread_mm,
)

WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427.0])
MINI_WRIGHT = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451.0])
"""Peak expiratory flow, l/min, by two meters: Bland & Altman, Lancet 1986;327:307, table 1, first measurements."""

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])
"""Six targets, four judges: Shrout & Fleiss, Psychol Bull 1979;86:420, table 2."""

FLEISS_COUNTS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
"""Ten subjects, fourteen raters, five categories: the worked example of Fleiss' kappa in Wikipedia, kappa 0.210."""


YES_NO = ("yes", "no")
VERDICTS = ("adequate", "inadequate", "indeterminate")


def two_readers(*, both: int, first: int, second: int, neither: int):
    """Verdicts of two readers from a two by two table."""
    one = [*repeat("yes", both + first), *repeat("no", second + neither)]
    other = [*repeat("yes", both), *repeat("no", first), *repeat("yes", second), *repeat("no", neither)]
    return votes_of([one, other], YES_NO)


def test_bland_and_altman_1986():
    differences = WRIGHT - MINI_WRIGHT
    bias, lower, upper = limits_mm(differences)
    assert bias == pytest.approx(-2.1, abs=0.05)
    assert spread_mm(differences) == pytest.approx(38.8, abs=0.05)
    assert (lower, upper) == pytest.approx((-79.7, 75.5), abs=2.0)  # the paper has 2 SD where we have 1.96
    assert limits_intervals_mm(differences)[0] == pytest.approx((-22.0, 17.8), abs=0.1)


def test_intervals_of_limits_hold_the_limit_as_often_as_they_say():
    rng = np.random.default_rng(1)
    n, runs = 12, 20_000
    samples = rng.normal(0.0, 1.0, (runs, n))
    bias, sd = samples.mean(axis=1), samples.std(axis=1, ddof=1)
    # intervals are bias + SD times a factor: those of one sample tell the factors of all
    unit_bias, _, unit_upper = limits_intervals_mm((samples[0] - bias[0]) / sd[0])
    for true_value, (low, high) in ((0.0, unit_bias), (1.96, unit_upper)):
        below, above = np.mean(bias + sd * low > true_value), np.mean(bias + sd * high < true_value)
        assert below == pytest.approx(0.025, abs=0.004)  # four standard errors of 20,000 runs
        assert above == pytest.approx(0.025, abs=0.004)


def test_limits_are_mirrored_when_readers_change_places():
    _, lower, upper = limits_intervals_mm(WRIGHT - MINI_WRIGHT)
    _, back_lower, back_upper = limits_intervals_mm(MINI_WRIGHT - WRIGHT)
    assert back_lower == pytest.approx((-upper[1], -upper[0]))
    assert back_upper == pytest.approx((-lower[1], -lower[0]))


def test_a_reader_who_stretches_the_scale_has_a_proportional_bias():
    first = np.array([0.0, 2.0, 4.0, 6.0, 8.0])
    second = 1.5 * first + 1.0
    assert slope(first, second) == pytest.approx(0.4)  # difference 0.5 x + 1, mean 1.25 x + 0.5
    assert slope_interval(first, second) == pytest.approx((0.4, 0.4), abs=1e-9)
    assert slope(first, first + 3.0) == pytest.approx(0.0)
    assert np.isnan(slope(np.ones(4), np.ones(4)))


def test_slope_interval_is_that_of_ordinary_regression():
    from scipy import stats

    means, differences = (WRIGHT + MINI_WRIGHT) / 2, MINI_WRIGHT - WRIGHT
    fit = stats.linregress(means, differences)
    reach = stats.t.ppf(0.975, len(means) - 2) * fit.stderr
    assert slope_interval(WRIGHT, MINI_WRIGHT) == pytest.approx((fit.slope - reach, fit.slope + reach))


def test_shrout_and_fleiss_1979():
    squares = MeanSquares.of(SHROUT_FLEISS)
    assert (squares.lesions, squares.readers, squares.rest) == pytest.approx((11.24, 32.49, 1.02), abs=0.005)
    assert icc_agreement(squares) == pytest.approx(0.29, abs=0.005)
    assert icc_consistency(squares) == pytest.approx(0.71, abs=0.005)


def test_readers_who_say_the_same_and_readers_who_differ_by_a_constant():
    first = np.array([1.0, 4.0, 6.0, 9.0])
    same = MeanSquares.of(np.column_stack([first, first]))
    assert icc_agreement(same) == icc_consistency(same) == 1.0
    shifted = MeanSquares.of(np.column_stack([first, first + 5.0]))
    assert icc_consistency(shifted) == pytest.approx(1.0)
    assert icc_agreement(shifted) < 0.6
    assert np.isnan(icc_agreement(MeanSquares.of(np.full((4, 2), 3.0))))


def test_agreement_of_two_readers_is_the_concordance_of_lin():
    """Lin's coefficient 2 s12 / (s1² + s2² + d²) has s² over n where the mean squares have n - 1: equal for large n."""
    margins = np.tile(np.column_stack([WRIGHT, MINI_WRIGHT + 30]), (200, 1))
    both = np.cov(margins.T)
    concordance = 2 * both[0, 1] / (both[0, 0] + both[1, 1] + np.square(np.subtract(*margins.mean(axis=0))))
    assert icc_agreement(MeanSquares.of(margins)) == pytest.approx(concordance, abs=2e-4)


def test_intervals_of_a_correlation_without_shift_are_those_of_fisher():
    """Of 400 normal pairs with equal spread: atanh(r) ± 1.96 / sqrt(n - 3/2), which Fisher gave for an intraclass correlation."""
    rng = np.random.default_rng(2)
    truth, n = rng.normal(0, 2, 400), 400
    margins = truth[:, None] + rng.normal(0, 1, (n, 2))
    icc = icc_consistency(MeanSquares.of(margins))
    expected = np.tanh(np.arctanh(icc) + np.array([-1.96, 1.96]) / np.sqrt(n - 1.5))
    for interval in icc_intervals(margins, np.arange(n)):
        assert interval == pytest.approx(tuple(expected), abs=0.006)  # a tenth of the width; the jackknife scatters


@pytest.mark.parametrize("lesions_a_case", [1, 4])
@pytest.mark.parametrize("readers", [2, 3])
def test_intervals_of_icc_hold_the_truth_of_these_readers(lesions_a_case, readers):
    """0.95 within 0.03, five standard errors of 1200 runs, for 15 cases; readers with biases of 0 to 1 mm are the same in each."""
    rng = np.random.default_rng(11)
    runs, cases = 1200, 15
    bias, patient_of_row = np.linspace(0, 1, readers), np.repeat(np.arange(cases), lesions_a_case)
    shared, own = 0.5, 0.7
    error = shared**2 + own**2
    truth = np.array([9 / (9 + error + bias.var(ddof=1)), 9 / (9 + error)])
    held = np.zeros(2)
    for _ in range(runs):
        margins = 6 + rng.normal(0, 3, (len(patient_of_row), 1)) + bias
        margins = margins + rng.normal(0, shared, (cases, readers))[patient_of_row] + rng.normal(0, own, margins.shape)
        intervals = np.array(icc_intervals(margins, patient_of_row))
        held += (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    assert held / runs == pytest.approx(0.95, abs=0.03)


def test_few_cases_and_full_agreement_have_no_interval_of_icc():
    first = np.arange(6.0)
    margins = np.column_stack([first, first + 1.0])
    agreement, consistency = icc_intervals(margins, np.arange(6))
    assert np.isfinite(agreement).all()
    assert np.isnan(consistency).all()
    assert np.isnan(icc_intervals(SHROUT_FLEISS, np.array([0, 0, 1, 1, 2, 3]))).all()


def test_cohen_kappa_of_a_textbook_table():
    votes = two_readers(both=20, first=5, second=10, neither=15)
    assert coefficient(votes, cohen_chance) == pytest.approx(0.4)
    low, high = coefficient_interval(votes, cohen_chance)
    assert (high + low) / 2 == pytest.approx(0.4)
    assert ((high - low) / 2 / 2.0096) ** 2 * 49 / 50 == pytest.approx(fleiss_cohen_everitt(20, 5, 10, 15), rel=1e-3)


def fleiss_cohen_everitt(a: int, b: int, c: int, d: int) -> float:
    """The large-sample variance of kappa: Fleiss, Cohen & Everitt, Psychol Bull 1969;72:323. It has n where ours has n - 1."""
    n = a + b + c + d
    table = np.array([[a, b], [c, d]]) / n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, expected = np.trace(table), rows @ columns
    kappa = (observed - expected) / (1 - expected)
    on = sum(table[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(2))
    off = (1 - kappa) ** 2 * sum(
        table[i, j] * (columns[i] + rows[j]) ** 2 for i in range(2) for j in range(2) if i != j
    )
    return (on + off - (kappa - expected * (1 - kappa)) ** 2) / (n * (1 - expected) ** 2)


def test_the_kappa_paradox_of_gwet():
    """125 subjects, 118 of them positive for both: Gwet, Stat Methods Inter-Rater Reliab Assess 2002;1:1."""
    votes = two_readers(both=118, first=5, second=2, neither=0)
    assert coefficient(votes, cohen_chance) == pytest.approx(-0.0234, abs=5e-5)
    assert coefficient(votes, gwet_chance) == pytest.approx(0.9408, abs=5e-5)


def test_ac1_counts_all_categories_that_readers_could_choose():
    """Chance is the sum of pi (1 - pi) over the words, divided by their number less one: half as much of three as of two."""
    one, other = ["adequate"] * 5 + ["inadequate"] * 5, ["adequate"] * 4 + ["inadequate"] * 6
    pi = 0.45
    for words, pe in ((VERDICTS[:2], 2 * pi * (1 - pi)), (VERDICTS, pi * (1 - pi))):
        assert coefficient(votes_of([one, other], words), gwet_chance) == pytest.approx((0.9 - pe) / (1 - pe))
    for chance in (cohen_chance, fleiss_chance):
        two, three = (coefficient(votes_of([one, other], words), chance) for words in (VERDICTS[:2], VERDICTS))
        assert two == pytest.approx(three)


def test_gwet_interval_is_that_of_his_variance_for_two_readers():
    """Formula 3.8 of Gwet 2008 in its two-reader form, from cell shares instead of from lesions."""
    votes = two_readers(both=118, first=5, second=2, neither=0)
    n, ac1 = 125, coefficient(votes, gwet_chance)
    cells = np.array([[118, 5], [2, 0]]) / n
    pi = (cells.sum(axis=0) + cells.sum(axis=1)) / 2
    expected, observed = 2 * pi[0] * pi[1], np.trace(cells)
    straight = sum(cells[k, k] * (1 - pi[k]) for k in range(2))
    square = sum(cells[k, m] * (1 - (pi[k] + pi[m]) / 2) ** 2 for k in range(2) for m in range(2))
    variance = observed * (1 - observed) - 4 * (1 - ac1) * (straight - observed * expected)
    variance += 4 * (1 - ac1) ** 2 * (square - expected**2)
    variance /= n * (1 - expected) ** 2
    low, high = coefficient_interval(votes, gwet_chance)
    assert ((high - low) / 2 / 1.97928) ** 2 * (n - 1) / n == pytest.approx(variance, rel=1e-3)


def test_fleiss_kappa_of_many_raters():
    rows = [list(chain.from_iterable(repeat(str(k), count) for k, count in enumerate(row))) for row in FLEISS_COUNTS]
    assert coefficient(votes_of(np.array(rows).T, list("01234")), fleiss_chance) == pytest.approx(0.210, abs=5e-4)


def test_nothing_beyond_chance_can_be_told_where_all_say_one_thing():
    votes = votes_of([["adequate"] * 5, ["adequate"] * 5], VERDICTS)
    assert np.isnan(coefficient(votes, cohen_chance))
    assert coefficient(votes, gwet_chance) == 1.0


def test_the_order_of_two_readers_does_not_matter():
    one, other = ["a", "b", "c", "a", "b", "a"], ["a", "c", "c", "b", "b", "a"]
    for chance in (cohen_chance, fleiss_chance, gwet_chance):
        there, back = (votes_of(both, "abc") for both in ([one, other], [other, one]))
        assert coefficient(there, chance) == pytest.approx(coefficient(back, chance))
        assert coefficient_interval(there, chance) == pytest.approx(coefficient_interval(back, chance))


def test_lesions_are_drawn_by_their_cases():
    cases = ["p", "q", "p", "r", "q", "p", "s", "t"]
    resamples = resamples_by_patient(cases, count=200)
    assert resamples is not None
    for rows in resamples.rows:
        counts = np.bincount(rows, minlength=8)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]
    assert resamples_by_patient(["p", "q", "r"]) is None
    assert resamples_by_patient(["p", "q", "q", "r"]).rows == (), "three cases don't tell how cases differ"
    again = resamples_by_patient(cases, count=200)
    assert all(np.array_equal(one, other) for one, other in zip(resamples.rows, again.rows, strict=True))


def test_lesions_that_repeat_their_case_add_no_evidence():
    """Each of 30 values four times: the interval by case is as wide as that of the 30, not half of it."""
    values = np.random.default_rng(3).normal(0.0, 2.0, 30)
    repeated, cases = np.repeat(values, 4), np.repeat(np.arange(30).astype(str), 4)
    resamples = resamples_by_patient(cases.tolist())
    ((low, high),) = percentile_intervals(lambda rows: [repeated[rows].mean()], resamples, count=1)
    alone = limits_intervals_mm(values)[0]
    assert high - low == pytest.approx(alone[1] - alone[0], rel=0.12)
    assert limits_over_patients_mm(repeated, np.repeat(np.arange(30), 4))[1][0] == pytest.approx(alone)
    naive = limits_intervals_mm(repeated)[0]
    assert naive[1] - naive[0] < 0.6 * (high - low)


def test_intervals_by_case_hold_the_limits_as_often_as_they_say():
    """One to four lesions a case, half of the variance between cases: 0.95 within four standard errors of 2000 runs."""
    rng = np.random.default_rng(5)
    runs, cases = 2000, 15
    held = np.zeros(3)
    for _ in range(runs):
        patient_of_row = np.repeat(np.arange(cases), rng.integers(1, 5, cases))
        differences = 0.4 + rng.normal(0, 1, cases)[patient_of_row] + rng.normal(0, 1, len(patient_of_row))
        truth = 0.4 + 1.96 * 2**0.5 * np.array([0, -1, 1])
        intervals = np.array(limits_over_patients_mm(differences, patient_of_row)[1])
        held += (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    assert held / runs == pytest.approx(0.95, abs=0.02)


def test_limits_by_case_are_the_usual_ones_where_cases_hardly_repeat():
    """One case of forty has a second lesion with the same difference."""
    differences = np.random.default_rng(6).normal(1.0, 2.0, 40)
    more = np.append(differences, differences[-1])
    values, intervals = limits_over_patients_mm(more, np.append(np.arange(40), 39))
    assert values[:3] == pytest.approx(limits_mm(differences), abs=0.02)
    assert np.array(intervals) == pytest.approx(np.array(limits_intervals_mm(differences)), abs=0.12)
