"""What a hostile case is, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from hostile_phantom import MOTION_MM
from pydicom.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What must come of a case.

    ``refused``: codes that are told, at least these, with ``names`` and ``attribute`` in the message. Without any, the volume
    must be right, that of the exam after ablation with the patient ``moved_mm``; ``cautions`` must all be told and no other
    but ``may_tell``.
    """

    cautions: frozenset[str] = frozenset()
    may_tell: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    attribute: str | None = None
    moved_mm: tuple[float, float, float] = MOTION_MM


@dataclass(frozen=True, kw_only=True)
class Case:
    id: str
    build: Callable[[Path], None]
    outcome: Outcome
    is_pair: bool


CASES: dict[str, Case] = {}


def right(*cautions: str, may_tell: Sequence[str] = (), pair: bool = False, moved_mm=MOTION_MM) -> Callable:
    return _case(Outcome(cautions=frozenset(cautions), may_tell=frozenset(may_tell), moved_mm=moved_mm), is_pair=pair)


def refused(*codes: str, names: Sequence[str] = (), attribute: str | None = None, pair: bool = False) -> Callable:
    return _case(Outcome(refused=frozenset(codes), names=tuple(names), attribute=attribute), is_pair=pair)


def _case(outcome: Outcome, *, is_pair: bool) -> Callable:
    def register(build: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[build.__name__] = Case(id=build.__name__, build=build, outcome=outcome, is_pair=is_pair)
        return build

    return register


def each(datasets: list[Dataset], **values: object) -> list[Dataset]:
    for d in datasets:
        for keyword, value in values.items():
            setattr(d, keyword, value)
    return datasets


def set_text(path: Path, keyword: str, text: str) -> None:
    """Write text into a decimal attribute, even what pydicom itself would refuse."""
    padded = text + " " * (len(text) % 2)
    mark = "7" * len(padded)
    d = pydicom.dcmread(path)
    d.add_new(keyword, "DS", mark)
    d.save_as(path)
    data = path.read_bytes()
    assert data.count(mark.encode()) == 1
    path.write_bytes(data.replace(mark.encode(), padded.encode()))
