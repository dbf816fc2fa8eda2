"""What is said between the reader of files and the process that decodes for it: numbers and pixels, no names.

Both sides read what the other wrote as if it came from a stranger: a decoder may have been taken over by a hostile file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import IO

_JOB = struct.Struct("<64sIIHH?IQ")
_REPLY = struct.Struct("<BQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One frame to decode.

    Parameters
    ----------
    syntax : str
        Transfer syntax UID.
    signed : bool
        Whether PixelRepresentation says so.
    frame : int
        Its number within ``data``, from 0; only a deflated file holds several.
    data : bytes
        The frame's compressed stream; of a deflated file all of it, as it can't be read otherwise.
    """

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    frame: int
    data: bytes

    @property
    def decoded_bytes(self) -> int:
        return self.rows * self.columns * self.bits_allocated // 8


class Outcome(IntEnum):
    """How decoding ended."""

    DECODED = 0
    REFUSED = 1
    ENDS_EARLY = 2
    DIFFERENT = 3
    OTHER_FORMAT = 4
    TOO_LARGE = 5
    NO_DECODER = 6


REASONS = {
    Outcome.REFUSED: "a damaged stream",
    Outcome.ENDS_EARLY: "a stream that ends early",
    Outcome.DIFFERENT: "two decoders read different values",
    Outcome.OTHER_FORMAT: "a stream of another size or format than the header declares",
    Outcome.TOO_LARGE: "a stream that takes more memory than a slice may",
    Outcome.NO_DECODER: "a compression that isn't read",
}


def send_job(pipe: IO[bytes], job: Job) -> None:
    """Write a job."""
    pipe.write(
        _JOB.pack(
            job.syntax.encode("ascii"),
            job.rows,
            job.columns,
            job.bits_allocated,
            job.bits_stored,
            job.signed,
            job.frame,
            len(job.data),
        )
    )
    pipe.write(job.data)
    pipe.flush()


def receive_job(pipe: IO[bytes]) -> Job | None:
    """Read a job; None at the end of the pipe."""
    head = pipe.read(_JOB.size)
    if len(head) < _JOB.size:
        return None
    syntax, rows, columns, allocated, stored, signed, frame, length = _JOB.unpack(head)
    return Job(
        syntax=syntax.rstrip(b"\0").decode("ascii"),
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        signed=signed,
        frame=frame,
        data=pipe.read(length),
    )


def send_reply(pipe: IO[bytes], outcome: Outcome, pixels: bytes = b"") -> None:
    """Write how decoding ended, and the pixels if it ended well."""
    pipe.write(_REPLY.pack(outcome, len(pixels)))
    pipe.write(pixels)
    pipe.flush()


def receive_reply(pipe: IO[bytes], decoded_bytes: int) -> tuple[Outcome, bytes]:
    """Read how decoding ended, and the pixels if it ended well.

    Raises
    ------
    EOFError
        If the pipe ends, or holds anything but an outcome and pixels of that size.
    """
    head = pipe.read(_REPLY.size)
    if len(head) < _REPLY.size:
        raise EOFError
    outcome, length = _REPLY.unpack(head)
    if outcome not in set(Outcome) or length != (decoded_bytes if outcome == Outcome.DECODED else 0):
        raise EOFError
    pixels = pipe.read(length)
    if len(pixels) < length:
        raise EOFError
    return Outcome(outcome), pixels
