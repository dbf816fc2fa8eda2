"""``ablmargin compare``: agreement over the same lesions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import options


def compare(
    *,
    results: Annotated[
        list[Path],
        typer.Argument(
            help="One a reader: a case folder, a batch's folder, a folder of case folders, or a table (CSV, Parquet) with "
            "case_id, lesion_id, mam_mm and, if there is one, verdict.",
            metavar="RESULT RESULT ...",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="A folder to make: comparison.html, plots, comparison.json, lesions.csv.", metavar="DIR"
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--names", help="What the readers are called; else their folders or files.", metavar="A,B"),
    ] = None,
    seed: options.Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier comparison; it is kept beside it.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Agreement of readers, programs or versions over the same lesions; see docs/compare.md."""
    from ablmargin.agreement.load import compare as compare_results
    from ablmargin.agreement.page import RECORD, comparison_json

    from .casework import Output
    from .terminal import say

    Output(folder=out, overwrite=overwrite, what="comparison", record=RECORD).require_writable(results)
    comparison = compare_results(results, names=None if names is None else names.split(","), seed=seed)
    if out is not None:
        comparison.save(out, overwrite=overwrite)
    sys.stdout.write(comparison_json(comparison) if as_json else str(comparison))
    if out is not None:
        say(f"Written to {out}: open {out / 'comparison.html'}")
    return 0
