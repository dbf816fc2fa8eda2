"""Hazards that a reader may take on purpose: ``--accept CODE``, one by one, recorded in every result.

What isn't listed can't be accepted, because nobody could know that the margin would still be right: a wrong geometry, one
exam given twice, a target that reaches the border of its image. There is no option that accepts everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ablmargin.errors import Caution, Fault, UsageError

ACCEPTABLE = {
    "ABLATION_UNSEEN": "a verdict rests on an ablation zone that the exam after ablation doesn't show",
    "FILE_MALFORMED": "damaged files are left out, and what they hold isn't seen",
    "FILE_MISSING": "files that a DICOMDIR lists but that aren't there are left out",
    "FILE_TRUNCATED": "files that end too early are left out, and what they hold isn't seen",
    "FILE_UNREADABLE": "files that can't be opened are left out, and what they hold isn't seen",
    "FRAME_OF_REFERENCE_MIXED": "slices that name several frames of reference or studies are taken for one volume",
    "GEOM_GAP": "missing slices are filled in from their neighbors; the series counts as being as coarse as its widest gap",
    "GEOM_VARIABLE_SPACING": "uneven slices are interpolated to even ones; the series counts as being as coarse as its "
    "widest distance",
    "HU_IMPLAUSIBLE": "gray values that don't look like Hounsfield units are taken for such",
    "ORDER_SUSPECT": "the exam named as post is taken for the one after ablation, whatever its date",
    "PATIENT_MISMATCH": "both exams are taken for one patient's, whatever their headers say",
    "SEGMENTATION_DOUBTED": "an outline that its own maker doubts is taken",
    "SIDES_MIRRORED": "livers on opposite sides of the body are taken as they are",
}
"""Code of a fault, and what is done if it is accepted, in words."""


def require_acceptable(codes: Collection[str]) -> frozenset[str]:
    """The codes, if all of them can be accepted.

    Raises
    ------
    UsageError
        If one can't be accepted or doesn't exist.

    Examples
    --------
    >>> sorted(require_acceptable(["GEOM_GAP"]))
    ['GEOM_GAP']
    """
    unknown = sorted(set(codes) - set(ACCEPTABLE))
    if unknown:
        raise UsageError(f"--accept {', '.join(unknown)}: only these can be accepted: {', '.join(ACCEPTABLE)}")
    return frozenset(codes)


def sifted(faults: Iterable[Fault], accepted: Collection[str]) -> tuple[list[Fault], list[Caution]]:
    """What is still refused, each fault with the way to accept it if there is one; and a caution on each that is accepted."""
    refused, taken = [], []
    for fault in faults:
        words = ACCEPTABLE.get(fault.code)
        if words is None:
            refused.append(fault)
        elif fault.code in accepted:
            taken.append(Caution(code=fault.code, message=f"accepted on purpose: {fault.found}; {words}"))
        else:
            refused.append(replace(fault, remedy=f"{fault.remedy} Or --accept {fault.code}: {words}."))
    return refused, taken
