"""The marker segments of a JPEG or JPEG-LS stream: how it says its pixels are coded, and where they end."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ablmargin.dicom.codec.wire import Outcome

LOSSLESS, JPEG_LS = 0xC3, 0xF7
_START, _END, _TABLES, _RESTART, _SCAN = 0xD8, 0xD9, 0xC4, 0xDD, 0xDA
_FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 1000


class StreamError(Exception):
    """A stream that isn't decoded, and why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegStream:
    """The one frame of a stream, with one component in one scan.

    Parameters
    ----------
    process : int
        The marker of the frame: 0xC3 is lossless, 0xF7 JPEG-LS.
    precision_bits : int
        Bits a value.
    tables : dict
        Of each Huffman table its counts of codes of 1 to 16 bits, and the symbols.
    table, selection, transform : int
        Of the scan: number of its table, Ss (of a lossless one its predictor) and Al (its point transform).
    restart : int
        Values between two restart markers; 0 if there are none.
    coded : bytes
        From the end of the scan's header on.
    """

    process: int
    precision_bits: int
    rows: int
    columns: int
    tables: dict[int, tuple[bytes, bytes]]
    table: int
    selection: int
    transform: int
    restart: int
    coded: bytes


def jpeg_stream(data: bytes) -> JpegStream:
    """Read the marker segments up to the first scan.

    Raises
    ------
    StreamError
        If the stream is no JPEG, ends early or holds more than one component.
    """
    if data[:2] != bytes((0xFF, _START)):
        raise StreamError(Outcome.REFUSED)
    frame: tuple[int, bytes] | None = None
    tables: dict[int, tuple[bytes, bytes]] = {}
    restart, place = 0, 2
    for _ in range(_MOST_SEGMENTS):
        marker, body, place = _segment(data, place)
        if marker in _FRAMES:
            frame = marker, body
        elif marker == _TABLES:
            tables |= _huffman_tables(body)
        elif marker == _RESTART:
            restart = int.from_bytes(body, "big")
        elif marker == _SCAN:
            return _stream(frame, body, tables, restart, data[place:])
    raise StreamError(Outcome.REFUSED)


def entropy_coded(stream: JpegStream) -> bytes:
    """The coded values of a stream's only scan, with stuffed bytes and restart markers.

    Raises
    ------
    StreamError
        If no end-of-image mark follows them.
    """
    end = stream.coded.rfind(bytes((0xFF, _END)))
    if end < 0:
        raise StreamError(Outcome.ENDS_EARLY)
    return stream.coded[:end].rstrip(b"\xff")  # fill bytes: a coded 0xFF is followed by a stuffed zero


def _segment(data: bytes, place: int) -> tuple[int, bytes, int]:
    """Marker and body of the segment at a place, and where the next begins."""
    head = data[place : place + 4]
    if len(head) < 4:
        raise StreamError(Outcome.ENDS_EARLY)
    if head[0] != 0xFF:
        raise StreamError(Outcome.REFUSED)
    if head[1] == 0xFF:  # a fill byte
        return 0, b"", place + 1
    length = int.from_bytes(head[2:], "big")
    body = data[place + 4 : place + 2 + length]
    if len(body) != length - 2:
        raise StreamError(Outcome.ENDS_EARLY if length > 2 else Outcome.REFUSED)
    return head[1], body, place + 2 + length


def _huffman_tables(body: bytes) -> dict[int, tuple[bytes, bytes]]:
    tables = {}
    while body:
        counts = body[1:17]
        symbols = body[17 : 17 + sum(counts)]
        if len(counts) < 16 or len(symbols) < sum(counts):
            raise StreamError(Outcome.REFUSED)
        tables[body[0] & 0x0F] = counts, symbols
        body = body[17 + sum(counts) :]
    return tables


def _stream(
    frame: tuple[int, bytes] | None, scan: bytes, tables: dict[int, tuple[bytes, bytes]], restart: int, coded: bytes
) -> JpegStream:
    if frame is None or len(frame[1]) < 6 or len(scan) < 6:
        raise StreamError(Outcome.REFUSED)
    precision, rows, columns, components = struct.unpack_from(">BHHB", frame[1])
    if components != 1 or scan[0] != 1:
        raise StreamError(Outcome.OTHER_FORMAT)
    return JpegStream(
        process=frame[0],
        precision_bits=precision,
        rows=rows,
        columns=columns,
        tables=tables,
        table=scan[2] >> 4,
        selection=scan[3],
        transform=scan[5] & 0x0F,
        restart=restart,
        coded=coded,
    )
