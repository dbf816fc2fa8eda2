"""The marker segments of a JPEG 2000 code stream: the size it declares, and whether all of its tiles are there.

References
----------
ITU-T T.800, annex A; T.814 (high throughput) keeps them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ablmargin.dicom.codec.jpeg import StreamError
from ablmargin.dicom.codec.wire import Outcome

_START, _TILE_PART, _END = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"
_TILE_PART_HEAD = struct.Struct(">2sHHIBB")
_MOST_TILES = 4096
_ZEROS = bytes(2048)
"""No coder leaves so many: a broken transfer does. They would be read as packets that hold nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000Stream:
    """What a code stream of one component declares."""

    rows: int
    columns: int
    precision_bits: int
    signed: bool


def jpeg2000_stream(data: bytes) -> Jpeg2000Stream:
    """Read the size of a code stream, and follow its tile-parts to its end.

    Raises
    ------
    StreamError
        If it is no code stream, holds more than one component, or lacks a tile or its end.
    """
    if data[:4] != _START:
        raise StreamError(Outcome.REFUSED)
    if len(data) < 45:
        raise StreamError(Outcome.ENDS_EARLY)
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, 4)
    tile_width, tile_height, tile_left, tile_top, components = struct.unpack_from(">IIIIH", data, 24)
    depth, *sampling = data[42:45]
    if components != 1 or sampling != [1, 1] or not (left < right and top < bottom):
        raise StreamError(Outcome.OTHER_FORMAT)
    if not tile_width or not tile_height or tile_left > left or tile_top > top:
        raise StreamError(Outcome.REFUSED)
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _MOST_TILES:
        raise StreamError(Outcome.OTHER_FORMAT)
    _require_tiles(data, 4 + length, tiles)
    return Jpeg2000Stream(
        rows=bottom - top, columns=right - left, precision_bits=(depth & 0x7F) + 1, signed=bool(depth & 0x80)
    )


def _require_tiles(data: bytes, place: int, tiles: int) -> None:
    """Follow the lengths of all segments and tile-parts to the end mark."""
    while data[place : place + 2] != _TILE_PART:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if length < 2 or len(data) < place + 4:
            raise StreamError(Outcome.ENDS_EARLY)
        place += 2 + length
    seen = set()
    while data[place : place + 2] == _TILE_PART:
        if len(data) < place + _TILE_PART_HEAD.size:
            raise StreamError(Outcome.ENDS_EARLY)
        _, _, tile, length, _, _ = _TILE_PART_HEAD.unpack_from(data, place)
        seen.add(tile)
        place = place + length if length else data.rfind(_END)
        if 0 < length < _TILE_PART_HEAD.size:
            raise StreamError(Outcome.REFUSED)
    if data[place : place + 2] != _END or seen != set(range(tiles)) or _ZEROS in data:
        raise StreamError(Outcome.ENDS_EARLY)
