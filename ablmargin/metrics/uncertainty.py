"""One-sided bounds on the minimum margin, given how well the exams are aligned.

The mapped tumor is the true one plus a random displacement: a Gaussian field with one standard deviation per component
and a squared-exponential correlation over space. Its minimum margin is then biased low, by more the more points compete
to be the smallest, so resampling the observed margins can't simply be read as an interval. The rules and their constants
were set on simulated spheres, ellipsoids, lumpy shapes and fused zones with errors of 0.5 to 3 mm, and checked on others:
each bound held in 94 to 100 % of the cases in every group of shape and error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import ndtr

from ablmargin.geometry import Array, BoolArray, FloatArray, bounding_geometry
from ablmargin.metrics.distance import distances_mm, signed_distances_mm
from ablmargin.metrics.margin import MarginResult
from ablmargin.metrics.surface import Surface

MAX_POINTS = 300
GRID_NODES = 12_000
DRAWS_AT_ONCE = 100
Z95 = 1.645
LOWER_BASE, LOWER_LEAST = 1.9, 0.7
"""The lower bound lies ``base + bias`` standard deviations under the observed minimum, between least and Z95."""
UPPER_PAD = 0.65
CORRECTION, CORRECTION_SPREAD, CORRECTION_WANDER = 2.305, -0.474, -1.095
RESIDUAL_SD = 1.54 / Z95
"""Spread of the true minimum around the corrected one, in units of the alignment's standard deviation."""
CONTRASTS = np.array([*np.arange(0.0, 1.21, 0.1), 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])
"""Truths that are tried for the upper bound: the observed field with its differences scaled by these."""

SAMPLING_SPACINGS_MM = (1.0, 2.0, 3.0, 5.0)
SAMPLING_P95_MM = (0.2, 0.3, 0.35, 0.5)


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

    Measured with ``benchmarks/spheres.py`` and its like on pairs of spheres, ellipsoids, lumpy shapes and zones of two
    fused spheres, 0.7 mm in plane, slices of 1, 2, 3 and 5 mm; interpolated, and proportional beyond 5 mm.
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
        takes its largest distance, 1.645 standard deviations, as the calibration had no capsule.

    Raises
    ------
    ValueError
        If an error isn't finite and at least 0, or if there are no constrained margins to bound.

    Notes
    -----
    Lower: observed minimum minus 0.7 to 1.645 standard deviations, the less, the more the minimum is shared among
    points. Upper: the largest true minimum that would still let the observed one be this small in 95 % of the draws, plus
    0.65 standard deviations. The bounds are no better than ``sd_mm``: one too small by a quarter leaves the upper bound
    with 80 % where the margin is even all round.
    """
    for name, value in (("sd_mm", sd_mm), ("segmentation_sd_mm", segmentation_sd_mm), ("sampling", sampling_error_mm)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be finite and not negative, not {value}")
    if not correlation_length_mm > 0:
        raise ValueError(f"correlation_length_mm must be positive, not {correlation_length_mm}")
    observed = margin.constrained_mm if constrained else margin.margin_mm
    if observed is None:
        raise ValueError("there are no constrained margins to bound")
    sd = math.hypot(sd_mm, segmentation_sd_mm)
    low = float(observed.min())
    if sd == 0:
        return _widened(low, low, low, 0.0, sampling_error_mm)
    few = _decimated(margin.points_mm, observed, MAX_POINTS)
    points, field = margin.points_mm[few], observed[few]
    nearest = cKDTree(points).query(margin.points_mm)[1]
    areas = np.asarray(np.bincount(nearest, margin.area_mm2, minlength=len(few)), np.float64)
    displaced = _field_at(margin, zone, few, reach_mm=4 * sd + 1, constrained=constrained)
    shift = field - displaced(points[None])[0]
    sampler = _displacements(points, correlation_length_mm, np.random.default_rng(seed))
    change = np.concatenate(
        [
            displaced(points + sd * sampler(min(DRAWS_AT_ONCE, draws - done))) + shift - field
            for done in range(0, draws, DRAWS_AT_ONCE)
        ]
    )
    return _bounds(points, areas, field, change, sd=sd, sampling=sampling_error_mm, cautious=constrained)


def _bounds(
    points: FloatArray,
    areas: FloatArray,
    field: FloatArray,
    change: FloatArray,
    *,
    sd: float,
    sampling: float,
    cautious: bool,
) -> MarginBounds:
    """The calibrated rules. ``change`` holds the drawn changes of the field, shape (draws, points)."""
    drawn = field + change
    low, minima = float(field.min()), drawn.min(axis=1)
    bias = (float(minima.mean()) - low) / sd
    lower = low - sd * (Z95 if cautious else float(np.clip(LOWER_BASE + bias, LOWER_LEAST, Z95)))
    even = field - change.mean(axis=0)
    mean = float(np.average(even, weights=areas))
    deviation = even - mean
    upper = max(_inverted(mean, deviation, change, low) + UPPER_PAD * sd, lower)
    spread = math.sqrt(float(np.average(deviation**2, weights=areas)))
    radius = math.sqrt(float(areas.sum()) / (4 * math.pi))
    jumps = np.linalg.norm(points[drawn.argmin(axis=1)] - points[field.argmin()], axis=1)
    wander = float(jumps.mean()) / radius
    raised = CORRECTION + CORRECTION_SPREAD * min(spread / sd, 4.0) + CORRECTION_WANDER * wander
    corrected = float(np.clip(low + sd * raised, lower, upper))
    return _widened(lower, upper, corrected, RESIDUAL_SD * sd, sampling)


def _widened(lower: float, upper: float, corrected: float, spread: float, sampling: float) -> MarginBounds:
    return MarginBounds(
        lower_mm=lower - sampling,
        upper_mm=upper + sampling,
        corrected_mm=corrected,
        spread_mm=math.hypot(spread, sampling / 1.96),
    )


def _inverted(mean: float, deviation: FloatArray, change: FloatArray, observed: float) -> float:
    """The largest minimum, among truths of scaled contrast, whose draws are above the observed one in 95 % of cases."""
    above = np.array(
        [(mean + (contrast * deviation + change).min(axis=1) >= observed).mean() for contrast in CONTRASTS]
    )
    above = np.minimum.accumulate(above)
    minima = mean + CONTRASTS * deviation.min()
    reached = np.flatnonzero(above >= 0.95)
    if len(reached) == 0:
        return float(minima[0])
    last = int(reached[-1])
    if last == len(above) - 1:
        return float(minima[-1])
    part = (above[last] - 0.95) / max(above[last] - above[last + 1], 1e-9)
    return float(minima[last] + part * (minima[last + 1] - minima[last]))


def _decimated(points: FloatArray, values: FloatArray, count: int) -> Array:
    """Numbers of about ``count`` evenly spread points; the one with the smallest value first."""
    if len(points) <= count:
        return np.arange(len(points))
    chosen = [int(values.argmin())]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    for _ in range(count - 1):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


def _displacements(
    points: FloatArray, correlation_length_mm: float, rng: np.random.Generator
) -> Callable[[int], FloatArray]:
    """Draws unit-variance displacement fields at the points: count to (count, n, 3)."""
    if math.isinf(correlation_length_mm):
        factor = np.ones((len(points), 1))
    else:
        apart = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
        power, modes = np.linalg.eigh(np.exp(-apart / (2 * correlation_length_mm**2)))
        strong = power > 1e-4 * power.max()
        factor = modes[:, strong] * np.sqrt(power[strong])

    def draw(count: int) -> FloatArray:
        return np.asarray(np.einsum("nm,cmd->cnd", factor, rng.normal(size=(count, factor.shape[1], 3))))

    return draw


def _field_at(
    margin: MarginResult, zone: Surface, few: Array, *, reach_mm: float, constrained: bool
) -> Callable[[FloatArray], FloatArray]:
    """Margins of displaced points, (draws, n, 3) to (draws, n), read from a grid around the tumor."""
    points = margin.points_mm[few]
    sides = np.ptp(points, axis=0) + 2 * reach_mm
    spacing = max(1.0, float((sides.prod() / GRID_NODES) ** (1 / 3)))
    grid = bounding_geometry(points, spacing_mm=spacing, pad_mm=reach_mm, frame_uid=zone.frame_uid)
    nodes = grid.points_at(np.argwhere(np.ones(grid.shape, dtype=bool)))

    def reader(values: FloatArray) -> Callable[[FloatArray], FloatArray]:
        return lambda where: np.asarray(
            ndimage.map_coordinates(
                values.reshape(grid.shape), grid.indices_at(where).reshape(-1, 3).T, order=1, mode="nearest"
            ).reshape(where.shape[:-1])
        )

    plain = reader(signed_distances_mm(zone, nodes))
    if not constrained or margin.zone_inside_liver is None or margin.constrained_mm is None:
        return plain
    allowed: BoolArray = margin.constrained_mm[few] > margin.margin_mm[few] + 1e-6
    free = reader(distances_mm(zone.vertices_mm, zone.triangles[margin.zone_inside_liver], nodes))

    def capsule_aware(where: FloatArray) -> FloatArray:
        signed = plain(where)
        return np.where(allowed | (signed >= 0), np.maximum(free(where), signed), signed)

    return capsule_aware
