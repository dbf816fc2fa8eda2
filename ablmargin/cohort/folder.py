"""The folder of a cohort: the page, its pictures, its tables and ``cohort.json``. It appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.drawings import drawings_of
from ablmargin.cohort.page import cohort_html
from ablmargin.cohort.record import cohort_record
from ablmargin.cohort.sheets import sheets_of
from ablmargin.report.casefolder import new_folder


def write_cohort_folder(cohort: Cohort, out: Path, *, overwrite: bool) -> None:
    """Write ``cohort.html``, ``cohort.json``, ``tables/*.csv`` and ``figures/*.svg``.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``overwrite`` is False, or is a file.
    """
    drawings = drawings_of(cohort)
    with new_folder(out, overwrite=overwrite) as folder:
        (folder / "cohort.html").write_text(cohort_html(cohort, drawings), encoding="utf-8")
        (folder / "cohort.json").write_text(cohort_json(cohort), encoding="utf-8")
        (folder / "figures").mkdir()
        for name, drawing in drawings.items():
            (folder / "figures" / f"{name}.svg").write_bytes(drawing.svg)
        (folder / "tables").mkdir()
        for name, text in sheets_of(cohort).items():
            (folder / "tables" / f"{name}.csv").write_text(text, encoding="utf-8")


def cohort_json(cohort: Cohort) -> str:
    """``cohort.json`` as text."""
    return json.dumps(cohort_record(cohort), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
