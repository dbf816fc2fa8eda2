"""The process that decodes: takes frames from its standard input, one after the other, until that ends."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ablmargin.dicom.codec.decoders import decoded
from ablmargin.dicom.codec.jpeg import StreamError
from ablmargin.dicom.codec.wire import Job, Outcome, receive_job, send_reply

MEMORY_BYTES = 512 * 2**20
"""How much a frame may take beyond what the loaded libraries do."""


def main(folder: str) -> None:
    """Serve until the reader closes the pipe; ``folder`` is a place for files, removed if nobody is left to do so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the reader's: it ends this process
    os.chdir(folder)
    replies = os.fdopen(os.dup(1), "wb")
    with tempfile.TemporaryFile(dir=".") as said, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # whatever a library prints isn't a reply
        os.dup2(said.fileno(), 2)  # where decoders look for complaints
        while (job := receive_job(sys.stdin.buffer)) is not None:
            send_reply(replies, *_outcome(job))
            os.lseek(2, 0, os.SEEK_SET)
            os.ftruncate(2, 0)
    os.chdir(os.sep)
    with suppress(OSError):
        Path(folder).rmdir()


def _outcome(job: Job) -> tuple[Outcome, bytes]:
    limit_memory()
    try:
        return Outcome.DECODED, decoded(job)
    except StreamError as error:
        return error.outcome, b""
    except MemoryError:
        return Outcome.TOO_LARGE, b""
    except BaseException:  # noqa: BLE001 - decoders raise any type on a damaged stream; Rust's panic is no Exception
        return Outcome.REFUSED, b""


def limit_memory() -> None:
    """Bound this process's address space and forbid core files, where the system can (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
