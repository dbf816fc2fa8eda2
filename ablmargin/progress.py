"""How long work tells how far it is, without knowing who listens; and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called now and then by long steps."""

    def __call__(self, step: str, share: float) -> None:
        """Tell that a step, named in a few words, is done to a share between 0 and 1."""
        ...


def silent(step: str, share: float) -> None:
    """A listener that doesn't listen."""


class Stopwatch:
    """Wall time of named steps, s.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch("load"):
    ...     pass
    >>> sorted(watch.timings_s)
    ['load']
    """

    def __init__(self) -> None:
        self.timings_s: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Add the time that the block takes to the step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings_s[step] = self.timings_s.get(step, 0.0) + time.perf_counter() - start
