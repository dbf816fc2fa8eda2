"""The numbers of a cohort's page as text."""

from __future__ import annotations

import math

from ablmargin.cohort.outcome import BandOutcome
from ablmargin.cohort.roc import Ranged
from ablmargin.cohort.survival import Curve, highest_share
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


def share_until(band: BandOutcome, curve: Curve, months: float) -> str:
    """The share with progression until a time; what the lesions seen so long allow where none progressed."""
    if not band.at_horizon:
        return "nobody followed so long"
    share, lower, upper = curve.at(months)
    if share == 0:
        return f"0 % (up to {percent(highest_share(band.at_horizon))}, exact)"
    return ranged_percent(Ranged(value=share, lower=lower, upper=upper))
