"""Cohorts of simulated lesions whose local progression follows known hazard ratios exactly.

Lesions of a patient resemble each other (a Gaussian copula joins their times), yet each one by itself has proportional
hazards with the given ratios. A frailty would not do: it bends the hazard ratio that a marginal model estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

MARGIN_RATIO, RAS_RATIO = 2.48, 3.01
"""Hazard ratios of a minimum margin under 5 mm and of mutant RAS: Odisio et al. 2017, doi:10.1002/bjs.10490."""


PROGRESSION_RATE = 0.006
"""A month, with a margin of 5 mm or more and wild type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Lesions side by side, shape (n,) each; ``event`` is 0 none, 1 progression, 2 death."""

    patient: NDArray[np.int64]
    margin_mm: NDArray[np.float64]
    mutant: NDArray[np.bool_]
    months: NDArray[np.float64]
    event: NDArray[np.int64]


def simulate(
    seed: int,
    *,
    lesions: int = 200,
    margin_ratio: float = MARGIN_RATIO,
    ras_ratio: float = RAS_RATIO,
    likeness: float = 0.3,
    rate: float = PROGRESSION_RATE,
    death_rate: float = 0.006,
) -> Simulated:
    """Draw a cohort: 1 to 4 lesions a patient, half mutant, 30 months of follow-up on average.

    Parameters
    ----------
    likeness : float
        Correlation of the normal scores of the times of two lesions of one patient, 0 to 1.
    rate, death_rate : float
        Of progression with a margin of 5 mm or more and wild type, and of death; a month.
    """
    random = np.random.default_rng(seed)
    sizes = random.choice([1, 2, 3, 4], size=lesions, p=[0.55, 0.25, 0.13, 0.07])
    patient = np.repeat(np.arange(lesions), sizes)[:lesions]
    mutant = (random.random(lesions) < 0.5)[patient]
    level = random.normal(0.0, 1.5, lesions)[patient]
    margin_mm = 4.5 + level + random.normal(0.0, 2.8, lesions)
    ratio = margin_ratio ** (margin_mm < 5) * ras_ratio**mutant
    shared = np.sqrt(likeness) * random.normal(size=lesions)[patient]
    score = shared + np.sqrt(1 - likeness) * random.normal(size=lesions)
    progressed_at = -norm.logsf(score) / (rate * ratio)
    dead_at = random.exponential(1 / death_rate, lesions)[patient]
    last_seen = random.uniform(12, 48, lesions)[patient]
    times = np.column_stack([last_seen, progressed_at, dead_at])
    return Simulated(
        patient=patient,
        margin_mm=margin_mm,
        mutant=mutant,
        months=times.min(axis=1),
        event=times.argmin(axis=1),
    )
