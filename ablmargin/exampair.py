"""Make sure that two exams are one patient's, in the right order."""

from __future__ import annotations

from ablmargin.errors import Caution, Fault, InputError
from ablmargin.loaded import LoadedImage


def check_pair(pre: LoadedImage, post: LoadedImage) -> tuple[Caution, ...]:
    """Make sure that two exams are one patient's, before and after; cautions where their headers don't tell.

    Raises
    ------
    InputError
        SAME_SERIES, PATIENT_MISMATCH and ORDER_SUSPECT, all that apply.
    """
    faults = [*_same_series(pre, post), *_other_patient(pre, post), *_wrong_order(pre, post)]
    if faults:
        raise InputError(*faults)
    cautions = []
    if not (pre.identity and post.identity) or pre.identity.is_unknown or post.identity.is_unknown:
        message = "at least one exam has no PatientID: nothing verifies that both are of one patient"
        cautions.append(Caution(code="PATIENT_UNVERIFIED", message=message))
    before, after = _comparable_times(pre, post)
    if not before or before == after:
        message = "the exams' dates don't tell which was acquired first"
        cautions.append(Caution(code="ORDER_UNKNOWN", message=message))
    return tuple(cautions)


def _same_series(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    one, other = pre.record, post.record
    same_uid = one.series_uid is not None and one.series_uid == other.series_uid
    if not same_uid and (one.sha256 is None or one.sha256 != other.sha256):
        return []
    found = "the same SeriesInstanceUID" if same_uid else "the same pixels"
    return [
        _pair_fault(
            pre, post, "SAME_SERIES", found=found, expected="two exams", remedy="Name the CT after ablation as post."
        )
    ]


def _other_patient(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    differing = pre.identity.differences(post.identity) if pre.identity and post.identity else ()
    if not differing:
        return []
    found, remedy = f"different {', '.join(differing)}", "Check that both folders are of the same patient."
    return [_pair_fault(pre, post, "PATIENT_MISMATCH", found=found, expected="exams of one patient", remedy=remedy)]


def _wrong_order(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    before, after = _comparable_times(pre, post)
    if before <= after:
        return []
    found, remedy = "post acquired before pre", "Check whether the two were swapped."
    return [
        _pair_fault(pre, post, "ORDER_SUSPECT", found=found, expected="the exam before ablation as pre", remedy=remedy)
    ]


def _comparable_times(pre: LoadedImage, post: LoadedImage) -> tuple[str, str]:
    """Both acquisition times to the precision that both have; empty where one is unknown."""
    before, after = pre.record.acquired or "", post.record.acquired or ""
    length = min(len(before), len(after))
    return before[:length], after[:length]


def _pair_fault(pre: LoadedImage, post: LoadedImage, code: str, *, found: str, expected: str, remedy: str) -> Fault:
    source = f"{pre.record.name} and {post.record.name}"
    return Fault(code=code, source=source, found=found, expected=expected, remedy=remedy)
