"""Intraclass correlation of single readings: how much of the variance is between lesions and not between readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablmargin.agreement.estimate import CONFIDENCE
from ablmargin.geometry import FloatArray


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


def icc_agreement_interval(squares: MeanSquares) -> tuple[float, float]:
    """Of ICC(A,1), for independent lesions with normal errors.

    References
    ----------
    McGraw & Wong, Psychol Methods 1996;1:30, table 7, doi:10.1037/1082-989X.1.1.30
    """
    n, k, rest, readers = squares.n, squares.k, squares.rest, squares.readers
    icc = icc_agreement(squares)
    if not np.isfinite(icc) or icc >= 1:
        return (icc, icc)
    of_readers = k * icc / (n * (1 - icc))
    of_rest = 1 + k * icc * (n - 1) / (n * (1 - icc))
    spread = (of_readers * readers) ** 2 / (k - 1) + (of_rest * rest) ** 2 / ((n - 1) * (k - 1))
    freedom = (of_readers * readers + of_rest * rest) ** 2 / spread
    within = k * readers + (k * n - k - n) * rest
    high_f, low_f = _f_quantile(n - 1, freedom), _f_quantile(freedom, n - 1)
    return (
        _ratio(n * (squares.lesions - high_f * rest), high_f * within + n * squares.lesions),
        _ratio(n * (low_f * squares.lesions - rest), within + n * low_f * squares.lesions),
    )


def icc_consistency_interval(squares: MeanSquares) -> tuple[float, float]:
    """Of ICC(C,1), for independent lesions with normal errors; source as :func:`icc_agreement_interval`."""
    n, k = squares.n, squares.k
    if not squares.rest:
        icc = icc_consistency(squares)
        return (icc, icc)
    ratio = squares.lesions / squares.rest
    low = ratio / _f_quantile(n - 1, (n - 1) * (k - 1))
    high = ratio * _f_quantile((n - 1) * (k - 1), n - 1)
    return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _f_quantile(numerator: float, denominator: float) -> float:
    return float(stats.f.ppf((1 + CONFIDENCE) / 2, numerator, denominator))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
