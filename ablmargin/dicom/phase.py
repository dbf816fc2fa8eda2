"""The contrast phase, as far as whoever named the series wrote it down."""

from __future__ import annotations

import re

from ablmargin.dicom.header import SliceHeader

_WORDS = {
    "unenhanced": r"\bunenh|\bnativ|\bnon[- ]?(contrast|enh)|\bwithout c|\bplain\b|\bw/o\b",
    "arterial": r"\barter|\bart\b|\bhap\b",
    "portal venous": r"\bport(al|o)|\bpvp?\b|\bven(ous|ös|eux|ose)?\b",
    "delayed": r"\bdelay|\bequilib|\bsp(ä|ae)t",
}


def phase_in_header(header: SliceHeader) -> str | None:
    """The phase that a series' description names; None if it names none, or several.

    Nothing is concluded from an absent contrast agent: many archives drop it.
    """
    description = header.texts["SeriesDescription"].casefold()
    named = [phase for phase, words in _WORDS.items() if re.search(words, description)]
    return named[0] if len(named) == 1 else None
