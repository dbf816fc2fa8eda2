"""Who is in the cohort, who was left out on the way, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ablmargin.clinical.criteria import Verdict
from ablmargin.cohort.lesion import Event, Findings, Lesion, State
from ablmargin.reasons import WORDS, ReasonCode

NOT_REVIEWED = "outlines that no reader reviewed"
HINDERED = "images or outlines that can’t carry a verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How many lesions, of how many cases and patients."""

    lesions: int
    cases: int
    patients: int

    @classmethod
    def of(cls, lesions: Sequence[Lesion]) -> Numbers:
        return cls(
            lesions=len(lesions),
            cases=len({lesion.case_id for lesion in lesions}),
            patients=len({lesion.patient_id for lesion in lesions}),
        )

    def __str__(self) -> str:
        return f"{counted(self.lesions, 'lesion')}, {counted(self.cases, 'case')}, {counted(self.patients, 'patient')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """How many lesions were followed for some time, and how many of them progressed."""

    followed: int
    progressed: int

    @classmethod
    def of(cls, lesions: Iterable[Lesion]) -> Fates:
        told = [lesion.followup for lesion in lesions if lesion.followup is not None and lesion.followup.months > 0]
        return cls(followed=len(told), progressed=sum(followup.event is Event.LTP for followup in told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """From the manifest's rows to verdicts, and to the lesions whose follow-up is analyzed.

    ``failed``, ``undecided`` and ``not_followed`` hold reasons with their numbers of lesions, the most frequent first.
    ``left_out_fates`` are those of lesions that weren't measured, ``unreviewed_fates`` of measured ones that no reader reviewed,
    ``followed_fates`` of those whose follow-up is analyzed.
    """

    listed: Numbers
    failed: tuple[tuple[str, int], ...]
    withheld: int
    measured: Numbers
    verdicts: dict[Verdict, int]
    undecided: tuple[tuple[str, int], ...]
    not_followed: tuple[tuple[str, int], ...]
    followed: Numbers
    left_out_fates: Fates
    unreviewed_fates: Fates
    followed_fates: Fates

    @property
    def left_out(self) -> int:
        return self.listed.lesions - self.measured.lesions


def flow_of(lesions: Sequence[Lesion]) -> Flow:
    """Count a cohort's lesions by what became of them."""
    measured = measured_among(lesions)
    undecided = [one for one in measured if one.measured.verdict is Verdict.INDETERMINATE]
    reasons = [reason for one in measured if (reason := why_not_followed(one))]
    return Flow(
        listed=Numbers.of(lesions),
        failed=_by_number(one.code for one in lesions if one.state is State.FAILED),
        withheld=sum(one.state is State.WITHHELD for one in lesions),
        measured=Numbers.of(measured),
        verdicts={verdict: sum(one.measured.verdict is verdict for one in measured) for verdict in Verdict},
        undecided=_by_number(why_undecided(one.measured) for one in undecided),
        not_followed=_by_number(reasons),
        followed=Numbers.of(followed_among(lesions)),
        left_out_fates=Fates.of(lesion for lesion in lesions if lesion.state is not State.MEASURED),
        unreviewed_fates=Fates.of(lesion for lesion in measured if lesion.measured.reviewed is False),
        followed_fates=Fates.of(followed_among(lesions)),
    )


def measured_among(lesions: Iterable[Lesion]) -> list[Lesion]:
    """The lesions that have findings."""
    return [lesion for lesion in lesions if lesion.state is State.MEASURED]


def followed_among(lesions: Iterable[Lesion]) -> list[Lesion]:
    """The lesions whose margin and follow-up can be set against each other."""
    return [lesion for lesion in measured_among(lesions) if why_not_followed(lesion) is None]


def why_not_followed(lesion: Lesion) -> str | None:
    """Why a measured lesion has no part in the analysis of follow-up; None if it has."""
    if lesion.followup is None:
        return "no follow-up given"
    if lesion.followup.months == 0:
        return "followed for no time"
    return NOT_REVIEWED if lesion.measured.reviewed is False else None


def why_undecided(findings: Findings) -> str:
    """What kept an indeterminate lesion from a verdict: what hinders it first, else what its numbers say."""
    if not findings.reason_codes:
        return _guessed(findings)
    first = findings.reason_codes[0]
    return WORDS.get(first, first)


def _guessed(findings: Findings) -> str:
    """The same from numbers, for tables without codes."""
    if findings.reviewed is False:
        return NOT_REVIEWED
    if findings.lower_mm is None or findings.upper_mm is None:
        return WORDS[ReasonCode.BOUNDS_UNKNOWN]
    is_between = findings.lower_mm < findings.required_mm <= findings.upper_mm
    return WORDS[ReasonCode.REQUIRED_BETWEEN_BOUNDS] if is_between else HINDERED


def counted(count: int, noun: str, plural: Callable[[str], str] = "{}s".format) -> str:
    """A number with its noun.

    >>> counted(1, "lesion"), counted(1200, "lesion")
    ('1 lesion', '1,200 lesions')
    """
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def _by_number(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Names with their counts, the most frequent first, then by name."""
    return tuple(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
