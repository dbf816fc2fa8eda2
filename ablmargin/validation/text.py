"""The accuracy sheet as text for people and as data for programs."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from ablmargin.metrics.shapes import FEWEST_ACROSS, FEWEST_VOXELS
from ablmargin.result import software_versions
from ablmargin.validation.measure import PairErrors
from ablmargin.validation.sheet import GROUP_TITLES, GROUPS, AccuracySheet, Check, Spread, Unit, told

SCHEMA = "ablmargin.accuracy/1"
MINIMA = {
    "mam_mm": "`mam_mm`",
    "raw_mm": "`mam_raw_mm`, from voxel to voxel",
    "qam_mm": "QAM's published method",
}
OTHERS: dict[str, tuple[str, Unit]] = {
    "mean_mm": ("mean margin", "mm"),
    "qam_mean_mm": ("QAM's mean", "mm"),
    "surface_share": ("surface shares", "share"),
    "qam_surface_share": ("QAM's shares", "share"),
    "coverage": ("coverage shares", "share"),
    "tumor_volume": ("tumor volume", "share"),
}
ERROR_NAMES = {
    "mam_mm": "mam_error_mm",
    "raw_mm": "mam_raw_error_mm",
    "qam_mm": "qam_mam_error_mm",
    "mean_mm": "mean_error_mm",
    "qam_mean_mm": "qam_mean_error_mm",
    "surface_share": "surface_share_error",
    "qam_surface_share": "qam_surface_share_error",
    "coverage": "coverage_error",
    "tumor_volume": "tumor_volume_relative_error",
}
"""What the errors of a pair are called in files."""
NONE_MEASURED = "–"
MEANING = """\
Simulated shapes with exact margins, masked without any error of drawing and measured without any registration.
This is the accuracy of the geometry, not of a patient's result: there, readers' outlines and the alignment of the two
exams are off by more than this. `mam_lower_mm` and `mam_upper_mm` account for those."""
METHOD = f"""\
Tumors of 5 to 14 mm radius, zones 1 to 9 mm wider and up to 6 mm off center, voxels of 0.7 mm in plane, half of the grids
oblique: balls, ellipsoids and lumpy ellipsoids ("smooth"), and balls in two fused balls, ellipsoids in two fused ellipsoids
and balls in three fused balls, with sharp creases. The truth comes from closed forms and fine quadrature, good to 0.01 mm and
0.2 %. An error is estimate minus truth, so a positive one claims too much margin; p95 and largest are of its size. Errors of
shares are differences of shares, that of the volume is relative to it. Masks of less than {FEWEST_VOXELS} voxels, or of
less than {FEWEST_ACROSS} across, get no verdict in a case and are left out here. QAM's published method (Sandu et al., Front Oncol 2021,
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
        _table(("slices", "estimate", *GROUP_TITLES.values()), _minimum_rows(sheet)),
        "## Other errors, all shapes: p95 / largest",
        _table(
            ("slices", *(f"{title}, {'mm' if unit == 'mm' else '%'}" for title, unit in OTHERS.values())),
            _other_rows(sheet),
        ),
        "## How it was measured",
        METHOD,
        f"{_pairs(sheet)} pairs of shapes, seed {sheet.seed}, {sheet.elapsed_s:.0f} s. {_left_out(sheet)} {software}.",
    ]
    return "\n\n".join(parts) + "\n"


def sheet_record(sheet: AccuracySheet) -> dict[str, Any]:
    """The same figures for programs: mm, and shares 0..1."""
    return {
        "schema": SCHEMA,
        "within_limits": sheet.is_within_limits,
        "pairs": _pairs(sheet),
        "seed": sheet.seed,
        "elapsed_s": round(sheet.elapsed_s, 1),
        "software": software_versions(),
        "checks": [{**asdict(check), "met": check.met} for check in sheet.checks],
        "slice_spacings": [
            {
                "slice_spacing_mm": spacing,
                "measured": len(sheet.errors("mam_mm", spacing)),
                "left_out": sheet.left_out_mm.count(spacing),
                "minimum_margin": {
                    ERROR_NAMES[name]: {group: _plain_spread(sheet.spread(name, spacing, group)) for group in GROUPS}
                    for name in MINIMA
                },
                **{ERROR_NAMES[name]: _plain_spread(sheet.spread(name, spacing)) for name in OTHERS},
            }
            for spacing in sheet.slice_spacings_mm
        ],
    }


def pairs_csv(sheet: AccuracySheet) -> str:
    """A row a pair and slice spacing."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(ERROR_NAMES.get(field.name, field.name) for field in fields(PairErrors))
    table.writerows([_plain(value) for value in asdict(row).values()] for row in sheet.rows)
    return text.getvalue()


def _pairs(sheet: AccuracySheet) -> int:
    return len({row.number for row in sheet.rows})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _check_row(check: Check) -> tuple[str, ...]:
    met = "met" if check.met else "**NOT MET**"
    return (
        _slices(check.slice_spacing_mm),
        check.name,
        told(check.measured, check.unit),
        told(check.limit, check.unit),
        met,
    )


def _minimum_rows(sheet: AccuracySheet) -> Iterable[tuple[str, ...]]:
    for spacing in sheet.slice_spacings_mm:
        for name, title in MINIMA.items():
            spreads = [sheet.spread(name, spacing, group) for group in GROUPS]
            yield (_slices(spacing), title, *map(_minimum, spreads))


def _other_rows(sheet: AccuracySheet) -> Iterable[tuple[str, ...]]:
    for spacing in sheet.slice_spacings_mm:
        yield (_slices(spacing), *(_other(sheet.spread(name, spacing), unit) for name, (_, unit) in OTHERS.items()))


def _minimum(spread: Spread | None) -> str:
    return NONE_MEASURED if spread is None else f"{spread.p95:.2f} / {spread.largest:.2f} / {spread.bias:+.2f}"


def _other(spread: Spread | None, unit: Unit) -> str:
    if spread is None:
        return NONE_MEASURED
    factor, digits = (1, 3) if unit == "mm" else (100, 1)
    return f"{factor * spread.p95:.{digits}f} / {factor * spread.largest:.{digits}f}"


def _left_out(sheet: AccuracySheet) -> str:
    if not sheet.left_out_mm:
        return "None was left out."
    counts = sorted(Counter(sheet.left_out_mm).items())
    listed = ", ".join(f"{count} at slices of {_slices(spacing)}" for spacing, count in counts)
    return f"Left out, too few voxels to judge: {listed}."


def _plain_spread(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else asdict(spread)


def _slices(spacing_mm: float) -> str:
    return f"{spacing_mm:g} mm"


def _plain(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value
