"""The numbers of a cohort's page as text."""

from __future__ import annotations

import math

from ablmargin.cohort.flow import counted
from ablmargin.cohort.intervals import Ranged
from ablmargin.cohort.shares import Share
from ablmargin.report.numbers import percent, signed_mm


def bare_mm(value_mm: float) -> str:
    """A length without its unit.

    >>> bare_mm(-2.04)
    '−2.0'
    """
    return signed_mm(value_mm).removesuffix(" mm")


def p_value_text(p_value: float) -> str:
    """A p-value as papers print it.

    >>> p_value_text(0.0004), p_value_text(0.0312), p_value_text(0.4567), p_value_text(float("nan"))
    ('< 0.001', '0.031', '0.46', 'not known')
    """
    if not math.isfinite(p_value):
        return "not known"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def p_value_told(p_value: float) -> str:
    """The same within a sentence.

    >>> p_value_told(0.0004), p_value_told(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    text = p_value_text(p_value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def significant(value: float) -> float | None:
    """Four digits that count, however small a number is; None if it isn't finite.

    >>> significant(3.17286e-13), significant(0.0312345), significant(float("nan"))
    (3.173e-13, 0.03123, None)
    """
    return float(f"{value:.4g}") if math.isfinite(value) else None


def ranged(value: Ranged, decimals: int) -> str:
    """A value with its interval.

    >>> ranged(Ranged(value=4.82, lower=-0.2, upper=5.53), 1)
    '4.8 (−0.2 to 5.5)'
    """
    middle, low, high = (f"{part:.{decimals}f}".replace("-", "−") for part in (value.value, value.lower, value.upper))
    return f"{middle} ({low} to {high})"


def ranged_percent(value: Ranged) -> str:
    """A share with its interval, if it has one.

    >>> ranged_percent(Ranged(value=0.25, lower=0.1, upper=0.5)), ranged_percent(Ranged(value=0.0, lower=math.nan, upper=math.nan))
    ('25 % (10 % to 50 %)', '0 %')
    """
    if not math.isfinite(value.lower):
        return percent(value.value)
    return f"{percent(value.value)} ({percent(value.lower)} to {percent(value.upper)})"


def share_text(share: Share | None) -> str:
    """The share with progression until a time, and what the patients allow where none or all progressed.

    >>> share_text(Share(value=0.0, lower=math.nan, upper=math.nan, bound=0.63, patients=3))
    '0 % (at most 63 %, one-sided, 3 patients)'
    """
    if share is None:
        return "nobody followed so long"
    if math.isfinite(share.bound):
        side = "at least" if share.value else "at most"
        return (
            f"{percent(share.value)} ({side} {percent(share.bound)}, one-sided, {counted(share.patients, 'patient')})"
        )
    if not math.isfinite(share.lower):
        return f"{percent(share.value)} (one patient: no interval)"
    return ranged_percent(Ranged(value=share.value, lower=share.lower, upper=share.upper))
