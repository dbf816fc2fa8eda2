"""Pairs of points that a reader marked in both exams, to measure a registration by."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ablmargin.case import Landmarks
from ablmargin.errors import Fault, InputError
from ablmargin.geometry import FloatArray, Geometry

COLUMNS = ("pre_x", "pre_y", "pre_z", "post_x", "post_y", "post_z")
OPTION = "--landmarks"


def read_landmarks(path: Path) -> Landmarks:
    """Read a CSV file with the columns ``pre_x``, ``pre_y``, ``pre_z``, ``post_x``, ``post_y``, ``post_z``.

    A row is one place in both exams, LPS mm. Other columns are ignored.

    Raises
    ------
    InputError
        If the file is missing or no such table, or with every row that doesn't hold six finite numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            rows = [] if missing else list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(_fault(path, "a file that can't be read as text")) from error
    if missing:
        raise InputError(_fault(path, f"no column {', '.join(missing)}"))
    points = [_numbers(row) for row in rows]
    faults = [_fault(path, f"no six numbers in row {number}") for number, row in enumerate(points, 1) if row is None]
    if faults or not points:
        raise InputError(*(faults or [_fault(path, "no row of points")]))
    table_mm = np.array(points, float)
    return Landmarks(pre_mm=table_mm[:, :3], post_mm=table_mm[:, 3:])


def require_imaged(landmarks: Landmarks, path: Path, *, pre: Geometry, post: Geometry) -> None:
    """Refuse landmarks that lie outside of the exam that they were marked on: their frame or order is another one."""
    faults = [
        _fault(path, f"{np.count_nonzero(~grid.contains(points))} of {len(points)} points outside the CT {when}")
        for when, points, grid in (("before", landmarks.pre_mm, pre), ("after", landmarks.post_mm, post))
        if not grid.contains(points).all()
    ]
    if faults:
        raise InputError(*faults)


def _numbers(row: dict[str, str]) -> FloatArray | None:
    try:
        values = np.array([float(row[name]) for name in COLUMNS])
    except (TypeError, ValueError):
        return None
    return values if np.isfinite(values).all() else None


def _fault(path: Path, found: str) -> Fault:
    return Fault(
        code="LANDMARKS_UNUSABLE",
        source=f"{OPTION} {path.name}",
        found=found,
        expected=f"a CSV table with the columns {', '.join(COLUMNS)}: one place in both exams a row, LPS mm",
        remedy="Mark the same places in both exams and export their DICOM patient coordinates; RAS has x and y negated.",
    )
