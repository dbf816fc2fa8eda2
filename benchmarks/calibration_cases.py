"""Lesions under a random error, measured and bounded by the product: the cases that ``calibration.py`` counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from calibration_lesions import KINDS, LIVER_SPACING_MM, Cut, bulged, capsule_lesion, lesion, random_field

from ablmargin.metrics.distance import distances_mm, signed_distances_mm
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import Surface
from ablmargin.metrics.uncertainty import MarginBounds, bound_margin, sampling_error_p95_mm

SDS_MM = (0.5, 1.0, 2.0, 3.0)
LENGTHS_MM = (10.0, 20.0, 40.0, np.inf)
CAPSULES = ("plane", "curved")
CONTOUR_SD_MM, CONTOUR_LENGTH_MM = 0.5, 10.0
ASSUMED_LENGTH_MM = 25.0
"""What the registration says, whatever the truth."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One lesion under one error; what was found is told relative to the true minimum, mm."""

    section: str
    kind: str
    number: int
    sd_mm: float
    length_mm: float
    observed: float
    lower: float
    upper: float
    corrected: float
    spread: float

    @classmethod
    def of(
        cls, bounds: MarginBounds, *, true_mm: float, observed_mm: float, section: str, kind: str, number: int,
        sd_mm: float, length_mm: float,
    ) -> Case:  # fmt: skip
        return cls(
            section=section,
            kind=kind,
            number=number,
            sd_mm=sd_mm,
            length_mm=length_mm,
            observed=observed_mm - true_mm,
            lower=bounds.lower_mm - true_mm,
            upper=bounds.upper_mm - true_mm,
            corrected=bounds.corrected_mm - true_mm,
            spread=bounds.spread_mm,
        )


def plain_cases(count: int, seed: int, *, section: str = "plain", sds_mm: tuple[float, ...] = SDS_MM) -> Iterator[Case]:
    """Each of ``count`` geometries of a kind once under each standard deviation, with another correlation length each.

    ``section`` "contours": both contours are drawn with a smooth error, too. "assumed": the bounds are told that the
    error correlates over 25 mm, whatever is true.
    """
    for number in range(count):
        for place, kind in enumerate(KINDS):
            rng = np.random.default_rng([seed, number, place])
            tumor, zone = lesion(kind, rng)
            true_mm = float(signed_distances_mm(zone, tumor.vertices_mm).min())
            for shift, sd_mm in enumerate(sds_mm):
                length_mm = LENGTHS_MM[(number + shift) % len(LENGTHS_MM)]
                drawn, seen = (_drawn(tumor, rng), _drawn(zone, rng)) if section == "contours" else (tumor, zone)
                moved = _moved(drawn, tumor, rng, sd_mm=sd_mm, length_mm=length_mm)
                margin = measure_margin(moved, seen)
                bounds = bound_margin(
                    margin,
                    seen,
                    sd_mm=sd_mm,
                    correlation_length_mm=ASSUMED_LENGTH_MM if section == "assumed" else length_mm,
                    sampling_error_mm=0.0,
                    segmentation_sd_mm=CONTOUR_SD_MM * np.sqrt(2) if section == "contours" else 0.0,
                )
                yield Case.of(
                    bounds, true_mm=true_mm, observed_mm=margin.minimum_mm, section=section, kind=kind, number=number,
                    sd_mm=sd_mm, length_mm=length_mm,
                )  # fmt: skip


def _drawn(surface: Surface, rng: np.random.Generator) -> Surface:
    return bulged(surface, rng, sd_mm=CONTOUR_SD_MM, correlation_mm=CONTOUR_LENGTH_MM)


def _moved(surface: Surface, at: Surface, rng: np.random.Generator, *, sd_mm: float, length_mm: float) -> Surface:
    error = sd_mm * random_field(at.vertices_mm, rng, correlation_mm=length_mm)
    return Surface(vertices_mm=surface.vertices_mm + error, triangles=surface.triangles)


def capsule_cases(count: int, seed: int) -> Iterator[Case]:
    """Tumors below a plane or curved capsule, under each standard deviation: the bounds of the constrained minimum.

    The liver is a mask, whose voxels err; the bounds allow for it as they always do.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, number, 99])
        kind = CAPSULES[number % 2]
        tumor, zone, liver, depth = capsule_lesion(rng, curved=kind == "curved")
        true_mm = constrained_truth_mm(tumor, zone, depth)
        for shift, sd_mm in enumerate(SDS_MM):
            length_mm = LENGTHS_MM[(number // 2 + shift) % len(LENGTHS_MM)]
            moved = _moved(tumor, tumor, rng, sd_mm=sd_mm, length_mm=length_mm)
            margin = measure_margin(moved, zone, liver=liver)
            assert margin.constrained_minimum_mm is not None, "the zone has a border inside the liver"
            bounds = bound_margin(
                margin,
                zone,
                sd_mm=sd_mm,
                correlation_length_mm=length_mm,
                sampling_error_mm=sampling_error_p95_mm(LIVER_SPACING_MM) + margin.capsule_doubt_mm,
                segmentation_sd_mm=0.0,
                constrained=True,
            )
            yield Case.of(
                bounds, true_mm=true_mm, observed_mm=margin.constrained_minimum_mm, section="capsule", kind=kind,
                number=number, sd_mm=sd_mm, length_mm=length_mm,
            )  # fmt: skip


def constrained_truth_mm(tumor: Surface, zone: Surface, depth: Cut) -> float:
    """Ablated points reach the part of the zone's border that isn't on the capsule; others keep their plain margin."""
    plain = signed_distances_mm(zone, tumor.vertices_mm)
    free = zone.triangles[depth(zone.centroids_mm) > 0.1]
    reach = distances_mm(zone.vertices_mm, free, tumor.vertices_mm)
    return float(np.where(plain >= 0, np.maximum(reach, plain), plain).min())
