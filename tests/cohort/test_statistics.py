"""Curves, tests, models, ROC and calibration against published results and analytic truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_simulated import simulate
from scipy.stats import chi2, norm
from scipy.stats import t as student
from worked_examples import freireich, histories, rossi

from ablmargin.cohort.calibration import calibrate
from ablmargin.cohort.cox import NoFitError, fit_cox
from ablmargin.cohort.logrank import logrank
from ablmargin.cohort.roc import roc_of, why_no_roc
from ablmargin.cohort.shares import highest_share, share_until
from ablmargin.cohort.survival import (
    incidence,
    median_followup,
    progression,
    still_unobserved,
)


def simulated(seed=0, **options):
    cohort = simulate(seed, **options)
    return histories(
        cohort.months, cohort.event, margin_mm=cohort.margin_mm, mutant=cohort.mutant, patient=cohort.patient
    )


class TestCurves:
    def test_kaplan_meier_of_the_leukemia_trial(self):
        """Published, as in Collett's and Kleinbaum's textbooks: 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448."""
        trial = freireich()
        curve = progression(trial.only(trial.margin_mm == 1))
        free = [1 - curve.at(week)[0] for week in (6, 7, 10, 13, 16, 22, 23)]
        assert free == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
        assert curve.at(5.9)[0] == 0

    def test_log_rank_of_the_leukemia_trial(self):
        """Chi-square 16.79 on 1 degree of freedom: p 0.0000417."""
        trial = freireich()
        found = logrank(trial, trial.margin_mm.astype(np.int64))
        assert (found.chi_square, found.p_value) == (pytest.approx(16.79, abs=0.005), pytest.approx(4.17e-5, rel=0.005))

    def test_a_group_that_nobody_could_see_progress_changes_no_log_rank(self):
        """Three more who left before the first progression, in a group of their own: still 16.79 on 1 degree of freedom."""
        trial = freireich()
        joined = histories([0.5, 0.6, 0.9, *trial.months], [0, 0, 0, *trial.event])
        found = logrank(joined, np.array([7, 7, 7, *trial.margin_mm.astype(int)]))
        assert (found.chi_square, found.freedom) == (pytest.approx(16.79, abs=0.005), 1)
        assert found.never_at_risk == (7,)

    def test_a_tiny_p_value_is_not_zero(self):
        """200 against 200 with hazards 10 to 1: 1 minus a distribution function would be 0 below 1e-16."""
        months = np.concatenate([np.linspace(0.1, 5, 200), np.linspace(20, 60, 200)])
        found = logrank(histories(months, np.ones(400, dtype=int)), np.repeat([0, 1], 200))
        assert 0 < found.p_value < 1e-30
        assert found.p_value == pytest.approx(chi2.sf(found.chi_square, 1))

    def test_one_group_at_risk_has_nothing_to_be_compared_with(self):
        assert logrank(histories([1, 2, 5, 6], [0, 0, 1, 1]), np.array([0, 0, 1, 1])) is None

    def test_the_jackknife_agrees_with_greenwood_where_each_patient_has_one_lesion(self):
        trial = freireich()
        curve = progression(trial.only(trial.margin_mm == 1))
        share, lower, upper = curve.at(10)
        greenwood = 0.0963  # published standard error of 0.753 at 10 weeks
        spread = np.log(-np.log(1 - np.array([lower, upper])))
        error = np.ptp(spread) / 2 / 2.086 * (1 - share) * -np.log(1 - share)  # t with 20 degrees of freedom
        assert error == pytest.approx(greenwood, rel=0.06)

    def test_lesions_that_share_all_with_another_say_nothing_new(self):
        """Each patient with two equal lesions: the interval is that of one each; taken as independent it is narrower."""
        once = simulated(lesions=80, likeness=0.0)
        once = replace(once, patient=np.arange(80))
        twice = once.only(np.tile(np.arange(80), 2))
        assert progression(twice).at(24) == pytest.approx(progression(once).at(24), rel=1e-9)
        pretended = progression(replace(twice, patient=np.arange(160))).at(24)
        assert pretended[2] - pretended[1] < 0.8 * (progression(once).at(24)[2] - progression(once).at(24)[1])

    def test_incidence_with_a_pencil(self):
        """Six lesions, one leaving at a time: censored, death, death, progression twice, censored: 1/6 · 3/5 … = 0.4."""
        lesions = histories([1, 2, 3, 4, 5, 6], [0, 2, 2, 1, 1, 0])
        curve = incidence(lesions)
        assert curve.at(6)[0] == pytest.approx(0.4, abs=1e-12)
        assert curve.at(4)[0] == pytest.approx(0.2, abs=1e-12)
        assert curve.at(3)[0] == 0

    def test_death_and_progression_in_one_month(self):
        """Ten lesions; one dies and two progress in the first month: the incidence is 2/10, whoever is asked first."""
        lesions = histories([1, 1, 1, *[5] * 7], [2, 1, 1, *[0] * 7])
        assert incidence(lesions).at(1)[0] == pytest.approx(0.2, abs=1e-12)

    def test_incidence_never_exceeds_kaplan_meier(self):
        lesions = simulated(death_rate=0.02)
        assert (incidence(lesions).share <= progression(lesions).share + 1e-12).all()
        assert incidence(lesions).at(40)[0] < progression(lesions).at(40)[0]

    def test_without_deaths_both_are_the_same(self):
        lesions = simulated(death_rate=1e-9)
        np.testing.assert_allclose(incidence(lesions).share, progression(lesions).share, atol=1e-12)

    def test_nobody_progressed(self):
        lesions = histories([3, 9, 12], [0, 0, 2])
        for curve in (progression(lesions), incidence(lesions)):
            assert (curve.share == 0).all()
            assert np.isnan(curve.upper).all()
        assert logrank(lesions, np.array([0, 1, 1])) is None

    def test_of_none_of_many_a_few_percent_may_progress(self):
        """The exact bound solves (1 - p)^n = 0.05."""
        assert highest_share(30) == pytest.approx(1 - 0.05 ** (1 / 30), abs=1e-9)

    @pytest.mark.parametrize(("horizon", "share"), [(24, 1.0), (6, 0.5)])
    def test_a_band_in_which_everybody_progressed_is_known_for_ever(self, horizon, share):
        lesions = histories([6, 6, 9, 12], [1, 1, 1, 1])
        for curve in (progression(lesions), incidence(lesions)):
            assert share_until(horizon, curve, lesions, deaths_compete=True).value == share

    def test_all_of_few_patients_is_not_all_of_many(self):
        """All of 4 lesions of 3 patients: p³ = 0.05 at the lower bound of 37 %."""
        lesions = histories([6, 6, 9, 12], [1, 1, 1, 1], patient=[0, 0, 1, 2])
        found = share_until(24, progression(lesions), lesions, deaths_compete=False)
        assert (found.bound, found.patients) == (pytest.approx(0.05 ** (1 / 3)), 3)

    def test_deaths_end_the_incidence_but_not_the_progression(self):
        """The last one died: how many would have progressed by 24 months isn't known, how many did is."""
        lesions = histories([6, 9, 12], [1, 1, 2])
        assert share_until(24, progression(lesions), lesions, deaths_compete=False) is None
        assert share_until(24, incidence(lesions), lesions, deaths_compete=True).value == pytest.approx(2 / 3)
        imaged_before = replace(lesions, lived_months=np.array([6.0, 9.0, 20.0]))
        assert share_until(24, incidence(imaged_before), imaged_before, deaths_compete=True) is None

    def test_whom_nobody_sees_any_more_keeps_a_share_open(self):
        lesions = histories([6, 9, 12], [1, 1, 0])
        for curve in (progression(lesions), incidence(lesions)):
            assert share_until(24, curve, lesions, deaths_compete=True) is None
            assert share_until(12, curve, lesions, deaths_compete=True).value == pytest.approx(2 / 3)

    def test_none_of_one_patient_says_next_to_nothing(self):
        """30 lesions of one patient are one patient: up to 95 % may progress."""
        lesions = histories([30] * 30, [0] * 30, patient=[0] * 30)
        assert share_until(24, progression(lesions), lesions, deaths_compete=False).bound == pytest.approx(0.95)

    def test_median_followup_counts_those_who_progressed_as_not_followed_to_the_end(self):
        assert median_followup(histories([2, 10, 20, 30], [1, 0, 0, 0])) == 20
        assert median_followup(histories([2, 3, 4, 30], [1, 1, 1, 1])) is None

    @pytest.mark.slow
    def test_intervals_hold_for_clustered_lesions(self):
        """Truth from 200,000 lesions; 300 cohorts of 100: 95 % within 2.5 standard errors of a count, 3 %."""
        truth = progression_share(simulate(99, lesions=200_000, likeness=0.6, death_rate=1e-9), 24)
        hits = 0
        for seed in range(300):
            _, lower, upper = progression(simulated(seed, lesions=100, likeness=0.6)).at(24)
            hits += lower <= truth <= upper
        assert 0.92 <= hits / 300 <= 0.98


def progression_share(cohort, months):
    """By counting, among those followed longer or progressed before; follow-up is independent of progression."""
    lesions = histories(cohort.months, cohort.event)
    free = still_unobserved(lesions, lesions.progressed)
    return 1 - free.surv_prob[np.searchsorted(free.surv_times, months, side="right") - 1]


class TestCox:
    def test_the_leukemia_trial(self):
        """Efron: 1.572; published e.g. by Cox and Oakes, and in R's documentation."""
        trial = freireich()
        (term,) = fit_cox(trial, {"placebo": 1 - trial.margin_mm}).terms
        assert np.log(term.ratio) == pytest.approx(1.572, abs=5e-4)

    def test_rossi_coefficients(self):
        """As documented by lifelines and by Fox and Weisberg (Cox regression in R, 2011)."""
        convicts, columns = rossi()
        names = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
        model = fit_cox(convicts, {name: columns[name] for name in names})
        slopes = [np.log(term.ratio) for term in model.terms]
        assert slopes == pytest.approx([-0.3794, -0.0574, 0.3139, -0.1498, -0.4337, -0.0849, 0.0915], abs=1e-4)
        assert (model.lesions, model.events) == (432, 114)

    def test_rossi_proportionality(self):
        """Documented by lifelines: chi-square 11.03 of age, 7.48 of work experience, 1.4 of race, under 1 of the others.

        Weeks are tied, and statsmodels' residuals are Breslow's: within 6 %.
        """
        convicts, columns = rossi()
        names = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
        model = fit_cox(convicts, {name: columns[name] for name in names})
        found = {term.name: chi2.isf(term.proportional_p, 1) for term in model.terms}
        assert (found["age"], found["wexp"]) == pytest.approx((11.03, 7.48), rel=0.06)
        assert found["race"] == pytest.approx(1.44, abs=0.1)
        assert max(found[name] for name in ("fin", "mar", "paro", "prio")) < 1

    def test_rossi_clustered_errors(self):
        """Every three rows a cluster, ties broken by the row's number / 1000: as lifelines 0.30.3 finds with cluster_col."""
        convicts, columns = rossi()
        clustered = replace(convicts, patient=np.arange(432) // 3, months=convicts.months + np.arange(432) / 1000)
        model = fit_cox(clustered, {name: columns[name] for name in ("fin", "age", "prio")})
        half = np.array([np.log(term.upper / term.lower) / 2 for term in model.terms])
        errors = half / student.ppf(0.975, 143) / np.sqrt(144 / 143)
        assert [np.log(term.ratio) for term in model.terms] == pytest.approx([-0.34481, -0.06655, 0.09965], abs=1e-5)
        assert errors == pytest.approx([0.18606, 0.02471, 0.02646], abs=1e-5)

    def test_lesions_that_share_all_with_another_say_nothing_new(self):
        once = replace(simulated(lesions=120, likeness=0.0), patient=np.arange(120))
        twice = once.only(np.tile(np.arange(120), 2))
        twice = replace(twice, months=twice.months + np.repeat([0.0, 1e-7], 120))
        one, two = (fit_cox(which, {"mutant": which.mutant.astype(float)}).terms[0] for which in (once, twice))
        assert two.upper / two.lower == pytest.approx(one.upper / one.lower, rel=0.01)
        pretended = fit_cox(replace(twice, patient=np.arange(240)), {"mutant": twice.mutant.astype(float)}).terms[0]
        assert np.log(pretended.upper / pretended.lower) == pytest.approx(
            np.log(one.upper / one.lower) / np.sqrt(2), rel=0.02
        )

    def test_who_left_before_the_first_progression_changes_nothing(self):
        lesions = simulated()
        early = lesions.months < np.quantile(lesions.months, 0.03)
        quiet = replace(lesions, event=np.where(early, 0, lesions.event))
        with_them, without = quiet, quiet.only(~early)
        terms = [
            fit_cox(which, {"mutant": which.mutant.astype(float)}).terms[0].ratio for which in (with_them, without)
        ]
        assert terms[0] == pytest.approx(terms[1], rel=1e-9)

    def test_known_ratios_are_recovered(self):
        """2,000 lesions: the log ratio's standard error is about 0.085, so within 0.25."""
        lesions = simulated(3, lesions=2000)
        model = fit_cox(
            lesions, {"narrow": (lesions.margin_mm < 5).astype(float), "mutant": lesions.mutant.astype(float)}
        )
        assert [np.log(term.ratio) for term in model.terms] == pytest.approx(np.log([2.48, 3.01]), abs=0.25)

    def test_a_ratio_that_changes_with_time_is_told(self):
        """A hazard that is tripled before 12 months and a third of it after."""
        random = np.random.default_rng(5)
        group = np.repeat([0.0, 1.0], 300)
        early, late = (random.exponential(1 / (0.03 * factor**group)) for factor in (3.0, 1 / 3))
        months = np.where(early < 12, early, 12 + late)
        crossing = histories(np.minimum(months, 36), (months < 36).astype(int))
        assert fit_cox(crossing, {"group": group}).terms[0].proportional_p < 0.001

    def test_few_progressions_fit_no_model(self):
        lesions = simulated(lesions=30)
        few = replace(lesions, event=np.where(np.arange(30) < 9, 1, 0))
        with pytest.raises(NoFitError, match="9 progressions are too few"):
            fit_cox(few, {"margin": few.margin_mm})

    def test_two_terms_take_twice_as_many(self):
        lesions = simulated(lesions=60)
        some = replace(lesions, event=(np.arange(60) % 4 == 0).astype(int))
        fit_cox(some, {"margin": some.margin_mm})
        with pytest.raises(NoFitError, match="two terms: it takes 20"):
            fit_cox(some, {"margin": some.margin_mm, "mutant": some.mutant.astype(float)})

    def test_progressions_of_few_patients_fit_no_model(self):
        lesions = replace(simulated(), patient=np.arange(200) % 5)
        with pytest.raises(NoFitError, match="those of 5 patients"):
            fit_cox(lesions, {"margin": lesions.margin_mm})

    def test_the_progressions_of_one_patient(self):
        lesions = replace(simulated(), patient=np.zeros(200, dtype=np.int64))
        with pytest.raises(NoFitError, match="those of 1 patient:"):
            fit_cox(lesions, {"margin": lesions.margin_mm})

    def test_a_group_without_progressions_has_no_ratio(self):
        lesions = simulated()
        narrow = (lesions.margin_mm < 5).astype(float)
        perfect = replace(lesions, event=np.where(narrow == 1, lesions.event, 0))
        with pytest.raises(NoFitError, match=r"None of \d+ lesions without “narrow” progressed"):
            fit_cox(perfect, {"narrow": narrow})

    def test_a_margin_that_separates_has_no_ratio(self):
        """The lower the margin the earlier the progression, without exception: the likelihood grows for ever."""
        lesions = histories(np.arange(1, 61), (np.arange(60) < 30).astype(int), margin_mm=np.arange(60))
        with pytest.raises(NoFitError):
            fit_cox(lesions, {"margin": lesions.margin_mm})

    def test_all_alike(self):
        lesions = simulated()
        with pytest.raises(NoFitError, match="alike"):
            fit_cox(lesions, {"mutant": np.ones(200)})


class TestRoc:
    def test_two_normal_distributions(self):
        """Progressing lesions have margins lower by 1 standard deviation: the area is Φ(1/√2) = 0.760."""
        random = np.random.default_rng(0)
        progressed = np.arange(2000) < 1000
        margin_mm = random.normal(5 - progressed, 1)
        lesions = histories(np.where(progressed, 6, 30), progressed.astype(int), margin_mm=margin_mm)
        roc = roc_of(lesions, horizon_months=24, given_mm=[4.5], seed=0)
        assert roc.area.value == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.02)
        assert roc.area.lower < roc.area.value < roc.area.upper
        assert roc.best.margin_mm.value == pytest.approx(4.5, abs=0.4)
        assert roc.given[0].sensitivity.value == pytest.approx(norm.cdf(0.5), abs=0.03)
        assert roc.given[0].specificity.value == pytest.approx(norm.cdf(0.5), abs=0.03)

    def test_those_who_left_early_count_through_those_who_stayed(self):
        """Censoring that is independent of all must not shift the area; dropping the censored alone would keep more cases."""
        full, cut = simulated(1, lesions=3000, death_rate=1e-9), simulated(1, lesions=3000, death_rate=1e-9)
        random = np.random.default_rng(2)
        left = random.uniform(1, 60, 3000)
        cut = replace(cut, months=np.minimum(cut.months, left), event=np.where(left < cut.months, 0, cut.event))
        whole, part = (roc_of(which, horizon_months=12, given_mm=[5], seed=0) for which in (full, cut))
        assert part.area.value == pytest.approx(whole.area.value, abs=0.03)
        assert part.given[0].sensitivity.value == pytest.approx(whole.given[0].sensitivity.value, abs=0.03)

    def test_weights_with_a_pencil(self):
        """Of 30 followed to 5 months 10 leave, so 2 of 3 are known: 10 late progressions count for 15 beside 10 early ones.

        A margin of exactly 5 mm isn't below 5 mm.
        """
        lesions = histories(
            [2] * 10 + [10] * 10 + [5] * 10 + [30] * 10,
            [1] * 20 + [0] * 20,
            margin_mm=[0] * 10 + [5] * 10 + [3] * 10 + [4] * 5 + [8] * 5,
        )
        roc = roc_of(lesions, horizon_months=24, given_mm=[5], seed=0)
        assert roc.given[0].sensitivity.value == pytest.approx(10 / 25)
        assert roc.given[0].specificity.value == pytest.approx(0.5)
        assert (roc.cases, roc.controls) == (20, 10)

    def test_who_is_seen_free_at_the_horizon_is_a_control(self):
        """Seen free at exactly 24 months; a progression then is a case, a progression later none."""
        lesions = histories(
            [6] * 11 + [24] + [24] * 36 + [30], [1] * 11 + [1] + [0] * 36 + [1], margin_mm=np.arange(49)
        )
        roc = roc_of(lesions, horizon_months=24, given_mm=[5], seed=0)
        assert (roc.cases, roc.controls) == (12, 37)

    def test_one_patient_of_many_lesions_has_no_curve(self):
        lesions = simulated(4)
        alone = replace(lesions, patient=np.zeros(200, dtype=np.int64))
        assert roc_of(alone, horizon_months=24, given_mm=[5], seed=0) is None
        assert "of 1 patient progressed" in why_no_roc(alone, 24)
        few_cases = replace(lesions, patient=np.where(lesions.progressed, lesions.patient % 9, 100 + np.arange(200)))
        assert "of 9 patients progressed" in why_no_roc(few_cases, 24)
        assert why_no_roc(lesions, 24) == ""

    def test_what_choosing_a_cut_off_lends_it_is_taken_away(self):
        """The true rates at each cohort's best cut-off are those in 20,000 others; 20 cohorts: standard error 0.02.

        Counted, the sum of both rates is too high by 0.06 (in 200 cohorts); corrected by 0.01.
        """
        others = simulated(77, lesions=20_000)
        early = others.progressed & (others.months <= 24)
        late = others.months > 24
        counted, corrected = [], []
        for seed in range(20):
            best = roc_of(simulated(seed), horizon_months=24, given_mm=[], seed=0).best
            below = others.margin_mm < best.margin_mm.value
            true = below[early].mean() - below[late].mean()
            counted.append(best.counted_sensitivity + best.counted_specificity - 1 - true)
            corrected.append(best.youden - true)
        assert np.mean(counted) > 0.03
        assert abs(np.mean(corrected)) < 0.03

    def test_all_or_none_has_an_interval(self):
        """Wilson with t: of 20 patients all, z = 2.093: the lower bound is 20 / (20 + z²) = 0.820."""
        lesions = histories([6] * 20 + [30] * 20, [1] * 20 + [0] * 20, margin_mm=[*range(20), *range(100, 120)])
        roc = roc_of(lesions, horizon_months=24, given_mm=[50, 0], seed=0)
        for rate in (roc.area, roc.given[0].sensitivity, roc.given[0].specificity):
            assert (rate.lower, rate.upper) == (pytest.approx(0.820, abs=5e-4), 1)
        none = roc.given[1].sensitivity
        assert (none.value, none.lower, none.upper) == (0, pytest.approx(0, abs=1e-12), pytest.approx(0.180, abs=5e-4))

    def test_all_lesions_of_few_patients_have_a_wide_interval(self):
        """40 lesions of 10 patients count as 10: 10 / (10 + 2.262²) = 0.661."""
        lesions = histories(
            [6] * 40 + [30] * 40, [1] * 40 + [0] * 40, margin_mm=np.arange(80), patient=np.arange(80) // 4
        )
        roc = roc_of(lesions, horizon_months=24, given_mm=[40], seed=0)
        assert roc.given[0].sensitivity.lower == pytest.approx(0.661, abs=5e-4)

    def test_margins_that_tell_the_wrong_way_have_no_best_cut_off(self):
        lesions = histories([6] * 20 + [30] * 20, [1] * 20 + [0] * 20, margin_mm=[*range(100, 120), *range(20)])
        roc = roc_of(lesions, horizon_months=24, given_mm=[5], seed=0)
        assert (roc.best, roc.area.value) == (None, 0)

    def test_a_margin_that_tells_all(self):
        lesions = histories([6] * 20 + [30] * 20, [1] * 20 + [0] * 20, margin_mm=[*range(20), *range(100, 120)])
        roc = roc_of(lesions, horizon_months=24, given_mm=[50], seed=0)
        assert roc.area.value == 1
        assert roc.best.margin_mm.value == pytest.approx((19 + 100) / 2)
        assert (roc.given[0].sensitivity.value, roc.given[0].specificity.value) == (1, 1)

    def test_equal_margins_tell_nothing(self):
        lesions = histories([6] * 20 + [30] * 20, [1] * 20 + [0] * 20)
        roc = roc_of(lesions, horizon_months=24, given_mm=[], seed=0)
        assert (roc.area.value, roc.best) == (0.5, None)

    def test_the_same_seed_gives_the_same_interval(self):
        areas = [roc_of(simulated(), horizon_months=24, given_mm=[5], seed=seed).area for seed in (0, 0, 1)]
        assert areas[0] == areas[1]
        assert areas[0] != areas[2]

    def test_too_few_fates(self):
        lesions = histories([6] * 9 + [30] * 30, [1] * 9 + [0] * 30)
        assert roc_of(lesions, horizon_months=24, given_mm=[5], seed=0) is None


class TestCalibration:
    def test_a_right_model_is_calibrated(self):
        """The model is the one that made the data; 1,000 lesions: standard errors of slope 0.1, of groups 0.03."""
        lesions = simulated(7, lesions=1000, death_rate=1e-9)
        covariates = {"narrow": (lesions.margin_mm < 5).astype(float), "mutant": lesions.mutant.astype(float)}
        found = calibrate(lesions, covariates, 24)
        assert found.slope.value == pytest.approx(1, abs=0.3)
        for group in found.groups:
            assert group.observed.value == pytest.approx(group.predicted, abs=0.1)
        assert found.groups[-1].predicted - found.groups[0].predicted > 0.2

    def test_noise_foretells_nothing(self):
        """A covariate without any effect: what other patients teach of it doesn't hold."""
        lesions = simulated(8)
        noise = {"noise": np.random.default_rng(1).normal(size=200)}
        found = calibrate(lesions, noise, 24)
        assert found.slope.lower < 1
        assert found.slope.value < 0.5

    def test_a_group_that_all_progressed_is_known(self):
        """The lowest margins all progress within 12 months, and nobody of them is followed longer."""
        lesions = simulated(3)
        doomed = np.argsort(np.argsort(lesions.margin_mm)) < 80
        lesions = replace(
            lesions,
            months=np.where(doomed, lesions.months % 11 + 1, lesions.months),
            event=np.where(doomed, 1, lesions.event),
            lived_months=np.where(doomed, lesions.months % 11 + 1, lesions.lived_months),
        )
        found = calibrate(lesions, {"margin": lesions.margin_mm}, 24)
        assert found.groups[-1].observed.value == 1
        assert 0.9 < found.groups[-1].observed.bound < 1

    def test_too_few_progressions(self):
        lesions = simulated(lesions=60)
        some = replace(lesions, event=(np.arange(60) < 12).astype(int))
        with pytest.raises(NoFitError, match="12 progressions"):
            calibrate(some, {"margin": some.margin_mm}, 24)

    def test_reasons_are_the_cohorts(self):
        """Not those of nine tenths of it, or they say so."""
        lesions = simulated()
        few = replace(lesions, patient=np.arange(200) % 8)
        with pytest.raises(NoFitError, match=r"^The progressions are those of 8 patients"):
            calibrate(few, {"margin": lesions.margin_mm}, 24)
        ten = replace(lesions, patient=np.arange(200) % 10)
        with pytest.raises(
            NoFitError, match=r"a tenth of the patients left out .* The progressions are those of 9 patients"
        ):
            calibrate(ten, {"margin": lesions.margin_mm}, 24)
