"""The margin on one ruler: the minimum with its bounds against what is required, and how much surface has less."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.report.numbers import percent, signed_mm
from ablmargin.report.palette import BANDS, INK, MUTED
from ablmargin.report.png import png_bytes
from ablmargin.result import LesionResult

LOWEST_MM, HIGHEST_MM = -25.0, 30.0
"""The longest scale; what lies beyond it is shown at its end, by an arrow."""

LONG_SCALE_MM = 24.0
"""On a longer scale the thresholds' labels would run into each other side by side."""

LABEL_REACH = 0.055
"""Half a label's width and a bit, as a share of the scale."""

HALO = [withStroke(linewidth=3.0, foreground="white")]


def draw_ruler(lesion: LesionResult) -> bytes:
    """Draw one lesion's judged minimum with its bounds above the cumulative curve of its margins, as PNG."""
    figure = Figure(figsize=(10.2, 3.7), layout="constrained", facecolor="white")
    ruler, curve = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 2.3))
    low, high = _range_mm(lesion)
    for axis in (ruler, curve):
        _paint_bands(axis, low, high)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
    _draw_minimum(ruler, lesion, low, high)
    _draw_curve(curve, lesion, low, high)
    ruler.set_xlim(low, high)
    curve.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return png_bytes(figure)


def _range_mm(lesion: LesionResult) -> tuple[float, float]:
    bounds = lesion.bounds
    lowest = [lesion.judged_minimum_mm, lesion.margin.minimum_mm, *([] if bounds is None else [bounds.lower_mm])]
    highest = [12.0, lesion.margin.percentile_mm(99), *([] if bounds is None else [bounds.upper_mm])]
    low, high = np.floor(min([-1.0, *lowest]) - 1), np.ceil(max(highest) + 1)
    return float(max(low, LOWEST_MM)), float(min(high, HIGHEST_MM))


def _paint_bands(axis: Axes, low: float, high: float) -> None:
    edges = [low, *(band.from_mm for band in BANDS[1:]), high]
    for band, (start, end) in zip(BANDS, pairwise(edges), strict=True):
        axis.axvspan(start, end, color=band.color, alpha=0.16, linewidth=0)


Side = Literal["left", "center", "right"]


def label_side(value_mm: float, low_mm: float, high_mm: float, required_mm: float) -> Side:
    """Which edge of a label stands at its value: so that it keeps off the required margin's line, and on the scale if it can.

    >>> [label_side(value, -5, 15, 10) for value in (3.0, 9.8, 10.2, -4.9, -1800.0)]
    ['center', 'right', 'left', 'left', 'left']
    """
    reach = LABEL_REACH * (high_mm - low_mm)
    if value_mm < low_mm + reach:
        return "left"
    if abs(value_mm - required_mm) < reach:
        return "left" if value_mm >= required_mm else "right"
    if value_mm > high_mm - reach:
        return "left" if value_mm - 2 * reach < required_mm else "right"
    return "center"


def _draw_minimum(axis: Axes, lesion: LesionResult, low: float, high: float) -> None:
    minimum, required, bounds = lesion.judged_minimum_mm, lesion.judgement.required_margin_mm, lesion.bounds
    axis.axvline(required, color=INK, linewidth=2.5)
    axis.text(
        required, 1.05, f"required {required:g} mm", fontsize=10, va="bottom", ha="center", color=INK, weight="bold"
    )
    if bounds is not None:
        _draw_bounds(axis, (bounds.lower_mm, bounds.upper_mm), low, high, required)
    if lesion.margin.minimum_mm < minimum:
        _draw_diamond(axis, lesion.margin.minimum_mm, low, high, markersize=8, markerfacecolor="none")
    _draw_diamond(axis, minimum, low, high, markersize=9)
    side = label_side(minimum, low, high, required)
    _draw_label(axis, float(np.clip(minimum, low, high)), 0.76, signed_mm(minimum), side, fontsize=10.5, weight="bold")
    axis.set(ylim=(0, 1), yticks=[])
    axis.set_ylabel("Minimum", fontsize=10, color=INK)


def _draw_bounds(axis: Axes, ends_mm: tuple[float, float], low: float, high: float, required: float) -> None:
    if ends_mm[1] <= low or ends_mm[0] >= high:
        beyond = low if ends_mm[1] <= low else high
        text = " to ".join(signed_mm(end).removesuffix(" mm") for end in ends_mm)
        _draw_label(axis, beyond, 0.1, text, label_side(beyond, low, high, required), fontsize=9, color=MUTED)
        return
    axis.plot(np.clip(ends_mm, low, high), [0.4, 0.4], color=INK, linewidth=7, alpha=0.35, solid_capstyle="butt")
    sides = [label_side(end, low, high, required) for end in ends_mm]
    if ends_mm[1] - ends_mm[0] < LABEL_REACH * (high - low):
        sides = ["right", "left"]  # away from each other
    for end, side in zip(ends_mm, sides, strict=True):
        place = float(np.clip(end, low, high))
        if place == end:
            axis.plot([end, end], [0.25, 0.55], color=INK, linewidth=1.5)
        _draw_label(axis, place, 0.1, signed_mm(end).removesuffix(" mm"), side, fontsize=9, color=MUTED)


def _draw_diamond(axis: Axes, value_mm: float, low: float, high: float, **style: Any) -> None:
    """Mark a value, or by an arrow at the scale's end that it lies beyond."""
    marker = "<" if value_mm < low else ">" if value_mm > high else "D"
    axis.plot(np.clip(value_mm, low, high), 0.4, marker=marker, color=INK, clip_on=False, **style)


def _draw_label(axis: Axes, place_mm: float, height: float, text: str, side: Side, **style: Any) -> None:
    shift = {"left": 4, "center": 0, "right": -4}[side]
    style = {"color": INK, "ha": side, "va": "center", "path_effects": HALO} | style
    axis.annotate(text, (place_mm, height), (shift, 0), textcoords="offset points", **style)


def _draw_curve(axis: Axes, lesion: LesionResult, low: float, high: float) -> None:
    order = np.argsort(lesion.margin.margin_mm)
    margins_mm, areas = lesion.margin.margin_mm[order], lesion.margin.area_mm2[order]
    share = np.concatenate([[0.0], np.cumsum(areas) / areas.sum(), [1.0]])
    axis.step(np.concatenate([[low], margins_mm, [high]]), 100 * share, where="post", color=INK, linewidth=1.8)
    for row, threshold in enumerate(THRESHOLDS_MM):
        below = 100 * lesion.margin.share_below(threshold)
        axis.axvline(threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axis.plot(threshold, below, marker="o", color=INK, markersize=5)
        side = -1 if below < 15 else 1  # the curve rises: left above and right below of a point is free
        axis.annotate(
            f"{percent(below / 100)} below {threshold:g} mm",
            (threshold, below),
            (7 * side, -side * (10 + 14 * row * (high - low > LONG_SCALE_MM))),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=9,
            color=INK,
        )
    axis.set(ylim=(0, 102), yticks=[0, 50, 100])
    axis.set_ylabel("Tumor surface with\nless margin, %", fontsize=10, color=INK)
    axis.set_xlabel("Margin, mm (negative: tumor not ablated)", fontsize=10, color=INK)
