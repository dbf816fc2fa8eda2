"""``margins.csv``: a row for each point of each tumor's surface."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ablmargin.result import CaseResult, LesionResult

COLUMNS = ("lesion", "x", "y", "z", "margin_mm", "area_mm2", "depth_mm")


def save_margins(result: CaseResult, path: Path) -> None:
    """Write all margins of a case as CSV: points in LPS mm of the exam after ablation, depth below the liver's capsule.

    The depth is empty where no liver mask was given.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for lesion in result.lesions:
            writer.writerows(_rows(lesion))


def _rows(lesion: LesionResult) -> list[list[str]]:
    margin = lesion.margin
    numbers = np.column_stack([margin.points_mm, margin.margin_mm, margin.area_mm2])
    depths = [""] * len(numbers) if margin.depth_mm is None else [_number(depth) for depth in margin.depth_mm]
    return [[lesion.lesion_id, *map(_number, row), depth] for row, depth in zip(numbers.tolist(), depths, strict=True)]


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""
