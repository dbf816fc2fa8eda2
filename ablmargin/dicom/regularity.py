"""Why slices in the order of their position don't make one regular volume."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.text import attribute
from ablmargin.errors import Fault
from ablmargin.geometry import FloatArray
from ablmargin.wholenumber import whole_number

SAME_POSITION_MM = 0.01
SHIFT_MM = 0.5
"""A slice farther off the line through all others than this was moved sideways."""
MOST_TILT_DEGREES = 35.0
SPACING_SHARE, SPACING_MM = 0.02, 0.02
"""Two distances of neighbors are equal to the larger of 2 % and 0.02 mm."""

_POSITION = attribute("ImagePositionPatient")
_RESEND = "Ask the PACS to send the series again."


def overlap_faults(ordered: Sequence[SliceHeader], heights: FloatArray, source: str) -> list[Fault]:
    """Several passes in one series, or several images at one place."""
    passes: dict[str, list[int]] = {}
    for index, header in enumerate(ordered):
        passes.setdefault(header.texts["AcquisitionNumber"], []).append(index)
    spans = sorted((heights[members[0]], heights[members[-1]]) for members in passes.values())
    if any(after[0] < before[1] + SAME_POSITION_MM for before, after in itertools.pairwise(spans)):
        return [_several_passes(passes, ordered, heights, source)]
    places = np.split(np.arange(len(heights)), np.flatnonzero(np.diff(heights) >= SAME_POSITION_MM) + 1)
    shared = [place for place in places if len(place) > 1]
    if len(shared) == len(places) and len({len(place) for place in places}) == 1:
        found = f"{len(places[0])} images at each of {len(places)} positions"
        return [_ambiguous(source, found, "AcquisitionNumber")]
    return [
        Fault(
            code="GEOM_DUPLICATE_POSITION",
            source=" and ".join(ordered[index].source for index in place),
            found=f"{len(place)} different images at {heights[place[0]]:.2f} mm along the normal",
            expected="one image at each position",
            remedy="Remove the wrong one, or give the phases as separate series.",
            attribute=_POSITION,
        )
        for place in shared
    ]


def _several_passes(
    passes: dict[str, list[int]], ordered: Sequence[SliceHeader], heights: FloatArray, source: str
) -> Fault:
    parts = [
        f"number {whole_number(name) if name else 'none'}: {len(members)} slices from {heights[members[0]]:.1f} "
        f"to {heights[members[-1]]:.1f} mm at {ordered[members[0]].clock or 'unknown time'}"
        for name, members in sorted(passes.items())[:6]
    ]
    return _ambiguous(source, f"{len(passes)} acquisitions that overlap ({'; '.join(parts)})", "AcquisitionNumber")


def _ambiguous(source: str, found: str, keyword: str) -> Fault:
    return Fault(
        code="SERIES_AMBIGUOUS",
        source=source,
        found=found,
        expected="one pass over the body in a series",
        remedy="Give a folder that holds the files of one phase only.",
        attribute=attribute(keyword),
    )


def spacing_faults(ordered: Sequence[SliceHeader], heights: FloatArray, source: str) -> list[Fault]:
    """Missing slices, each named by its neighbors (GEOM_GAP), or distances that differ otherwise (GEOM_VARIABLE_SPACING)."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - usual) > max(SPACING_SHARE * usual, SPACING_MM))
    multiples = steps[odd] / usual
    whole = np.abs(multiples - np.rint(multiples)) <= 0.05
    if len(odd) and len(odd) <= max(2, len(steps) // 10) and whole.all() and multiples.min() > 1.5:
        return [_gap(ordered[index], ordered[index + 1], float(steps[index]), usual) for index in odd.tolist()]
    if len(odd):
        return [_uneven(steps, usual, len(odd), source)]
    return []


def _gap(below: SliceHeader, above: SliceHeader, step: float, usual: float) -> Fault:
    missing = round(step / usual) - 1
    return Fault(
        code="GEOM_GAP",
        source=f"between {below.source} and {above.source}",
        found=f"{step:.2f} mm: {missing} slice{'s are' if missing > 1 else ' is'} missing",
        expected=f"{usual:.2f} mm",
        remedy=_RESEND,
        attribute=_POSITION,
    )


def _uneven(steps: FloatArray, usual: float, count: int, source: str) -> Fault:
    return Fault(
        code="GEOM_VARIABLE_SPACING",
        source=source,
        found=f"distances from {steps.min():.2f} to {steps.max():.2f} mm; {count} of {len(steps)} aren't {usual:.2f} mm",
        expected="slices at even distances",
        remedy="Reconstruct or export the series with one slice spacing.",
        attribute=_POSITION,
    )


def line_faults(ordered: Sequence[SliceHeader], local: FloatArray, source: str) -> list[Fault]:
    """Positions must lie on a line, the normal or that of a tilted gantry: a point off it is a moved slice."""
    residual = local[:, :2] - _slopes(local) * local[:, 2:]
    off_line = np.linalg.norm(residual - np.median(residual, axis=0), axis=1)
    lean = lean_degrees(local)
    faults = [_leaning(lean, source)] if lean > MOST_TILT_DEGREES else []
    moved = np.flatnonzero(off_line > SHIFT_MM)
    if len(moved):
        faults.append(_shifted([ordered[index] for index in moved.tolist()], float(off_line.max())))
    return faults


def _slopes(local: FloatArray) -> FloatArray:
    """How far slices move along their own rows and columns for each mm along their normal."""
    slopes: FloatArray = np.median(np.diff(local[:, :2], axis=0) / np.diff(local[:, 2:], axis=0), axis=0)
    return slopes


def lean_degrees(local: FloatArray) -> float:
    """Angle between the line through the slices and their normal; positions, shape (n, 3), along row, column and normal."""
    return float(np.degrees(np.arctan(np.linalg.norm(_slopes(local)))))


def _leaning(lean_degrees: float, source: str) -> Fault:
    return Fault(
        code="GEOM_TILT",
        source=source,
        found=f"slices sheared by {lean_degrees:.1f}°",
        expected=f"at most {MOST_TILT_DEGREES:.0f}°, as gantries tilt",
        remedy=_RESEND,
        attribute=_POSITION,
    )


def _shifted(headers: Sequence[SliceHeader], worst_mm: float) -> Fault:
    shown = ", ".join(header.source for header in headers[:3])
    return Fault(
        code="GEOM_INPLANE_SHIFT",
        source=shown if len(headers) <= 3 else f"{shown} and {len(headers) - 3} more",
        found=f"shifted sideways by up to {worst_mm:.1f} mm",
        expected=f"slices in one line to {SHIFT_MM} mm",
        remedy=_RESEND,
        attribute=_POSITION,
    )
