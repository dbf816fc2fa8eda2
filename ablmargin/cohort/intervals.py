"""Values with 95 % intervals, from resampled patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from ablmargin.cohort.survival import CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A value with its 95 % interval."""

    value: float
    lower: float
    upper: float


def percentile_range(value: float, draws: Sequence[float]) -> Ranged:
    """A value with the middle 95 % of its resampled ones."""
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return Ranged(value=value, lower=float(lower), upper=float(upper))


def rate_range(rate: float, draws: Sequence[float], patients: float, *, optimism: float = 0.0) -> Ranged:
    """A rate, freed of an optimism, with Wilson's interval on an effective number, which has a width at 0 and 1, too.

    Parameters
    ----------
    rate : float
        As it was counted.
    draws : sequence of float
        The same over resampled patients; their variance says on how many independent lesions the rate rests.
    patients : float
        On how many patients it rests: the effective number where all draws are alike, and Student's degrees of freedom.
    optimism : float
        By how much the rate is too high.

    Notes
    -----
    With z from Student's t instead of the normal distribution, as patients are few.
    """
    spread = float(np.var(draws)) * patients / max(patients - 1, 1.0)
    inside = 1e-9 < rate < 1 - 1e-9 and spread > 0
    number = rate * (1 - rate) / spread if inside else patients
    z = float(student.ppf((1 + CONFIDENCE) / 2, max(patients - 1, 1.0)))
    corrected = float(np.clip(rate - optimism, 0.0, 1.0))
    middle = corrected + z**2 / (2 * number)
    reach = z * np.sqrt(corrected * (1 - corrected) / number + z**2 / (4 * number**2))
    lower, upper = ((middle + sign * reach) / (1 + z**2 / number) for sign in (-1, 1))
    return Ranged(value=corrected, lower=float(max(lower, 0.0)), upper=float(min(upper, 1.0)))
