"""Rows of results, and how the cells of a table become them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ablmargin.batch.columns import ALL_COLUMNS, Kind
from ablmargin.batch.rows import FLAGS, Row, Table, read_table
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

_NOT_KNOWN = frozenset({"NA", "NaN", "nan"})
"""How programs write numbers and words that aren't known."""
_SHARE = re.compile(r"coverage_\d+|surface_share_\w+|\w+_share|probability_adequate|registration_liver_dice")
_FROM_ZERO = re.compile(r"\w+_ml|\w+_sd_mm|required_margin_mm|completion_radius_mm|timings_s_\w+|\w+_spacing_mm_[kji]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRows:
    """A row a lesion, refused ones too; None where nothing is known.

    ``carried`` are the columns that aren't ours, whose cells are text; ``columns`` are all that a source has; ``places`` tell where
    each row stands, for messages; ``files`` are those that were read.
    """

    carried: tuple[str, ...]
    columns: frozenset[str]
    rows: tuple[Mapping[str, Any], ...]
    places: tuple[str, ...]
    files: tuple[Path, ...] = ()


def rows_of_table(path: Path) -> ResultRows:
    """Read a CSV or Parquet file: a batch's results, or any table with the columns ``case_id`` and ``lesion_id``.

    Raises
    ------
    InputError
        RESULTS_COLUMN, RESULTS_CELL, with all cells at fault; RESULTS_UNREADABLE and the like if it is no table.
    MissingExtraError
        For a Parquet file without pyarrow.
    """
    return replace(rows_of_cells(_table(path), place=str(path)), files=(path,))


def rows_of_cells(table: Table, *, place: str) -> ResultRows:
    """The rows of a table of text; ``place`` is what messages call it."""
    lacking = [name for name in IDS if name not in table.columns]
    if lacking:
        expected = "the columns case_id and lesion_id, a row a lesion"
        remedy = "Add them, or correct their names."
        found = f"no column {' and '.join(lacking)}"
        raise InputError(Fault(code="RESULTS_COLUMN", source=place, found=found, expected=expected, remedy=remedy))
    carried = tuple(name for name in table.columns if name not in KINDS)
    rows = all_or_faults([partial(_cells, table, row) for row in table.rows])
    return ResultRows(
        carried=carried,
        columns=frozenset(table.columns),
        rows=tuple(rows),
        places=tuple(f"{place}, row {row.number}" for row in table.rows),
    )


def _table(path: Path) -> Table:
    if not find_spec("pyarrow") and _is_parquet(path):
        raise MissingExtraError('a Parquet file needs the package pyarrow: pip install "ablmargin[cohort]"')
    try:
        table = read_table(path)
    except InputError as error:
        faults = (replace(one, code=one.code.replace("MANIFEST", "RESULTS")) for one in error.faults)
        raise InputError(*faults) from None
    rows = [replace(row, cells={_plain(name): cell for name, cell in row.cells.items()}) for row in table.rows]
    return replace(table, columns=tuple(map(_plain, table.columns)), rows=tuple(rows))


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _cells(table: Table, row: Row) -> Mapping[str, Any]:
    cells: dict[str, Any] = dict.fromkeys(KINDS)
    faults = []
    for name, text in row.cells.items():
        try:
            cells[name] = _value(name, text, KINDS.get(name, "text"))
        except ValueError as error:
            faults.append(_cell_fault(table, row, name, text, str(error)))
    faults += [_cell_fault(table, row, name, "", "an ID") for name in IDS if not row.cells[name]]
    if faults:
        raise InputError(*faults)
    return cells


def _value(name: str, text: str, kind: Kind) -> Any:
    """A cell as its column's kind has it; ValueError with what was expected."""
    words = WORDS.get(name)
    if not text or (text in _NOT_KNOWN and (words or kind != "text")):
        return None
    if kind == "flag":
        return _expected(FLAGS.get(text.lower()), "true or false, yes or no, 1 or 0")
    if kind == "number":
        return _within(name, float(_number(text, kind)))
    if kind == "whole":
        return _number(text, kind)
    if words is not None:
        return _expected(text.lower() if text.lower() in words else None, " or ".join(words))
    return _plain(text)


def _plain(text: str) -> str:
    """Text as it was before the apostrophe that keeps a spreadsheet from running it."""
    return text[1:] if text[:1] == "'" and text[1:2] in {"=", "+", "-", "@"} else text


def _number(text: str, kind: Kind) -> float | int:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if kind == "whole":
        return int(_expected(value if value.is_integer() else None, "a whole number"))
    return float(_expected(value if abs(value) < float("inf") else None, "a number with a decimal point"))


def _within(name: str, value: float) -> float:
    if _SHARE.fullmatch(name):
        return float(_expected(value if 0 <= value <= 1 else None, "a share from 0 to 1"))
    return float(_expected(None if value < 0 and _FROM_ZERO.fullmatch(name) else value, "a number from 0 on"))


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
