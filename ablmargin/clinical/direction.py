"""Directions in a clinician's words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import FloatArray

_WORDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
_CLINICAL_WORDS = (*_WORDS[:2], ("caudal", "cranial"))
_NAMED_FROM = 0.38  # cosine of 67.5°: closer to an axis than that, and the axis is named
ALL_AROUND = 0.25
"""A mean of unit vectors shorter than this names no side: that of an even patch over three quarters of a sphere."""
STEEPEST_DEG = 60.0
"""A direction farther out of the axial plane has no hour on it."""


def direction_in_words(vector_lps: FloatArray | Sequence[float]) -> str:
    """Name a direction, strongest part first.

    Parameters
    ----------
    vector_lps : array, shape (3,)
        Any length; x to the patient's left, y to the back, z to the head.

    Returns
    -------
    str
        One to three words joined by hyphens; ``"central"`` for a vector without length.

    Examples
    --------
    >>> direction_in_words([0.1, 5.0, 3.0])
    'posterior-superior'
    >>> direction_in_words([-1, 0, 0])
    'right'
    """
    return "-".join(_named_sides(vector_lps, _WORDS)) or "central"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deficit:
    """The part of a tumor's surface whose margin is too thin, as a clinician would describe it.

    Parameters
    ----------
    area_mm2 : float
    share : float
        Of the tumor's surface, 0..1.
    direction : str
        Sides of the tumor, the strongest first: ``"cranial, posterior and left"``; ``"all around"`` if none stands out.
    clock_face : int or None
        1 to 12 on the axial slice as displayed, the patient's right on the image's left: 12 is anterior, 3 the patient's
        left. None for a patch all around or mainly cranial or caudal.
    axial_offset_mm : float
        How far cranial of the tumor's center the patch lies on average; negative if caudal.
    """

    area_mm2: float
    share: float
    direction: str
    clock_face: int | None
    axial_offset_mm: float


def describe_deficit(
    points_mm: FloatArray, margin_mm: FloatArray, area_mm2: FloatArray, *, required_mm: float
) -> Deficit | None:
    """Describe where on a tumor's surface margin is missing.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3)
        The tumor's surface, LPS mm; directions are seen from its center of area.
    margin_mm, area_mm2 : ndarray, shape (n,)
        The point's margin, and the surface that it stands for.
    required_mm : float
        A point with less than that is deficient.

    Returns
    -------
    Deficit or None
        None if no point is deficient.

    Notes
    -----
    A point counts by its area times how much is missing there. The mean of all directions is shorter than 1, the more
    they are spread: 0.5 for a hemisphere, 0 for the whole sphere. Below ``ALL_AROUND`` no side is named.
    """
    missing = np.maximum(required_mm - margin_mm, 0.0)
    if not missing.any():
        return None
    rays, weights = points_mm - np.average(points_mm, axis=0, weights=area_mm2), missing * area_mm2
    weights = weights / weights.sum() if weights.any() else missing / missing.sum()
    mean = weights @ (rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-9))
    is_sided = float(np.linalg.norm(mean)) >= ALL_AROUND
    area = float(area_mm2[missing > 0].sum())
    return Deficit(
        area_mm2=area,
        share=area / float(area_mm2.sum()),
        direction=sides_in_words(mean) if is_sided else "all around",
        clock_face=clock_face(mean) if is_sided else None,
        axial_offset_mm=float(weights @ rays[:, 2]),
    )


def sides_in_words(vector_lps: FloatArray | Sequence[float]) -> str:
    """Name the sides that a direction points to in a clinician's words, strongest first.

    Parameters
    ----------
    vector_lps : array, shape (3,)
        Any length but zero.

    Examples
    --------
    >>> sides_in_words([0.1, 5.0, 3.0]), sides_in_words([3, 4, 5]), sides_in_words([-1, 0, 0])
    ('posterior and cranial', 'cranial, posterior and left', 'right')
    """
    *first, last = _named_sides(vector_lps, _CLINICAL_WORDS)
    return f"{', '.join(first)} and {last}" if first else last


def clock_face(vector_lps: FloatArray | Sequence[float]) -> int | None:
    """The hour, 1 to 12, that a direction points to on an axial slice as displayed.

    Parameters
    ----------
    vector_lps : array, shape (3,)
        Any length but zero.

    Returns
    -------
    int or None
        None for a direction more than 60° out of the slice.

    Examples
    --------
    >>> clock_face([0, -1, 0]), clock_face([1, 0, 0]), clock_face([-1, 1.7, 0]), clock_face([0, 0, 1])
    (12, 3, 7, None)
    """
    x, y, z = (float(part) for part in vector_lps)
    if abs(math.degrees(math.atan2(z, math.hypot(x, y)))) > STEEPEST_DEG:
        return None
    return round(math.degrees(math.atan2(x, -y)) / 30.0) % 12 or 12


def _named_sides(vector_lps: FloatArray | Sequence[float], words: Sequence[tuple[str, str]]) -> list[str]:
    """Words of the axes that a direction is near to; none for a vector without length."""
    vector = np.asarray(vector_lps, float)
    length = float(np.linalg.norm(vector))
    if length == 0:
        return []
    cosines = vector / length
    named = [axis for axis in np.argsort(-np.abs(cosines), kind="stable") if abs(cosines[axis]) >= _NAMED_FROM]
    return [words[axis][int(cosines[axis] > 0)] for axis in named]
