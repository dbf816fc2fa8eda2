"""From a matplotlib figure to SVG, without pyplot: no window, no global state, no fonts needed to show it."""

from __future__ import annotations

import io
import warnings

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablmargin.report.palette import INK, MUTED

WIDTH_IN = 9.6


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG; the same figure gives the same bytes. A sign that the font lacks becomes a box."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "ablmargin", "svg.fonttype": "path"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        _settle(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _settle(figure: Figure) -> None:
    """Lay the figure out for good; the solver's last digits differ from run to run, and names in the file depend on them."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis in figure.axes:
        left, bottom, width, height = (round(float(part), 6) for part in axis.get_position().bounds)
        axis.set_position((left, bottom, width, height))


def new_figure(height_in: float) -> Figure:
    """A white figure as wide as the page, whose parts make room for each other."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained", facecolor="white")


def plain(axis: Axes) -> None:
    """No frame but the axes that carry numbers, in the report's colors."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(MUTED)
    axis.tick_params(colors=INK, labelsize=9)
    axis.xaxis.label.set(color=INK, fontsize=10)
    axis.yaxis.label.set(color=INK, fontsize=10)
