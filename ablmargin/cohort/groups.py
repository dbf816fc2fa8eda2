"""Margins, verdicts and coverage by size, RAS status and site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import THRESHOLDS_MM, Verdict
from ablmargin.cohort.lesion import Findings, Lesion
from ablmargin.geometry import FloatArray
from ablmargin.report.palette import BANDS

NOT_KNOWN = "not known"
SIZE_EDGES_MM = (10.0, 20.0, 30.0)
RAS_NAMES = {RasMutation.WILD_TYPE: "wild type", RasMutation.MUTANT: "mutant", RasMutation.UNKNOWN: NOT_KNOWN}
SITE_NAMES = {True: "subcapsular", False: "not subcapsular", None: NOT_KNOWN}
QUALITIES = ("good", "doubtful", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What divides lesions into groups: the groups' names, the last one "not known", and which of them a measured lesion is in."""

    name: str
    groups: tuple[str, ...]
    group_of: Callable[[Lesion], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lesions that have something in common.

    ``quartiles_mm`` are of the judged minimum margins, ``by_threshold`` counts verdicts against thresholds that any of the
    cohort's lesions was judged against, ``reaching`` the plain numbers at or above a threshold.
    """

    topic: str
    name: str
    count: int
    lowest_mm: float
    quartiles_mm: tuple[float, float, float]
    highest_mm: float
    reaching: Mapping[float, int]
    by_threshold: Mapping[float, Mapping[Verdict, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Quartiles of something, and of how many lesions it is known."""

    count: int
    quartiles: tuple[float, float, float]


def groups_of(lesions: Sequence[Lesion]) -> list[Group]:
    """All measured lesions, then by size, RAS status, capsule, segment and site; no group is empty."""
    judged_mm = thresholds_told(lesions)
    found = (
        [_group("All", "all measured lesions", [lesion.measured for lesion in lesions], judged_mm)] if lesions else []
    )
    for topic in (*TOPICS, _segments(lesions), _sites(lesions)):
        named = [(topic.group_of(lesion), lesion.measured) for lesion in lesions]
        members = {name: [findings for own, findings in named if own == name] for name in topic.groups}
        found += [_group(topic.name, name, inside, judged_mm) for name, inside in members.items() if inside]
    return found


def thresholds_told(lesions: Sequence[Lesion]) -> tuple[float, ...]:
    """Against which thresholds there are verdicts, mm."""
    return tuple(mm for mm in THRESHOLDS_MM if any(mm in lesion.measured.by_threshold for lesion in lesions))


def quality_counts(lesions: Sequence[Lesion]) -> dict[str, int]:
    """How many registrations were good, doubtful or failed, by lesion; those of masks in one frame aren't counted."""
    told = [lesion.measured.quality for lesion in lesions]
    return {quality: told.count(quality) for quality in QUALITIES if quality in told}


def error_spread(lesions: Sequence[Lesion]) -> Spread | None:
    """Of the registrations' local errors, mm; None if none is known."""
    return spread_of([lesion.measured.sd_mm for lesion in lesions])


def coverage_spreads(lesions: Sequence[Lesion]) -> dict[int, Spread]:
    """Of the ablated shares of the tumors grown by 0, 5, 10 mm."""
    grown = sorted({mm for lesion in lesions for mm in lesion.measured.coverage})
    spreads = {mm: spread_of([lesion.measured.coverage.get(mm) for lesion in lesions]) for mm in grown}
    return {mm: spread for mm, spread in spreads.items() if spread is not None}


def surface_spreads(lesions: Sequence[Lesion]) -> dict[str, Spread]:
    """Of the shares of the tumors' surfaces in each band of margins, by the band's key."""
    known = [shares for lesion in lesions if (shares := lesion.measured.surface_share) is not None]
    columns = zip(*known, strict=True)
    return {band.key: _spread(list(column)) for band, column in zip(BANDS, columns, strict=bool(known))}


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Quartiles of what is known; None if nothing is.

    >>> spread_of([1.0, None, 3.0]).quartiles
    (1.5, 2.0, 2.5)
    """
    known = [value for value in values if value is not None]
    return _spread(known) if known else None


def size_name(diameter_mm: float | None) -> str:
    """The size group of a tumor.

    >>> size_name(9.9), size_name(10.0), size_name(40.0)
    ('under 10 mm', '10 to 20 mm', '30 mm or more')
    """
    if diameter_mm is None:
        return NOT_KNOWN
    return _SIZE_NAMES[sum(diameter_mm >= edge for edge in SIZE_EDGES_MM)]


_SIZE_NAMES = ("under 10 mm", "10 to 20 mm", "20 to 30 mm", "30 mm or more")

TOPICS = (
    Topic(
        name="Diameter",
        groups=(*_SIZE_NAMES, NOT_KNOWN),
        group_of=lambda lesion: size_name(lesion.measured.diameter_mm),
    ),
    Topic(name="RAS status", groups=tuple(RAS_NAMES.values()), group_of=lambda lesion: RAS_NAMES[lesion.ras]),
    Topic(
        name="Capsule",
        groups=tuple(SITE_NAMES.values()),
        group_of=lambda lesion: SITE_NAMES[lesion.measured.subcapsular],
    ),
)


def _segments(lesions: Sequence[Lesion]) -> Topic:
    """By the segments that there are; without any, no group."""
    segments = sorted({lesion.measured.segment or "" for lesion in lesions} - {""}, key=_segment_order)
    groups = (*segments, NOT_KNOWN) if segments else ()
    return Topic(name="Segment", groups=groups, group_of=lambda lesion: lesion.measured.segment or NOT_KNOWN)


def _sites(lesions: Sequence[Lesion]) -> Topic:
    """By the manifest's own column ``site``; without it, no group."""
    sites = sorted({lesion.own.get("site", "") for lesion in lesions} - {""})
    groups = (*sites, NOT_KNOWN) if sites else ()
    return Topic(name="Site", groups=groups, group_of=lambda lesion: lesion.own.get("site") or NOT_KNOWN)


def _segment_order(name: str) -> tuple[int, str]:
    numerals = ("I", "II", "III", "IV", "IVa", "IVb", "V", "VI", "VII", "VIII")
    return (numerals.index(name) if name in numerals else len(numerals), name)


def _group(topic: str, name: str, findings: Sequence[Findings], judged_mm: Sequence[float]) -> Group:
    margins_mm = np.array([one.margin_mm for one in findings])
    return Group(
        topic=topic,
        name=name,
        count=len(findings),
        lowest_mm=float(margins_mm.min()),
        quartiles_mm=_quartiles(margins_mm),
        highest_mm=float(margins_mm.max()),
        reaching={mm: int((margins_mm >= mm).sum()) for mm in THRESHOLDS_MM},
        by_threshold={
            mm: {verdict: sum(one.by_threshold.get(mm) is verdict for one in findings) for verdict in Verdict}
            for mm in judged_mm
        },
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(count=len(values), quartiles=_quartiles(np.array(values)))


def _quartiles(values: FloatArray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)
