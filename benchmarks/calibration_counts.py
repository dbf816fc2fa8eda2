"""What bounds are worth: how many cases they hold, which verdicts they give, and how many of these are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from calibration_cases import Case
from calibration_lesions import KINDS
from scipy.special import ndtr

from ablmargin.geometry import FloatArray

PARTS = dict(zip(KINDS, (3, 6, 5, 5, 5, 0), strict=True))
WEIGHTS = {kind: part / sum(PARTS.values()) for kind, part in PARTS.items()}
"""Of the kinds in what is told over all of them: balls in balls are rarer in patients, and the last kind is shown apart."""
TRUE_RANGES_MM = {5.0: (-3.0, 10.0), 10.0: (0.0, 15.0)}
"""For each required margin the true ones, evenly covered."""
SAID = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)

Cases = Sequence[Case]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of all true margins in a range: how many are called adequate or inadequate, and how many of them wrongly."""

    adequate: float
    falsely_adequate: float
    inadequate: float
    falsely_inadequate: float

    @property
    def indeterminate(self) -> float:
        return 1 - self.adequate - self.inadequate

    @property
    def wrong_among_adequate(self) -> float:
        return self.falsely_adequate / max(self.adequate, 1e-12)

    @property
    def wrong_among_inadequate(self) -> float:
        return self.falsely_inadequate / max(self.inadequate, 1e-12)


def shares(lower: FloatArray, upper: FloatArray, required_mm: float, weights: FloatArray | None = None) -> Shares:
    """Verdicts over the true margins of :data:`TRUE_RANGES_MM`, from bounds relative to the truth, shape (n,)."""
    low, high = TRUE_RANGES_MM[required_mm]
    from_here = np.clip(required_mm - lower, low, high)  # the least true margin that is called adequate
    to_here = np.clip(required_mm - upper, low, high)  # the least one that isn't called inadequate any more

    def share(length: FloatArray) -> float:
        return float(np.average(length, weights=weights)) / (high - low)

    return Shares(
        adequate=share(high - from_here),
        falsely_adequate=share(np.maximum(required_mm - from_here, 0)),
        inadequate=share(to_here - low),
        falsely_inadequate=share(np.maximum(to_here - required_mm, 0)),
    )


def column(cases: Cases, name: str) -> FloatArray:
    """One field of all cases, shape (n,)."""
    return np.array([getattr(case, name) for case in cases], float)


def weights_of(cases: Cases) -> FloatArray:
    """Shape (n,): the kinds' weights, whatever their number of cases."""
    numbers = Counter(case.kind for case in cases)
    return np.array([WEIGHTS[case.kind] / numbers[case.kind] for case in cases])


def coverage(cases: Cases) -> tuple[float, float]:
    """Shares of the cases whose true margin the lower and the upper bound hold."""
    return float((column(cases, "lower") <= 0).mean()), float((column(cases, "upper") >= 0).mean())


def rule_shares(cases: Cases, required_mm: float, weights: FloatArray | None = None) -> Shares:
    """Verdicts by the bounds."""
    return shares(column(cases, "lower"), column(cases, "upper"), required_mm, weights)


def point_shares(cases: Cases, required_mm: float, weights: FloatArray | None = None) -> Shares:
    """Verdicts if the observed minimum itself is compared with the required margin."""
    observed = column(cases, "observed")
    return shares(observed, observed, required_mm, weights)


def reliability(cases: Cases, required_mm: float = 5.0) -> list[tuple[float, float, float, float]]:
    """For each class of :data:`SAID`: its limits, the mean of the probabilities said, and how many were adequate."""
    low, high = TRUE_RANGES_MM[required_mm]
    true = np.arange(low + 0.125, high, 0.25)
    gap = column(cases, "corrected")[:, None] + true - required_mm
    said = ndtr(gap / column(cases, "spread")[:, None])
    weight = np.broadcast_to(weights_of(cases)[:, None], said.shape)
    adequate = np.broadcast_to(true >= required_mm, said.shape)
    rows = []
    for first, last in pairwise(SAID):
        here = (said >= first) & ((said < last) | (last == 1.0))
        rows.append((first, last, *(float(np.average(x[here], weights=weight[here])) for x in (said, adequate))))
    return rows
