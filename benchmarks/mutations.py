"""Ways to damage a DICOM file, each decided by a seed alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

_LENGTHS = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_LONG = {b"OB", b"OW", b"OD", b"OF", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT"}
_PIXELS = b"\xe0\x7f\x10\x00"
_ITEM = b"\xfe\xff\x00\xe0"


def mutated(data: bytes, seed: int, *, deflated: bool = False) -> bytes:
    """A file with one or two faults in its header or its pixels.

    Every second seed damages what is inside and leaves the shell whole, so that it reaches a decoder: the data set
    that a deflated file inflates to, or a compressed stream in its item.
    """
    rng = np.random.default_rng(seed)
    start = _end_of_meta(data)
    if seed % 2 and deflated:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        plain = zlib.decompress(data[start:], -zlib.MAX_WBITS)
        return data[:start] + packer.compress(_damaged(plain, rng, 0)) + packer.flush()
    item = data.find(_ITEM, data.find(_PIXELS) + 20)  # the second: the first is the table of offsets
    if seed % 2 and item >= 0:
        stream = _damaged(data[item + 8 : -8], rng, 0)
        stream += bytes(len(stream) % 2)
        return data[: item + 4] + struct.pack("<I", len(stream)) + stream + data[-8:]
    return _damaged(data, rng, start)


def _damaged(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 3)):
        way = _WAYS[rng.integers(len(_WAYS))]
        way(changed, rng, start)
    return bytes(changed)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Anywhere in the header or in the pixels, each half of the time."""
    pixels = max(data.find(_PIXELS), 0)
    in_header = rng.random() < 0.5
    low, high = (0, pixels) if in_header and pixels else (pixels, len(data))
    return int(rng.integers(low, max(high, low + 1)))


def _flip(data: bytearray, rng: np.random.Generator, _: int) -> None:
    for _ in range(rng.integers(1, 9)):
        place = _place(data, rng)
        data[place : place + 1] = bytes((int(rng.integers(256)),))


def _lengthen(data: bytearray, rng: np.random.Generator, start: int) -> None:
    """Give a wrong length to an element, or to an item of the pixels."""
    elements = _elements(data, start)
    item = data.find(_ITEM, max(data.find(_PIXELS), 0))
    wrong = _LENGTHS[rng.integers(len(_LENGTHS))]
    if item >= 0 and rng.random() < 0.3:
        data[item + 4 : item + 8] = struct.pack("<I", wrong)
    elif elements:
        place, _ = elements[rng.integers(len(elements))]
        if bytes(data[place + 4 : place + 6]) in _LONG:
            data[place + 8 : place + 12] = struct.pack("<I", wrong)
        else:
            data[place + 6 : place + 8] = struct.pack("<H", wrong & 0xFFFF)


def _cut(data: bytearray, rng: np.random.Generator, _: int) -> None:
    del data[_place(data, rng) :]


def _cut_out(data: bytearray, rng: np.random.Generator, _: int) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 200))]


def _insert(data: bytearray, rng: np.random.Generator, _: int) -> None:
    place = _place(data, rng)
    data[place:place] = rng.bytes(int(rng.integers(1, 65)))


def _blank(data: bytearray, rng: np.random.Generator, _: int) -> None:
    place, count = _place(data, rng), int(rng.integers(1, 2000))
    data[place : place + count] = bytes(min(count, len(data) - place))


def _swap_tags(data: bytearray, rng: np.random.Generator, start: int) -> None:
    elements = _elements(data, start)
    if len(elements) > 1:
        (one, _), (other, _) = (elements[index] for index in rng.choice(len(elements), 2, replace=False))
        data[one : one + 4], data[other : other + 4] = data[other : other + 4], data[one : one + 4]


def _swap_values(data: bytearray, rng: np.random.Generator, start: int) -> None:
    """Exchange two whole elements, so that tags are out of order, or give one twice."""
    elements = _elements(data, start)
    if len(elements) > 1:
        first, second = sorted(rng.choice(len(elements), 2, replace=False))
        (one, one_end), (other, other_end) = elements[first], elements[second]
        kept = data[other:other_end] if rng.random() < 0.5 else data[one:one_end]
        data[one:other_end] = data[other:other_end] + data[one_end:other] + kept


_WAYS: tuple[Callable[[bytearray, np.random.Generator, int], None], ...] = (
    _flip,
    _flip,
    _flip,
    _lengthen,
    _cut,
    _cut_out,
    _insert,
    _blank,
    _swap_tags,
    _swap_values,
)


def _end_of_meta(data: bytes) -> int:
    """Where the data set begins, by the length of the meta information."""
    return 144 + int(struct.unpack_from("<I", data, 140)[0])


def _elements(data: bytearray, start: int) -> list[tuple[int, int]]:
    """Begin and end of each element in explicit VR little endian before the pixels, as far as they can be followed."""
    found, place = [], start
    while place + 12 <= len(data) and data[place : place + 4] != _PIXELS:
        long = bytes(data[place + 4 : place + 6]) in _LONG
        size = (
            struct.unpack_from("<I", data, place + 8)[0] + 12
            if long
            else struct.unpack_from("<H", data, place + 6)[0] + 8
        )
        found.append((place, place + size))
        place += size
    return found
