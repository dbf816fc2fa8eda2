"""Public data with published results, that the estimates must reproduce."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ablmargin.cohort.histories import Histories


def histories(months, event, *, lived_months=None, margin_mm=None, mutant=None, patient=None):
    """Lesions side by side; what isn't given plays no part."""
    count = len(months)
    return Histories(
        months=np.asarray(months, dtype=float),
        event=np.asarray(event, dtype=np.int64),
        lived_months=np.asarray(months if lived_months is None else lived_months, dtype=float),
        margin_mm=np.zeros(count) if margin_mm is None else np.asarray(margin_mm, dtype=float),
        mutant=np.zeros(count, dtype=np.int64) if mutant is None else np.asarray(mutant, dtype=np.int64),
        patient=np.arange(count) if patient is None else np.asarray(patient, dtype=np.int64),
    )


def freireich():
    """Remission of leukemia, weeks, 6-MP against placebo (margin 1 and 0): Freireich et al. 1963, Blood 21:699."""
    treated = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    weeks = np.array([*treated, *placebo])  # negative: censored
    return histories(np.abs(weeks), weeks > 0, margin_mm=[1] * len(treated) + [0] * len(placebo))


def rossi():
    """Recidivism of 432 convicts, weeks: Rossi, Berk and Lenihan 1980; the file is that of lifelines (MIT)."""
    with (Path(__file__).parent / "rossi.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return histories(columns.pop("week"), columns.pop("arrest")), columns
