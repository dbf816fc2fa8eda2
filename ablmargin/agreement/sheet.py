"""A comparison in words and numbers, as the terminal and the page show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablmargin.agreement.comparison import Comparison, OverallAgreement, PairAgreement
from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.margins import MarginAgreement
from ablmargin.agreement.readings import LesionKey, Reading
from ablmargin.agreement.verdicts import VerdictAgreement
from ablmargin.clinical.criteria import THRESHOLDS_MM, told_beside

UNKNOWN = "–"
NEAR_MM = (1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure: what it is called, its value, its 95 % interval, what it means."""

    name: str
    value: str
    interval: str = ""
    meaning: str = ""


def margin_lines(margins: MarginAgreement, *, first: str, second: str) -> list[Line]:
    """The figures of two readers' margins."""
    largest_key, largest_mm = margins.largest
    within = [
        Line(name=f"within {reach:g} mm of each other", value=_percent(margins.share_within(reach)))
        for reach in NEAR_MM
    ]
    return [
        Line(name="lesions", value=str(len(margins.keys)), meaning="with a margin of both"),
        _line("bias", margins.bias_mm, "mm", f"mean of {second} minus {first}; positive: {second} finds wider margins"),
        _line("lower limit of agreement", margins.lower_limit_mm, "mm", "bias minus 1.96 standard deviations"),
        _line("upper limit of agreement", margins.upper_limit_mm, "mm", "between the limits lie 95 % of differences"),
        _line("proportional bias", margins.slope, "", "mm of difference for each mm of margin"),
        Line(name="median distance", value=_mm(margins.median_distance_mm), meaning="of the two margins of a lesion"),
        Line(name="largest difference", value=_mm(largest_mm), meaning=f"at {lesion_name(largest_key)}"),
        *within,
        *icc_lines(margins.icc_agreement, margins.icc_consistency),
    ]


def icc_lines(agreement: Estimate, consistency: Estimate) -> list[Line]:
    """Intraclass correlations."""
    return [
        _line("ICC(A,1)", agreement, "", "agreement of single readings: 1 if readers say the same; also ICC(2,1)"),
        _line("ICC(C,1)", consistency, "", "the same but for a constant shift; also ICC(3,1)"),
    ]


def overall_lines(overall: OverallAgreement) -> list[Line]:
    """The figures of all readers together."""
    lesions = Line(name="lesions", value=str(overall.lesions), meaning="with a margin of all")
    return [lesions, *icc_lines(overall.icc_agreement, overall.icc_consistency)]


VERDICT_HEAD = ("question", "lesions", "same answer", "kappa", "AC1")


def verdict_rows(verdicts: Sequence[VerdictAgreement]) -> list[tuple[str, ...]]:
    """A row a question, below :data:`VERDICT_HEAD`."""
    return [
        (
            one.question.title,
            str(one.lesions),
            with_interval(one.same, percent=True),
            with_interval(one.kappa),
            with_interval(one.ac1),
        )
        for one in verdicts
    ]


def flip_head(comparison: Comparison) -> tuple[str, ...]:
    """What :func:`flip_rows` has in its columns."""
    return ("lesion", *comparison.names, "differs in")


def flip_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Lesions that readers answer differently, each with every reader's margin, bounds and verdict, below the head."""
    return [
        (
            lesion_name(key),
            *(told(one.lesions[key]) if key in one.lesions else UNKNOWN for one in comparison.readings),
            "; ".join(question.title for question in questions),
        )
        for key, questions in comparison.flips.items()
    ]


def told(reading: Reading) -> str:
    """A reading in a few words.

    >>> told(Reading(margin_mm=4.2, judged_mm=4.2, lower_mm=2.9, upper_mm=5.6, verdict="indeterminate"))
    '4.2 mm (2.9 to 5.6): indeterminate'
    >>> told(Reading(margin_mm=-1.0, judged_mm=3.0)), told(Reading(margin_mm=None, missing="GEOM_GAP"))
    ('-1.0 mm, within the liver 3.0 mm', 'GEOM_GAP')
    >>> told(Reading(margin_mm=4.99)), told(Reading(margin_mm=5.0))
    ('4.99 mm', '5.0 mm')
    """
    if reading.margin_mm is None:
        return _with_verdict(reading.missing, reading)
    text = f"{_beside_thresholds(reading.margin_mm)} mm"
    if reading.judged_mm is not None and reading.judged_mm != reading.margin_mm:
        text += f", within the liver {_beside_thresholds(reading.judged_mm)} mm"
    if reading.lower_mm is not None and reading.upper_mm is not None:
        text += f" ({_beside_thresholds(reading.lower_mm)} to {_beside_thresholds(reading.upper_mm)})"
    return _with_verdict(text, reading)


def _beside_thresholds(value_mm: float) -> str:
    """Mm that can't be taken for a threshold by rounding."""
    return told_beside(value_mm, min(THRESHOLDS_MM, key=lambda threshold: abs(value_mm - threshold)))


def _with_verdict(text: str, reading: Reading) -> str:
    return text if reading.verdict is None else f"{text}: {reading.verdict}"


def gap_heading(comparison: Comparison) -> str:
    """What the list of :func:`gap_rows` is called. Of more than two readers, the others may be compared over these lesions."""
    return (
        "lesions without a margin or left out"
        if comparison.is_of_two
        else "lesions that a reader lacks or has no margin of"
    )


def gap_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """Lesions that somebody lacks, or has no margin of, and why, each with its name."""
    return [
        (lesion_name(key), "; ".join(f"{name}: {reason}" for name, reason in why.items()))
        for key, why in comparison.gaps.items()
    ]


def title(comparison: Comparison) -> str:
    """Who is compared, over how much."""
    lesions = counted(len(comparison.lesions), "lesion")
    *others, last = comparison.names
    return f"{', '.join(others)} and {last} over {lesions} of {counted(comparison.people, comparison.patients.unit)}"


def pair_title(pair: PairAgreement) -> str:
    """Which two are compared."""
    return f"{pair.first} and {pair.second}"


def pair_summary(pair: PairAgreement) -> str:
    """Two readers in one sentence."""
    if pair.margins is None:
        return f"{pair_title(pair)}: no lesion has a margin of both."
    bias, lower, upper = pair.margins.bias_mm, pair.margins.lower_limit_mm, pair.margins.upper_limit_mm
    parts = [f"{pair.second} minus {pair.first}: bias {with_interval(bias)} mm"]
    if lower.value is not None and upper.value is not None:
        parts.append(f"limits of agreement {_number(lower.value)} to {_number(upper.value)} mm")
    parts += [
        f"{one.question.title}: same answer for {with_interval(one.same, percent=True)}" for one in pair.verdicts[:1]
    ]
    return "; ".join(parts) + "."


def lesion_name(key: LesionKey) -> str:
    """A lesion for people."""
    return f"{key[0]}, lesion {key[1]}"


def with_interval(estimate: Estimate, *, percent: bool = False) -> str:
    """A figure with its interval in brackets.

    >>> with_interval(Estimate(value=0.8123, lower=0.5, upper=1.0)), with_interval(Estimate(value=None))
    ('0.81 (0.50 to 1.00)', '–')
    """
    if estimate.value is None:
        return UNKNOWN
    text = _percent if percent else _number
    if estimate.lower is None or estimate.upper is None:
        return text(estimate.value)
    return f"{text(estimate.value)} ({text(estimate.lower).removesuffix(' %')} to {text(estimate.upper)})"


def _line(name: str, estimate: Estimate, unit: str, meaning: str) -> Line:
    if estimate.value is None:
        return Line(name=name, value=UNKNOWN, meaning=meaning)
    value = f"{_number(estimate.value)} {unit}".rstrip()
    if estimate.lower is None or estimate.upper is None:
        return Line(name=name, value=value, meaning=meaning)
    interval = f"{_number(estimate.lower)} to {_number(estimate.upper)} {unit}".rstrip()
    return Line(name=name, value=value, interval=interval, meaning=meaning)


def _number(value: float, decimals: int = 2) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _mm(value: float, decimals: int = 2) -> str:
    return f"{_number(value, decimals)} mm"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def counted(number: int, what: str) -> str:
    """So many of something.

    >>> counted(1, "lesion"), counted(2, "case")
    ('1 lesion', '2 cases')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
