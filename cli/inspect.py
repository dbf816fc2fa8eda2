"""``ablmargin inspect``: which CT series lie in a folder, and what is wrong with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import options


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A folder of DICOM files, searched to any depth, a DICOMDIR or one file.")
    ],
    *,
    as_json: options.Json = False,
) -> int:
    """List the CT series found under PATH, their geometry, and every problem found. Exits with 0 whatever it finds."""
    from ablmargin.dicom.overview import overview
    from ablmargin.loading import require_there

    from .terminal import print_series, progress_bars

    require_there(path, str(path), expected="a folder of DICOM files, or one file")
    with progress_bars() as progress:
        findings = overview(path, progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(findings, indent=2) + "\n")
    else:
        print_series(findings)
    return 0
