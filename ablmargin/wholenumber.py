"""Whole numbers in texts of strangers: Python refuses to read one of more than 4300 digits, and takes those of all scripts."""

from __future__ import annotations

_MOST_DIGITS = 12
"""As many as an integer string of DICOM has characters (PS3.5 6.2)."""


def whole_number(text: str) -> int | None:
    """The number that up to twelve digits 0 to 9 make; None for anything else.

    Examples
    --------
    >>> whole_number("12"), whole_number("-1"), whole_number("²"), whole_number("9" * 5000)
    (12, None, None, None)
    """
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal() else None
