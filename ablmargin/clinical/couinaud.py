"""The segments of the liver after Couinaud: their names, as files spell them and as reports do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SEGMENTS = ("I", "II", "III", "IV", "IVa", "IVb", "V", "VI", "VII", "VIII")
LEAST_SHARE = 0.01
"""A segment that holds a smaller share of a tumor isn't told: contours of two readers differ by more."""

_FILLER = r"(?:couinaud|hepatic|liver|segment|seg|sg|s|lobe|of|the|[\W_])*"
_NAME = re.compile(rf"{_FILLER}(viii|vii|vi|iv|v|iii|ii|i|[1-8])(?:(?<=4|v)[\W_]*([ab]))?{_FILLER}", re.IGNORECASE)
_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentShare:
    """A segment and how much of a tumor's volume, 0..1, lies in it."""

    segment: str
    share: float


def segment_named(text: str) -> str | None:
    """The segment that a name in a file means, None if it names none.

    Examples
    --------
    >>> [segment_named(text) for text in ("liver_segment_4", "Segment IVa", "S8", "VIII", "Couinaud 5", "seg-4 B")]
    ['IV', 'IVa', 'VIII', 'VIII', 'V', 'IVb']
    >>> [segment_named(text) for text in ("liver", "segment_9", "Segment 12", "IIb", "")]
    [None, None, None, None, None]
    """
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    number, half = match.groups()
    roman = _ROMAN[int(number)] if number.isdecimal() else number.upper()
    if half is None:
        return roman
    return f"IV{half.lower()}" if roman == "IV" else None


def largest_first(segments: Sequence[str], shares: Sequence[float]) -> tuple[SegmentShare, ...]:
    """The segments that hold a share worth telling, the largest first.

    Examples
    --------
    >>> [share.segment for share in largest_first(("V", "VII", "VIII"), (0.004, 0.2, 0.7))]
    ['VIII', 'VII']
    """
    told = [SegmentShare(segment=name, share=share) for name, share in zip(segments, shares, strict=True)]
    return tuple(sorted((one for one in told if one.share >= LEAST_SHARE), key=lambda one: -one.share))


def place_in_words(shares: Sequence[SegmentShare]) -> str:
    """Where a tumor lies, from its segments, the largest share first.

    Examples
    --------
    >>> def shares(*names):
    ...     return [SegmentShare(segment=name, share=1 / len(names)) for name in names]
    >>> place_in_words(shares("VIII")), place_in_words(shares("VIII", "VII", "V"))
    ('in segment VIII', 'in segment VIII, reaching into VII and V')
    >>> place_in_words([])
    'in none of the segments that were given'
    """
    names = [share.segment for share in shares]
    if not names:
        return "in none of the segments that were given"
    if len(names) == 1:
        return f"in segment {names[0]}"
    *more, last = names[1:]
    return f"in segment {names[0]}, reaching into {', '.join(more) + ' and ' + last if more else last}"
