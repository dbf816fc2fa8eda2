"""Data elements and sequences of a DICOM file (PS3.5 7), walked in a loop: no recursion, no length believed, nothing kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

MOST_LEVELS = 64
"""Sequences within sequences; a structured report, the deepest thing there is, has a dozen."""
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ENDS = {0xFFFEE00D, 0xFFFEE0DD}
_LONG = {str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32}


class NestingError(Exception):
    """What can't be an element where one must be, or sequences nested beyond reason."""


class EndsEarlyError(Exception):
    """An element claims bytes beyond the end of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How elements are written."""

    is_implicit: bool
    is_little: bool

    @property
    def order(self) -> Literal["little", "big"]:
        return "little" if self.is_little else "big"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: its value is ``data[start:stop]``, the next one begins at ``after``.

    ``length`` is that of the header, None where it is undefined.
    """

    tag: int
    vr: bytes
    start: int
    stop: int
    after: int
    length: int | None


def elements(data: bytes, start: int, stop: int, encoding: Encoding, *, until: int | None = None) -> Iterator[Element]:
    """The elements of one level, one after the other.

    The one with the tag ``until`` is the last, and its value isn't looked at: it may lie beyond the data.

    Raises
    ------
    NestingError, EndsEarlyError
        Where the next one can't be told.
    """
    while start < stop:
        tag, vr, length, begin = _head(data, start, encoding)
        if tag == until:
            declared = None if length == _UNDEFINED_LENGTH else length
            yield Element(tag=tag, vr=vr, start=begin, stop=begin, after=begin, length=declared)
            return
        element = _bounded(data, (tag, vr, length, begin), encoding)
        if element.after > stop:
            raise NestingError
        yield element
        start = element.after


def items(data: bytes, element: Element, encoding: Encoding) -> Iterator[tuple[int, int]]:
    """Where the items of a sequence begin and end.

    Raises
    ------
    NestingError, EndsEarlyError
        Where there is something else.
    """
    for item in elements(data, element.start, element.stop, encoding):
        if item.tag != _ITEM:
            raise NestingError
        yield item.start, item.stop


def _bounded(data: bytes, head: tuple[int, bytes, int, int], encoding: Encoding) -> Element:
    tag, vr, length, begin = head
    if length == _UNDEFINED_LENGTH:
        end = _delimiter_after(data, begin, _inner(encoding, vr))
        return Element(tag=tag, vr=vr, start=begin, stop=end, after=end + 8, length=None)
    if begin + length > len(data):
        raise EndsEarlyError
    return Element(tag=tag, vr=vr, start=begin, stop=begin + length, after=begin + length, length=length)


def _inner(encoding: Encoding, vr: bytes) -> Encoding:
    """A sequence of unknown VR is written without VRs (PS3.5 6.2.2)."""
    return Encoding(is_implicit=True, is_little=encoding.is_little) if vr == b"UN" else encoding


def _delimiter_after(data: bytes, at: int, encoding: Encoding) -> int:
    """Where the delimiter stands that ends what has no length and begins at an offset."""
    levels = [encoding]
    while True:
        tag, vr, length, begin = _head(data, at, levels[-1])
        if tag in _ENDS:
            levels.pop()
            if not levels:
                return at
            at = begin
        elif length == _UNDEFINED_LENGTH:
            levels.append(_inner(levels[-1], vr))
            if len(levels) > 2 * MOST_LEVELS:  # a sequence and its item are two
                raise NestingError
            at = begin
        else:
            at = begin + length


def _head(data: bytes, at: int, encoding: Encoding) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty where there is none), length and where the value begins."""
    if at + 8 > len(data):
        raise EndsEarlyError
    order = encoding.order
    group, number = int.from_bytes(data[at : at + 2], order), int.from_bytes(data[at + 2 : at + 4], order)
    tag = group << 16 | number
    if encoding.is_implicit or group == 0xFFFE:
        return tag, b"", int.from_bytes(data[at + 4 : at + 8], order), at + 8
    vr = data[at + 4 : at + 6]
    if vr in _LONG:
        return tag, vr, int.from_bytes(data[at + 8 : at + 12], order), at + 12
    if not (vr.isalpha() and vr.isupper()):
        raise NestingError
    return tag, vr, int.from_bytes(data[at + 6 : at + 8], order), at + 8
