"""Rows of results, and how the cells of a table become them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ablmargin.batch.columns import ALL_COLUMNS, Kind
from ablmargin.batch.rows import Row, Table, read_table
from ablmargin.clinical.criteria import Verdict
from ablmargin.errors import Fault, InputError, MissingExtraError, printable

Found = TypeVar("Found")

IDS = ("case_id", "lesion_id")
KINDS: Mapping[str, Kind] = {column.name: column.kind for column in ALL_COLUMNS} | dict.fromkeys(IDS, "text")
VERDICTS = tuple(verdict.value for verdict in (Verdict.INADEQUATE, Verdict.INDETERMINATE, Verdict.ADEQUATE))
"""In order, the worst first."""
WORDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("verdict", "case_verdict", "point_verdict"), VERDICTS),
    **dict.fromkeys(("verdicts_by_threshold_5", "verdicts_by_threshold_10"), VERDICTS),
    "status": ("complete", "withheld"),
    "ras_mutation": ("wildtype", "mutant", "unknown"),
    "registration_quality": ("failed", "doubtful", "good"),
}
"""Columns that hold one of a few words."""

_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRows:
    """A row a lesion, refused ones too; None where nothing is known.

    ``carried`` are the columns that aren't ours; ``places`` tell where each row stands, for messages.
    """

    carried: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    places: tuple[str, ...]


def rows_of_table(path: Path) -> ResultRows:
    """Read a CSV or Parquet file: a batch's results, or any table with the columns ``case_id`` and ``lesion_id``.

    Raises
    ------
    InputError
        RESULTS_COLUMN, RESULTS_CELL, with all cells at fault; RESULTS_UNREADABLE and the like if it is no table.
    MissingExtraError
        For a Parquet file without pyarrow.
    """
    table = _table(path)
    lacking = [name for name in IDS if name not in table.columns]
    if lacking:
        expected = "the columns case_id and lesion_id, a row a lesion"
        remedy = "Add them, or correct their names."
        found = f"no column {' and '.join(lacking)}"
        raise InputError(Fault(code="RESULTS_COLUMN", source=str(path), found=found, expected=expected, remedy=remedy))
    carried = tuple(name for name in table.columns if name not in KINDS)
    numeric = {name for name in carried if _is_numeric(row.cells[name] for row in table.rows)}
    kinds: dict[str, Kind] = {**dict.fromkeys(carried, "text"), **dict.fromkeys(numeric, "number"), **KINDS}
    rows = all_or_faults([partial(_cells, table, row, kinds) for row in table.rows])
    return ResultRows(
        carried=carried, rows=tuple(rows), places=tuple(f"{path}, row {row.number}" for row in table.rows)
    )


def _table(path: Path) -> Table:
    if not find_spec("pyarrow") and _is_parquet(path):
        raise MissingExtraError('a Parquet file needs the package pyarrow: pip install "ablmargin[cohort]"')
    try:
        return read_table(path)
    except InputError as error:
        faults = (replace(one, code=one.code.replace("MANIFEST", "RESULTS")) for one in error.faults)
        raise InputError(*faults) from None


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _is_numeric(cells: Iterable[str]) -> bool:
    """Whether a column that isn't ours holds numbers and none that would look otherwise as one, such as 007."""
    given = [cell for cell in cells if cell]
    return bool(given) and all(_PLAIN_NUMBER.fullmatch(cell) for cell in given)


def _cells(table: Table, row: Row, kinds: Mapping[str, Kind]) -> Mapping[str, Any]:
    cells: dict[str, Any] = dict.fromkeys(KINDS)
    faults = []
    for name, text in row.cells.items():
        try:
            cells[name] = _value(name, text, kinds[name])
        except ValueError as error:
            faults.append(_cell_fault(table, row, name, text, str(error)))
    faults += [_cell_fault(table, row, name, "", "an ID") for name in IDS if not row.cells[name]]
    if faults:
        raise InputError(*faults)
    return cells


def _value(name: str, text: str, kind: Kind) -> Any:
    """A cell as its column's kind has it; ValueError with what was expected."""
    if not text:
        return None
    if kind == "flag":
        return _expected(_FLAGS.get(text.lower()), "true or false")
    if kind in {"number", "whole"}:
        return _number(text, kind)
    words = WORDS.get(name)
    if words is not None:
        return _expected(text.lower() if text.lower() in words else None, " or ".join(words))
    return text[1:] if text[0] == "'" and text[1:2] in {"=", "+", "-", "@"} else text  # written so for spreadsheets


def _number(text: str, kind: Kind) -> float | int:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if kind == "whole":
        return int(_expected(value if value.is_integer() else None, "a whole number"))
    return float(_expected(value if abs(value) < float("inf") else None, "a number with a decimal point"))


def _expected(value: Any, expected: str) -> Any:
    if value is None:
        raise ValueError(expected)
    return value


def _cell_fault(table: Table, row: Row, column: str, text: str, expected: str) -> Fault:
    return Fault(
        code="RESULTS_CELL",
        source=f"{table.name}, row {row.number}, column {printable(column)}",
        found=repr(printable(text)[:40]) if text else "nothing",
        expected=expected,
        remedy="Correct it, or leave it blank if it isn't known." if text else "Fill it in.",
    )


def all_or_faults(readers: Sequence[Callable[[], Found]]) -> list[Found]:
    """What all readers read, or one error with the faults of all of them."""
    found: list[Found] = []
    faults: list[Fault] = []
    for read in readers:
        try:
            found.append(read())
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return found
