"""An estimate with its interval, and intervals for lesions that aren't independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ablmargin.geometry import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 2000
FEWEST_PATIENTS = 5
"""Of fewer nobody can tell how patients differ."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Resamples:
    """Rows of lesions drawn again and again, patient by patient; as many as the drawn patients have, so lengths differ.

    ``rows`` is empty for fewer than 5 patients.
    """

    rows: tuple[Rows, ...]
    patients: int


def resamples_by_patient(patients: Sequence[str], *, seed: int = 0, count: int = RESAMPLES) -> Resamples | None:
    """Draw patients with replacement; None if no patient has two lesions, so that lesions are independent.

    Lesions of one patient share images and their registration. Drawn one by one they would look like more evidence
    than they are.

    Parameters
    ----------
    patients : sequence of str, length n
        Whose lesion each row is.
    """
    patient_of_row = patient_numbers(patients)
    people = len(set(patients))
    if people == len(patient_of_row):
        return None
    if people < FEWEST_PATIENTS:
        return Resamples(rows=(), patients=people)
    rows_of_patient = [np.flatnonzero(patient_of_row == patient) for patient in range(people)]
    draw = np.random.default_rng(seed).integers(0, people, size=(count, people))
    rows = tuple(np.concatenate([rows_of_patient[patient] for patient in drawn]) for drawn in draw)
    return Resamples(rows=rows, patients=people)


def patient_numbers(patients: Sequence[str]) -> Rows:
    """Patients numbered from 0, in the order of their names."""
    numbers: Rows = np.unique(np.array([*patients], dtype=str), return_inverse=True)[1]
    return numbers


def percentile_intervals(
    figures: Callable[[Rows], Sequence[float]], resamples: Resamples, *, count: int
) -> list[tuple[float, float]]:
    """Bootstrap intervals of ``count`` figures that are computed together; NaN where too few are defined.

    Percentiles, taken further out the fewer the patients, as Student's t reaches farther than the normal distribution.

    References
    ----------
    Hesterberg, Am Stat 2015;69:371, section 4.3 (expanded percentile interval), doi:10.1080/00031305.2015.1089789
    """
    if not resamples.rows:
        return [NO_INTERVAL] * count
    drawn = np.array([figures(rows) for rows in resamples.rows], float)
    patients = resamples.patients
    reach = np.sqrt(patients / (patients - 1)) * stats.t.ppf((1 + CONFIDENCE) / 2, patients - 1)
    tail = float(stats.norm.sf(reach))
    return [_percentiles(column, tail) for column in drawn.T]


def _percentiles(values: FloatArray, tail: float) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if len(defined) < FEWEST_DEFINED * len(values):
        return NO_INTERVAL
    lower, upper = np.quantile(defined, [tail, 1 - tail])
    return float(lower), float(upper)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
