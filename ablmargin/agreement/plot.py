"""Two readers in one picture: their difference against their mean, and one against the other."""

from __future__ import annotations

import io
from collections.abc import Collection
from textwrap import wrap

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ablmargin.agreement.comparison import PairAgreement
from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.margins import MarginAgreement
from ablmargin.agreement.readings import LesionKey
from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.geometry import BoolArray
from ablmargin.report.palette import INK, MUTED

LINE, LONGEST = 30, 50
"""Letters that fit beside an axis, and those of a name that is told whole."""
PAD_INCHES = 0.1
SAME, FLIPPED, SHADE = "#2f7fb8", "#b8431f", "#9fb6c6"


def draw_pair(pair: PairAgreement, flipped: Collection[LesionKey]) -> Figure:
    """Draw Bland and Altman's plot with intervals beside a scatter plot; lesions in ``flipped`` stand out.

    The pair must have margins.
    """
    margins = pair.margins
    assert margins is not None, "there is nothing to draw"
    layout = ConstrainedLayoutEngine(h_pad=PAD_INCHES, w_pad=PAD_INCHES)
    figure = Figure(figsize=(10.2, 4.6), layout=layout, facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    marked = np.array([key in flipped for key in margins.keys], bool)
    _draw_differences(left, margins, marked)
    left.set_xlabel("Mean of the two margins, mm", color=INK)
    left.set_ylabel(_label(f"{_short(pair.second)} − {_short(pair.first)}, mm"), color=INK)
    _draw_scatter(right, margins, marked)
    right.set_xlabel(_label(f"{_short(pair.first)}, mm"), color=INK)
    right.set_ylabel(_label(f"{_short(pair.second)}, mm"), color=INK)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
    if marked.any():
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure


def svg_text(figure: Figure) -> str:
    """The figure as SVG, text as text; the same figure gives the same file."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "ablmargin", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _draw_differences(axis: Axes, margins: MarginAgreement, marked: BoolArray) -> None:
    for estimate, style, label in (
        (margins.bias_mm, "-", "bias"),
        (margins.lower_limit_mm, (0, (5, 3)), "lower limit"),
        (margins.upper_limit_mm, (0, (5, 3)), "upper limit"),
    ):
        _draw_level(axis, estimate, style, label)
    axis.axhline(0.0, color=MUTED, linewidth=0.8)
    _draw_points(axis, (margins.first_mm + margins.second_mm) / 2, margins.differences_mm, marked, labelled=True)


def _draw_level(axis: Axes, estimate: Estimate, style: object, label: str) -> None:
    if estimate.value is None:
        return
    if estimate.lower is not None and estimate.upper is not None:
        axis.axhspan(estimate.lower, estimate.upper, color=SHADE, alpha=0.28, linewidth=0)
    axis.axhline(estimate.value, color=INK, linewidth=1.3, linestyle=style)
    text = f"{label} {estimate.value:+.2f} mm".replace("-", "−")
    axis.annotate(
        text,
        (1.0, estimate.value),
        (-2, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8.5,
        color=INK,
    )


def _draw_scatter(axis: Axes, margins: MarginAgreement, marked: BoolArray) -> None:
    every = np.concatenate([margins.first_mm, margins.second_mm])
    low, high = float(every.min()) - 1, float(every.max()) + 1
    axis.plot([low, high], [low, high], color=MUTED, linewidth=0.8)
    for threshold in THRESHOLDS_MM:
        if low < threshold < high:
            axis.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            axis.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    _draw_points(axis, margins.first_mm, margins.second_mm, marked, labelled=False)
    axis.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def _draw_points(axis: Axes, x: object, y: object, marked: BoolArray, *, labelled: bool) -> None:
    """Lesions of one answer as dots, others as diamonds."""
    for where, marker, color, label in ((~marked, "o", SAME, "same answers"), (marked, "D", FLIPPED, "answers differ")):
        if where.any():
            name = label if labelled else "_nolegend_"
            places = np.asarray(x)[where], np.asarray(y)[where]
            axis.scatter(*places, s=26, marker=marker, color=color, alpha=0.8, linewidths=0, label=name, zorder=3)


def _label(text: str) -> str:
    """In lines that fit beside an axis, and not taken for a formula."""
    return "\n".join(wrap(text, LINE)).replace("$", r"\$")


def _short(name: str) -> str:
    """A name with its middle left out if it needs more than two lines."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-(LONGEST // 2 - 1) :]}"
