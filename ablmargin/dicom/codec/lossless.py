"""Lossless JPEG the other way round: the values that a decoder read must encode to the very stream they came from.

A decoder that meets a cut stream makes up the missing values. Encoded again they don't give the stream's bits, and so
every value is proven, by code that shares nothing with the decoder.

References
----------
ITU-T T.81, annex H (lossless mode) and annex F.1.2.2 (Huffman coding of differences).
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ablmargin.dicom.codec.jpeg import JpegStream, entropy_coded

_RESTART_MARKER = re.compile(rb"\xff+[\xd0-\xd7]")
_AT_ONCE = 1 << 14
"""So many values stay in the processor's cache, which is three times as fast as all of them."""
_SPARE_BYTES = 4
"""Some encoders write a little more than their last code."""


def encodes_to(stream: JpegStream, values: NDArray[np.uint16]) -> bool:
    """Whether values, shape (rows, columns), are what a lossless JPEG stream holds.

    Raises
    ------
    StreamError
        If no end-of-image mark follows the coded values.
    """
    if stream.table not in stream.tables or not 1 <= stream.selection <= 7:
        return False
    if stream.restart % stream.columns:
        return False
    codes, lengths = _code_book(*stream.tables[stream.table])
    rows = stream.restart // stream.columns or stream.rows
    coded = entropy_coded(stream)
    parts = _RESTART_MARKER.split(coded) if stream.restart else [coded]
    bands = [values[first : first + rows] for first in range(0, stream.rows, rows)]
    return len(parts) == len(bands) and all(
        _is_code_of(part.replace(b"\xff\x00", b"\xff"), _differences(stream, band), codes, lengths)
        for part, band in zip(parts, bands, strict=True)
    )


def _differences(stream: JpegStream, band: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """What a band's values differ from their prediction, modulo 2¹⁶; shape (rows × columns,)."""
    values = band.astype(np.int32) >> stream.transform
    predicted = np.empty_like(values)
    predicted[0, 0] = 1 << (stream.precision_bits - stream.transform - 1)
    predicted[0, 1:], predicted[1:, 0] = values[0, :-1], values[:-1, 0]
    left, above, corner = values[1:, :-1], values[:-1, 1:], values[:-1, :-1]
    predicted[1:, 1:] = _predicted(stream.selection, left, above, corner)
    differences: NDArray[np.uint16] = (values - predicted).astype(np.uint16).ravel()
    return differences


def _predicted(
    selection: int, left: NDArray[np.int32], above: NDArray[np.int32], corner: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The prediction of T.81, table H.1."""
    match selection:
        case 1:
            return left
        case 2:
            return above
        case 3:
            return corner
        case 4:
            return left + above - corner
        case 5:
            return left + ((above - corner) >> 1)
        case 6:
            return above + ((left - corner) >> 1)
    return (left + above) >> 1


def _code_book(counts: bytes, symbols: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Code and its length in bits for each difference modulo 2¹⁶; length 0 where the table has no code."""
    prefix, prefix_bits = np.zeros(256, np.int64), np.zeros(256, np.int64)
    code, place = 0, 0
    for bits, count in enumerate(counts, start=1):
        for symbol in symbols[place : place + count]:
            prefix[symbol], prefix_bits[symbol] = code, bits
            code += 1
        code, place = code << 1, place + count
    difference = np.arange(1 << 16, dtype=np.int64)
    difference[1 << 15 :] -= 1 << 16
    category = np.frexp(np.abs(difference).astype(np.float64))[1].astype(np.int64)
    extra_bits = np.where(category == 16, 0, category)
    extra = np.where(difference < 0, difference - 1, difference) & ((1 << extra_bits) - 1)
    lengths = np.where(prefix_bits[category] > 0, prefix_bits[category] + extra_bits, 0)
    return ((prefix[category] << extra_bits) | extra).astype(np.uint64), lengths.astype(np.uint64)


def _is_code_of(
    coded: bytes, differences: NDArray[np.uint16], codes: NDArray[np.uint64], lengths: NDArray[np.uint64]
) -> bool:
    """Whether bytes are the codes of differences, one behind the other."""
    windows: NDArray[np.uint64] = np.ndarray((len(coded) + 1,), ">u8", coded + bytes(8), strides=(1,))
    place = 0
    for first in range(0, len(differences), _AT_ONCE):
        some = differences[first : first + _AT_ONCE]
        sizes = lengths[some]
        ends = np.cumsum(sizes) + np.uint64(place)
        place = int(ends[-1])
        if sizes.min() == 0 or place > 8 * len(coded):
            return False
        starts = ends - sizes
        found = (windows[starts >> 3].astype(np.uint64) << (starts & 7)) >> (64 - sizes)
        if not np.array_equal(found, codes[some]):
            return False
    return len(coded) - (place + 7) // 8 <= _SPARE_BYTES
