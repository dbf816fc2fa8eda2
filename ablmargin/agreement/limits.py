"""Bland and Altman's bias and limits of agreement between two readings of the same lesions."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ablmargin.agreement.estimate import CONFIDENCE, NO_INTERVAL
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
