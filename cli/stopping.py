"""Signals that end a long command in order, as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What job schedulers send, and what a terminal sends that is closed."""
_ONCE_S = 5.0
"""Within which signals are one: a terminal sends two, and a second interruption would cut the first one's work short."""


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM and SIGHUP; one that is ignored, as by nohup, stays so. Also a decorator."""
    terminals = [handle for handle in (1, 2) if os.isatty(handle)]
    last_s = -_ONCE_S

    def interrupt(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal.signal asks for
        nonlocal last_s
        _leave_closed(terminals)
        before_s, last_s = last_s, time.monotonic()
        if last_s - before_s >= _ONCE_S:
            raise KeyboardInterrupt

    usual = {one: handler for one in ENDINGS if (handler := signal.getsignal(one)) not in {signal.SIG_IGN, None}}
    for one in usual:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in usual.items():
            signal.signal(one, handler)


def _leave_closed(terminals: list[int]) -> None:
    """Write to nowhere what would go to a terminal that is closed: that would be an error, and end the work on the way out."""
    for handle in terminals:
        if not os.isatty(handle):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, handle)
            os.close(nowhere)
