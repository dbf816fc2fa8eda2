"""How far readers' margins lie apart: bias, limits of agreement, intraclass correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.agreement.estimate import (
    NO_INTERVAL,
    Estimate,
    patient_numbers,
    percentile_intervals,
    resamples_by_patient,
)
from ablmargin.agreement.icc import (
    MeanSquares,
    icc_agreement,
    icc_consistency,
    icc_intervals,
)
from ablmargin.agreement.limits import (
    limits_intervals_mm,
    limits_mm,
    limits_over_patients_mm,
    slope,
    slope_interval,
    spread_mm,
)
from ablmargin.agreement.patients import Patients
from ablmargin.agreement.readings import LesionKey, Readings
from ablmargin.geometry import FloatArray

FEWEST = 2
"""Lesions that a variance takes."""
ROUNDING_MM = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginAgreement:
    """How two readers' margins differ, second - first, mm, over the lesions that both measured.

    ``slope`` is the proportional bias: mm of difference for each mm of margin. Shares are 0..1.
    """

    keys: tuple[LesionKey, ...]
    first_mm: FloatArray
    second_mm: FloatArray
    bias_mm: Estimate
    sd_mm: Estimate
    lower_limit_mm: Estimate
    upper_limit_mm: Estimate
    slope: Estimate
    icc_agreement: Estimate
    icc_consistency: Estimate

    @property
    def differences_mm(self) -> FloatArray:
        return self.second_mm - self.first_mm

    @property
    def median_distance_mm(self) -> float:
        return float(np.median(np.abs(self.differences_mm)))

    @property
    def largest(self) -> tuple[LesionKey, float]:
        """The lesion that the two differ on most, and by how much."""
        worst = int(np.abs(self.differences_mm).argmax())
        return self.keys[worst], float(self.differences_mm[worst])

    def share_within(self, reach_mm: float) -> float:
        """Share of lesions whose margins lie at most so far apart."""
        return float(np.mean(np.abs(self.differences_mm) <= reach_mm + ROUNDING_MM))


def measured_by_all(readings: Sequence[Readings], common: Sequence[LesionKey]) -> tuple[LesionKey, ...]:
    """Of lesions that all list those that all have a margin of."""
    return tuple(key for key in common if all(one.lesions[key].margin_mm is not None for one in readings))


def margins_mm_of(readings: Sequence[Readings], keys: Sequence[LesionKey]) -> FloatArray:
    """Margins that all have, shape (lesions, readers)."""
    margins = [[one.lesions[key].margin_mm for one in readings] for key in keys]
    return np.array(margins, float).reshape(len(keys), len(readings))


def margin_agreement(
    keys: tuple[LesionKey, ...], margins_mm: FloatArray, patients: Patients, *, seed: int
) -> MarginAgreement:
    """Compare two readers' margins, shape (lesions, 2), at least one lesion."""
    first, second = margins_mm.T
    whose = patients.of(keys)
    resamples = resamples_by_patient(whose, seed=seed)
    if resamples is None:
        values = (*limits_mm(second - first), spread_mm(second - first))
        intervals, of_slope = limits_intervals_mm(second - first), slope_interval(first, second)
    else:
        values, intervals = limits_over_patients_mm(second - first, patient_numbers(whose))
        (of_slope,) = percentile_intervals(lambda rows: [slope(first[rows], second[rows])], resamples, count=1)
    bias, lower, upper, sd = map(Estimate.of, values, [*intervals, NO_INTERVAL])
    agreement, consistency = icc_of(margins_mm, whose)
    return MarginAgreement(
        keys=keys,
        first_mm=first,
        second_mm=second,
        bias_mm=bias,
        sd_mm=sd,
        lower_limit_mm=lower,
        upper_limit_mm=upper,
        slope=Estimate.of(slope(first, second), of_slope),
        icc_agreement=agreement,
        icc_consistency=consistency,
    )


def icc_of(margins_mm: FloatArray, whose: Sequence[str]) -> tuple[Estimate, Estimate]:
    """ICC(A,1) and ICC(C,1) of two readers or more, margins of shape (lesions, readers); ``whose`` lesions they are."""
    if len(whose) < FEWEST:
        return Estimate(value=None), Estimate(value=None)
    squares = MeanSquares.of(margins_mm)
    intervals = icc_intervals(margins_mm, patient_numbers(whose))
    agreement, consistency = map(Estimate.of, (icc_agreement(squares), icc_consistency(squares)), intervals)
    return agreement, consistency
