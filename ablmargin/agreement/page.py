"""A comparison as a folder: a page that opens offline, plots, tables for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from ablmargin.agreement.comparison import Comparison, OverallAgreement, PairAgreement
from ablmargin.agreement.plot import draw_pair, svg_text
from ablmargin.agreement.record import comparison_record, lesions_csv
from ablmargin.agreement.remarks import remarks
from ablmargin.agreement.sheet import (
    VERDICT_HEAD,
    flip_head,
    flip_rows,
    gap_heading,
    gap_rows,
    margin_lines,
    overall_lines,
    pair_summary,
    pair_title,
    title,
    verdict_rows,
)
from ablmargin.report import DISCLAIMER
from ablmargin.report.casefolder import new_folder
from ablmargin.report.html import Picture, with_minus_signs
from ablmargin.report.png import png_bytes
from ablmargin.result import software_versions

_ALTERNATIVE = (
    "Differences of the two readers' margins against their means, and one reader's margins against the other's."
)
_CAPTION = (
    "Left: the difference of each lesion’s two margins against their mean, with the bias, the limits of agreement (dashed) and "
    "their 95 % intervals (shaded). Right: one reader against the other, with equality (thin line) and the thresholds (dashed). "
    "Diamonds: lesions that the two answer differently."
)


RECORD = "comparison.json"


def save_comparison(comparison: Comparison, out: Path, *, overwrite: bool = False) -> None:
    """Write ``comparison.html``, ``comparison.json``, ``lesions.csv`` and a plot a pair as SVG and PNG.

    The folder appears whole or not at all. With ``overwrite`` one that isn't empty is kept as ``<out>.previous-<n>``.

    Raises
    ------
    UsageError
        If ``out`` isn't empty and ``overwrite`` is False, or can't be made.
    """
    drawings = _drawings(comparison)
    with new_folder(out, overwrite=overwrite) as folder:
        for number, drawing in enumerate(drawings, start=1):
            if drawing is not None:
                (folder / f"pair-{number}.svg").write_text(drawing.svg, encoding="utf-8")
                (folder / f"pair-{number}.png").write_bytes(drawing.png)
        (folder / "comparison.html").write_text(_page(comparison, drawings), encoding="utf-8")
        (folder / RECORD).write_text(comparison_json(comparison), encoding="utf-8")
        (folder / "lesions.csv").write_text(lesions_csv(comparison), encoding="utf-8")


def comparison_json(comparison: Comparison) -> str:
    """The record as text."""
    return json.dumps(comparison_record(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_html(comparison: Comparison) -> str:
    """The page: one file, pictures included, without scripts."""
    return _page(comparison, _drawings(comparison))


def pictures_of(comparison: Comparison) -> list[Picture]:
    """A plot of every pair that has margins."""
    return [_picture(drawing) for drawing in _drawings(comparison) if drawing is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    svg: str
    png: bytes


def _drawings(comparison: Comparison) -> list[_Drawing | None]:
    """A plot a pair, None for one without margins."""
    return [None if pair.margins is None else _drawing(pair) for pair in comparison.pairs]


def _drawing(pair: PairAgreement) -> _Drawing:
    figure = draw_pair(pair, pair.flips)
    return _Drawing(svg=svg_text(figure), png=png_bytes(figure))


def _picture(drawing: _Drawing) -> Picture:
    return Picture.of(drawing.png, _ALTERNATIVE, _CAPTION)


def _page(comparison: Comparison, drawings: Sequence[_Drawing | None]) -> str:
    page = _environment().get_template("comparison.html.j2")
    return page.render(
        disclaimer=DISCLAIMER,
        title=title(comparison),
        remarks=list(remarks(comparison)),
        pairs=[_pair(pair, drawing) for pair, drawing in zip(comparison.pairs, drawings, strict=True)],
        overall=comparison.overall and _overall(comparison.overall),
        verdict_head=VERDICT_HEAD,
        flip_head=flip_head(comparison),
        flips=flip_rows(comparison),
        gap_heading=gap_heading(comparison).capitalize(),
        gaps=gap_rows(comparison),
        software=software_versions(),
    )


def _pair(pair: PairAgreement, drawing: _Drawing | None) -> dict[str, Any]:
    return {
        "title": pair_title(pair),
        "summary": pair_summary(pair),
        "picture": drawing and _picture(drawing),
        "lines": margin_lines(pair.margins, first=pair.first, second=pair.second) if pair.margins else [],
        "verdicts": verdict_rows(pair.verdicts),
    }


def _overall(overall: OverallAgreement) -> dict[str, Any]:
    return {"lines": overall_lines(overall), "verdicts": verdict_rows(overall.verdicts)}


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("ablmargin.agreement"), PackageLoader("ablmargin.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = with_minus_signs
    return environment
