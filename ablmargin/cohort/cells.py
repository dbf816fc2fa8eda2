"""Cells of text as numbers and flags. What can't be read raises ValueError, whose message says what was expected."""

from __future__ import annotations

import math

from ablmargin.batch.rows import FLAGS


def nonnegative(text: str) -> float:
    """A finite number that isn't below 0, decimal point only.

    >>> nonnegative("2.5")
    2.5
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError("a number from 0 on")
    return value


def flag(text: str) -> bool:
    """Yes or no, as people and programs write it.

    >>> flag("Yes"), flag("0"), flag("true")
    (True, False, True)
    """
    told = FLAGS.get(text.lower())
    if told is None:
        raise ValueError("0 or 1, yes or no, true or false")
    return told
