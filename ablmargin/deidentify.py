"""A result that identifies nobody: the same findings, with stand-ins for UIDs, dates and hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablmargin.case import Case, Exam
from ablmargin.errors import Caution
from ablmargin.loaded import PatientDigest
from ablmargin.pseudonyms import Pseudonyms
from ablmargin.result import CaseResult, MaskRecord

WITHHELD = "(withheld)"

_TOLD = Caution(
    code="DEIDENTIFIED",
    message="patient, UIDs, file names and hashes were replaced, and the exams' dates moved by the same number of days",
)
_COMMANDS = {"analyze", "margin", "register"}
_PLAIN_OPTIONS = {
    "--ablation-axis",
    "--ablation-point",
    "--accept",
    "--case-id",
    "--engine",
    "--ras-mutation",
    "--registration-sd",
    "--seed",
    "--segmenter",
    "--threads",
    "--tumor-axis",
    "--tumor-point",
}
"""Their values are numbers, words of our own, or the name that the user wants printed."""


def pseudonyms_for(key: bytes, patient: PatientDigest | None, *, or_else: str | None) -> Pseudonyms:
    """The stand-ins of a patient; ``or_else``, the hash of an input, tells apart patients without a PatientID."""
    known = None if patient is None else patient.keyed(key)
    return Pseudonyms(key=key, subject=known or or_else or "")


def deidentified(result: CaseResult, pseudonyms: Pseudonyms, *, unnamed: str) -> CaseResult:
    """The result with nothing in it that identifies the patient; no number of the findings changes.

    When it was made is left out: whoever knows that day, by the date of the file, could tell from its stand-in by how much all
    dates were moved. Voxels are as they were, and so is what an outline's name tells: names that users gave must be kept out when masks are
    loaded, see :func:`ablmargin.loading.load_mask`.

    Parameters
    ----------
    unnamed : str
        The ID of a case that the user gave none: the patient's pseudonym takes its place.
    """
    return replace(
        result,
        case_id=pseudonyms.name if result.case_id == unnamed else result.case_id,
        masks=tuple(_record(mask, pseudonyms) for mask in result.masks),
        provenance=replace(result.provenance, started=None, finished=None),
        case=result.case and _case(result.case, pseudonyms, unnamed=unnamed),
        cautions=(_TOLD, *result.cautions),
    )


def plain_command(command: Sequence[str]) -> list[str]:
    """A command line with all words left out that may name somebody: paths, labels, series.

    >>> plain_command(["/home/smith/ablmargin", "analyze", "--pre", "smith", "--seed=3", "--reviewed"])
    ['ablmargin', 'analyze', '--pre', '(withheld)', '--seed=3', '--reviewed']
    """
    words, option = ["ablmargin"], ""
    for number, word in enumerate(command[1:], start=1):
        if word.startswith("--"):
            option, sign, value = word.partition("=")
            words.append(f"{option}{sign}{_plain(option, value) if sign else ''}")
        else:
            words.append(word if number == 1 and word in _COMMANDS else _plain(option, word))
    return words


def _plain(option: str, value: str) -> str:
    return value if option in _PLAIN_OPTIONS else WITHHELD


def _case(case: Case, pseudonyms: Pseudonyms, *, unnamed: str) -> Case:
    return replace(
        case,
        case_id=pseudonyms.name if case.case_id == unnamed else case.case_id,
        pre=_exam(case.pre, pseudonyms),
        post=_exam(case.post, pseudonyms),
    )


def _exam(exam: Exam, pseudonyms: Pseudonyms) -> Exam:
    known = exam.record
    record = replace(
        known,
        series_uid=known.series_uid and pseudonyms.uid(known.series_uid),
        acquired=known.acquired and pseudonyms.moment(known.acquired),
        sha256=known.sha256 and pseudonyms.digest(known.sha256),
        name="",
    )
    return replace(exam, record=record)


def _record(mask: MaskRecord, pseudonyms: Pseudonyms) -> MaskRecord:
    origin = mask.origin
    return replace(mask, origin=replace(origin, name="", sha256=origin.sha256 and pseudonyms.digest(origin.sha256)))
