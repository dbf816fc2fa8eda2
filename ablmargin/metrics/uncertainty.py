"""One-sided bounds on the minimum margin, given how well the exams are aligned.

The mapped tumor is the true one plus a random displacement: a Gaussian field with one standard deviation per component
and a squared-exponential correlation over space. Its minimum margin is then biased low, by more the more points compete
to be the smallest, so resampling the observed margins can't simply be read as an interval. The rules and their constants
were set on simulated spheres, ellipsoids, lumpy shapes and fused zones with errors of 0.5 to 3 mm, and checked on others
(``docs/calibration.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import ndtr

from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.metrics.displacement import (
    Field,
    Single,
    capsule_field,
    drawn_changes_mm,
    plain_field,
    spread_points,
)
from ablmargin.metrics.distance import distances_mm
from ablmargin.metrics.margin import MarginResult
from ablmargin.metrics.surface import Surface

MAX_POINTS = 300
Z975, Z95 = 1.96, 1.645
CONFIDENCE = 0.95
LOWER_SPREADS, LOWER_STEPS = (1.0, 1.6, 4.0), (0.75, 1.2, 1.85)
"""How many standard deviations the lower bound lies under the observed minimum, by the margins' spread over the surface,
in the same unit: fewer where the margin is even and many points compete to be the smallest. One clear minimum would ask
for 1.645 if displacements were small against the zone."""
UPPER_SPREADS, UPPER_PADS = (2.5, 4.0), (0.72, 0.3)
"""How many standard deviations are added to the inverted test, likewise."""
CORRECTION, CORRECTION_SPREAD, CORRECTION_WANDER = 2.305, -0.474, -1.095
RESIDUAL_SD = 0.94
"""Spread of the true minimum around the corrected one, in units of the alignment's standard deviation."""
FEIGNED_SD = 2.5
"""Tumor seen outside the zone at the capsule by up to this many standard deviations may be there by misalignment."""
CONTRASTS = np.array([*np.arange(0.0, 1.21, 0.1), 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])
"""Truths that are tried for the upper bound: the observed field with its differences scaled by these."""

SAMPLING_SPACINGS_MM = (1.0, 2.0, 3.0, 5.0)
SAMPLING_P95_MM = (0.2, 0.2, 0.25, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBounds:
    """What the observed minimum says about the true one, mm.

    Parameters
    ----------
    lower_mm, upper_mm : float
        One-sided bounds, each at 95 %.
    corrected_mm : float
        Best estimate, between the bounds; not for the verdict.
    spread_mm : float
        Standard deviation of the true minimum around it, over a population of lesions.
    """

    lower_mm: float
    upper_mm: float
    corrected_mm: float
    spread_mm: float

    def probability_adequate(self, required_mm: float) -> float:
        """Probability, 0..1, that the true minimum reaches what is required, all margins being equally likely before.

        Examples
        --------
        >>> bounds = MarginBounds(lower_mm=3.0, upper_mm=9.0, corrected_mm=6.0, spread_mm=1.0)
        >>> round(bounds.probability_adequate(5.0), 3)
        0.841
        """
        gap = self.corrected_mm - required_mm
        return float(ndtr(gap / self.spread_mm)) if self.spread_mm > 0 else float(gap >= 0)


def sampling_error_p95_mm(slice_spacing_mm: float) -> float:
    """Error of the minimum margin from the voxels alone that 95 of 100 lesions stay below.

    Measured by ``python benchmarks/accuracy.py`` on six kinds of simulated pairs, 0.7 mm in plane: spheres, ellipsoids, lumpy
    shapes, and tumors in two fused spheres, two fused ellipsoids or three fused spheres. The worst kind stays below 0.10,
    0.12, 0.16 and 0.39 mm at slices of 1, 2, 3 and 5 mm; what the values are above that is reserve for shapes beyond these.
    Interpolated; constant below 1 mm, proportional beyond 5 mm. Masks drawn by hand err by more: outlines that are uneven
    from slice to slice aren't covered and belong into ``segmentation_sd_mm``.
    """
    if not slice_spacing_mm > 0:
        raise ValueError(f"a spacing must be positive, not {slice_spacing_mm} mm")
    beyond = max(1.0, slice_spacing_mm / SAMPLING_SPACINGS_MM[-1])
    return beyond * float(np.interp(slice_spacing_mm, SAMPLING_SPACINGS_MM, SAMPLING_P95_MM))


def bound_margin(
    margin: MarginResult,
    zone: Surface,
    *,
    sd_mm: float,
    correlation_length_mm: float,
    sampling_error_mm: float,
    segmentation_sd_mm: float,
    seed: int = 0,
    draws: int = 2000,
    constrained: bool = False,
) -> MarginBounds:
    """Bound the true minimum margin.

    Parameters
    ----------
    margin : MarginResult
    zone : Surface
        The one that the margins were measured to.
    sd_mm : float
        Standard deviation of the alignment's error, per component, at the lesion.
    correlation_length_mm : float
        Over which that error changes; ``inf`` if it is rigid.
    sampling_error_mm : float
        95th percentile of the voxels' own error; widens both bounds as it is.
    segmentation_sd_mm : float
        Of the tumor's and the zone's borders; added to ``sd_mm`` in quadrature.
    seed, draws : int
        Of the simulation; the same seed gives the same bounds.
    constrained : bool
        Bound the minimum of the constrained margins instead. Capsule, tumor and zone move together where they touch, so
        a point that is counted as ablated because of the capsule stays so however it is displaced. The lower bound then
        takes its largest distance. Tumor that sticks out of the zone at the capsule by no more than ``FEIGNED_SD``
        standard deviations lowers the lower bound and the best estimate, but not the upper bound: the alignment alone
        may have moved it there. The spread then reaches as far as the upper bound.

    Raises
    ------
    ValueError
        If an error isn't finite and at least 0, or if there are no constrained margins to bound.

    Notes
    -----
    Lower: observed minimum minus 0.75 to 1.85 standard deviations, fewer, the more even the margin is over the surface.
    Upper: the largest true minimum that would still let the observed one be this small in 95 % of the draws, plus 0.3 to
    0.72 standard deviations, more, the more even the margin is. The bounds are no better than ``sd_mm``: one too small
    by a quarter leaves the upper bound with 75 % where the margin is even all round.
    """
    _require_meaning(sd_mm, correlation_length_mm, sampling_error_mm, segmentation_sd_mm)
    observed, inside = _observed(margin, constrained=constrained)
    sd, low = math.hypot(sd_mm, segmentation_sd_mm), float(observed.min())
    if sd == 0:
        return _widened(low, low, low, 0.0, sampling_error_mm)
    few, areas = _thinned(margin, observed)
    points, seen = margin.points_mm[few], observed[few]

    draw = partial(
        drawn_changes_mm,
        points_mm=points,
        sd_mm=sd,
        correlation_length_mm=correlation_length_mm,
        draws=draws,
        seed=seed,
    )
    if inside is None:
        change = draw(plain_field(zone, points, sd_mm=sd))
        return _bounds(points, areas, seen, change, sd=sd, sampling=sampling_error_mm, cautious=False)
    allowed = seen > margin.margin_mm[few] + 1e-6
    return _constrained_bounds(
        points, areas, seen, allowed=allowed, zone=zone, inside=inside, draw=draw, sd=sd, sampling=sampling_error_mm
    )


def _require_meaning(sd_mm: float, correlation_length_mm: float, sampling_mm: float, segmentation_sd_mm: float) -> None:
    for name, value in (("sd_mm", sd_mm), ("segmentation_sd_mm", segmentation_sd_mm), ("sampling", sampling_mm)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be finite and not negative, not {value}")
    if not correlation_length_mm > 0:
        raise ValueError(f"correlation_length_mm must be positive, not {correlation_length_mm}")


def _observed(margin: MarginResult, *, constrained: bool) -> tuple[FloatArray, BoolArray | None]:
    """The margins to bound and, if they are the constrained ones, the zone's triangles that they refer to."""
    if not constrained:
        return margin.margin_mm, None
    if margin.constrained_mm is None or margin.zone_inside_liver is None:
        raise ValueError("there are no constrained margins to bound")
    return margin.constrained_mm, margin.zone_inside_liver


def _thinned(margin: MarginResult, observed: FloatArray) -> tuple[Array, FloatArray]:
    """Numbers of the points to draw for, the smallest margin among them, and the surface around each."""
    few = spread_points(margin.points_mm, observed, MAX_POINTS)
    nearest = cKDTree(margin.points_mm[few]).query(margin.points_mm)[1]
    return few, np.asarray(np.bincount(nearest, margin.area_mm2, minlength=len(few)), np.float64)


def _constrained_bounds(
    points: FloatArray,
    areas: FloatArray,
    seen: FloatArray,
    *,
    allowed: BoolArray,
    zone: Surface,
    inside: BoolArray,
    draw: Callable[[Field], Single],
    sd: float,
    sampling: float,
) -> MarginBounds:
    """Bounds with the capsule; the upper one also if tumor seen outside the zone there is so by misalignment only."""
    change = draw(capsule_field(zone, inside, allowed, points, sd_mm=sd))
    bounds = _bounds(points, areas, seen, change, sd=sd, sampling=sampling, cautious=True)
    feigned, free = (seen < 0) & (seen >= -FEIGNED_SD * sd), np.zeros(len(seen))
    free[feigned] = distances_mm(zone.vertices_mm, zone.triangles[inside], points[feigned])
    feigned &= free > -seen + 1e-6
    if not feigned.any():
        return bounds
    change = draw(capsule_field(zone, inside, allowed | feigned, points, sd_mm=sd))
    upper = max(bounds.upper_mm, _upper(np.where(feigned, free, seen), change, areas, sd) + sampling)
    spread = max(bounds.spread_mm, (upper - bounds.corrected_mm) / Z95)
    return replace(bounds, upper_mm=upper, spread_mm=spread)


def _bounds(
    points: FloatArray,
    areas: FloatArray,
    field: FloatArray,
    change: Single,
    *,
    sd: float,
    sampling: float,
    cautious: bool,
) -> MarginBounds:
    """The calibrated rules. ``change`` holds the drawn changes of the field, shape (points, draws)."""
    low, spread = float(field.min()), _evened(field, change, areas)[2] / sd
    lower = low - sd * (LOWER_STEPS[-1] if cautious else float(np.interp(spread, LOWER_SPREADS, LOWER_STEPS)))
    upper = max(_upper(field, change, areas, sd), lower)
    radius = math.sqrt(float(areas.sum()) / (4 * math.pi))
    lowest = (field[:, None].astype(np.float32) + change).argmin(axis=0)
    wander = float(np.linalg.norm(points[lowest] - points[field.argmin()], axis=1).mean()) / radius
    raised = max(CORRECTION + CORRECTION_SPREAD * min(spread, 4.0) + CORRECTION_WANDER * wander, 0.0)
    corrected = float(np.clip(low + sd * raised, lower, upper))
    return _widened(lower, upper, corrected, RESIDUAL_SD * sd, sampling)


def _widened(lower: float, upper: float, corrected: float, spread: float, sampling: float) -> MarginBounds:
    return MarginBounds(
        lower_mm=lower - sampling,
        upper_mm=upper + sampling,
        corrected_mm=corrected,
        spread_mm=math.hypot(spread, sampling / Z975),
    )


def _upper(field: FloatArray, change: Single, areas: FloatArray, sd: float) -> float:
    """The padded test inversion: the largest true minimum that the observed field, shape (n,), allows."""
    mean, deviation, spread = _evened(field, change, areas)
    pad = float(np.interp(spread / sd, UPPER_SPREADS, UPPER_PADS))
    return _inverted(mean, deviation, change, float(field.min())) + pad * sd


def _evened(field: FloatArray, change: Single, areas: FloatArray) -> tuple[float, FloatArray, float]:
    """Mean, deviations and standard deviation of the margins freed of what displacements change on average, mm."""
    even = field - change.mean(axis=1)
    mean = float(np.average(even, weights=areas))
    return mean, even - mean, math.sqrt(float(np.average((even - mean) ** 2, weights=areas)))


def _inverted(mean: float, deviation: FloatArray, change: Single, observed: float) -> float:
    """The largest minimum, among truths of scaled contrast, whose draws are above the observed one in 95 % of cases."""
    minima, before = mean + CONTRASTS * deviation.min(), 1.0
    for number, contrast in enumerate(CONTRASTS):
        truth = (mean + contrast * deviation).astype(np.float32)
        above = float(((truth[:, None] + change).min(axis=0) >= observed).mean())
        if above < CONFIDENCE:
            if number == 0:
                return float(minima[0])
            part = (before - CONFIDENCE) / (before - above)
            return float(minima[number - 1] + part * (minima[number] - minima[number - 1]))
        before = min(before, above)
    return float(minima[-1])
