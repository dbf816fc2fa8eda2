"""Directions in a clinician's words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablmargin.geometry import FloatArray

_WORDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
_NAMED_FROM = 0.38  # cosine of 67.5°: closer to an axis than that, and the axis is named


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
    vector = np.asarray(vector_lps, float)
    length = float(np.linalg.norm(vector))
    if length == 0:
        return "central"
    cosines = vector / length
    named = [axis for axis in np.argsort(-np.abs(cosines)) if abs(cosines[axis]) >= _NAMED_FROM]
    return "-".join(_WORDS[axis][int(cosines[axis] > 0)] for axis in named)
