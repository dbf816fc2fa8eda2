"""What is known after the last imaging, and what isn't: deaths long after it."""

from __future__ import annotations

import numpy as np
import pytest
from batches import measured_row, save
from worked_examples import histories

from ablmargin.cohort.analysis import analyze_cohort
from ablmargin.cohort.cautions import cautions
from ablmargin.cohort.flow import why_not_followed
from ablmargin.cohort.lesion import Event
from ablmargin.cohort.roc import roc_of
from ablmargin.cohort.survival import at_risk, incidence, progression
from ablmargin.cohort.table import read_results


def lesions_of(rows, folder):
    return read_results(save(rows, folder)).lesions


def last_imaged_before_death(seed, *, lesions, rate=0.02, death_rate=0.03):
    """Constant hazards; imaging ends 0 to 18 months before the death. The true incidence at 24 months is beside it.

    Who was never imaged isn't followed.
    """
    random = np.random.default_rng(seed)
    progresses, dies = random.exponential(1 / rate, lesions), random.exponential(1 / death_rate, lesions)
    imaged = np.minimum(dies - random.uniform(0, 18, lesions), 60.0)
    seen = progresses <= imaged
    event = np.select([seen, dies < 60], [1, 2], 0)
    months, lived = np.where(seen, progresses, imaged), np.where(seen, progresses, np.minimum(dies, 60.0))
    progressed_before_death = progresses < np.minimum(dies, 24)
    return histories(months, event, lived_months=lived).only(imaged > 0), progressed_before_death[imaged > 0].mean()


class TestDeathsAfterTheLastImaging:
    def test_a_site_is_followed_to_its_last_imaging(self, tmp_path):
        (lesion,) = lesions_of([measured_row("a", ltp=0, months=3, death=1, months_death=40)], tmp_path)
        assert (lesion.followed.months, lesion.followed.event, lesion.followed.lived_months) == (3, Event.DEATH, 40)
        assert lesion.followed.unseen_months == 37

    def test_the_patient_is_known_to_live_beyond_it(self, tmp_path):
        (lesion,) = lesions_of([measured_row("a", ltp=0, months=3, death=0, months_death=40)], tmp_path)
        assert (lesion.followed.months, lesion.followed.died, lesion.followed.lived_months) == (3, False, 40)
        assert lesion.followed.unseen_months == 0

    def test_who_was_never_imaged_is_not_followed(self, tmp_path):
        (lesion,) = lesions_of([measured_row("a", ltp=0, months=0, death=1, months_death=9)], tmp_path)
        assert why_not_followed(lesion) == "followed for no time"

    def test_nobody_is_at_risk_of_a_progression_that_nobody_could_see(self):
        """With a pencil: imaged to 3, dead at 40, beside a progression at 10 of two: 1/2, not 1/3."""
        lesions = histories([3, 10, 50], [2, 1, 0], lived_months=[40, 10, 50])
        assert progression(lesions).at(24)[0] == pytest.approx(1 / 2, abs=1e-12)
        assert at_risk(lesions, np.array([12.0])) == [1]

    def test_such_deaths_compete_at_their_own_time(self):
        """With a pencil: a death at 5 of four alive, seen to 2; then one of two still looked at progresses: 3/4 · 1/2."""
        lesions = histories([2, 10, 50, 3], [2, 1, 0, 0], lived_months=[5, 10, 50, 50])
        assert incidence(lesions).at(24)[0] == pytest.approx(3 / 8, abs=1e-12)

    def test_both_estimates_hold_the_truth(self):
        """Constant hazards, 20,000 lesions: 1 - exp(-0.48) = 38.1 % if nobody died; standard errors 0.5 %."""
        lesions, true_incidence = last_imaged_before_death(1, lesions=20_000)
        assert progression(lesions).at(24)[0] == pytest.approx(1 - np.exp(-0.48), abs=0.015)
        assert incidence(lesions).at(24)[0] == pytest.approx(true_incidence, abs=0.015)

    def test_they_are_no_controls(self):
        early = histories([6] * 20 + [30] * 20, [1] * 20 + [0] * 20, margin_mm=[1, 2] * 10 + [6, 7] * 10)
        assert roc_of(early, horizon_months=24, given_mm=[5], seed=0).controls == 20
        gone = histories([6] * 20 + [3] * 20, [1] * 20 + [2] * 20, lived_months=[6] * 20 + [40] * 20)
        assert roc_of(gone, horizon_months=24, given_mm=[5], seed=0) is None

    def test_long_gaps_are_counted(self, tmp_path):
        rows = [
            measured_row("a", ltp=0, months=3, death=1, months_death=9.1),
            measured_row("b", ltp=0, months=3, death=1, months_death=9),
            measured_row("c", ltp=1, months=3, death=1, months_death=40),
            measured_row("d", ltp=0, months=3, death=0, months_death=40),
        ]
        cohort = analyze_cohort(read_results(save(rows, tmp_path)))
        assert cohort.outcome.unseen_deaths == 1
        assert "Of 1 lesion the last imaging was more than 6 months before" in " ".join(cautions(cohort))
