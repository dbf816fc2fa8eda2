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
    (none, ltp, death) and ``months``. A site is followed to its last imaging, not to a later death.
    Without a column ``months`` there is no follow-up.
    """
    if "months" not in cells:
        return None, []
    reader = _Reader(cells, source)
    event = reader("event", _event) if cells.get("event") else None
    progressed = reader("ltp", flag) if event is None else event is Event.LTP
    months = reader("months", nonnegative)
    died = reader("death", flag) if event is None else event is Event.DEATH or None
    months_death = reader("months_death", nonnegative)
    if reader.faults or (progressed is None and months is None):
        return None, reader.faults
    if progressed is None:
        reader.refuse("ltp", "a time without an event", "0 or 1 beside months", "Say whether there was progression.")
    elif months is None:
        reader.refuse("months", "an event without a time", "months beside it", "Give the months, or leave both blank.")
    else:
        _check_times(reader, months, months_death, progressed=progressed, died=died)
        found = FollowUp(
            months=months,
            event=Event.LTP if progressed else Event.DEATH if died else Event.NONE,
            died=died,
            lived_months=max(months, months_death or 0.0),
        )
        return None if reader.faults else found, reader.faults
    return None, reader.faults


def _check_times(
    reader: _Reader, months: float, months_death: float | None, *, progressed: bool, died: bool | None
) -> None:
    if died and months_death is not None and months_death < months:
        found = f"a death at {months_death:g} months, after which the lesion was seen at {months:g}"
        reader.refuse("months_death", found, "a death after the last imaging", "Correct one of the two times.")
    if progressed and months == 0:
        remedy = "Tumor seen at once is residual tumor, no progression: leave the cells blank, or correct the time."
        reader.refuse("months", "progression at 0 months", "a time above 0", remedy)


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
