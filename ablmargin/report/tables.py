"""``margins.csv``: a row for each point of each tumor's surface."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ablmargin.result import CaseResult, LesionResult

COLUMNS = ("lesion", "x", "y", "z", "margin_mm", "area_mm2", "depth_mm", "margin_sd_mm")


def save_margins(result: CaseResult, path: Path) -> None:
    """Write all margins of a case as CSV: points in LPS mm of the exam after ablation, depth below the liver's capsule.

    The depth is empty where no liver mask was given, the standard deviation where the alignment's error isn't known.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for lesion in result.lesions:
            writer.writerows(_rows(lesion))


def _rows(lesion: LesionResult) -> list[list[str]]:
    margin = lesion.margin
    unknown = np.full(len(margin.margin_mm), np.nan)
    depth = unknown if margin.depth_mm is None else margin.depth_mm
    sd = unknown if lesion.margin_sd_mm is None else lesion.margin_sd_mm
    numbers = np.column_stack([margin.points_mm, margin.margin_mm, margin.area_mm2, depth, sd])
    return [[lesion.lesion_id, *map(_number, row)] for row in numbers.tolist()]


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""
