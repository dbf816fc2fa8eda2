"""The console script ``ablmargin``. It loads the program itself only when it can be interrupted and terminated cleanly."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

EXIT_TERMINATED = 128 + signal.SIGTERM
"""143, as shells tell it: SIGTERM is what job schedulers and ``kill`` send."""
_WORDS = {signal.SIGINT: b"ablmargin: interrupted\n", signal.SIGTERM: b"ablmargin: terminated\n"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see :func:`ablmargin_cli.app.run`."""
    from .app import run

    return run(arguments)


def script() -> None:
    """What the console script calls."""
    usual = signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    from . import app  # noqa: F401 - takes a second

    signal.signal(signal.SIGINT, usual)
    signal.signal(signal.SIGTERM, _unwind)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows a question mark
    sys.exit(main())


def _leave(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal.signal asks for
    """End at once: an exception amid an import could turn into another one, or be lost."""
    os.write(2, _WORDS[signal.Signals(signal_number)])
    os._exit(128 + signal_number)


def _unwind(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as above
    """End like after an error: temporary files, which hold the patient's CT, go, and so do other processes.

    Further signals of the kind are ignored, as they would cut that short.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(2, _WORDS[signal.SIGTERM])
    sys.exit(EXIT_TERMINATED)


if __name__ == "__main__":
    script()
