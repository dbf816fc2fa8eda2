"""Follow-up as the manifest's own columns tell it: local tumor progression (LTP), death, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ablmargin.cohort.cells import flag, nonnegative
from ablmargin.cohort.lesion import Event, FollowUp
from ablmargin.errors import Fault, printable

FOLLOWUP_COLUMNS = ("ltp", "event", "months", "death", "months_death")

T = TypeVar("T")


def followup_of(cells: Mapping[str, str], source: str) -> tuple[FollowUp | None, list[Fault]]:
    """The follow-up of one row, None if its cells are blank, and everything that is wrong with them.

    ``ltp`` (0 or 1, yes or no) and ``months``, from ablation to the progression or to the last imaging without one; with
    them ``death`` (0 or 1) and ``months_death``, to the death or to when the patient was last known alive. Or ``event``
    (none, ltp, death) and ``months``. A death counts where no progression was seen before, at its own time.
    Without a column ``months`` there is no follow-up.
    """
    if "months" not in cells:
        return None, []
    reader = _Reader(cells, source)
    event = reader("event", _event) if cells.get("event") else None
    progressed = reader("ltp", flag) if event is None else event is Event.LTP
    months = reader("months", nonnegative)
    died = reader("death", flag) if event is None else event is Event.DEATH
    months_death = reader("months_death", nonnegative)
    if reader.faults or (progressed is None and months is None):
        return None, reader.faults
    if progressed is None:
        reader.refuse("ltp", "a time without an event", "0 or 1 beside months", "Say whether there was progression.")
    elif months is None:
        reader.refuse("months", "an event without a time", "months beside it", "Give the months, or leave both blank.")
    else:
        ended = FollowUp(months=months, event=Event.LTP if progressed else Event.NONE)
        return _with_death(ended, months_death, reader) if died else _checked(ended, reader)
    return None, reader.faults


def _checked(ended: FollowUp, reader: _Reader) -> tuple[FollowUp | None, list[Fault]]:
    if ended.event is Event.LTP and ended.months == 0:
        remedy = "Tumor seen at once is residual tumor, no progression: leave the cells blank, or correct the time."
        reader.refuse("months", "progression at 0 months", "a time above 0", remedy)
        return None, reader.faults
    return ended, []


def _with_death(ended: FollowUp, at: float | None, reader: _Reader) -> tuple[FollowUp | None, list[Fault]]:
    """What a death makes of a follow-up: nothing behind a progression, else its end."""
    if at is not None and at < ended.months:
        found = f"a death at {at:g} months, after which the lesion was seen at {ended.months:g}"
        reader.refuse("months_death", found, "a death after the last imaging", "Correct one of the two times.")
        return None, reader.faults
    if ended.event is Event.LTP:
        return _checked(ended, reader)
    return FollowUp(months=ended.months if at is None else at, event=Event.DEATH), []


def _event(text: str) -> Event:
    try:
        return Event(text.lower())
    except ValueError:
        raise ValueError("none, ltp or death") from None


class _Reader:
    """Reads cells of one row and keeps what is wrong with them."""

    def __init__(self, cells: Mapping[str, str], source: str) -> None:
        self.cells, self.source = cells, source
        self.faults: list[Fault] = []

    def __call__(self, column: str, parse: Callable[[str], T]) -> T | None:
        text = self.cells.get(column, "")
        try:
            return parse(text) if text else None
        except ValueError as error:
            self.refuse(column, repr(printable(text)[:40]), str(error), "Correct the cell, or leave it blank.")
            return None

    def refuse(self, column: str, found: str, expected: str, remedy: str) -> None:
        self.faults.append(
            Fault(
                code="COHORT_FOLLOWUP",
                source=self.source,
                attribute=column,
                found=found,
                expected=expected,
                remedy=remedy,
            )
        )
