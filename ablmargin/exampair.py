"""Make sure that two exams are one patient's, in the right order, of one body seen from one side."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import numpy as np

from ablmargin.errors import Caution, Fault, InputError
from ablmargin.hazards import sifted
from ablmargin.loaded import LoadedImage, PatientDigest
from ablmargin.samepixels import shared_slices
from ablmargin.volume import LabelMask, Volume

LONG_INTERVAL_DAYS = 180
"""Tumors grow and livers change their shape meanwhile."""
SHORT_INTERVAL_DAYS = 10 / 1440
"""No ablation is done in ten minutes."""
SAME_SHARE = 0.5
"""So many slices with the same values are no chance: one exam is a copy of the other, whole or in part."""
BESIDE_MM = 15.0
BODY_ABOVE_HU = -300.0


def check_pair(pre: LoadedImage, post: LoadedImage, accepted: Collection[str] = ()) -> tuple[Caution, ...]:
    """Make sure that two exams are one patient's, before and after; cautions where their headers don't tell.

    Parameters
    ----------
    accepted : collection of str
        Hazards that are taken on purpose: PATIENT_MISMATCH, ORDER_SUSPECT.

    Raises
    ------
    InputError
        SAME_SERIES, PATIENT_MISMATCH and ORDER_SUSPECT, all that apply.
    """
    faults = [*_same_series(pre, post), *_other_patient(pre, post), *_wrong_order(pre, post)]
    faults, cautions = sifted(faults, accepted)
    if faults:
        raise InputError(*faults)
    return (
        *cautions,
        *_identity_cautions(pre.identity, post.identity),
        *_interval_cautions(pre, post),
        *_posture_cautions(pre, post),
    )


def check_sides(
    pre: Volume, post: Volume, livers: tuple[LabelMask, LabelMask], accepted: Collection[str] = ()
) -> tuple[Caution, ...]:
    """Make sure that the liver lies on the same side of the body in both exams, and tell if that is the left one.

    Only a mirrored exam has it on the other side. Where an image shows little of the body, or the liver lies in its middle,
    nothing is said.

    Raises
    ------
    InputError
        SIDES_MIRRORED.
    """
    left_of_body = [_left_of_body_mm(volume, liver) for volume, liver in zip((pre, post), livers, strict=True)]
    if max(left_of_body) <= BESIDE_MM:
        return ()
    if min(left_of_body) >= -BESIDE_MM:
        message = "the liver lies on the patient's left: situs inversus, or both exams are mirrored"
        return (Caution(code="SIDES_MIRRORED", message=message),)
    fault = Fault(
        code="SIDES_MIRRORED",
        source="both exams",
        found="the liver on the patient's left in one exam and on the right in the other",
        expected="the same side",
        remedy="One of them was mirrored on its way here (LPS and RAS mixed up): export it again.",
    )
    faults, cautions = sifted([fault], accepted)
    if faults:
        raise InputError(*faults)
    return tuple(cautions)


def _left_of_body_mm(volume: Volume, liver: LabelMask) -> float:
    """How far the middle of the liver lies to the left of the middle of the body in the same slices."""
    inside = np.argwhere(liver.voxels)
    if not len(inside):
        return 0.0
    first, last = inside[:, 0].min(), inside[:, 0].max() + 1
    body = np.argwhere(volume.voxels_hu[first:last:4, ::4, ::4] > BODY_ABOVE_HU) * 4 + (first, 0, 0)
    if not len(body):
        return 0.0
    of_liver, of_body = (volume.geometry.points_at([index.mean(axis=0)])[0, 0] for index in (inside, body))
    return float(of_liver - of_body)


def _same_series(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    one, other = pre.record, post.record
    if one.series_uid is not None and one.series_uid == other.series_uid:
        found, told_by = "the same SeriesInstanceUID", "SeriesInstanceUID (0020,000e)"
    elif one.sha256 is not None and one.sha256 == other.sha256:
        found, told_by = "the same pixels", "PixelData (7fe0,0010)"
    else:
        share = shared_slices(pre.volume, post.volume)
        found, told_by = f"the same pixels in {share:.0%} of the slices", "PixelData (7fe0,0010)"
        if share < SAME_SHARE:
            return []
    return [
        _pair_fault(
            pre,
            post,
            "SAME_SERIES",
            found=found,
            expected="two exams",
            remedy="Name the CT after ablation as post.",
            told_by=told_by,
        )
    ]


def _other_patient(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    differing = pre.identity.differences(post.identity) if pre.identity and post.identity else ()
    if not differing:
        return []
    found, remedy = f"different {', '.join(differing)}", "Check that both folders are of the same patient."
    expected, tags = "exams of one patient", {"PatientID": "0020", "PatientBirthDate": "0030", "PatientSex": "0040"}
    told_by = f"{differing[0]} (0010,{tags[differing[0]]})"
    return [_pair_fault(pre, post, "PATIENT_MISMATCH", found=found, expected=expected, remedy=remedy, told_by=told_by)]


def _identity_cautions(pre: PatientDigest | None, post: PatientDigest | None) -> list[Caution]:
    """What keeps the headers from verifying that both exams are one patient's."""
    cautions = []
    if not (pre and post) or pre.is_unknown or post.is_unknown:
        message = "at least one exam has no PatientID: nothing verifies that both are of one patient"
        cautions.append(Caution(code="PATIENT_UNVERIFIED", message=message))
    elif pre.has_other_issuer(post):
        message = "the PatientIDs were issued by two institutions: that they are the same verifies nothing"
        cautions.append(Caution(code="PATIENT_UNVERIFIED", message=message))
    if pre and post and pre.has_other_name(post):
        message = "the PatientName differs: check that both exams are of one patient, misspelled or renamed"
        cautions.append(Caution(code="PATIENT_NAME_DIFFERS", message=message))
    return cautions


def _wrong_order(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    days = _interval_days(pre, post)
    if days is None or days >= 0:
        return []
    apart = f"{-days:.0f} days" if days <= -2 else f"{-days * 24:.1f} hours"
    found, remedy = f"post acquired {apart} before pre", "Check whether the two were swapped."
    expected, told_by = "the exam before ablation as pre", "AcquisitionDate (0008,0022)"
    return [_pair_fault(pre, post, "ORDER_SUSPECT", found=found, expected=expected, remedy=remedy, told_by=told_by)]


def _interval_cautions(pre: LoadedImage, post: LoadedImage) -> list[Caution]:
    days = _interval_days(pre, post)
    if days == 0 and "T" in (pre.record.acquired or "") and "T" in (post.record.acquired or ""):
        message = (
            "both exams were acquired at the same second: rather one acquisition that was reconstructed twice than before and "
            "after"
        )
        return [Caution(code="ACQUISITION_SAME", message=message)]
    if not days:
        message = "the exams' dates don't tell which was acquired first"
        return [Caution(code="ORDER_UNKNOWN", message=message)]
    if days > LONG_INTERVAL_DAYS:
        message = f"{days:.0f} days lie between the exams: the tumor may have grown and the liver changed its shape"
        return [Caution(code="INTERVAL_LONG", message=message)]
    if days < SHORT_INTERVAL_DAYS:
        message = (
            f"{days * 1440:.0f} minutes lie between the exams: rather two phases of one exam than before and after"
        )
        return [Caution(code="INTERVAL_SHORT", message=message)]
    return []


def _posture_cautions(pre: LoadedImage, post: LoadedImage) -> list[Caution]:
    """Supine, prone or on one side: what comes after head first or feet first."""
    before, after = ((one.patient_position or "")[2:].upper() for one in (pre, post))
    if not before or not after or before == after:
        return []
    named = {"S": "supine", "P": "prone", "DL": "on the left side", "DR": "on the right side"}
    message = (
        f"the patient lay {named.get(before, 'otherwise')} before and {named.get(after, 'otherwise')} after ablation: "
        "the liver bends more between the two than a registration is tested for"
    )
    return [Caution(code="POSITION_DIFFERS", message=message)]


def _interval_days(pre: LoadedImage, post: LoadedImage) -> float | None:
    """From pre to post, by date alone where one has no time; None where a date is unknown or none."""
    before, after = pre.record.acquired or "", post.record.acquired or ""
    length = min(len(before), len(after))
    try:
        return (
            datetime.fromisoformat(after[:length]) - datetime.fromisoformat(before[:length])
        ).total_seconds() / 86400
    except ValueError:
        return None


def _pair_fault(
    pre: LoadedImage, post: LoadedImage, code: str, *, found: str, expected: str, remedy: str, told_by: str
) -> Fault:
    source = f"{pre.record.name} and {post.record.name}"
    return Fault(code=code, source=source, found=found, expected=expected, remedy=remedy, attribute=told_by)
