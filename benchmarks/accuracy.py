"""Accuracy of the measured margins on random shapes with exact truth, over several seeds.

``python benchmarks/accuracy.py --pairs 64 --seeds 0 1`` measures what ``ablmargin validate`` does, prints the sheet of all
seeds together and exits with 1 if a limit isn't met.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from ablmargin.report import DISCLAIMER
from ablmargin.threads import one_blas_thread
from ablmargin.validation.sheet import AccuracySheet, measure_accuracy
from ablmargin.validation.text import sheet_markdown


def pooled(sheets: list[AccuracySheet], pairs: int) -> AccuracySheet:
    """All sheets as one; pairs of later seeds are numbered on."""
    rows = tuple(
        replace(row, number=row.number + place * pairs) for place, sheet in enumerate(sheets) for row in sheet.rows
    )
    return AccuracySheet(rows=rows, seed=sheets[0].seed, elapsed_s=sum(sheet.elapsed_s for sheet in sheets))


def tell(step: str, share: float) -> None:
    """Progress, for those who watch."""
    print(f"\r{step} {100 * share:3.0f} %", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


def main() -> int:
    """Print the sheet; 1 if a limit isn't met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=64, help="a slice spacing and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    with one_blas_thread():
        sheets = [measure_accuracy(pairs=options.pairs, seed=seed, progress=tell) for seed in options.seeds]
    sheet = pooled(sheets, options.pairs)
    print(sheet_markdown(sheet, disclaimer=DISCLAIMER))
    if len(sheets) > 1:
        print(f"Seeds {', '.join(map(str, options.seeds))} together.")
    return int(not sheet.is_within_limits)


if __name__ == "__main__":
    sys.exit(main())
