"""An estimate with its interval, and intervals for lesions that aren't independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 2000
FEWEST_CASES = 5
"""Of fewer cases nobody can tell how cases differ."""
FEWEST_DEFINED = 0.9
"""A coefficient that more resamples than the rest leave without a value gets no interval."""

NO_INTERVAL = (float("nan"), float("nan"))

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its two-sided 95 % interval; None what the data don't determine."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def of(cls, value: float, interval: tuple[float, float]) -> Estimate:
        """Take NaN and infinity for None; an interval without a value is none.

        Examples
        --------
        >>> Estimate.of(0.5, (0.1, float("nan")))
        Estimate(value=0.5, lower=0.1, upper=None)
        """
        known = _finite(value)
        lower, upper = (None, None) if known is None else map(_finite, interval)
        return cls(value=known, lower=lower, upper=upper)


def resamples_by_case(case_ids: Sequence[str], *, seed: int = 0, count: int = RESAMPLES) -> list[Rows] | None:
    """Rows of lesions drawn case by case with replacement; None if no case has two, so that lesions are independent.

    Lesions of one patient share images and their registration. Drawn one by one they would look like more evidence
    than they are.

    Parameters
    ----------
    case_ids : sequence of str, length n
        Whose lesion each row is.

    Returns
    -------
    list of ndarray of int, or None
        As many lesions as their cases have, so lengths differ. Empty for fewer than 5 cases.
    """
    _, case_of_row = np.unique(np.asarray(case_ids, dtype=object).astype(str), return_inverse=True)
    cases = int(case_of_row.max(initial=-1)) + 1
    if cases == len(case_of_row):
        return None
    if cases < FEWEST_CASES:
        return []
    rows_of_case = [np.flatnonzero(case_of_row == case) for case in range(cases)]
    draw = np.random.default_rng(seed).integers(0, cases, size=(count, cases))
    return [np.concatenate([rows_of_case[case] for case in cases_drawn]) for cases_drawn in draw]


def percentile_intervals(
    figures: Callable[[Rows], Sequence[float]], resamples: Sequence[Rows], *, count: int
) -> list[tuple[float, float]]:
    """Percentile bootstrap intervals of ``count`` figures that are computed together; NaN where too few are defined."""
    if not resamples:
        return [NO_INTERVAL] * count
    drawn = np.array([figures(rows) for rows in resamples], float)
    return [_percentiles(column) for column in drawn.T]


def _percentiles(values: FloatArray) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if len(defined) < FEWEST_DEFINED * len(values):
        return NO_INTERVAL
    lower, upper = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(lower), float(upper)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
