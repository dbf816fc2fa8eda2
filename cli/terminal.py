"""What is printed: progress on standard error for people who watch, findings on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ablmargin.errors import printable
from ablmargin.progress import Progress as Listener
from ablmargin.progress import silent
from ablmargin.report import DISCLAIMER
from ablmargin.report.place import place_sentences
from ablmargin.result import CaseResult, LesionResult

SHOWN_FILES = 20
"""Of those that are no slices; --json lists all."""
FILE_WIDTH = 140
"""Of tables that go into a file or a pipe, where no terminal says how wide it is."""


@contextmanager
def progress_bars() -> Iterator[Listener]:
    """A listener that draws a bar a step on standard error; a silent one where that isn't a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bars:
        tasks: dict[str, TaskID] = {}

        def listen(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=1.0)
            bars.update(tasks[step], completed=share)

        yield listen


def say(text: str) -> None:
    """Tell something in one line to whoever watches, on standard error."""
    _print(Console(stderr=True, highlight=False, soft_wrap=True), text)


def write_lines(lines: Iterable[str]) -> None:
    """Findings on standard output, a line each whatever they hold."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def print_summary(result: CaseResult) -> None:
    """A few lines on standard output: the verdict, each lesion, the warnings."""
    lines = [f"{result.case_id}: {result.verdict or result.status}"]
    if result.status == "withheld":
        lines.append("  The registration failed, so no margin is given:")
        lines += [f"  {reason}" for reason in (result.quality.reasons if result.quality else ())]
    else:
        for lesion in result.lesions:
            lines += _lesion_lines(lesion)
    if result.quality is not None:
        lines.append(f"  registration: {result.quality.quality}")
    lines += [f"  {caution.code}: {caution.message}" for caution in result.cautions]
    lines.append(DISCLAIMER)
    write_lines(lines)


def print_series(findings: Mapping[str, Any]) -> None:
    """A table of the series in a folder, then what is wrong with each, then what is none."""
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else FILE_WIDTH)
    table = Table(
        "no.", "description", "phase", "contrast", "kernel", "slices", "spacing mm", "thick", "acquired", "usable"
    )
    for series in findings["series"]:
        table.add_row(*(escape(printable(text)) for text in _series_row(series)))
    if findings["series"]:
        console.print(table)
    else:
        console.print("No CT series found.")
    for series in findings["series"]:
        for problem in series["problems"]:
            _print(console, f"series {series['number']}: {problem['message']}")
        for caution in series["cautions"]:
            _print(console, f"series {series['number']}: {caution['code']}: {caution['message']}")
    for file in findings["skipped"][:SHOWN_FILES]:
        _print(console, f"not a slice: {file['file']}: {file['code']}: {file['reason']}")
    if len(findings["skipped"]) > SHOWN_FILES:
        console.print(f"... and {len(findings['skipped']) - SHOWN_FILES} more files (--json lists all)")


def _print(console: Console, text: str) -> None:
    """Print a line that may hold names of files: they can neither forge another one nor send codes to the terminal."""
    console.print(printable(text), markup=False)


def _series_row(series: Mapping[str, Any]) -> list[str]:
    spacing, thickness = series["spacing_mm"], series["slice_thickness_mm"]
    return [
        str(series["number"]),
        " ".join(word for word in (series["description"], series["part"]) if word),
        series["phase"] or "",
        series["contrast_agent"] or "",
        series["kernel"] or "",
        f"{series['slices']} of {series['rows']}×{series['columns']}",
        "irregular" if spacing is None else " × ".join(f"{length:.2f}" for length in spacing),
        "" if thickness is None else f"{thickness:g}",
        series["acquired"] or "",
        "yes" if series["usable"] else "no",
    ]


def _lesion_lines(lesion: LesionResult) -> list[str]:
    bounds = lesion.bounds
    between = "no bounds" if bounds is None else f"95 % bounds {_mm(bounds.lower_mm)} and {_mm(bounds.upper_mm)} mm"
    judgement = lesion.judgement
    within = " within the liver" if lesion.judges_constrained else ""
    return [
        f"  lesion {lesion.lesion_id}: {judgement.verdict}; {judgement.required_margin_mm:.0f} mm required",
        f"    minimum margin{within} {_mm(lesion.judged_minimum_mm)} mm ({between}), thinnest {lesion.direction_at(lesion.judged_index)}",
        *_unconstrained_line(lesion),
        *(f"    {sentence}" for sentence in place_sentences(lesion)[:1]),
        *(f"    {reason}" for reason in judgement.reasons),
    ]


def _unconstrained_line(lesion: LesionResult) -> list[str]:
    """The minimum that the verdict isn't about, where the two differ as printed."""
    plain = _mm(lesion.margin.minimum_mm)
    return [] if plain == _mm(lesion.judged_minimum_mm) else [f"    with nothing excluded {plain} mm"]


def _mm(value: float) -> str:
    """To a tenth, without a minus sign before a zero."""
    return f"{round(value, 1) + 0.0:.1f}"
