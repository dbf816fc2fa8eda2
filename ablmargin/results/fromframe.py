"""Results that somebody holds as a pandas table, checked as a file's are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ablmargin.batch.rows import Row, Table, text_of
from ablmargin.errors import Fault, InputError, printable
from ablmargin.results.files import require_each_once
from ablmargin.results.rows import IDS, ResultRows, rows_of_cells

if TYPE_CHECKING:
    from pandas import DataFrame


def rows_of_frame(frame: DataFrame, *, name: str) -> ResultRows:
    """Check a table cell by cell, as :func:`ablmargin.results.files.read_results` does with a file.

    Parameters
    ----------
    frame : DataFrame
        A row a lesion, with the columns ``case_id`` and ``lesion_id``; columns that aren't ours are taken for text.
    name : str
        What messages call the table; they count its rows from 0, as ``iloc`` does.

    Raises
    ------
    InputError
        RESULTS_COLUMN, RESULTS_CELL, RESULTS_DUPLICATE, with all columns, all cells or all lesions at fault.
    """
    faults = list(_column_faults(frame, name))
    if faults:
        raise InputError(*faults)
    table = _as_text(frame, f"{name} (DataFrame, rows from 0)")
    results = rows_of_cells(table, place=table.name)
    require_each_once(results)
    return results


def _column_faults(frame: DataFrame, name: str) -> Iterator[Fault]:
    columns = [str(column) for column in frame.columns]
    for column in dict.fromkeys([*IDS, *columns]):
        count = columns.count(column)
        if count != 1:
            found = f"{count} columns {printable(column)!r}" if count else f"no column {column}"
            remedy = "Rename or remove all but one." if count else "Add it, or correct its name."
            yield Fault(code="RESULTS_COLUMN", source=name, found=found, expected="one", remedy=remedy)


def _as_text(frame: DataFrame, name: str) -> Table:
    columns = tuple(str(column) for column in frame.columns)
    known = frame.astype(object).where(frame.notna(), None)
    rows = [
        Row(number=number, cells=dict(zip(columns, (text_of(cell).strip() for cell in cells), strict=True)))
        for number, cells in enumerate(known.itertuples(index=False, name=None))
    ]
    return Table(name=name, columns=columns, rows=tuple(rows))
