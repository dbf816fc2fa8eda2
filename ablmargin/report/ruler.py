"""The margin on one ruler: the minimum with its bounds against what is required, and how much surface has less."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.report.numbers import percent, signed_mm
from ablmargin.report.palette import BANDS, INK, MUTED
from ablmargin.report.png import png_bytes
from ablmargin.result import LesionResult


def draw_ruler(lesion: LesionResult) -> bytes:
    """Draw one lesion's judged minimum with its bounds above the cumulative curve of its margins, as PNG."""
    figure = Figure(figsize=(10.2, 3.7), layout="constrained", facecolor="white")
    ruler, curve = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 2.3))
    low, high = _range_mm(lesion)
    for axis in (ruler, curve):
        _paint_bands(axis, low, high)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
    _draw_minimum(ruler, lesion)
    _draw_curve(curve, lesion, low, high)
    ruler.set_xlim(low, high)
    curve.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return png_bytes(figure)


def _range_mm(lesion: LesionResult) -> tuple[float, float]:
    bounds = lesion.bounds
    lowest = [lesion.judged_minimum_mm, lesion.margin.minimum_mm, *([] if bounds is None else [bounds.lower_mm])]
    highest = [12.0, lesion.margin.percentile_mm(99), *([] if bounds is None else [bounds.upper_mm])]
    return float(np.floor(min([-1.0, *lowest]) - 1)), float(np.ceil(max(highest) + 1))


def _paint_bands(axis: Axes, low: float, high: float) -> None:
    edges = [low, *(band.from_mm for band in BANDS[1:]), high]
    for band, (start, end) in zip(BANDS, pairwise(edges), strict=True):
        axis.axvspan(start, end, color=band.color, alpha=0.16, linewidth=0)


def _draw_minimum(axis: Axes, lesion: LesionResult) -> None:
    minimum, required, bounds = lesion.judged_minimum_mm, lesion.judgement.required_margin_mm, lesion.bounds
    bold: dict[str, Any] = {"color": INK, "weight": "bold", "ha": "center"}
    axis.axvline(required, color=INK, linewidth=2.5)
    axis.text(required, 1.05, f"required {required:g} mm", fontsize=10, va="bottom", **bold)
    if bounds is not None:
        ends = [bounds.lower_mm, bounds.upper_mm]
        axis.plot(ends, [0.4, 0.4], color=INK, linewidth=7, alpha=0.35, solid_capstyle="butt")
        for end in ends:
            axis.plot([end, end], [0.25, 0.55], color=INK, linewidth=1.5)
            axis.text(end, 0.1, signed_mm(end).removesuffix(" mm"), ha="center", va="center", fontsize=9, color=MUTED)
    if lesion.margin.minimum_mm < minimum:
        axis.plot(lesion.margin.minimum_mm, 0.4, marker="D", markersize=8, color=INK, markerfacecolor="none")
    axis.plot(minimum, 0.4, marker="D", markersize=9, color=INK)
    axis.text(minimum, 0.74, signed_mm(minimum), fontsize=10.5, va="center", **bold)
    axis.set(ylim=(0, 1), yticks=[])
    axis.set_ylabel("Minimum", fontsize=10, color=INK)


def _draw_curve(axis: Axes, lesion: LesionResult, low: float, high: float) -> None:
    order = np.argsort(lesion.margin.margin_mm)
    margins_mm, areas = lesion.margin.margin_mm[order], lesion.margin.area_mm2[order]
    share = np.concatenate([[0.0], np.cumsum(areas) / areas.sum(), [1.0]])
    axis.step(np.concatenate([[low], margins_mm, [high]]), 100 * share, where="post", color=INK, linewidth=1.8)
    for threshold in THRESHOLDS_MM:
        below = 100 * lesion.margin.share_below(threshold)
        axis.axvline(threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axis.plot(threshold, below, marker="o", color=INK, markersize=5)
        side = -1 if below < 15 else 1  # the curve rises: left above and right below of a point is free
        axis.annotate(
            f"{percent(below / 100)} below {threshold:g} mm",
            (threshold, below),
            (7 * side, -10 * side),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=9,
            color=INK,
        )
    axis.set(ylim=(0, 102), yticks=[0, 50, 100])
    axis.set_ylabel("Tumor surface with\nless margin, %", fontsize=10, color=INK)
    axis.set_xlabel("Margin, mm (negative: tumor not ablated)", fontsize=10, color=INK)
