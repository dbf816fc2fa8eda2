"""Where a tumor lies in the liver, in sentences and in rows of the table."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.clinical.couinaud import place_in_words
from ablmargin.metrics.vessels import REACH_MM, WIDE_MM
from ablmargin.report.numbers import Number, percent, signed_mm
from ablmargin.result import LesionResult, SegmentShares, VesselFinding

LEAST_OUTSIDE = 0.05
"""Share of a tumor outside of all segments that is worth a sentence."""

_WIDE = f"a vessel of {WIDE_MM:g} mm or more"


def place_sentences(lesion: LesionResult, *, measured: bool = True) -> tuple[str, ...]:
    """Segments and the nearest wide vessel, as far as they were given.

    Parameters
    ----------
    measured : bool
        Whether the margin may be told; what rests on it is left out if not.
    """
    around = lesion.surroundings
    if around is None:
        return ()
    parts = []
    if around.segments is not None:
        parts.append(place_in_words(around.segments.told))
    if around.vessel is not None:
        parts.append(_vessel_in_words(around.vessel))
    first = "; ".join(parts) + "."
    return (first[0].upper() + first[1:], *_outside(around.segments), *_heat_sink(lesion, measured=measured))


def place_numbers(lesion: LesionResult) -> dict[str, list[Number]]:
    """The same as a group of the table; empty if nothing was given."""
    around = lesion.surroundings
    if around is None:
        return {}
    return {"Place in the liver": [*_segment_rows(around.segments), *_vessel_rows(around.vessel)]}


def _vessel_in_words(vessel: VesselFinding) -> str:
    if vessel.distance_mm is None:
        return f"no vessel of {WIDE_MM:g} mm or more within {REACH_MM:g} mm"
    if vessel.distance_mm <= -0.05:
        return f"{_WIDE} reaches {-vessel.distance_mm:.1f} mm into the tumor"
    if vessel.distance_mm < 0.05:
        return f"{_WIDE} touches the tumor"
    return f"{vessel.distance_mm:.1f} mm from {_WIDE}"


def _outside(segments: SegmentShares | None) -> Iterator[str]:
    if segments is not None and segments.told and segments.outside >= LEAST_OUTSIDE:
        yield f"{percent(segments.outside)} of the tumor lies in none of the segments that were given."


def _heat_sink(lesion: LesionResult, *, measured: bool) -> Iterator[str]:
    """What the vessel may mean for the ablation: whether it runs where tissue should be ablated, and where it is thin."""
    vessel = None if lesion.surroundings is None else lesion.surroundings.vessel
    if vessel is None or vessel.distance_mm is None:
        return
    required_mm = lesion.judgement.required_margin_mm
    if vessel.distance_mm < required_mm:
        yield (
            f"That vessel runs within the {required_mm:g} mm around the tumor that should be ablated; its blood takes heat "
            "away."
        )
    if measured and vessel.at_thinnest:
        thinnest = "thinnest within the liver" if lesion.judges_constrained else "thinnest"
        yield f"The margin is {thinnest} at such a vessel."


def _segment_rows(segments: SegmentShares | None) -> Iterator[Number]:
    if segments is None:
        return
    for one in segments.told:
        yield Number(
            name=f"Segment {one.segment}",
            value=percent(one.share),
            meaning="Part of the tumor’s volume, after Couinaud.",
        )
    if segments.outside > 0:
        yield Number(
            name="In no segment",
            value=percent(segments.outside),
            meaning="Part of the tumor’s volume outside of all segments that were given.",
        )


def _vessel_rows(vessel: VesselFinding | None) -> Iterator[Number]:
    if vessel is None:
        return
    if vessel.distance_mm is None:
        yield Number(
            name=f"Nearest vessel of {WIDE_MM:g} mm or more",
            value=f"over {REACH_MM:g} mm",
            meaning="None was found so near before ablation.",
        )
        return
    yield Number(
        name=f"Nearest vessel of {WIDE_MM:g} mm or more",
        value=signed_mm(vessel.distance_mm),
        meaning="From the tumor’s surface to the vessel’s, before ablation. Negative where the vessel reaches into the tumor.",
    )
    yield Number(
        name="From the thinnest place to such a vessel",
        value=signed_mm(vessel.from_thinnest_mm),
        meaning="Blood takes heat away: beside a vessel the margin may be thin for that reason.",
    )
