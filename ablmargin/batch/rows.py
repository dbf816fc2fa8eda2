"""Tables of text: the rows of a manifest, from CSV or Parquet, before anybody asks what they mean."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ablmargin.errors import Fault, InputError, printable, shortened

FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "0", "0.0"), False),
}
"""How people and programs write flags, in lower case."""
_SEPARATORS = (",", ";", "\t")
_TOLD_SEPARATOR = re.compile(r'\s*"?sep=([,;\t|])"?[ ,;\t|]*\r?\n', re.IGNORECASE)
"""What Excel begins a file with, for itself."""
_MOST_EXACT = 2**53
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,300})(\.\d+)?")
_ID = re.compile(r"(?i:id)|.*_(?i:id)|.*ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its number in the file, blank ones and the header counted, and its cells by column, stripped."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The columns in the file's order, and all rows that aren't blank."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read a CSV (separated by commas, semicolons or tabs; UTF-8 with or without BOM) or Parquet file.

    Blank lines before the header are skipped, as is a line such as ``sep=;``, which decides the separator.

    Raises
    ------
    InputError
        MANIFEST_UNREADABLE, MANIFEST_ENCODING, MANIFEST_COLUMN, MANIFEST_ROW, with the rows at fault, 50 in full; MANIFEST_EMPTY.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        found, remedy = f"nothing that can be read ({error.strerror})", "Check how it is spelled and who may read it."
        raise InputError(_fault(path, "MANIFEST_UNREADABLE", found, "a table", remedy)) from None
    lines = _parquet_lines(path, content) if content[:4] == b"PAR1" else _csv_lines(path, content)
    table = _table(path, lines)
    if not table.rows:
        found = "no row below the header" if table.columns else "nothing"
        remedy = "Write a row for each lesion."
        raise InputError(_fault(path, "MANIFEST_EMPTY", found, "a header and a row a lesion", remedy))
    return table


def _csv_lines(path: Path, content: bytes) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found, remedy = f"bytes that are no UTF-8 in line {line}", "Save it as CSV UTF-8."
        raise InputError(_fault(path, "MANIFEST_ENCODING", found, "text in UTF-8", remedy)) from None
    if "\0" in text:
        found, remedy = "null characters, as UTF-16 has them", "Save it as CSV UTF-8."
        raise InputError(_fault(path, "MANIFEST_ENCODING", found, "text in UTF-8", remedy))
    told = _TOLD_SEPARATOR.match(text)
    separator = told[1] if told else _separator(text)
    try:
        lines = [list(line) for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)]
    except csv.Error as error:
        remedy = "Check its quotation marks."
        raise InputError(_fault(path, "MANIFEST_UNREADABLE", f"no CSV: {error}", "a table", remedy)) from None
    if told:
        lines[told[0].count("\n") - 1] = []
    return lines


def _separator(text: str) -> str:
    """What the first line with anything in it has most of."""
    lines = (line for line in io.StringIO(text) if line.strip("".join((*_SEPARATORS, " ", "\r", "\n"))))
    return max(_SEPARATORS, key=next(lines, "").count)


def _parquet_lines(path: Path, content: bytes) -> list[list[str]]:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        remedy = "Write it again."
        found = f"no Parquet: {printable(str(error))[:200]}"
        raise InputError(_fault(path, "MANIFEST_UNREADABLE", found, "a table", remedy)) from None
    columns = [column.to_pylist() for column in table.columns]
    return [list(table.column_names), *([text_of(cell) for cell in cells] for cells in zip(*columns, strict=True))]


def text_of(cell: Any) -> str:
    """A cell of a typed table as a CSV file would have it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _MOST_EXACT:
        return str(int(cell))  # programs store whole numbers so where a cell of the column is blank
    return str(cell)


def as_numbers(column: str, cells: Sequence[str]) -> list[float | None] | None:
    """A column's cells as numbers, blank ones None. None if it holds IDs, or if a cell would lose anything by it.

    >>> as_numbers("months", ["12.50", ""])
    [12.5, None]
    >>> as_numbers("patient_id", ["7"]), as_numbers("ward", ["007"]), as_numbers("code", ["123456789012345678"])
    (None, None, None)
    """
    given = [cell for cell in cells if cell]
    if not given or _ID.fullmatch(column) or not all(_is_exact(cell) for cell in given):
        return None
    return [float(cell) if cell else None for cell in cells]


def _is_exact(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell)) and Decimal(cell) == Decimal(repr(float(cell)))


def _table(path: Path, lines: Sequence[Sequence[str]]) -> Table:
    first = next((number for number, line in enumerate(lines) if any(cell.strip() for cell in line)), len(lines))
    header = [cell.strip() for cell in lines[first]] if lines[first:] else []
    below = enumerate(lines[first + 1 :], start=first + 2)
    rows = [(number, [cell.strip() for cell in line]) for number, line in below if any(line)]
    faults = [*_header_faults(path, header, rows), *_row_faults(path, header, rows)]
    if faults:
        raise InputError(*shortened(path.name, faults))
    return Table(
        name=path.name,
        columns=tuple(name for name in header if name),
        rows=tuple(
            Row(number=number, cells={name: cell for name, cell in zip(header, line, strict=True) if name})
            for number, line in rows
            if any(line)
        ),
    )


def _header_faults(path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Iterator[Fault]:
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        found = f"{header.count(name)} columns {printable(name)!r}"
        yield _fault(path, "MANIFEST_COLUMN", found, "each column once", "Rename or remove all but one.")
    for place, name in enumerate(header):
        if not name and any(len(line) > place and line[place] for _, line in rows):
            found = f"cells below a header without a name, column {place + 1}"
            yield _fault(path, "MANIFEST_COLUMN", found, "a name for each column", "Name it, or remove it.")


def _row_faults(path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Iterator[Fault]:
    for number, line in rows:
        if len(line) != len(header) and any(line):
            yield Fault(
                code="MANIFEST_ROW",
                source=f"{path.name}, row {number}",
                found=f"{len(line)} cells",
                expected=f"{len(header)}, as in the header",
                remedy='Put cells that hold the separator in quotation marks: "12.5,-40,102".',
            )


def _fault(path: Path, code: str, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code=code, source=path.name, found=found, expected=expected, remedy=remedy)
