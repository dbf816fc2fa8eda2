"""The console script ``ablmargin``. It loads the program itself only when it can be interrupted cleanly."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see :func:`ablmargin_cli.app.run`."""
    from .app import run

    return run(arguments)


def script() -> None:
    """What the console script calls."""
    usual = signal.signal(signal.SIGINT, _leave)
    from . import app  # noqa: F401 - takes a second

    signal.signal(signal.SIGINT, usual)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows a question mark
    sys.exit(main())


def _leave(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal.signal asks for
    """End at once: an exception amid an import could turn into another one, or be lost."""
    os.write(2, b"ablmargin: interrupted\n")
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    script()
