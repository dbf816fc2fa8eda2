"""The contrast phase, as far as whoever named the series wrote it down."""

from __future__ import annotations

import re
import unicodedata

from ablmargin.dicom.header import SliceHeader

_WORDS = {
    "unenhanced": r"\bunenh|\bnativ|\bnon ?(contrast|enh)|\bno contrast|\bpre ?contrast|\bwithout (iv |i v )?c|\bplain\b|\bw/o\b"
    r"|\bvnc\b|\bohne (km|kontrast)|\bsans (injection|contraste|iv)|\bsin (contraste|civ|iv)|\bsenza (contrasto|mdc)|\bbasale\b",
    "arterial": r"\barter|\bart\b|\bhap\b",
    "portal venous": r"\bport(al|o)|\bpvp?\b|\bven(ous|os|ose|oes|oese|osa|oso)?\b|\bveineu(x|se)\b",
    "delayed": r"\bdelay|\bequilib|\bspa(e)?t|\btardi(f|ve|va|vo|a|o)\b",
}
"""Words of English, German, French, Spanish and Italian, without accents."""
_WITH_CONTRAST = (
    r"\bwith (and without |iv |i v )?contrast|\bpost ?contrast|\bw/ |\bmit (km|kontrast)|\bnach km"
    r"|\bavec (injection|contraste)|\bcon (contrast[eo]|civ|mdc)"
)


def phase_in_header(header: SliceHeader) -> str | None:
    """The phase that a series' description names; None if it names none, or several.

    Nothing is concluded from an absent contrast agent: many archives drop it.
    """
    description = _plain(header.texts["SeriesDescription"])
    named = [phase for phase, words in _WORDS.items() if re.search(words, description)]
    if len(named) != 1 or (named == ["unenhanced"] and re.search(_WITH_CONTRAST, description)):
        return None
    return named[0]


def _plain(text: str) -> str:
    """Small letters without accents; what stands between words becomes a blank."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\s_\-.,;:()]+", " ", "".join(letter for letter in letters if not unicodedata.combining(letter)))
