"""The engines' names, apart from the engines: the command line needs them before anything heavy is loaded."""

from __future__ import annotations

from enum import StrEnum


class EngineName(StrEnum):
    """What deforms one exam into the other, as in ``--engine``."""

    GAUSS_NEWTON = "gauss-newton"
    ELASTIX = "elastix"

    @classmethod
    def _missing_(cls, value: object) -> EngineName:
        raise ValueError(f"there is no registration engine {value!r}; the engines are {', '.join(cls)}")
