"""The published curve of ``calibration.py``: wrong calls and indeterminate verdicts against the alignment's error."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from calibration_cases import SDS_MM
from calibration_counts import Cases, point_shares, rule_shares, weights_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablmargin.report.palette import BANDS, INK, MUTED

POINT, RULE = BANDS[1].color, BANDS[3].color


def plot(cases: Cases, path: Path) -> None:
    """Draw the curve for a required margin of 5 mm as PNG."""
    with mpl.rc_context({"font.size": 9, "axes.edgecolor": MUTED, "text.color": INK, "axes.labelcolor": INK}):
        figure = Figure(figsize=(8.8, 3.2), layout="constrained", dpi=150)
        adequate, inadequate, missing = figure.subplots(1, 3)
        _draw_wrong(adequate, cases, "wrong_among_adequate", "Called adequate, but isn't")
        _draw_wrong(inadequate, cases, "wrong_among_inadequate", "Called inadequate, but isn't")
        _draw_missing(missing, cases)
        figure.savefig(path, metadata={"Software": ""})


def _draw_wrong(axes: Axes, cases: Cases, name: str, title: str) -> None:
    for shares, color, label in ((point_shares, POINT, "minimum alone"), (rule_shares, RULE, "with bounds")):
        values = []
        for sd in SDS_MM:
            here = [case for case in cases if case.sd_mm == sd]
            values.append(100 * getattr(shares(here, 5.0, weights_of(here)), name))
        axes.plot(SDS_MM, values, "o-", color=color, label=label)
    axes.axhline(5, color=MUTED, lw=0.8, ls=":")
    _finish(axes, title, "wrong among these calls, %", top=35)
    axes.legend(frameon=False, loc="upper left")


def _draw_missing(axes: Axes, cases: Cases) -> None:
    for required_mm, style in ((5.0, "o-"), (10.0, "o--")):
        values = []
        for sd in SDS_MM:
            here = [case for case in cases if case.sd_mm == sd]
            values.append(100 * rule_shares(here, required_mm, weights_of(here)).indeterminate)
        axes.plot(SDS_MM, values, style, color=RULE, label=f"{required_mm:.0f} mm required")
    _finish(axes, "No verdict", "indeterminate, %", top=100)
    axes.legend(frameon=False, loc="upper left")


def _finish(axes: Axes, title: str, label: str, *, top: float) -> None:
    axes.set(xlabel="alignment error, sd in mm", ylabel=label, xlim=(0, 3.2), ylim=(0, top))
    axes.set_title(title, fontsize=9.5)
    axes.spines[["top", "right"]].set_visible(False)
