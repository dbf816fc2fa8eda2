"""The share with progression until a time, and what the patients allow where it is none or all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ablmargin.cohort.histories import Flags, Histories
from ablmargin.cohort.survival import CONFIDENCE, Curve

LONG_UNSEEN_MONTHS = 6.0
"""A death so long after the last imaging leaves room for a progression that nobody saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval; at 0 and 1, where that has no width, an exact one-sided 95 % bound instead.

    ``lower`` and ``upper`` are NaN where there is no interval, ``bound`` is NaN where there is one. ``patients`` are those that
    the bound rests on: their lesions aren't independent, so each counts once.
    """

    value: float
    lower: float
    upper: float
    bound: float
    patients: int


def share_until(months: float, curve: Curve, histories: Histories, *, deaths_compete: bool) -> Share | None:
    """What a curve tells at a time; None if nobody was followed so long and the curve hasn't come to its end before."""
    if not curve.is_known_at(months):
        return None
    share, lower, upper = curve.at(months)
    free = (histories.months >= months) & ~(histories.progressed & (histories.months == months))
    if deaths_compete:
        free |= histories.died & (histories.unseen_months <= LONG_UNSEEN_MONTHS)
    patients = _patients(histories, free if share == 0 else histories.progressed & (histories.months <= months))
    bound = highest_share(patients) if share == 0 else 1 - highest_share(patients) if share == 1 else math.nan
    return Share(value=share, lower=lower, upper=upper, bound=bound, patients=patients)


def highest_share(patients: int) -> float:
    """Up to which share none of some patients may progress by chance: the exact upper 95 % bound (Clopper and Pearson).

    >>> round(highest_share(29), 3)
    0.098
    """
    return float(1 - (1 - CONFIDENCE) ** (1 / patients))


def _patients(histories: Histories, chosen: Flags) -> int:
    return len(np.unique(histories.patient[chosen]))
