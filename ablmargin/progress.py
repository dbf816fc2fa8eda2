"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then by long steps."""

    def __call__(self, step: str, share: float) -> None:
        """Tell that a step, named in a few words, is done to a share between 0 and 1."""
        ...


def silent(step: str, share: float) -> None:
    """A listener that doesn't listen."""
