"""``ablmargin cohort``: what the results of a batch tell together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import options


def cohort(
    *,
    results: Annotated[
        Path,
        typer.Argument(
            help="The folder of a batch, or whatever else holds results: a table, a folder of case folders.",
            metavar="DIR",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="The folder to make: cohort.html, cohort.json, tables/, figures/.", metavar="DIR"),
    ],
    horizon_months: Annotated[
        float,
        typer.Option(
            "--horizon", help="Until when progression is foretold, months (ROC, calibration).", min=1.0, max=240.0
        ),
    ] = 24.0,
    seed: options.Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier page; it is kept beside it.")
    ] = False,
    as_json: options.Json = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Tables, plots and statistics over a batch's results, with follow-up where the manifest has it."""
    from ablmargin.errors import MissingExtraError

    try:
        from ablmargin.cohort.analysis import analyze_cohort
        from ablmargin.cohort.folder import cohort_json, write_cohort_folder
        from ablmargin.cohort.table import read_results
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'cohort needs {error.name}, which isn\'t installed: pip install "ablmargin[cohort]"'
        ) from error

    from .casework import Output
    from .terminal import say

    Output(folder=out, overwrite=overwrite, what="cohort", record="cohort.json").require_writable([results])
    found = analyze_cohort(read_results(results), horizon_months=horizon_months, seed=seed)
    write_cohort_folder(found, out, overwrite=overwrite)
    if as_json:
        sys.stdout.write(cohort_json(found))
    say(f"Written to {out}: open {out / 'cohort.html'}")
    return 0
