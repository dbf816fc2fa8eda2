"""Where results lie on disk: case folders, batches, result.json, tables, also those that other programs wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ablmargin.batch.columns import lesion_cells
from ablmargin.case import UNNAMED_CASE
from ablmargin.errors import Fault, InputError, printable
from ablmargin.report.casefolder import is_kept_aside
from ablmargin.report.record import SCHEMA, validate
from ablmargin.results.rows import KINDS, ResultRows, all_or_faults, rows_of_table

Source = str | os.PathLike[str]
"""A case folder, a batch's folder, a folder of case folders, a result.json, or a table (CSV, Parquet)."""

_TABLES = ("results.parquet", "results.csv")


def read_results(sources: Source | Iterable[Source]) -> ResultRows:
    """Read results from one or several places.

    Returns
    -------
    ResultRows
        Cells by the names of :data:`ablmargin.batch.columns.ALL_COLUMNS`: text, numbers and flags by their column's kind.

    Raises
    ------
    InputError
        With everything that is wrong: RESULTS_MISSING, RESULT_UNREADABLE, RESULT_SCHEMA, RESULT_INVALID, RESULTS_COLUMN,
        RESULTS_CELL, RESULTS_DIFFER, RESULTS_DUPLICATE, and those of tables that can't be read.
    MissingExtraError
        For a Parquet file without pyarrow.
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else [*sources]
    parts = [part for found in all_or_faults([partial(_parts, Path(source)) for source in named]) for part in found]
    joined = ResultRows(
        carried=tuple(dict.fromkeys(name for part in parts for name in part.carried)),
        columns=frozenset().union(*(part.columns for part in parts)),
        rows=tuple(row for part in parts for row in part.rows),
        places=tuple(place for part in parts for place in part.places),
        files=tuple(file for part in parts for file in part.files),
    )
    require_each_once(joined)
    return joined


def _parts(path: Path) -> list[ResultRows]:
    """What one place holds; a batch's table goes before its case folders."""
    if not path.exists():
        raise InputError(_missing(path, "nothing there"))
    if path.is_file():
        return [_of_json(path) if path.suffix == ".json" else rows_of_table(path)]
    tables = [path / name for name in _TABLES if (path / name).is_file()]
    if tables:
        return [_of_batch(tables)]
    if (path / "result.json").is_file():
        return [_of_json(path / "result.json")]
    folders = sorted(found.parent for found in path.glob("*/result.json") if _is_case_folder(found.parent))
    if not folders:
        raise InputError(_missing(path, "a folder without results"))
    return all_or_faults([partial(_of_json, folder / "result.json", unnamed=folder.name) for folder in folders])


def _of_batch(tables: Sequence[Path]) -> ResultRows:
    """The table of a batch, from one file or from two that say the same."""
    if not find_spec("pyarrow"):
        return rows_of_table(tables[-1])
    first, *others = tables
    rows = rows_of_table(first)
    for other in others:
        if not _say_the_same(rows, other):
            expected = f"what {first.name} says: a batch writes both"
            remedy = f"If somebody edited one of them, name the one that is meant: {other}, for example."
            raise InputError(_fault(other, "RESULTS_DIFFER", "other rows, columns or cells", expected, remedy))
    return rows


def _say_the_same(rows: ResultRows, other: Path) -> bool:
    try:
        read = rows_of_table(other)
    except InputError:
        return False
    if read.carried != rows.carried or read.columns != rows.columns or len(read.rows) != len(rows.rows):
        return False
    pairs = zip(rows.rows, read.rows, strict=True)
    return all(one[name] == two[name] or _same_number(one[name], two[name]) for one, two in pairs for name in one)


def _same_number(one: Any, two: Any) -> bool:
    """Whether two texts are one number: Parquet has 12.5 where CSV has 12.50."""
    try:
        return float(one) == float(two)
    except (TypeError, ValueError):
        return False


def _is_case_folder(folder: Path) -> bool:
    return not folder.name.startswith(".") and not is_kept_aside(folder.name)


def _missing(path: Path, found: str) -> Fault:
    expected = "a case folder, a batch's folder, a folder of case folders, result.json, results.csv or results.parquet"
    remedy = "Check how it is spelled, and the folder that you are in."
    return Fault(code="RESULTS_MISSING", source=str(path), found=found, expected=expected, remedy=remedy)


def _of_json(path: Path, *, unnamed: str | None = None) -> ResultRows:
    """The lesions of one case; ``unnamed`` is what a case is called that nobody gave an ID."""
    record = _record(path)
    named = unnamed if unnamed and record["case_id"] == UNNAMED_CASE else record["case_id"]
    return replace(rows_of_record({**record, "case_id": named}, place=str(path)), files=(path,))


def rows_of_record(record: Mapping[str, Any], *, place: str) -> ResultRows:
    """The lesions of one case from its ``result.json`` as data; ``place`` is what messages call it."""
    ids = [lesion["id"] for lesion in record["lesions"]]
    cells = [{"case_id": record["case_id"], "lesion_id": name, **lesion_cells(record, name)} for name in ids]
    return ResultRows(
        carried=(),
        columns=frozenset(KINDS),
        rows=tuple({name: None if cell == "" else cell for name, cell in row.items()} for row in cells),
        places=tuple(f"{place}, lesion {name}" for name in ids),
    )


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        remedy = "Copy it again, or analyze the case again."
        raise InputError(
            _fault(path, "RESULT_UNREADABLE", "no JSON that can be read", "a result.json", remedy)
        ) from None
    told = record.get("schema") if isinstance(record, dict) else None
    if told != SCHEMA:
        found = "no schema" if told is None else f"the schema {printable(str(told))[:80]!r}"
        remedy = "Read it with the version of ablmargin that wrote it, or analyze the case again."
        raise InputError(_fault(path, "RESULT_SCHEMA", found, f"the schema {SCHEMA!r}", remedy))
    try:
        validate(record)
    except ValueError as error:
        found, remedy = printable(str(error).splitlines()[0])[:200], "Somebody changed it: analyze the case again."
        raise InputError(_fault(path, "RESULT_INVALID", found, f"what {SCHEMA} describes", remedy)) from None
    whole: Mapping[str, Any] = record
    return whole


def _fault(path: Path, code: str, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code=code, source=str(path), found=found, expected=expected, remedy=remedy)


def require_each_once(results: ResultRows) -> None:
    """Raise InputError with RESULTS_DUPLICATE if a lesion stands in two rows: it would count twice."""
    places: dict[tuple[str, str], list[str]] = {}
    for row, place in zip(results.rows, results.places, strict=True):
        places.setdefault((row["case_id"], row["lesion_id"]), []).append(place)
    faults = list(_duplicates(places))
    if faults:
        raise InputError(*faults)


def _duplicates(places: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[Fault]:
    for (case_id, lesion_id), at in places.items():
        if len(at) > 1:
            yield Fault(
                code="RESULTS_DUPLICATE",
                source=" and ".join(at),
                found=f"case {printable(case_id)}, lesion {printable(lesion_id)} {len(at)} times",
                expected="each lesion once",
                remedy="Remove one, or give cases IDs of their own (--case-id); two readers are compared, not joined.",
            )
