"""The contrast phases of a case's two exams: what their records say, what their HU say, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ablmargin.case import Case, Exam
from ablmargin.contrastphase import ContrastPhase, PhaseReading, read_phase
from ablmargin.errors import Caution
from ablmargin.reasons import Reason, ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhasedCase:
    """A case whose records tell the phase as far as anything does, what is to know of it, and why no verdict can rest on it."""

    case: Case
    cautions: tuple[Caution, ...]
    hindrances: tuple[Reason, ...]


def with_phases(case: Case) -> PhasedCase:
    """Tell each exam's contrast phase from HU, where a liver is outlined; what a record says already stays.

    Returns
    -------
    PhasedCase
        With cautions PHASE_CONTRADICTED, where a record and HU disagree, PHASE_UNKNOWN, where neither tells, and PHASES_DIFFER.
        No verdict can rest on an exam without contrast agent, nor on an arterial exam beside one in another phase or in one
        that can't be told.
    """
    told = [
        _Told(exam=exam, when=when, target=target, reading=_reading(exam))
        for exam, when, target in (
            (case.pre, "before ablation", "tumor"),
            (case.post, "after ablation", "ablation zone"),
        )
    ]
    before, after = told
    return PhasedCase(
        case=replace(case, pre=before.recorded(), post=after.recorded()),
        cautions=(*_contradicted(before), *_contradicted(after), *_untold(before, after), *_differing(before, after)),
        hindrances=(*_unenhanced(before), *_unenhanced(after), *_arterial_beside(before, after)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """One exam, what it is to show, and what its HU say of its phase."""

    exam: Exam
    when: str
    target: str
    reading: PhaseReading | None

    @property
    def measured(self) -> ContrastPhase | None:
        return None if self.reading is None else self.reading.phase

    @property
    def phase(self) -> str | None:
        """The phase to judge by: pixels before words."""
        return self.measured or self.exam.record.phase

    @property
    def reason(self) -> str:
        """What tells that phase, in brackets."""
        return f"({self.reading})" if self.measured else "(its description says so)"

    def recorded(self) -> Exam:
        """The exam with its phase and what was measured in its record."""
        record = self.exam.record
        if record.phase is None and self.measured is not None:
            record = replace(record, phase=self.measured.value, phase_source="HU")
        evidence = None if self.reading is None else str(self.reading)
        return replace(self.exam, record=replace(record, phase_evidence=evidence))


def _reading(exam: Exam) -> PhaseReading | None:
    return None if exam.liver is None else read_phase(exam.volume, exam.liver)


def _contradicted(told: _Told) -> Iterator[Caution]:
    said = told.exam.record.phase
    if said is not None and told.measured is not None and told.measured != said:
        message = (
            f"the CT {told.when} is called {said}, but its HU are those of another phase: {told.measured} {told.reason}"
        )
        yield Caution(code="PHASE_CONTRADICTED", message=message)


def _untold(*exams: _Told) -> Iterator[Caution]:
    unknown = [told.when for told in exams if told.phase is None]
    if unknown:
        message = (
            f"the contrast phase of the CT {' and of that '.join(unknown)} can't be told, neither by its description nor by "
            "its HU: check that both exams were taken in one that shows tumor and zone"
        )
        yield Caution(code="PHASE_UNKNOWN", message=message)


def _differing(before: _Told, after: _Told) -> Iterator[Caution]:
    if before.phase is not None and after.phase is not None and before.phase != after.phase:
        message = (
            f"the contrast phases differ: {before.phase} before {before.reason} and {after.phase} after ablation "
            f"{after.reason}"
        )
        yield Caution(code="PHASES_DIFFER", message=message)


def _unenhanced(told: _Told) -> Iterator[Reason]:
    if told.phase == ContrastPhase.UNENHANCED:
        sentence = (
            f"The CT {told.when} is unenhanced {told.reason}: without contrast agent, the border of the {told.target} can't be "
            "seen well enough."
        )
        yield Reason(code=ReasonCode.PHASE_UNENHANCED, sentence=sentence)


def _arterial_beside(before: _Told, after: _Told) -> Iterator[Reason]:
    phases = {before.phase, after.phase}
    if ContrastPhase.ARTERIAL in phases and len(phases) == 2:
        named = [told.phase or "one that can't be told" for told in (before, after)]
        sentence = (
            f"The contrast phases {'may ' if None in phases else ''}differ: {named[0]} before and {named[1]} after ablation. "
            "Other vessels shine, so the alignment can't be checked by them."
        )
        code = ReasonCode.PHASE_UNKNOWN if None in phases else ReasonCode.PHASES_DIFFER
        yield Reason(code=code, sentence=sentence)
