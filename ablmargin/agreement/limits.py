"""Bland and Altman's bias and limits of agreement between two readings of the same lesions."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ablmargin.agreement.estimate import CONFIDENCE, NO_INTERVAL, Rows
from ablmargin.geometry import FloatArray

LIMIT_SD = 1.96
"""Between bias - 1.96 SD and bias + 1.96 SD lie 95 % of normal differences."""


def limits_mm(differences_mm: FloatArray) -> tuple[float, float, float]:
    """The bias, the lower and the upper limit of agreement; the limits are NaN for one difference.

    References
    ----------
    Bland & Altman, Lancet 1986;327:307, doi:10.1016/S0140-6736(86)90837-8
    """
    bias = float(differences_mm.mean())
    sd = spread_mm(differences_mm)
    return bias, bias - LIMIT_SD * sd, bias + LIMIT_SD * sd


def limits_intervals_mm(differences_mm: FloatArray) -> list[tuple[float, float]]:
    """Intervals of the same three, for independent normal differences; those of the limits are exact.

    References
    ----------
    Carkeet, Optom Vis Sci 2015;92:e71, doi:10.1097/OPX.0000000000000513: each limit taken by itself
    """
    n = len(differences_mm)
    if n < 2:
        return [NO_INTERVAL] * 3
    bias, sd = float(differences_mm.mean()), spread_mm(differences_mm)
    tails = np.array([1 - CONFIDENCE, 1 + CONFIDENCE]) / 2
    of_bias = stats.t.ppf(tails, n - 1) / np.sqrt(n)
    of_upper = stats.nct.ppf(tails, n - 1, LIMIT_SD * np.sqrt(n)) / np.sqrt(n)
    return [_pair(bias + sd * factors) for factors in (of_bias, -of_upper[::-1], of_upper)]


def limits_over_patients_mm(
    differences_mm: FloatArray, patient_of_row: Rows
) -> tuple[tuple[float, float, float, float], list[tuple[float, float]]]:
    """Bias, limits of agreement and standard deviation where patients have several lesions, and intervals of the first three.

    Each patient counts once in the bias; the variance is that between patients and that within them.

    Parameters
    ----------
    differences_mm : ndarray, shape (n,)
    patient_of_row : ndarray of int, shape (n,)
        Numbers of the patients, from 0; fewer patients than lesions.

    References
    ----------
    Zou, Stat Methods Med Res 2013;22:630, doi:10.1177/0962280211402548
    """
    lesions = np.bincount(patient_of_row)
    means = np.bincount(patient_of_row, weights=differences_mm) / lesions
    patients, within_freedom = len(means), len(differences_mm) - len(means)
    bias = float(means.mean())
    inner = float(np.square(differences_mm - means[patient_of_row]).sum() / within_freedom)
    if patients < 2:
        return (bias, *NO_INTERVAL, float("nan")), [NO_INTERVAL] * 3
    parts = np.array([means.var(ddof=1), (1 - np.mean(1 / lesions)) * inner])
    total = float(parts.sum())
    sd, error = (
        float(np.sqrt(total)),
        float(np.sqrt(parts[0] / patients) * stats.t.ppf((1 + CONFIDENCE) / 2, patients - 1)),
    )
    freedom = np.array([patients - 1, within_freedom])
    low, high = (parts * (freedom / stats.chi2.ppf((1 + side * CONFIDENCE) / 2, freedom) - 1) for side in (1, -1))
    less = LIMIT_SD * (sd - np.sqrt(max(total - np.hypot(*low), 0.0)))
    more = LIMIT_SD * (np.sqrt(total + np.hypot(*high)) - sd)
    inward, outward = float(np.hypot(error, less)), float(np.hypot(error, more))
    lower, upper = bias - LIMIT_SD * sd, bias + LIMIT_SD * sd
    intervals = [(bias - error, bias + error), (lower - outward, lower + inward), (upper - inward, upper + outward)]
    return (bias, lower, upper, sd), intervals


def slope(first_mm: FloatArray, second_mm: FloatArray) -> float:
    """Proportional bias: by how much the difference (second - first) grows with each mm of their mean. NaN if none vary."""
    means = (first_mm + second_mm) / 2
    away = means - means.mean()
    square = float(away @ away)
    return float(away @ (second_mm - first_mm)) / square if square > 0 else float("nan")


def slope_interval(first_mm: FloatArray, second_mm: FloatArray) -> tuple[float, float]:
    """Of the slope, for independent lesions with normal errors."""
    n, rise = len(first_mm), slope(first_mm, second_mm)
    if n < 3 or not np.isfinite(rise):
        return NO_INTERVAL
    means, differences = (first_mm + second_mm) / 2, second_mm - first_mm
    away = means - means.mean()
    left = differences - differences.mean() - rise * away
    error = np.sqrt(left @ left / (n - 2) / (away @ away))
    return _pair(rise + stats.t.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], n - 2) * error)


def spread_mm(differences_mm: FloatArray) -> float:
    """Standard deviation; NaN for one difference."""
    return float(differences_mm.std(ddof=1)) if len(differences_mm) > 1 else float("nan")


def _pair(ends: FloatArray) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])
