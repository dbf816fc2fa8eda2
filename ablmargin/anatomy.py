"""Segments and vessels of the liver out of files: what the report tells of a tumor's surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablmargin.case import Anatomy
from ablmargin.clinical.couinaud import SEGMENTS, segment_named
from ablmargin.errors import Caution, Fault, InputError
from ablmargin.geometry import Geometry
from ablmargin.loading import load_all, load_mask
from ablmargin.metrics.territories import holds
from ablmargin.regrid import require_inside, require_one_frame
from ablmargin.segments import SegmentMask
from ablmargin.volume import LabelMask, Structure

NOTABLE_OVERLAP_ML = 1.0
"""Liver in two segments at once that is worth a word."""

OVERLAP_VOXEL_STEP = 7
"""Every how many voxels of a segment others are looked for. Prime, so as not to follow rows."""


def load_anatomy(
    segments: str | None,
    vessels: str | None,
    *,
    onto: Geometry | None,
    frame: Geometry,
    cautions: list[Caution],
    nameless: bool = False,
) -> Anatomy | None:
    """Load what a user names of a liver's anatomy; None if nothing.

    Parameters
    ----------
    segments : str, optional
        A file with all Couinaud segments, no label after a hash.
    vessels : str, optional
        ``path`` or ``path#label``.
    onto : Geometry, optional
        The image's grid, onto which vessels are brought; nothing may lie outside of it. None keeps their own grid.
    frame : Geometry
        The tumors', whose frame of reference all must share.
    cautions : list of Caution
        Gets SEGMENTS_OVERLAP, and what :func:`ablmargin.loading.load_mask` tells.
    nameless : bool
        Keep names out of both, as for :class:`ablmargin.intake.CaseRequest`.

    Raises
    ------
    InputError
        With all faults of both; SEGMENT_UNKNOWN with every name that is none of I..VIII.
    """
    found: list[LabelMask] = []
    named: dict[str, LabelMask] = {}
    faults: list[Fault] = []
    try:
        if segments is not None:
            named = _segments(segments, onto=onto, frame=frame, cautions=cautions, nameless=nameless)
    except InputError as error:
        faults += error.faults
    try:
        if vessels is not None:
            found = [_vessels(vessels, onto=onto, frame=frame, cautions=cautions, nameless=nameless)]
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(*faults)
    return Anatomy(segments=named, vessels=next(iter(found), None)) if named or found else None


def _vessels(
    text: str, *, onto: Geometry | None, frame: Geometry, cautions: list[Caution], nameless: bool
) -> LabelMask:
    name, called = "--vessels", "--vessels" if nameless else ""
    mask = load_mask(text, Structure.VESSELS, onto=onto, source_name=name, called=called, cautions=cautions)
    mask.require_not_empty()
    require_one_frame(mask, frame, source=f"--vessels {text}")
    return mask


def _segments(
    text: str, *, onto: Geometry | None, frame: Geometry, cautions: list[Caution], nameless: bool
) -> dict[str, LabelMask]:
    name, called = f"--segments {text}", "--segments" if nameless else ""
    masks = load_all(
        text, Structure.LIVER_SEGMENT, onto=onto, source_name="--segments", called=called, cautions=cautions
    )
    named = _by_name(masks, name)
    for mask in named.values():
        require_one_frame(mask, frame, source=name)
        if onto is not None:
            require_inside(mask, onto, source=name)
    overlap_ml = _overlap_ml(list(named.values()))
    if overlap_ml >= NOTABLE_OVERLAP_ML:
        message = f"{overlap_ml:.0f} ml of the liver lie in two segments of --segments at once; they count half in each"
        cautions.append(Caution(code="SEGMENTS_OVERLAP", message=message))
    return named


def _by_name(masks: Sequence[SegmentMask], source: str) -> dict[str, LabelMask]:
    """The masks by their Roman numerals, in their order."""
    meant = [(segment_named(mask.segment.name or str(mask.segment.number)), mask) for mask in masks]
    unknown = [str(mask.segment) for name, mask in meant if name is None]
    if unknown:
        raise InputError(
            Fault(
                code="SEGMENT_UNKNOWN",
                source=source,
                found=f"what names no segment of the liver: {', '.join(unknown)}",
                expected="names with I..VIII, 1..8, IVa or IVb in them, or the labels 1..8",
                remedy="Rename these segments, or leave them out of the file.",
            )
        )
    names = [name for name, _ in meant]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            Fault(
                code="MASK_LABEL_AMBIGUOUS",
                source=source,
                found=f"more than one segment {', '.join(twice)}",
                expected="each segment once",
                remedy="Give the segments different names.",
            )
        )
    by_name: Mapping[str | None, LabelMask] = {name: one.mask for name, one in meant}
    return {name: by_name[name] for name in SEGMENTS if name in by_name}


def _overlap_ml(masks: Sequence[LabelMask]) -> float:
    """Volume in a second segment, estimated from some of the voxels."""
    overlap_ml = 0.0
    for number, mask in enumerate(masks[:-1]):
        points = mask.voxel_centers_mm(step=OVERLAP_VOXEL_STEP)
        shared = np.zeros(len(points), np.bool_)
        for other in masks[number + 1 :]:
            shared |= holds(other, points)
        overlap_ml += np.count_nonzero(shared) * OVERLAP_VOXEL_STEP * mask.geometry.voxel_volume_ml
    return overlap_ml
