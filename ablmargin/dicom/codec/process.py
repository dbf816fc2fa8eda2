"""Decoding in a process of its own: what kills or stops a decoder on a hostile stream spares the reader."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from ablmargin.dicom.codec.wire import REASONS, Job, Outcome, receive_reply, send_job

FRAME_SECONDS = 30.0
"""How long a frame may take, the start of the process included."""
MOST_LOSSES = 3
"""After so many lost processes the frames that are left aren't tried: the series is refused anyway."""

_CHILD = "import sys; sys.path[:] = sys.argv[2:]; from ablmargin.dicom.codec.child import main; main(sys.argv[1])"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}


class DecodingError(Exception):
    """The pixels of a file can't be decoded; the text tells why and quotes nothing from the file.

    ``code`` is PIXEL_DECODE, or RESOURCE_LIMIT if they take too much time or memory. Never leaves this package.
    """

    def __init__(self, reason: str, code: str = "PIXEL_DECODE") -> None:
        self.code = code
        super().__init__(reason)


class FrameDecoder:
    """A process that decodes frames, started with the first and started anew after one that it didn't survive.

    Use it in a ``with`` statement: afterwards the process is gone, and the files it needed too.

    Parameters
    ----------
    frame_seconds : float
        After that long over one frame the process is ended.
    """

    def __init__(self, frame_seconds: float = FRAME_SECONDS) -> None:
        self._frame_seconds = frame_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._losses = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def decoded(self, job: Job) -> bytes:
        """The pixels of a frame: little-endian values of BitsAllocated bits, row by row.

        Raises
        ------
        DecodingError
            If the stream is refused, or if its decoder crashes or exceeds its time or memory.
        """
        if self._losses >= MOST_LOSSES:
            raise DecodingError(f"not tried, after {MOST_LOSSES} frames that no decoder survived")
        outcome, pixels = self._exchanged(job)
        if outcome != Outcome.DECODED:
            code = "RESOURCE_LIMIT" if outcome == Outcome.TOO_LARGE else "PIXEL_DECODE"
            raise DecodingError(REASONS[outcome], code)
        return pixels

    def _exchanged(self, job: Job) -> tuple[Outcome, bytes]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = _Deadline(process, self._frame_seconds)
        try:
            send_job(process.stdin, job)
            reply = receive_reply(process.stdout, job.decoded_bytes)
        except (OSError, EOFError):
            late = deadline.passed()
            self._losses += 1
            raise self._loss(process, late=late) from None
        except BaseException:
            deadline.passed()
            raise
        if deadline.passed():
            self._end()
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        self._folder = tempfile.TemporaryDirectory(prefix="ablmargin-")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by this very interpreter
                [sys.executable, "-P", "-c", _CHILD, self._folder.name, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )
        except OSError:
            self._end()
            raise DecodingError("no process can be started to decode it", "RESOURCE_LIMIT") from None
        return self._process

    def _loss(self, process: subprocess.Popen[bytes], *, late: bool) -> DecodingError:
        """What became of a process that doesn't answer; afterwards it is gone."""
        self._end()
        if late:
            return DecodingError(f"not decoded within {self._frame_seconds:g} s", "RESOURCE_LIMIT")
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        return DecodingError(f"the decoder crashed ({how})")

    def _end(self) -> None:
        process, folder = self._process, self._folder
        self._process = self._folder = None
        if process is not None:
            process.kill()
            with suppress(OSError):  # what wasn't written can't be any more
                process.communicate()
        if folder is not None:
            folder.cleanup()


class _Deadline:
    """Ends a process at a time, unless asked before whether that time has passed."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process, self._lock = process, threading.Lock()
        self._is_over = self._has_passed = False
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def passed(self) -> bool:
        """Whether the process was ended; if not, it won't be."""
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            return self._has_passed

    def _pass(self) -> None:
        with self._lock:
            if not self._is_over:
                self._has_passed = True
                self._process.kill()
