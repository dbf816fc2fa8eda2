"""``results.csv`` and ``results.parquet``: a row for each lesion of a manifest, whatever became of it."""

from __future__ import annotations

import csv
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from ablmargin.batch.columns import ALL_COLUMNS, Kind, failure_cells, lesion_cells
from ablmargin.batch.journal import STATE_FOLDER, last_events
from ablmargin.batch.locks import table_lock
from ablmargin.batch.manifest import Manifest
from ablmargin.batch.rows import as_numbers
from ablmargin.report.casefolder import sha256_of

CSV_NAME, PARQUET_NAME = "results.csv", "results.parquet"
WRITTEN_NAME = "tables.json"
"""Hashes of both as they were written."""
NOT_RUN = "NOT_RUN"
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""How a cell starts that a spreadsheet would run as a formula."""

Row = dict[str, Any]
Finished = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The rows of both tables, and where tables went that somebody had edited."""

    rows: Sequence[Row]
    kept: Sequence[Path]


def write_results(out: Path, manifest: Manifest, finished: Finished, *, nameless: bool = False) -> Tables:
    """Write both tables of everything that is known of a manifest's lesions by now.

    Shards that end at the same time do this one after the other, so the last one writes the whole. A table that isn't as it was
    written is kept beside them: somebody's work may be in it.

    Parameters
    ----------
    finished : callable
        The result of a case, by its ID, if it was made as this batch would make it; else None.
    nameless : bool
        Whether the words about failures stay out, as they may identify patients.
    """
    with table_lock(out):
        rows = result_rows(out, manifest, finished, nameless=nameless)
        kept = _edited_put_aside(out)
        names = ["case_id", "lesion_id", *manifest.carried_columns, *(column.name for column in ALL_COLUMNS)]
        _replace(out / CSV_NAME, lambda path: _write_csv(path, names, rows))
        _replace(out / PARQUET_NAME, lambda path: _write_parquet(path, names, manifest, rows))
        written = {name: sha256_of(out / name) for name in (CSV_NAME, PARQUET_NAME)}
        _replace(out / STATE_FOLDER / WRITTEN_NAME, lambda path: path.write_text(json.dumps(written), encoding="utf-8"))
    return Tables(rows=rows, kept=kept)


def _edited_put_aside(out: Path) -> list[Path]:
    """Rename the tables that aren't as they were written, and return their new names."""
    try:
        written = json.loads((out / STATE_FOLDER / WRITTEN_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    tables = [out / name for name in (CSV_NAME, PARQUET_NAME) if (out / name).is_file()]
    return [_put_aside(table) for table in tables if written.get(table.name) != sha256_of(table)]


def _put_aside(table: Path) -> Path:
    names = (table.with_name(f"{table.stem}.edited-{number}{table.suffix}") for number in count(1))
    return table.rename(next(name for name in names if not name.exists()))


def result_rows(out: Path, manifest: Manifest, finished: Finished, *, nameless: bool = False) -> list[Row]:
    """A row for each lesion, in the manifest's order."""
    failed = {name: event for name, event in last_events(out).items() if event["event"] == "failed"}
    cells: dict[str, Mapping[str, Row]] = {}
    for case in manifest.cases:
        record = finished(case.case_id)
        cells[case.case_id] = {} if record is None else {name: lesion_cells(record, name) for name in case.lesion_ids}
    rows = [
        {"case_id": row.case_id, "lesion_id": row.lesion_id, **row.carried}
        | (cells[row.case_id].get(row.lesion_id) or _without_result(out, row.case_id, failed.get(row.case_id)))
        for row in manifest.rows
    ]
    return [_nameless(row) for row in rows] if nameless else rows


def _without_result(out: Path, case_id: str, failure: Mapping[str, Any] | None) -> Row:
    if failure is not None:
        return failure_cells(failure["error_code"], failure["error"])
    was = "only with other inputs, options or versions" if (out / case_id).is_dir() else "not"
    return failure_cells(NOT_RUN, f"It was {was} analyzed yet.")


def _nameless(row: Row) -> Row:
    """A row without words from files."""
    if row["error_code"] in {None, NOT_RUN}:
        return row
    return row | {"error": f"logs/{row['case_id']}.log tells more."}


def _write_csv(path: Path, names: Sequence[str], rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_cell(name) for name in names])
        writer.writerows([_cell(row[name]) for name in names] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_RISKY) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None else value


def _write_parquet(path: Path, names: Sequence[str], manifest: Manifest, rows: Sequence[Row]) -> None:
    kinds: dict[str, Kind] = {column.name: column.kind for column in ALL_COLUMNS}
    types = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
    columns = []
    for name in names:
        cells = [row[name] for row in rows]
        if name in manifest.carried_columns:
            columns.append(pa.array(as_numbers(name, cells) or [cell or None for cell in cells]))
        else:
            columns.append(pa.array(cells, types[kinds.get(name, "text")]))
    parquet.write_table(pa.table(columns, names=list(names)), path)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, have the disk take it, and put it there in one step."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def failures(rows: Sequence[Row]) -> Iterator[tuple[str, int]]:
    """Each error code and how many lesions have it, the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        if row["error_code"]:
            counts[row["error_code"]] = counts.get(row["error_code"], 0) + 1
    yield from sorted(counts.items(), key=lambda item: (-item[1], item[0]))
