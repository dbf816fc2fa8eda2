"""``ablmargin validate``: the accuracy of this installation, against exact truth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import options

LEAST_PAIRS, ENOUGH_PAIRS = 4, 40
DISTRUST = "this installation doesn't measure as accurately as it should. Don't use its results; tell us."
TOO_FEW = f"with so few pairs a single shape decides. Run it with {ENOUGH_PAIRS} before you mistrust the installation."


def validate(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder to make for accuracy.md, accuracy.json and pairs.csv.", metavar="DIR"),
    ] = None,
    pairs: Annotated[
        int, typer.Option("--pairs", help="Random pairs of shapes, a slice spacing.", min=LEAST_PAIRS)
    ] = ENOUGH_PAIRS,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> int:
    """Measure the accuracy of this installation against exact truth; fails if a limit isn't met."""
    from ablmargin.report import DISCLAIMER
    from ablmargin.validation.sheet import measure_accuracy
    from ablmargin.validation.text import pairs_csv, sheet_markdown, sheet_record

    from .casework import Output
    from .terminal import progress_bars, say

    Output(folder=out, can_overwrite=False).require_writable([])
    with progress_bars() as progress:
        sheet = measure_accuracy(pairs=pairs, seed=seed, progress=progress)
    text = sheet_markdown(sheet, disclaimer=DISCLAIMER)
    record = json.dumps(sheet_record(sheet), indent=1, allow_nan=False) + "\n"
    sys.stdout.write(record if as_json else text)
    if out is not None:
        _write(out, {"accuracy.md": text, "accuracy.json": record, "pairs.csv": pairs_csv(sheet)})
        say(f"Written to {out}")
    failed = [check for check in sheet.checks if not check.met]
    for check in failed:
        say(f"ablmargin: NOT MET: {check}")
    if failed:
        say(f"ablmargin: {DISTRUST if pairs >= ENOUGH_PAIRS else TOO_FEW}")
    return int(bool(failed))


def _write(out: Path, texts: dict[str, str]) -> None:
    """Make a folder of text files, whole or not at all."""
    from ablmargin.report.casefolder import new_folder

    with new_folder(out, overwrite=False) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
