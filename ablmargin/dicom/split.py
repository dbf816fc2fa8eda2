"""One SeriesInstanceUID, several volumes: told apart by orientation, acquisition, time or kind of image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from ablmargin.dicom.groups import acquired_s, close_groups, equal_groups, orientation_of
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.regularity import SAME_POSITION_MM
from ablmargin.dicom.stack import MIN_SLICES, axes_of
from ablmargin.dicom.text import printable
from ablmargin.geometry import FloatArray

MOST_PARTS = 12
"""More than this are no phases that anybody would choose from."""
_DISTINGUISHING = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "AcquisitionTime",
    "ImageType",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "StackID",
    "SOPClassUID",
    "SOPInstanceUID",
)
_NEVER_MIXED = {"ConvolutionKernel", "ContrastBolusAgent"}
"""What differs in these isn't one volume, even where one part begins above the other."""
PAUSE_S = 10.0
"""Slices of one pass follow each other faster."""
_PLANES = ("sagittal", "coronal", "axial")
_SIDES = (("right", "left"), ("front", "back"), ("feet", "head"))
"""Against and along x, y and z of the patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Slices of one series that may make one volume; ``attribute`` and ``value`` tell them from its other parts."""

    headers: tuple[SliceHeader, ...]
    attribute: str = ""
    value: str = ""


def parts_of(headers: Sequence[SliceHeader]) -> list[Part]:
    """Split a series where its slices can't be one volume and an attribute tells which belong together.

    A part has at least three slices. Images that belong to no part (scouts) stay with the first.
    """
    placed = [header for header in headers if header.position_mm and orientation_of(header)]
    groups = [group for group in close_groups(placed, orientation_of) if len(group) >= MIN_SLICES]
    parts = [part for group in groups for part in _passes(group, by_plane=len(groups) > 1)]
    if not 1 < len(parts) <= MOST_PARTS:
        return [Part(headers=tuple(headers))]
    taken = {id(header) for part in parts for header in part.headers}
    rest = [header for header in headers if id(header) not in taken]
    first, *others = parts
    return [Part(headers=(*first.headers, *rest), attribute=first.attribute, value=first.value), *others]


def _passes(group: list[SliceHeader], *, by_plane: bool) -> list[Part]:
    """The passes over the body in slices of one orientation; one part if nothing overlaps or nothing tells them apart."""
    for keyword in _DISTINGUISHING:
        passes = equal_groups(group, _text_of(keyword))
        if _are_volumes(passes) and (_overlap(group, passes) or keyword in _NEVER_MIXED):
            return [
                Part(headers=tuple(members), attribute=keyword, value=printable(members[0].texts[keyword]) or "none")
                for members in passes
            ]
    passes = _by_pauses(group)
    if _are_volumes(passes) and _overlap(group, passes):
        return [
            Part(headers=tuple(members), attribute="AcquisitionTime", value=f"from {members[0].clock or 'unknown'}")
            for members in passes
        ]
    if by_plane:
        return [Part(headers=tuple(group), attribute="ImageOrientationPatient", value=_plane(group))]
    return [Part(headers=tuple(group))]


def _are_volumes(passes: Sequence[Sequence[SliceHeader]]) -> bool:
    return 1 < len(passes) <= MOST_PARTS and min(map(len, passes)) >= MIN_SLICES


def _by_pauses(group: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices in the order of their times, with a pause between any two groups; one group where a time is unknown."""
    timed = [(moment, header) for header in group if (moment := acquired_s(header)) is not None]
    if len(timed) < len(group):
        return [list(group)]
    timed.sort(key=itemgetter(0))
    pauses = np.flatnonzero(np.diff([moment for moment, _ in timed]) > PAUSE_S) + 1
    borders = itertools.pairwise([0, *pauses.tolist(), len(timed)])
    return [[header for _, header in timed[first:last]] for first, last in borders]


def _text_of(keyword: str) -> Callable[[SliceHeader], str]:
    return lambda header: header.texts[keyword]


def _overlap(group: Sequence[SliceHeader], passes: Sequence[Sequence[SliceHeader]]) -> bool:
    """Whether passes share stretches of the body, each with one slice at a place."""
    normal = axes_of(group)[2]
    heights = [np.sort(_points(members) @ normal) for members in passes]
    if any(np.diff(one).min() < SAME_POSITION_MM for one in heights):
        return False
    spans = sorted((one[0], one[-1]) for one in heights)
    return any(after[0] < before[1] + SAME_POSITION_MM for before, after in itertools.pairwise(spans))


def _points(headers: Sequence[SliceHeader]) -> FloatArray:
    return np.array([header.position_mm for header in headers], np.float64)


def _plane(group: Sequence[SliceHeader]) -> str:
    """The plane in words, and where rows and columns run, which tells mirrored ones apart."""
    row, column, normal = axes_of(group)
    return f"{_PLANES[int(np.argmax(np.abs(normal)))]}, rows to the {_side(row)}, columns to the {_side(column)}"


def _side(axis: FloatArray) -> str:
    along = int(np.argmax(np.abs(axis)))
    return _SIDES[along][int(axis[along] > 0)]
