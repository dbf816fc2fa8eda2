"""What each reader, program or version said about each lesion, and which lesions all of them read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ablmargin.clinical.criteria import THRESHOLDS_MM, Verdict
from ablmargin.results.origin import Origin

LesionKey = tuple[str, str]
"""Case ID and lesion ID."""

NOT_THERE = "not in its results"
"""Why a reader has no margin of a lesion that it doesn't list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One lesion as one reader has it; None what isn't told.

    Parameters
    ----------
    margin_mm : float, optional
        The minimum margin with nothing excluded, ``mam_mm``: what every program reports.
    judged_mm, lower_mm, upper_mm : float, optional
        The margin that the verdict is about, and its one-sided 95 % bounds.
    verdict : str, optional
        Against the margin that the lesion's RAS status requires.
    by_threshold : mapping of mm to str
        Verdicts against each threshold, bounds considered.
    missing : str
        Why there is no margin.
    patient_id : str, optional
        Whose lesion it is, in this reader's words.
    """

    margin_mm: float | None
    judged_mm: float | None = None
    lower_mm: float | None = None
    upper_mm: float | None = None
    required_mm: float | None = None
    verdict: str | None = None
    by_threshold: Mapping[float, str] = field(default_factory=dict)
    missing: str = "no margin"
    patient_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All lesions of one reader; ``origin`` are the files that they were read from, None for a table in memory."""

    name: str
    lesions: Mapping[LesionKey, Reading]
    origin: Origin | None = None

    def lacks(self, key: LesionKey) -> str | None:
        """Why there is no margin of a lesion; None if there is one."""
        if key not in self.lesions:
            return NOT_THERE
        return self.lesions[key].missing if self.lesions[key].margin_mm is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that every reading of a lesion may answer in one of a few words."""

    key: str
    title: str
    words: tuple[str, ...]
    threshold_mm: float | None = None
    from_margin: bool = False

    def answer(self, reading: Reading) -> str | None:
        """The word, None if the reading doesn't tell."""
        if self.threshold_mm is None:
            return reading.verdict
        if not self.from_margin:
            return reading.by_threshold.get(self.threshold_mm)
        if reading.margin_mm is None:
            return None
        return "yes" if reading.margin_mm >= self.threshold_mm else "no"


_VERDICTS = tuple(verdict.value for verdict in Verdict)

QUESTIONS = (
    Question(key="verdict", title="verdict", words=_VERDICTS),
    *(
        Question(key=f"verdict_{mm:g}", title=f"verdict against {mm:g} mm", words=_VERDICTS, threshold_mm=mm)
        for mm in THRESHOLDS_MM
    ),
    *(
        Question(
            key=f"margin_{mm:g}",
            title=f"margin of {mm:g} mm or more",
            words=("yes", "no"),
            threshold_mm=mm,
            from_margin=True,
        )
        for mm in THRESHOLDS_MM
    ),
)
"""The verdicts as each reader gives them, with bounds and reservations, and what the bare margins say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Lesions by who has them, in the order of their names.

    ``unmatched`` maps lesions that somebody lacks to the names of those who have them; ``without_margin`` maps
    lesions that all list to why some have no margin of them, by name.
    """

    common: tuple[LesionKey, ...]
    unmatched: Mapping[LesionKey, tuple[str, ...]]
    without_margin: Mapping[LesionKey, Mapping[str, str]]


def match(readings: Sequence[Readings]) -> Matched:
    """Match lesions by case and lesion ID; what only differs in writing doesn't match.

    Examples
    --------
    >>> mine = Readings(name="mine", lesions={("a", "1"): Reading(margin_mm=3.0), ("b", "1"): Reading(margin_mm=None)})
    >>> theirs = Readings(name="theirs", lesions={("a", "1"): Reading(margin_mm=4.0)})
    >>> matched = match([mine, theirs])
    >>> matched.common, dict(matched.unmatched)
    ((('a', '1'),), {('b', '1'): ('mine',)})
    """
    every = sorted({key for one in readings for key in one.lesions})
    holders = {key: tuple(one.name for one in readings if key in one.lesions) for key in every}
    common = tuple(key for key in every if len(holders[key]) == len(readings))
    gaps = {key: {one.name: why for one in readings if (why := one.lacks(key)) is not None} for key in common}
    return Matched(
        common=common,
        unmatched={key: names for key, names in holders.items() if len(names) < len(readings)},
        without_margin={key: why for key, why in gaps.items() if why},
    )
