"""A DICOM file that holds a compressed stream and its format, and nothing that makes a reader change values."""

from __future__ import annotations

import struct

from ablmargin.dicom.codec.wire import Job

_SECONDARY_CAPTURE = b"1.2.840.10008.5.1.4.1.1.7"
_ITEM, _END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def neutral_file(job: Job, precision_bits: int) -> bytes:
    """The bytes of a secondary capture with the frame of a job.

    Parameters
    ----------
    precision_bits : int
        Bits a value in the stream, which the header then declares too.
    """
    meta = b"".join(
        (
            _element(0x0002, 0x0002, b"UI", _SECONDARY_CAPTURE),
            _element(0x0002, 0x0003, b"UI", b"1.2.3"),
            _element(0x0002, 0x0010, b"UI", job.syntax.encode("ascii")),
        )
    )
    numbers = {
        0x0010: job.rows,
        0x0011: job.columns,
        0x0100: 16,
        0x0101: precision_bits,
        0x0102: precision_bits - 1,
        0x0103: 0,
    }
    return b"".join(
        (
            bytes(128) + b"DICM" + _element(0x0002, 0x0000, b"UL", struct.pack("<I", len(meta))) + meta,
            _element(0x0008, 0x0016, b"UI", _SECONDARY_CAPTURE),
            _element(0x0008, 0x0018, b"UI", b"1.2.3"),
            _element(0x0028, 0x0002, b"US", struct.pack("<H", 1)),
            _element(0x0028, 0x0004, b"CS", b"MONOCHROME2"),
            *(_element(0x0028, number, b"US", struct.pack("<H", value)) for number, value in numbers.items()),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
            _ITEM + bytes(4) + _ITEM + struct.pack("<I", len(job.data) + len(job.data) % 2),
            job.data + bytes(len(job.data) % 2) + _END_OF_ITEMS,
        )
    )


def _element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian, of a kind with a short length."""
    filler = b" " if kind == b"CS" else b"\0"
    value += filler * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, kind, len(value)) + value
