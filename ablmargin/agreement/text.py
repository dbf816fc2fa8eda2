"""A comparison as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from ablmargin.agreement.comparison import Comparison
from ablmargin.agreement.remarks import remarks
from ablmargin.agreement.sheet import (
    VERDICT_HEAD,
    Line,
    flip_head,
    flip_rows,
    gap_heading,
    gap_rows,
    margin_lines,
    overall_lines,
    pair_title,
    title,
    verdict_rows,
)
from ablmargin.agreement.verdicts import VerdictAgreement
from ablmargin.errors import printable
from ablmargin.report import DISCLAIMER

WIDTH = 110
"""Of sentences; tables are as wide as they are."""
SHOWN = 20
"""Lesions of a list; --json and --out have all."""


def comparison_text(comparison: Comparison) -> str:
    """The whole comparison, tables aligned by spaces."""
    lines = [printable(f"Agreement of {title(comparison)}")]
    lines += [line for remark in remarks(comparison) for line in wrap(remark, WIDTH)]
    for pair in comparison.pairs:
        lines += ["", f"{pair_title(pair)}: margins"]
        if pair.margins is None:
            lines.append("  no lesion has a margin of both")
        else:
            lines += _figures(margin_lines(pair.margins, first=pair.first, second=pair.second))
        lines += _verdicts(f"{pair_title(pair)}: verdicts (Cohen's kappa, Gwet's AC1)", pair.verdicts)
    if comparison.overall is not None:
        lines += ["", "all together: margins", *_figures(overall_lines(comparison.overall))]
        lines += _verdicts("all together: verdicts (Fleiss' kappa, Gwet's AC1)", comparison.overall.verdicts)
    lines += _list("lesions that readers answer differently", [flip_head(comparison), *flip_rows(comparison)])
    lines += _list(gap_heading(comparison), [("lesion", "why"), *gap_rows(comparison)])
    return "\n".join([*lines, "", DISCLAIMER]) + "\n"


def _figures(figures: Sequence[Line]) -> Iterator[str]:
    head = ("", "", "95 % interval", "")
    return _table([head, *((one.name, one.value, one.interval, one.meaning) for one in figures)])


def _verdicts(heading: str, verdicts: Sequence[VerdictAgreement]) -> list[str]:
    return ["", heading, *_table([VERDICT_HEAD, *verdict_rows(verdicts)])] if verdicts else []


def _list(heading: str, rows: Sequence[Sequence[str]]) -> list[str]:
    if len(rows) < 2:
        return ["", f"{heading}: none"]
    more = len(rows) - 1 - SHOWN
    rest = [f"  ... and {more} more (--json lists all)"] if more > 0 else []
    return ["", f"{heading}: {len(rows) - 1}", *_table(rows[: SHOWN + 1]), *rest]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
