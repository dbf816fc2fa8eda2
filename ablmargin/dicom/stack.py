"""From the positions of slices to one box of voxels, or every reason why they don't make one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.placement import Placement, fit, placement_of
from ablmargin.dicom.regularity import lean_degrees, line_faults, overlap_faults, spacing_faults
from ablmargin.dicom.text import attribute
from ablmargin.errors import Caution, Fault
from ablmargin.geometry import FloatArray, Geometry, Triple
from ablmargin.hazards import sifted

TILT_DEGREES = 0.1
CORNER_MM = 0.01
"""No corner of a slice lies farther from where its own header says: the grid is that exact, or the slice is moved on it."""
CORNER_TOLERANCE_MM = 0.05
"""How far rounded positions may put a corner off the best grid. More is refused: the slices don't make one regular volume."""
MIN_SLICES = 3
MOST_PLANES = 4096
MOST_VOXELS = 2**30
"""4 GB of values."""

_POSITION = attribute("ImagePositionPatient")
_RESEND = "Ask the PACS to send the series again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Slices in the order of their position along the normal, and the grid they make.

    ``worst_corner_mm`` is the largest distance between where a corner of a slice is put and what the file's own header says;
    ``off_grid_mm`` the same, were each slice put on its plane of the grid; ``widest_step_mm`` the largest distance of two
    neighboring slices; ``tilt_degrees`` what the gantry leaned by, 0 for a stack that is straight as it is.
    """

    headers: tuple[SliceHeader, ...]
    geometry: Geometry
    placement: Placement
    worst_corner_mm: float
    off_grid_mm: float
    widest_step_mm: float
    tilt_degrees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A stack, or None and every reason why the slices don't make one; ``taken`` tells what is wrong but accepted."""

    stack: Stack | None
    faults: list[Fault]
    taken: list[Caution]


def stack_of(headers: Sequence[SliceHeader], source: str, accepted: Collection[str] = ()) -> Outcome:
    """Sort slices of one orientation by position and fit the grid; headers need all geometry attributes.

    ``accepted`` may hold GEOM_GAP and GEOM_VARIABLE_SPACING, see :mod:`ablmargin.hazards`.
    """
    if len(headers) < MIN_SLICES:
        return Outcome(stack=None, faults=[_too_short(headers, source)], taken=[])
    axes = np.array(axes_of(headers))
    heights = _vectors(header.position_mm for header in headers) @ axes[2]
    ordered = [headers[index] for index in np.argsort(heights, kind="stable").tolist()]
    local = _vectors(header.position_mm for header in ordered) @ axes.T
    faults = overlap_faults(ordered, local[:, 2], source)
    if faults:
        return Outcome(stack=None, faults=faults, taken=[])
    uneven = spacing_faults(ordered, local[:, 2], source)
    faults, taken = sifted([*uneven, *line_faults(ordered, local, source)], accepted)
    if faults:
        return Outcome(stack=None, faults=faults, taken=taken)
    stack = _fitted(ordered, local, axes, {fault.code for fault in uneven})
    faults = _grid_faults(stack, source)
    return Outcome(stack=None if faults else stack, faults=faults, taken=taken)


def _fitted(ordered: Sequence[SliceHeader], local: FloatArray, axes: FloatArray, uneven: set[str]) -> Stack:
    """The straight grid if the slices lie on one; else one on which each slice is moved within its plane."""
    lean = lean_degrees(local)
    straight = _on_grid(ordered, local, axes, uneven, tilt_degrees=0.0)
    if lean <= TILT_DEGREES and straight.worst_corner_mm <= CORNER_TOLERANCE_MM:
        return _where_headers_say(straight)
    sheared = _on_grid(ordered, local, axes, uneven, tilt_degrees=lean)
    return _where_headers_say(sheared if sheared.worst_corner_mm < straight.worst_corner_mm else straight)


def _where_headers_say(stack: Stack) -> Stack:
    """The stack itself if its grid is exact; else each slice moved off its plane by what rounding put it off the grid."""
    if not CORNER_MM < stack.off_grid_mm <= CORNER_TOLERANCE_MM:
        return stack
    placement = placement_of(_vectors(header.position_mm for header in stack.headers), stack.geometry)
    worst = corner_error_mm(stack.headers, stack.geometry, placement)
    return replace(stack, placement=placement, worst_corner_mm=worst)


def _on_grid(
    ordered: Sequence[SliceHeader], local: FloatArray, axes: FloatArray, uneven: set[str], *, tilt_degrees: float
) -> Stack:
    geometry, placement = fit(
        local,
        _planes(local[:, 2], uneven),
        axes=axes,
        matrix=(ordered[0].rows, ordered[0].columns),
        pixel_mm=ordered[0].pixel_spacing_mm or (np.nan, np.nan),
        frame_uid=_frame_uid(ordered),
        sheared=tilt_degrees > 0,
    )
    worst = corner_error_mm(ordered, geometry, placement)
    return Stack(
        headers=tuple(ordered),
        geometry=geometry,
        placement=placement,
        worst_corner_mm=worst,
        off_grid_mm=worst,
        widest_step_mm=float(np.diff(local[:, 2]).max()),
        tilt_degrees=tilt_degrees,
    )


def _frame_uid(headers: Sequence[SliceHeader]) -> str | None:
    """The frame of reference that the slices name; None if they name none, or several."""
    named = {header.texts["FrameOfReferenceUID"] for header in headers} - {""}
    return named.pop() if len(named) == 1 else None


def _planes(heights: FloatArray, uneven: set[str]) -> FloatArray:
    """Index of each slice along the normal: whole numbers but where uneven distances were accepted."""
    steps = np.diff(heights)
    if "GEOM_VARIABLE_SPACING" in uneven:
        spacing = max(float(steps.min()), float(heights[-1] - heights[0]) / (MOST_PLANES - 1))
        return np.asarray((heights - heights[0]) / spacing)
    counts = np.rint(steps / np.median(steps)) if "GEOM_GAP" in uneven else np.ones(len(steps))
    return np.concatenate([[0.0], np.cumsum(counts)])


def axes_of(headers: Sequence[SliceHeader]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean row and column direction, made orthonormal, and their normal."""
    row = _vectors(header.row_direction for header in headers).mean(axis=0)
    column = _vectors(header.column_direction for header in headers).mean(axis=0)
    row = row / np.linalg.norm(row)
    column = column - np.dot(column, row) * row
    column = column / np.linalg.norm(column)
    return row, column, np.cross(row, column)


def corner_error_mm(headers: Sequence[SliceHeader], geometry: Geometry, placement: Placement) -> float:
    """Largest distance between a slice's four corners on the grid and by its own header."""
    rows, columns = headers[0].rows, headers[0].columns
    positions = _vectors(header.position_mm for header in headers)
    along_row = _vectors(header.row_direction for header in headers)
    along_column = _vectors(header.column_direction for header in headers)
    steps = np.array([header.pixel_spacing_mm or (np.nan, np.nan) for header in headers])
    first = np.column_stack([placement.planes, placement.shifts])
    worst = 0.0
    for j, i in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)):
        own = positions + along_row * i * steps[:, 1:] + along_column * j * steps[:, :1]
        worst = max(worst, float(np.linalg.norm(own - geometry.points_at(first + np.array((0, j, i))), axis=1).max()))
    return worst


def _vectors(values: Iterable[Triple | None]) -> FloatArray:
    """Vectors as rows; what is absent becomes NaN, which no check lets pass."""
    return np.array([value or (np.nan, np.nan, np.nan) for value in values], np.float64)


def _too_short(headers: Sequence[SliceHeader], source: str) -> Fault:
    return Fault(
        code="SERIES_TOO_SHORT",
        source=source,
        found=f"{len(headers)} slice{'' if len(headers) == 1 else 's'}",
        expected=f"at least {MIN_SLICES}",
        remedy="Give the folder with the whole series.",
    )


def _grid_faults(stack: Stack, source: str) -> list[Fault]:
    """The last word on a grid: each corner of each slice lies where its own header says, and memory can hold it."""
    if not stack.off_grid_mm <= CORNER_TOLERANCE_MM:
        return [_off_grid(stack.off_grid_mm, source)]
    if math.prod(stack.geometry.shape) > MOST_VOXELS:
        return [_too_large(stack.geometry, source)]
    return []


def _too_large(geometry: Geometry, source: str) -> Fault:
    return Fault(
        code="RESOURCE_LIMIT",
        source=source,
        found=f"{' × '.join(str(size) for size in geometry.shape)} voxels",
        expected=f"at most {MOST_VOXELS:,}".replace(",", " "),
        remedy="Give the abdomen alone, or thicker slices.",
        attribute=attribute("Rows"),
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
