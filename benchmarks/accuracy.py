"""Accuracy of the measured margins on random shapes with exact truth, over several seeds.

``python benchmarks/accuracy.py --pairs 64 --seeds 0 1`` measures what ``ablmargin validate`` does, prints the sheet of all
seeds together and exits with 1 if a limit isn't met. It goes on to more pairs of unions (``--others``) and to
outlines that are uneven from slice to slice (``--jittered``), and ends with the error that 95 of 100 pairs stay below.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from accuracy_others import Row, jittered_rows, other_rows, print_jittered, print_others

from ablmargin.report import DISCLAIMER
from ablmargin.threads import one_blas_thread
from ablmargin.validation.sheet import AccuracySheet, measure_accuracy
from ablmargin.validation.text import sheet_markdown


def pooled(sheets: list[AccuracySheet], pairs: int) -> AccuracySheet:
    """All sheets as one; pairs of later seeds are numbered on."""
    rows = tuple(
        replace(row, number=row.number + place * pairs) for place, sheet in enumerate(sheets) for row in sheet.rows
    )
    return AccuracySheet(
        rows=rows,
        seed=sheets[0].seed,
        elapsed_s=sum(sheet.elapsed_s for sheet in sheets),
        left_out_mm=tuple(spacing for sheet in sheets for spacing in sheet.left_out_mm),
    )


def tell(step: str, share: float) -> None:
    """Progress, for those who watch."""
    print(f"\r{step} {100 * share:3.0f} %", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


def print_p95(sheet: AccuracySheet, others: list[Row]) -> None:
    """The 95th percentile of the minimum margin's error over all kinds, which ``sampling_error_p95_mm`` must cover."""
    print("\nError of the minimum margin over all kinds of shapes, p95, mm (jitter apart)\n")
    for spacing in sheet.slice_spacings_mm:
        errors = sheet.errors("mam_mm", spacing) + [row.mam_mm for row in others if row.slice_spacing_mm == spacing]
        print(f"slices of {spacing:g} mm: {np.quantile(np.abs(errors), 0.95):.3f} ({len(errors)} pairs)")


def main() -> int:
    """Print the sheet; 1 if a limit isn't met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=64, help="a slice spacing and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--others",
        type=int,
        default=40,
        help="more pairs of each kind of union a slice spacing, of another seed; 0 leaves them out",
    )
    parser.add_argument("--jittered", type=int, default=24, help="pairs of each manner a slice spacing, likewise")
    options = parser.parse_args()
    with one_blas_thread():
        sheets = [measure_accuracy(pairs=options.pairs, seed=seed, progress=tell) for seed in options.seeds]
        others, jittered = list(other_rows(options.others)), list(jittered_rows(options.jittered))
    sheet = pooled(sheets, options.pairs)
    print(sheet_markdown(sheet, disclaimer=DISCLAIMER))
    if len(sheets) > 1:
        print(f"Seeds {', '.join(map(str, options.seeds))} together.")
    print_p95(sheet, others)
    missed = (print_others(others) if others else 0) + (print_jittered(jittered) if jittered else 0)
    return int(missed > 0 or not sheet.is_within_limits)


if __name__ == "__main__":
    sys.exit(main())
