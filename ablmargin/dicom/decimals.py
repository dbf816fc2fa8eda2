"""The decimal numbers of a slice's header: where it lies, and what its values mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypedDict

from ablmargin.dicom.text import attribute, number
from ablmargin.errors import Fault
from ablmargin.geometry import Triple

GEOMETRY_LENGTHS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
RESCALE_LENGTHS = {"RescaleSlope": 1, "RescaleIntercept": 1}
DECIMALS = GEOMETRY_LENGTHS | RESCALE_LENGTHS | {"SliceThickness": 1}
"""Attributes, and how many numbers each has."""
_LARGEST = {
    "ImagePositionPatient": 1e5,
    "PixelSpacing": 1e3,
    "SliceThickness": 1e3,
    "RescaleSlope": 1e4,
    "RescaleIntercept": 1e6,
}
"""No scanner is that large, in mm, and no value of HU needs such a rescale; beyond, sums overflow or lose their digits."""
_SMALLEST_MM = 1e-3
"""Of a pixel's spacing, if it is positive at all."""
_MOST_SHOWN = 80
_NUMERIC = re.compile(r"([0-9+\-.,eE \\]|nan|inf)*", re.IGNORECASE)


class Measures(TypedDict):
    """The numbers, as a slice's header keeps them; None if absent or unusable."""

    position_mm: Triple | None
    row_direction: Triple | None
    column_direction: Triple | None
    pixel_spacing_mm: tuple[float, float] | None
    slice_thickness_mm: float | None
    rescale_slope: float | None
    rescale_intercept_hu: float | None


def measures(text_of: Callable[[str], str], source: str, faults: list[Fault]) -> Measures:
    """Parse all of them; what can't be parsed is added to ``faults``.

    Parameters
    ----------
    text_of : callable
        The text of an attribute by its keyword, "" if absent.
    """
    numbers = {name: _decimals(text_of(name), name, count, source, faults) for name, count in DECIMALS.items()}
    orientation = numbers["ImageOrientationPatient"]
    return Measures(
        position_mm=_three(numbers["ImagePositionPatient"]),
        row_direction=_three(orientation[:3] if orientation else None),
        column_direction=_three(orientation[3:] if orientation else None),
        pixel_spacing_mm=_two(numbers["PixelSpacing"]),
        slice_thickness_mm=_one(numbers["SliceThickness"]),
        rescale_slope=_one(numbers["RescaleSlope"]),
        rescale_intercept_hu=_one(numbers["RescaleIntercept"]),
    )


def _decimals(text: str, keyword: str, count: int, source: str, faults: list[Fault]) -> tuple[float, ...] | None:
    if not text:
        return None
    numbers = tuple(number(part) for part in text.split("\\"))
    if len(numbers) == count and all(_is_sane(number, keyword) for number in numbers):
        return numbers
    faults.append(
        Fault(
            code="GEOM_BAD_VALUE" if keyword in GEOMETRY_LENGTHS else "BAD_VALUE",
            source=source,
            found=_quoted(text),
            expected=f"{count} finite decimal number{'s' if count > 1 else ''}{_size_told(keyword)}",
            remedy="The header is damaged: export the series again.",
            attribute=attribute(keyword),
        )
    )
    return None


def _is_sane(number: float, keyword: str) -> bool:
    """Whether it is finite and of a size that the attribute can have; NaN isn't."""
    too_small = keyword == "PixelSpacing" and 0 < number < _SMALLEST_MM
    return math.isfinite(number) and abs(number) <= _LARGEST.get(keyword, math.inf) and not too_small


def _size_told(keyword: str) -> str:
    if keyword == "PixelSpacing":
        return f" from {_SMALLEST_MM:g} to {_LARGEST[keyword]:g}"
    return f" of {_LARGEST[keyword]:.0f} at most" if keyword in _LARGEST else ""


def _quoted(text: str) -> str:
    """A text if it consists of numbers, even with decimal commas; anything else may be a name."""
    shown = text[:_MOST_SHOWN]
    return repr(shown) if _NUMERIC.fullmatch(shown) else "a text that is no number"


def _one(numbers: tuple[float, ...] | None) -> float | None:
    return None if numbers is None else numbers[0]


def _two(numbers: tuple[float, ...] | None) -> tuple[float, float] | None:
    return None if numbers is None else (numbers[0], numbers[1])


def _three(numbers: tuple[float, ...] | None) -> Triple | None:
    return None if numbers is None else (numbers[0], numbers[1], numbers[2])
