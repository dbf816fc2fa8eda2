"""Known hazard ratios in simulated cohorts of 200 lesions: recovered, and covered by their intervals as often as told.

``python benchmarks/cohort.py`` fits one cohort and then 200, as ``ablmargin cohort`` does; exits with 1 if a limit isn't met. ``--harder`` adds stronger likeness within patients, fewer
progressions, months rounded to whole quarters and small cohorts, without limits; ``--roc`` tells how often the intervals of the
ROC curve's cut-offs hold the true rates.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cohort_simulated import MARGIN_RATIO, PROGRESSION_RATE, RAS_RATIO, Simulated, simulate
from numpy.typing import NDArray
from scipy.stats import binom

from ablmargin.cohort.cox import CoxModel, NoFitError, fit_cox
from ablmargin.cohort.histories import Histories
from ablmargin.cohort.intervals import Ranged
from ablmargin.cohort.outcome import HORIZON_MONTHS, MUTANT, NARROW, covariates_of
from ablmargin.cohort.roc import roc_of
from ablmargin.threads import one_blas_thread

LOWEST, HIGHEST = 0.92, 0.98
TRUTH = np.log([MARGIN_RATIO, RAS_RATIO])


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of the two log ratios: how often within their intervals, their mean error, and events on average."""

    cohorts: int
    unfit: int
    covered: tuple[float, float]
    bias: tuple[float, float]
    progressions: float
    patients: float


def histories_of(cohort: Simulated) -> Histories:
    """The cohort as the statistics take it."""
    return Histories(
        months=cohort.months,
        event=cohort.event,
        lived_months=cohort.months,
        margin_mm=cohort.margin_mm,
        mutant=cohort.mutant.astype(np.int64),
        patient=cohort.patient,
    )


def fitted(cohort: Simulated) -> CoxModel:
    """The model of margin and RAS together."""
    histories = histories_of(cohort)
    return fit_cox(histories, covariates_of(histories, (NARROW, MUTANT)))


def coverage(seeds: range, draw: Callable[[int], Simulated]) -> Coverage:
    """Fit one cohort a seed."""
    models: list[CoxModel] = []
    for seed in seeds:
        try:
            models.append(fitted(draw(seed)))
        except NoFitError:
            continue
    ratios = np.log([[[term.ratio, term.lower, term.upper] for term in model.terms] for model in models])
    covered = ((ratios[..., 1] <= TRUTH) & (ratios[..., 2] >= TRUTH)).mean(axis=0)
    bias = ratios[..., 0].mean(axis=0) - TRUTH
    return Coverage(
        cohorts=len(models),
        unfit=len(seeds) - len(models),
        covered=(float(covered[0]), float(covered[1])),
        bias=(float(bias[0]), float(bias[1])),
        progressions=float(np.mean([model.events for model in models])),
        patients=float(np.mean([model.patients for model in models])),
    )


def tell(name: str, found: Coverage) -> None:
    """One row of the table."""
    shares = " / ".join(f"{100 * share:.1f} %" for share in found.covered)
    bias = " / ".join(f"{value:+.3f}" for value in found.bias)
    counts = f"{found.patients:.0f} patients, {found.progressions:.0f} progressions, {found.unfit} not fitted"
    print(f"{name:<46} {shares:>17}   log ratio {bias}   {counts}", flush=True)


def quarterly(cohort: Simulated) -> Simulated:
    """Progression seen at the next imaging, every three months."""
    return replace(cohort, months=np.ceil(cohort.months / 3) * 3)


def one_cohort(seed: int) -> bool:
    """Whether both ratios of a cohort lie within their intervals, told."""
    model = fitted(simulate(seed))
    met = True
    for term, truth in zip(model.terms, (MARGIN_RATIO, RAS_RATIO), strict=True):
        inside = term.lower <= truth <= term.upper
        met &= inside
        print(
            f"{term.name}: {term.ratio:.2f} ({term.lower:.2f} to {term.upper:.2f}), true {truth}{'' if inside else ' MISSED'}"
        )
    return met


def harder(cohorts: int) -> None:
    """Where it is harder than asked."""
    seeds = range(cohorts)
    tell("lesions of a patient alike (0.6)", coverage(seeds, lambda seed: simulate(seed, likeness=0.6)))
    tell("a third of the progressions", coverage(seeds, lambda seed: simulate(seed, rate=0.002)))
    tell("imaging every three months", coverage(seeds, lambda seed: quarterly(simulate(seed))))
    tell("60 lesions", coverage(seeds, lambda seed: simulate(seed, lesions=60)))


def true_rates(cutoffs_mm: Sequence[float]) -> NDArray[np.float64]:
    """Sensitivity and specificity of cut-offs, shape (n, 2): exact but for the drawn margins of 400,000 lesions."""
    many = simulate(10**6, lesions=400_000)
    hazard = PROGRESSION_RATE * MARGIN_RATIO ** (many.margin_mm < 5) * RAS_RATIO**many.mutant
    order = np.argsort(many.margin_mm)
    progressing = -np.expm1(-hazard * HORIZON_MONTHS)[order]
    below = np.searchsorted(many.margin_mm[order], cutoffs_mm)
    sums = [np.concatenate([[0.0], np.cumsum(weight)]) for weight in (progressing, 1 - progressing)]
    sensitivity, missed = (each[below] / each[-1] for each in sums)
    return np.column_stack([sensitivity, 1 - missed])


def tell_cutoffs(cohorts: int, lesions: int) -> None:
    """How often the intervals of the best cut-off and of 5 mm hold the true rates, and how far the rates are off."""
    drawn = (histories_of(simulate(seed, lesions=lesions)) for seed in range(cohorts))
    found = [roc_of(one, horizon_months=HORIZON_MONTHS, given_mm=(5.0,), seed=0) for one in drawn]
    told = [(roc.best, roc.given[0]) for roc in found if roc is not None and roc.best is not None]
    print(f"\n{lesions} lesions, {len(told)} of {cohorts} cohorts with a best cut-off: sensitivity / specificity")
    best, truth = [one for one, _ in told], true_rates([one.margin_mm.value for one, _ in told])
    counted = np.array([[one.counted_sensitivity, one.counted_specificity] for one in best]) - truth
    print(f"{'best cut-off, as counted':<28} {'':>18}   too high by {_pair(counted.mean(axis=0))}")
    tell_rates("best cut-off, corrected", [(one.sensitivity, one.specificity) for one in best], truth)
    given = [(five.sensitivity, five.specificity) for _, five in told]
    tell_rates("cut-off 5 mm", given, np.repeat(true_rates([5.0]), len(given), axis=0))


def tell_rates(name: str, rates: Sequence[tuple[Ranged, Ranged]], truth: NDArray[np.float64]) -> None:
    """One row: how often the intervals hold the truth, and the mean error."""
    value, lower, upper = np.array([[[one.value, one.lower, one.upper] for one in pair] for pair in rates]).T
    held = ((truth >= lower.T) & (truth <= upper.T)).mean(axis=0)
    print(f"{name:<28} {_pair(held):>18}   too high by {_pair((value.T - truth).mean(axis=0))}", flush=True)


def _pair(shares: NDArray[np.float64]) -> str:
    return " / ".join(f"{100 * share:.1f} %" for share in shares)


def main() -> int:
    """Print what was found; 1 if a limit isn't met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cohorts", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first cohort's seed")
    parser.add_argument("--harder", action="store_true")
    parser.add_argument("--roc", action="store_true")
    arguments = parser.parse_args()
    with one_blas_thread():
        met = one_cohort(arguments.first)
        print("\nIntervals that hold the true ratio: margin under 5 mm / RAS mutant\n")
        found = coverage(range(arguments.first, arguments.first + arguments.cohorts), simulate)
        tell(f"{arguments.cohorts} cohorts of 200 lesions", found)
        low, high = (binom.ppf(tail, arguments.cohorts, 0.95) / arguments.cohorts for tail in (0.025, 0.975))
        print(f"(of intervals that are right, {100 * low:.1f} to {100 * high:.1f} % hold in 95 of 100 such runs)")
        met &= found.unfit == 0 and all(LOWEST <= share <= HIGHEST for share in found.covered)
        if arguments.harder:
            harder(arguments.cohorts)
        if arguments.roc:
            for lesions in (200, 80):
                tell_cutoffs(arguments.cohorts, lesions)
    print("met" if met else f"NOT MET: both ratios within their intervals, coverage {LOWEST} to {HIGHEST}")
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
