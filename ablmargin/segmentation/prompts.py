"""Prompts as text, and whether they point into an image."""

from __future__ import annotations

import numpy as np

from ablmargin.errors import Fault, InputError, UsageError
from ablmargin.geometry import Geometry, Triple, triple
from ablmargin.segmentation.protocol import Axis, Prompt
from ablmargin.volume import Structure

SHORTEST_AXIS_MM, LONGEST_AXIS_MM = 2.0, 150.0
"""Of a lesion or an ablation zone; a longer one runs across the body."""


def point_from(text: str, option: str) -> Triple:
    """A point from ``X,Y,Z``, LPS mm.

    Raises
    ------
    UsageError
        With the option's name, if these aren't three finite numbers.

    Examples
    --------
    >>> point_from("-12.5,40,102", "--tumor-point")
    (-12.5, 40.0, 102.0)
    """
    return triple(_numbers(text, option, 3, "X,Y,Z"))


def axis_from(text: str, option: str) -> Axis:
    """The two ends of an axis from ``X,Y,Z,X,Y,Z``, LPS mm; UsageError as :func:`point_from`, or if they are one point."""
    numbers = _numbers(text, option, 6, "X,Y,Z,X,Y,Z")
    ends = triple(numbers[:3]), triple(numbers[3:])
    if ends[0] == ends[1]:
        raise UsageError(f"{option} {text}: both ends of the axis are the same point")
    return ends


def require_imaged(prompt: Prompt, geometry: Geometry, *, source: str = "the prompt") -> None:
    """Raise InputError (PROMPT_OUTSIDE) with every point of a prompt that lies outside an image.

    Parameters
    ----------
    source : str
        The option that named the prompt.
    """
    faults = _outside_faults(prompt, geometry, source)
    if faults:
        raise InputError(*faults)


def require_prompt(prompt: Prompt, geometry: Geometry, structure: Structure) -> None:
    """Refuse a prompt that points at nothing, or beside the image; all faults together.

    Raises
    ------
    InputError
        PROMPT_MISSING, PROMPT_OUTSIDE, PROMPT_TOO_SHORT, PROMPT_TOO_LONG, PROMPT_CONTRADICTORY.
    """
    source = f"the {structure} prompt"
    faults = [
        *_missing(prompt, source),
        *_outside_faults(prompt, geometry, source),
        *_wrong_length(prompt, source),
        *_contradictions(prompt, source),
    ]
    if faults:
        raise InputError(*faults)


def _numbers(text: str, option: str, count: int, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise UsageError(f"{option} {text!r}: expected {count} numbers, {form}, in LPS mm")
    return numbers


def _outside_faults(prompt: Prompt, geometry: Geometry, source: str) -> list[Fault]:
    points = [*(prompt.axis_mm or ()), *prompt.inside_mm, *prompt.outside_mm]
    points += [] if prompt.point_mm is None else [prompt.point_mm]
    return [_outside(point, geometry, source) for point in points if not geometry.contains(np.array([point]))[0]]


def _missing(prompt: Prompt, source: str) -> list[Fault]:
    if not prompt.is_empty:
        return []
    return [
        Fault(
            code="PROMPT_MISSING",
            source=source,
            found="no point inside",
            expected="a point inside, or the two ends of the long axis",
            remedy="Click into the lesion, or better draw its long axis.",
        )
    ]


def _wrong_length(prompt: Prompt, source: str) -> list[Fault]:
    if prompt.axis_mm is None:
        return []
    length = float(np.linalg.norm(np.subtract(*prompt.axis_mm)))
    if SHORTEST_AXIS_MM <= length <= LONGEST_AXIS_MM:
        return []
    return [
        Fault(
            code="PROMPT_TOO_SHORT" if length < SHORTEST_AXIS_MM else "PROMPT_TOO_LONG",
            source=f"{source}, axis",
            found=f"{length:.1f} mm between its ends",
            expected=f"{SHORTEST_AXIS_MM:.0f} to {LONGEST_AXIS_MM:.0f} mm",
            remedy="Draw the longest diameter of this one lesion; check that its points are LPS mm.",
        )
    ]


def _contradictions(prompt: Prompt, source: str) -> list[Fault]:
    both = [point for point in prompt.all_inside_mm if point in prompt.outside_mm]
    return [
        Fault(
            code="PROMPT_CONTRADICTORY",
            source=source,
            found=f"the point {', '.join(f'{value:g}' for value in point)} mm as inside and as outside",
            expected="one of the two",
            remedy="Leave one of them out.",
        )
        for point in both
    ]


def _outside(point: Triple, geometry: Geometry, source: str) -> Fault:
    low, high = geometry.corners_mm.min(axis=0), geometry.corners_mm.max(axis=0)
    spans = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True))
    return Fault(
        code="PROMPT_OUTSIDE",
        source=source,
        found=f"the point {', '.join(f'{value:g}' for value in point)} mm outside of the image",
        expected=f"a point in it: {spans} mm",
        remedy="Points are LPS mm, as DICOM has them. 3D Slicer shows RAS: turn the sign of the first two numbers.",
    )
