"""From the positions of slices to one box of voxels, or every reason why they don't make one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.text import attribute, printable
from ablmargin.errors import Fault
from ablmargin.geometry import FloatArray, Geometry, Triple, triple

SAME_POSITION_MM = 0.01
SHIFT_MM = 0.5
"""A slice farther off the line through all others than this was moved sideways."""
TILT_DEGREES = 0.1
SPACING_SHARE, SPACING_MM = 0.02, 0.02
"""Two distances of neighbors are equal to the larger of 2 % and 0.02 mm."""
SILENT_CORNER_MM = 0.01
CORNER_TOLERANCE_MM = 0.05
"""The final check: no corner of any slice may lie farther from its own header. More than rounded positions may explain is refused."""
MIN_SLICES = 3

_POSITION = attribute("ImagePositionPatient")
_RESEND = "Ask the PACS to send the series again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Slices in the order of their position along the normal, and the grid they make.

    ``worst_corner_mm`` is the largest distance between a corner of the grid's slice and what the file's own header says.
    """

    headers: tuple[SliceHeader, ...]
    geometry: Geometry
    worst_corner_mm: float


def stack_of(headers: Sequence[SliceHeader], source: str) -> tuple[Stack | None, list[Fault]]:
    """Sort slices of one orientation by position and fit the grid; headers need all geometry attributes."""
    if len(headers) < MIN_SLICES:
        return None, [_too_short(headers, source)]
    row, column, normal = axes_of(headers)
    heights = _vectors(header.position_mm for header in headers) @ normal
    ordered = [headers[index] for index in np.argsort(heights, kind="stable").tolist()]
    points = _vectors(header.position_mm for header in ordered)
    faults = _overlap_faults(ordered, points @ normal, source)
    if not faults:
        faults = [
            *_spacing_faults(ordered, points @ normal, source),
            *_line_faults(ordered, points, np.array([row, column, normal]), source),
        ]
    if faults:
        return None, faults
    geometry = _fit(ordered, points, (row, column, normal))
    worst = corner_error_mm(ordered, geometry)
    if not worst <= CORNER_TOLERANCE_MM:
        return None, [_off_grid(worst, source)]
    return Stack(headers=tuple(ordered), geometry=geometry, worst_corner_mm=worst), []


def axes_of(headers: Sequence[SliceHeader]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean row and column direction, made orthonormal, and their normal."""
    row = _vectors(header.row_direction for header in headers).mean(axis=0)
    column = _vectors(header.column_direction for header in headers).mean(axis=0)
    row = row / np.linalg.norm(row)
    column = column - np.dot(column, row) * row
    column = column / np.linalg.norm(column)
    return row, column, np.cross(row, column)


def corner_error_mm(headers: Sequence[SliceHeader], geometry: Geometry) -> float:
    """Largest distance between a slice's four corners on the grid and by its own header."""
    count, rows, columns = geometry.shape
    positions = _vectors(header.position_mm for header in headers)
    along_row = _vectors(header.row_direction for header in headers)
    along_column = _vectors(header.column_direction for header in headers)
    steps = np.array([header.pixel_spacing_mm or (np.nan, np.nan) for header in headers])
    worst = 0.0
    for j, i in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)):
        own = positions + along_row * i * steps[:, 1:] + along_column * j * steps[:, :1]
        grid = geometry.points_at([(k, j, i) for k in range(count)])
        worst = max(worst, float(np.linalg.norm(own - grid, axis=1).max()))
    return worst


def _vectors(values: Iterable[Triple | None]) -> FloatArray:
    """Vectors as rows; what is absent becomes NaN, which no check lets pass."""
    return np.array([value or (np.nan, np.nan, np.nan) for value in values], np.float64)


def _fit(
    ordered: Sequence[SliceHeader], points: FloatArray, axes: tuple[FloatArray, FloatArray, FloatArray]
) -> Geometry:
    """Least-squares grid through all positions; digits below a billionth of a millimeter are arithmetic dust."""
    row, column, normal = axes
    steps = np.arange(len(points)) - (len(points) - 1) / 2
    spacing = float(steps @ (points @ normal) / (steps @ steps))
    origin = points.mean(axis=0) + steps[0] * spacing * normal
    row_step, column_step = ordered[0].pixel_spacing_mm or (np.nan, np.nan)
    return Geometry(
        shape=(len(points), ordered[0].rows, ordered[0].columns),
        spacing_mm=(round(spacing, 9), row_step, column_step),
        origin_mm=triple(origin.round(9)),
        directions=(triple(normal), triple(column), triple(row)),
        frame_uid=ordered[0].texts["FrameOfReferenceUID"] or None,
    )


def _overlap_faults(ordered: Sequence[SliceHeader], heights: FloatArray, source: str) -> list[Fault]:
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
        f"number {printable(name) or 'none'}: {len(members)} slices from {heights[members[0]]:.1f} "
        f"to {heights[members[-1]]:.1f} mm at {ordered[members[0]].acquired or 'unknown time'}"
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


def _spacing_faults(ordered: Sequence[SliceHeader], heights: FloatArray, source: str) -> list[Fault]:
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


def _line_faults(ordered: Sequence[SliceHeader], points: FloatArray, axes: FloatArray, source: str) -> list[Fault]:
    """Positions must lie on a line along the normal: a slanted line is a tilted gantry, a point off it a moved slice."""
    local = points @ axes.T
    climb = np.diff(local[:, 2])
    slopes = np.median(np.diff(local[:, :2], axis=0) / climb[:, None], axis=0)
    residual = local[:, :2] - slopes * local[:, 2:]
    off_line = np.linalg.norm(residual - np.median(residual, axis=0), axis=1)
    tilt = float(np.degrees(np.arctan(np.linalg.norm(slopes))))
    faults = []
    if tilt > TILT_DEGREES:
        faults.append(_tilted(tilt, source))
    moved = np.flatnonzero(off_line > SHIFT_MM)
    if len(moved):
        faults.append(_shifted([ordered[index] for index in moved.tolist()], float(off_line.max())))
    return faults


def _tilted(tilt_degrees: float, source: str) -> Fault:
    return Fault(
        code="GEOM_TILT",
        source=source,
        found=f"slices sheared by {tilt_degrees:.1f}°: a tilted gantry",
        expected="slices stacked along their normal",
        remedy="Scan without tilt, or have the scanner reconstruct straight slices.",
        attribute=_POSITION,
    )


def _shifted(headers: Sequence[SliceHeader], worst_mm: float) -> Fault:
    shown = ", ".join(header.source for header in headers[:3])
    return Fault(
        code="GEOM_INPLANE_SHIFT",
        source=shown if len(headers) <= 3 else f"{shown} and {len(headers) - 3} more files",
        found=f"shifted sideways by up to {worst_mm:.1f} mm",
        expected=f"slices in one line to {SHIFT_MM} mm",
        remedy=_RESEND,
        attribute=_POSITION,
    )


def _too_short(headers: Sequence[SliceHeader], source: str) -> Fault:
    return Fault(
        code="SERIES_TOO_SHORT",
        source=source,
        found=f"{len(headers)} slice{'' if len(headers) == 1 else 's'}",
        expected=f"at least {MIN_SLICES}",
        remedy="Give the folder with the whole series.",
    )


def _off_grid(worst_mm: float, source: str) -> Fault:
    return Fault(
        code="GEOM_OFF_GRID",
        source=source,
        found=f"a corner {worst_mm:.3f} mm from where the best regular grid puts it",
        expected=f"all corners of all slices within {CORNER_TOLERANCE_MM} mm",
        remedy=_RESEND,
        attribute=_POSITION,
    )
