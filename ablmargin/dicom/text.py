"""Text of DICOM headers: parsed without trust, shown without harm."""

from __future__ import annotations

import math
from datetime import datetime

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from ablmargin.errors import printable

PLACEHOLDER_DATES = {"19000101", "00010101"}
"""What de-identification puts where a date was."""

__all__ = ["PLACEHOLDER_DATES", "attribute", "iso_time", "number", "printable", "uid_name", "uid_of"]


def number(text: str) -> float:
    """The number of a decimal string; NaN for anything else, such as a decimal comma.

    Examples
    --------
    >>> number(" 2.5 "), number("2,5")
    (2.5, nan)
    """
    plain = text.strip(" \0")
    allowed = set("0123456789+-.eE")
    try:
        return float(plain) if set(plain) <= allowed else math.nan
    except ValueError:
        return math.nan


def iso_time(date: str, time: str) -> str | None:
    """DICOM date and time as ISO 8601, to the second; None without a date of the calendar. The old form 2026.01.10 is understood.

    A date that only fills a place (1 January 1900) is none, and a time that no clock shows is left out.

    Examples
    --------
    >>> iso_time("20260110", "0930")
    '2026-01-10T09:30:00'
    """
    day, clock = date.replace(".", ""), time.replace(":", "").split(".")[0]
    if len(day) != 8 or not day.isascii() or day in PLACEHOLDER_DATES:
        return None
    iso = _valid(f"{day[:4]}-{day[4:6]}-{day[6:]}", "%Y-%m-%d")
    if iso is None or len(clock) not in {2, 4, 6} or not clock.isascii():
        return iso
    padded = clock.ljust(6, "0")
    return _valid(f"{iso}T{padded[:2]}:{padded[2:4]}:{padded[4:]}", "%Y-%m-%dT%H:%M:%S") or iso


def _valid(moment: str, form: str) -> str | None:
    """The text itself if it is a moment of the calendar and the clock, else None."""
    try:
        datetime.strptime(moment, form)  # noqa: DTZ007 - DICOM names no zone
    except ValueError:
        return None
    return moment


def attribute(keyword: str) -> str:
    """An attribute for messages.

    Examples
    --------
    >>> attribute("PixelSpacing")
    'PixelSpacing (0028,0030)'
    """
    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04x},{tag & 0xFFFF:04x})"


def uid_of(text: str) -> UID:
    """A UID, valid or not, without pydicom's warning, which would quote it."""
    return UID(text, config.IGNORE)


def uid_name(text: str) -> str:
    """What the standard calls a UID; one that it doesn't know isn't quoted, as anything may stand there.

    Examples
    --------
    >>> uid_name("1.2.840.10008.1.2.1"), uid_name("1.2.3")
    ('Explicit VR Little Endian', 'a private object')
    """
    uid = uid_of(text)
    if uid.is_private:
        return "a private object"
    return str(uid.name) if uid.name != text else "an unknown object"
