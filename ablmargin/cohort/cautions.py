"""What must be known to read a cohort's numbers right, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.contradictions import unlike_deaths
from ablmargin.cohort.flow import NOT_REVIEWED, Fates, counted
from ablmargin.cohort.outcome import Outcome
from ablmargin.cohort.shares import LONG_UNSEEN_MONTHS
from ablmargin.report.numbers import percent

LONGEST_MONTHS = 240.0
"""Times beyond are rather days."""


def cautions(cohort: Cohort) -> list[str]:
    """First what concerns the margins, then follow-up."""
    return [*_of_margins(cohort), *_of_followup(cohort)]


def _of_margins(cohort: Cohort) -> Iterator[str]:
    flow = cohort.flow
    if flow.left_out and flow.measured.lesions:
        yield (
            f"{counted(flow.left_out, 'lesion')} of {flow.listed.lesions:,} ({percent(flow.left_out / flow.listed.lesions)}) "
            "couldn’t be measured. If they differ from the others, what the others tell isn’t true of all."
            f"{_progressions(flow.left_out_fates, flow.followed_fates)}"
        )
    unreviewed = sum(lesion.measured.reviewed is False for lesion in cohort.measured)
    if unreviewed:
        yield (
            f"{counted(unreviewed, 'measured lesion')} rest on {NOT_REVIEWED}: they are marked, have no verdict, and are left "
            f"out of the analysis of follow-up.{_progressions(flow.unreviewed_fates, flow.followed_fates)}"
        )
    doubtful = sum(lesion.measured.quality == "doubtful" for lesion in cohort.measured)
    if doubtful:
        yield f"The registration is doubtful for {counted(doubtful, 'lesion')}: their bounds are wide, they stay in."


def _progressions(without: Fates, analyzed: Fates) -> str:
    """How many progressed among lesions that have no part in the analysis, beside those that have."""
    if not without.followed:
        return ""
    beside = f", of the analyzed ones {_share(analyzed)}" if analyzed.followed else ""
    return f" Of those with follow-up {_share(without)} progressed locally{beside}."


def _share(fates: Fates) -> str:
    return f"{fates.progressed:,} of {fates.followed:,} ({percent(fates.progressed / fates.followed)})"


def _of_followup(cohort: Cohort) -> Iterator[str]:
    if cohort.has_patients and cohort.unnamed:
        yield f"{counted(cohort.unnamed, 'lesion')} without a patient_id: the case of each counts as a patient."
    if cohort.lacks_months:
        yield "Progression is told without a column months, so how it goes with the margins can’t be analyzed."
    unlike = unlike_deaths(cohort.lesions)
    if unlike:
        yield (
            f"The cases of {counted(unlike, 'patient')} tell of deaths at different times, or of life after a death. That is right "
            "only where their months count from ablations on different days."
        )
    longest = max((one.followup.lived_months for one in cohort.lesions if one.followup), default=0.0)
    if longest > LONGEST_MONTHS:
        yield f"The longest follow-up is {longest:,.0f} months. Times are months from ablation: are these days?"
    if cohort.outcome is not None:
        yield from _of_outcome(cohort.outcome)


def _of_outcome(outcome: Outcome) -> Iterator[str]:
    if outcome.unseen_deaths:
        yield (
            f"Of {counted(outcome.unseen_deaths, 'lesion')} the last imaging was more than {LONG_UNSEEN_MONTHS:g} months before "
            "the patient died. What happened there in between isn’t known: follow-up ends at the imaging."
        )
