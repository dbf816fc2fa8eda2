"""What every engine offers, and the engines by name."""

from __future__ import annotations

from typing import Protocol

from ablmargin.registration.elastix import Elastix
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.gauss_newton import GaussNewton
from ablmargin.registration.symmetric import PyramidPair
from ablmargin.registration.transform import SplineTransform


class Engine(Protocol):
    """Deforms two exams into each other from the rigid start that they come with.

    What follows treats all engines alike: the mean of the two runs, its quality, its local error.
    """

    @property
    def packages(self) -> tuple[str, ...]:
        """What must be installed beside what always is."""
        ...

    @property
    def needs_one_phase(self) -> bool:
        """Whether it is of no use where the two exams show vessels differently."""
        ...

    def require_installed(self) -> None:
        """Do nothing, or raise MissingExtraError that tells what to install."""
        ...

    def deform_both_ways(self, pair: PyramidPair, *, threads: int) -> tuple[SplineTransform, SplineTransform]:
        """post_from_pre and pre_from_post, each from a run of its own.

        ``pair`` holds the pictures that suit the two contrast phases. The numbers don't depend on ``threads``.
        """
        ...

    def method(self, texture: str) -> str:
        """What a result says of the engine; ``texture`` is how pictures were compared: signed or sign-free."""
        ...


_ENGINES: dict[EngineName, Engine] = {EngineName.GAUSS_NEWTON: GaussNewton(), EngineName.ELASTIX: Elastix()}


def engine_named(name: EngineName) -> Engine:
    """The engine; whether it is installed is for its ``require_installed`` to tell."""
    return _ENGINES[name]
