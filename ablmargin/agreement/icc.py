"""Intraclass correlation of single readings: how much of the variance is between lesions and not between readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablmargin.agreement.estimate import CONFIDENCE, FEWEST_PATIENTS, NO_INTERVAL, Rows
from ablmargin.geometry import FloatArray

FULL_AGREEMENT = 1e-12
"""What is as near to 1 is 1, but for rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSquares:
    """The two-way analysis of variance of n lesions read by k readers: mean squares of lesions, readers and the rest."""

    n: int
    k: int
    lesions: float
    readers: float
    rest: float

    @classmethod
    def of(cls, margins_mm: FloatArray) -> MeanSquares:
        """Analyze margins, shape (n, k), n and k at least 2, nothing missing."""
        n, k = margins_mm.shape
        mean = margins_mm.mean()
        by_lesion, by_reader = margins_mm.mean(axis=1, keepdims=True), margins_mm.mean(axis=0, keepdims=True)
        rest = margins_mm - by_lesion - by_reader + mean
        return cls(
            n=n,
            k=k,
            lesions=float(k * np.square(by_lesion - mean).sum() / (n - 1)),
            readers=float(n * np.square(by_reader - mean).sum() / (k - 1)),
            rest=float(np.square(rest).sum() / ((n - 1) * (k - 1))),
        )


def icc_agreement(squares: MeanSquares) -> float:
    """ICC(A,1), also ICC(2,1): absolute agreement, so that a constant shift between readers counts. NaN if all are equal."""
    n, k, rest = squares.n, squares.k, squares.rest
    return _ratio(squares.lesions - rest, squares.lesions + (k - 1) * rest + k * (squares.readers - rest) / n)


def icc_consistency(squares: MeanSquares) -> float:
    """ICC(C,1), also ICC(3,1): the same but for a constant shift between readers."""
    return _ratio(squares.lesions - squares.rest, squares.lesions + (squares.k - 1) * squares.rest)


def icc_intervals(margins_mm: FloatArray, patient_of_row: Rows) -> list[tuple[float, float]]:
    """Intervals of ICC(A,1) and ICC(C,1) for these readers, as the only ones of interest.

    Patients are left out one by one (the jackknife) on Fisher's scale, whether a patient has one lesion or several. Two readers
    can't tell how readers differ in general: intervals that take them for a sample of all readers reach from 0 to 1.

    Parameters
    ----------
    margins_mm : ndarray, shape (n, k)
    patient_of_row : ndarray of int, shape (n,)
        Numbers of the patients, from 0.

    Returns
    -------
    list of (float, float)
        NaN for fewer than 5 patients, and where readers agree fully or would without one patient.

    References
    ----------
    Readers fixed: Carrasco & Jover, Biometrics 2003;59:849, doi:10.1111/j.0006-341X.2003.00099.x; Fisher's scale for
    agreement: Lin, Biometrics 1989;45:255, doi:10.2307/2532051
    """
    k, patients = margins_mm.shape[1], int(patient_of_row.max(initial=-1)) + 1
    if patients < FEWEST_PATIENTS:
        return [NO_INTERVAL] * 2
    every = _on_fishers_scale(margins_mm)
    without = np.array([_on_fishers_scale(margins_mm[patient_of_row != patient]) for patient in range(patients)])
    return [_jackknifed(one, left_out, k) for one, left_out in zip(every, without.T, strict=True)]


def _jackknifed(every: float, without: FloatArray, k: int) -> tuple[float, float]:
    if not (np.isfinite(every) and np.isfinite(without).all()):
        return NO_INTERVAL
    patients = len(without)
    error = np.sqrt((patients - 1) / patients * np.square(without - without.mean()).sum())
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, patients - 1) * error)
    low, high = np.exp(2 * (every + np.array([-reach, reach])))
    return float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1))


def _on_fishers_scale(margins_mm: FloatArray) -> FloatArray:
    """Both coefficients, where their errors are nearly normal; NaN where readers agree fully."""
    if len(margins_mm) < 2:
        return np.full(2, np.nan)
    squares, k = MeanSquares.of(margins_mm), margins_mm.shape[1]
    icc = np.array([icc_agreement(squares), icc_consistency(squares)])
    known = (icc > -1 / (k - 1)) & (icc < 1 - FULL_AGREEMENT)
    icc = np.where(known, icc, np.nan)
    return np.asarray(np.log((1 + (k - 1) * icc) / (1 - icc)) / 2)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
