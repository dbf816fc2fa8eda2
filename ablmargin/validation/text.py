"""The accuracy sheet as text for people and as data for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from ablmargin.result import software_versions
from ablmargin.validation.measure import PairErrors
from ablmargin.validation.sheet import GROUPS, AccuracySheet, Check

SCHEMA = "ablmargin.accuracy/1"
MINIMA = {
    "mam_mm": "`mam_mm`",
    "raw_mm": "`mam_raw_mm`, from voxel to voxel",
    "qam_mm": "QAM's published method",
}
OTHERS = ("mean_mm", "qam_mean_mm", "surface_share", "qam_surface_share", "coverage", "tumor_volume")
MEANING = """\
Simulated smooth shapes with exact margins, masked without any error of drawing and measured without any registration.
This is the accuracy of the geometry, not of a patient's result: there, readers' outlines and the alignment of the two
exams are off by more than this. `mam_lower_mm` and `mam_upper_mm` account for those."""
METHOD = """\
Tumors of 5 to 14 mm radius, zones 1 to 9 mm wider and up to 6 mm off center, voxels of 0.7 mm in plane, half of the grids
oblique: balls, ellipsoids and lumpy ellipsoids ("smooth"), and balls in two fused balls with a sharp crease ("fused"). The
truth comes from closed forms and fine quadrature, good to 0.01 mm and 0.2 %. An error is estimate minus truth, so a
positive one claims too much margin; p95 and largest are of its size. QAM's published method (Sandu et al., Front Oncol 2021,
doi:10.3389/fonc.2021.623098) is written anew from its description."""


def sheet_markdown(sheet: AccuracySheet, *, disclaimer: str) -> str:
    """The sheet for people: what it means, limits first, then all figures."""
    software = ", ".join(f"{name} {number}" for name, number in software_versions().items())
    failed = [check for check in sheet.checks if not check.met]
    verdict = "All figures are within their limits." if not failed else f"**{len(failed)} LIMITS ARE NOT MET.**"
    parts = [
        "# Accuracy of this installation",
        verdict,
        MEANING,
        disclaimer,
        "## Figures with limits",
        _table(("slices", "figure", "measured", "limit", ""), map(_check_row, sheet.checks)),
        "## Error of the minimum margin, mm: p95 / largest / bias",
        _table(("slices", "estimate", *(f"{group} shapes" for group in GROUPS)), _minimum_rows(sheet)),
        "## Other errors, all shapes: p95 / largest",
        _table(
            (
                "slices",
                "mean margin, mm",
                "QAM's mean, mm",
                "surface shares",
                "QAM's shares",
                "coverage shares",
                "tumor volume",
            ),
            _other_rows(sheet),
        ),
        "## How it was measured",
        METHOD,
        f"{_pairs(sheet)} pairs a slice spacing, seed {sheet.seed}, {sheet.elapsed_s:.0f} s. {software}.",
    ]
    return "\n\n".join(parts) + "\n"


def sheet_record(sheet: AccuracySheet) -> dict[str, Any]:
    """The same figures for programs: mm, and shares 0..1."""
    return {
        "schema": SCHEMA,
        "within_limits": sheet.is_within_limits,
        "pairs_per_slice_spacing": _pairs(sheet),
        "seed": sheet.seed,
        "elapsed_s": round(sheet.elapsed_s, 1),
        "software": software_versions(),
        "checks": [{**asdict(check), "met": check.met} for check in sheet.checks],
        "slice_spacings": [
            {
                "slice_spacing_mm": spacing,
                "minimum_margin": {
                    name: {group: asdict(sheet.spread(name, spacing, group)) for group in GROUPS} for name in MINIMA
                },
                **{name: asdict(sheet.spread(name, spacing)) for name in OTHERS},
            }
            for spacing in sheet.slice_spacings_mm
        ],
    }


def pairs_csv(sheet: AccuracySheet) -> str:
    """A row a pair and slice spacing."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(PairErrors))
    table.writerows([_plain(value) for value in asdict(row).values()] for row in sheet.rows)
    return text.getvalue()


def _pairs(sheet: AccuracySheet) -> int:
    return len({row.number for row in sheet.rows})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _check_row(check: Check) -> tuple[str, ...]:
    met = "met" if check.met else "**NOT MET**"
    return (_slices(check.slice_spacing_mm), check.name, f"{check.measured:.3f}", f"{check.limit:.2f}", met)


def _minimum_rows(sheet: AccuracySheet) -> Iterable[tuple[str, ...]]:
    for spacing in sheet.slice_spacings_mm:
        for name, title in MINIMA.items():
            spreads = [sheet.spread(name, spacing, group) for group in GROUPS]
            figures = (f"{spread.p95:.2f} / {spread.largest:.2f} / {spread.bias:+.2f}" for spread in spreads)
            yield (_slices(spacing), title, *figures)


def _other_rows(sheet: AccuracySheet) -> Iterable[tuple[str, ...]]:
    for spacing in sheet.slice_spacings_mm:
        spreads = [sheet.spread(name, spacing) for name in OTHERS]
        yield (_slices(spacing), *(f"{spread.p95:.3f} / {spread.largest:.3f}" for spread in spreads))


def _slices(spacing_mm: float) -> str:
    return f"{spacing_mm:g} mm"


def _plain(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value
