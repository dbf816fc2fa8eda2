"""The numbers of the report's tables: each with its name, its value as text and a plain sentence on what it means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ablmargin.geometry import FloatArray
from ablmargin.metrics.capsule import Capsule
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.report.palette import BANDS
from ablmargin.result import LesionResult

UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One row of a table."""

    name: str
    value: str
    meaning: str


def signed_mm(value: float | None) -> str:
    """A length with its sign, for people.

    >>> signed_mm(-2.04), signed_mm(7.96), signed_mm(None)
    ('−2.0 mm', '8.0 mm', 'not known')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value, 1) + 0.0:.1f} mm".replace("-", "−")


def percent(share: float | None) -> str:
    """A share as percent; what isn't quite none or all is never shown as 0 or 100.

    >>> percent(0.0), percent(0.0004), percent(0.234), percent(0.9999)
    ('0 %', 'under 1 %', '23 %', 'over 99 %')
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def milliliters(volume_ml: float | None) -> str:
    """A volume; small ones with more digits.

    >>> milliliters(0.0312), milliliters(24.61)
    ('0.03 ml', '24.6 ml')
    """
    if volume_ml is None or not math.isfinite(volume_ml):
        return UNKNOWN
    return f"{volume_ml:.1f} ml" if volume_ml >= 10 else f"{volume_ml:.2f} ml"


def lesion_numbers(lesion: LesionResult) -> dict[str, list[Number]]:
    """All figures on one lesion, in groups."""
    return {
        "The minimum": list(_minimum(lesion)),
        "The margin all around": list(_around(lesion)),
        "Volumes": list(_volumes(lesion)),
    }


def registration_numbers(quality: RegistrationQuality, landmark_errors_mm: FloatArray | None = None) -> list[Number]:
    """How well the two exams were brought together."""
    rows = (
        (
            "Local error at the tumor",
            signed_mm(quality.sd_mm),
            "Standard deviation per direction: what the images leave open, and how far repeated registrations disagree. It sets the width of the bounds.",
        ),
        (
            "Liver overlap (Dice)",
            _plain(quality.liver_dice, 3),
            "1 is perfect. High even where the inside of the liver is misplaced.",
        ),
        (
            "Liver surfaces, mean distance",
            signed_mm(quality.liver_asd_mm),
            "Between the surface before ablation, mapped, and the one after.",
        ),
        ("Liver surfaces, 95th percentile", signed_mm(quality.liver_hd95_mm), "The same where it fits worst."),
        (
            "Smallest local volume change",
            _plain(quality.jacobian_min, 2),
            "Jacobian determinant: 1 keeps volume; 0 or less is impossible in tissue.",
        ),
        ("Folded share of the liver", percent(quality.folded_share), "Where the map is impossible. Must be 0."),
        (
            "There and back",
            signed_mm(quality.inverse_consistency_mm),
            "How far a point ends from its start when mapped forth and back by separate registrations.",
        ),
    )
    numbers = [Number(name=name, value=value, meaning=meaning) for name, value, meaning in rows]
    if quality.engine_distance_mm is not None:
        numbers.append(_engines(quality.engine_distance_mm))
    return numbers if landmark_errors_mm is None else [_landmarks(landmark_errors_mm), *numbers]


def _engines(distance_mm: float) -> Number:
    return Number(
        name="Two engines apart, mean",
        value=signed_mm(distance_mm),
        meaning="Distance between where each of two registration programs brings the tumor’s surface.",
    )


def _landmarks(errors_mm: FloatArray) -> Number:
    return Number(
        name="Error at the marked places, mean",
        value=signed_mm(float(errors_mm.mean())),
        meaning=f"Target registration error at {len(errors_mm)} places marked in both exams; at most "
        f"{signed_mm(float(errors_mm.max()))}.",
    )


_MINIMUM_ROWS = (
    (
        "minimum",
        "Minimal ablative margin (MAM)",
        (
            "Smallest distance from the tumor’s surface to the zone’s border, in 3-D, nothing excluded. "
            "Negative where tumor is left unablated."
        ),
    ),
    (
        "constrained",
        "Capsule-constrained minimum",
        "No margin is asked for outside the liver; unablated tumor always counts. {rests}",
    ),
    (
        "limited",
        "Surface too close to the capsule",
        "Part of the tumor’s surface less than {required:g} mm deep: there, that margin can’t exist.",
    ),
    (
        "shortfall",
        "Shortfall",
        "How much is missing of what the requirement and the anatomy allow; 0 is as much as possible. {doubt}",
    ),
    (
        "bounds",
        "95 % bounds",
        (
            "One-sided each: the true minimum lies above the lower bound, and below the upper, 95 times in 100. "
            "They hold registration, contour and sampling error."
        ),
    ),
    (
        "corrected",
        "Corrected minimum",
        "Freed of the downward bias that registration error puts on every minimum.",
    ),
    ("probability", "Probability of {required:g} mm or more", "That the true minimum reaches the required margin."),
    (
        "rigid",
        "After rigid registration alone",
        "For comparison. A large difference means that the liver changed its shape between the exams.",
    ),
    (
        "raw",
        "From voxel masks (raw)",
        "Plain distance transform, as other programs report it: too small by up to about a voxel’s diagonal.",
    ),
)
"""Key, name and meaning, in the order of the table."""


def _minimum(lesion: LesionResult) -> Iterator[Number]:
    required_mm, values = lesion.judgement.required_margin_mm, _minimum_values(lesion)
    for key, name, meaning in _MINIMUM_ROWS:
        if key in values:
            said = meaning.format(required=required_mm, rests=_what_it_rests_on(lesion), doubt=_doubt(lesion.capsule))
            yield Number(name=name.format(required=required_mm), value=values[key], meaning=said.rstrip())


def _minimum_values(lesion: LesionResult) -> dict[str, str]:
    """Texts by key; rows that don't apply are left out."""
    bounds, capsule = lesion.bounds, lesion.capsule
    values = {"minimum": signed_mm(lesion.margin.minimum_mm), "raw": signed_mm(lesion.raw_minimum_mm)}
    if capsule is not None:
        values["constrained"] = signed_mm(lesion.constrained_minimum_mm)
        values["limited"] = percent(capsule.depth_limited_share)
        values["shortfall"] = signed_mm(capsule.shortfall_mm)
    if bounds is not None:
        values["bounds"] = f"{signed_mm(bounds.lower_mm)} to {signed_mm(bounds.upper_mm)}"
        values["corrected"] = signed_mm(bounds.corrected_mm)
        values["probability"] = percent(bounds.probability_adequate(lesion.judgement.required_margin_mm))
    if lesion.rigid_minimum_mm is not None:
        values["rigid"] = signed_mm(lesion.rigid_minimum_mm)
    return values


def _doubt(capsule: Capsule | None) -> str:
    if capsule is None or not capsule.shortfall_doubt_mm:
        return ""
    return f"It may be off by {signed_mm(capsule.shortfall_doubt_mm)}: the slices don’t tell where between them the capsule is."


def _what_it_rests_on(lesion: LesionResult) -> str:
    if lesion.judges_constrained:
        return "The verdict rests on it: the tumor is subcapsular."
    if lesion.is_subcapsular:
        return "There is none here: no border of the zone lies inside the liver."
    return "The tumor is not subcapsular."


def _around(lesion: LesionResult) -> Iterator[Number]:
    margin = lesion.margin
    for q, meaning in (
        (1, "1 % of the surface has less."),
        (5, "5 % of the surface has less."),
        (50, "Half of the surface has less."),
    ):
        yield Number(
            name="Median" if q == 50 else f"{q}{'st' if q == 1 else 'th'} percentile",
            value=signed_mm(margin.percentile_mm(q)),
            meaning=meaning,
        )
    yield Number(name="Mean", value=signed_mm(margin.mean_mm), meaning="Over the surface, weighted by area.")
    shares = margin.surface_shares()
    for band in BANDS:
        yield Number(
            name=f"Margin {band.label}", value=percent(shares[band.key]), meaning="Part of the tumor’s surface."
        )


def _volumes(lesion: LesionResult) -> Iterator[Number]:
    coverage = lesion.coverage
    yield Number(name="Tumor", value=milliliters(lesion.tumor_volume_ml), meaning="As outlined before ablation.")
    yield Number(
        name="Ablation zone",
        value=milliliters(lesion.ablation_volume_ml),
        meaning="Zones that come within 10 mm of this tumor.",
    )
    yield Number(
        name="Unablated tumor",
        value=milliliters(lesion.residual_tumor_ml),
        meaning="Part of the tumor’s volume that lies outside the zone.",
    )
    for grown_mm in (0, 5, 10):
        what = "tumor" if grown_mm == 0 else f"tumor and {grown_mm} mm around it"
        yield Number(
            name=f"Ablated: {what}",
            value=percent(coverage.shares[grown_mm]),
            meaning="Share of the volume, within the liver.",
        )


def _plain(value: float | None, decimals: int) -> str:
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"
