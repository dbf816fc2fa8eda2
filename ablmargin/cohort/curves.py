"""Pictures of follow-up: progression by margin, hazard ratios, ROC curve, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ablmargin.cohort.calibration import Calibration
from ablmargin.cohort.cox import CoxModel, Term
from ablmargin.cohort.outcome import BandOutcome, Outcome
from ablmargin.cohort.roc import Roc
from ablmargin.cohort.survival import Curve
from ablmargin.cohort.svg import new_figure, plain, svg_bytes
from ablmargin.cohort.wording import bare_mm
from ablmargin.report.palette import BANDS, INK, MUTED

LINE_COLORS = {**{band.key: band.color for band in BANDS}, "5_to_10": "#b08a1a"}
"""The bands' colors; the palest is darker, as lines need it."""

LINE_STYLES = dict(zip((band.key for band in BANDS), ("-", (0, (6, 2)), (0, (3, 1, 1, 1)), (0, (1, 1))), strict=True))


def draw_progression(outcome: Outcome) -> bytes:
    """Progression by margin band, by Kaplan and Meier, and with death competing where deaths are told, as SVG."""
    columns = 2 if outcome.deaths_told else 1
    figure = new_figure(4.3 + 0.17 * len(outcome.bands))
    axes = figure.subplots(
        2, columns, sharex=True, squeeze=False, height_ratios=(3.4, 0.25 + 0.17 * len(outcome.bands))
    )
    _draw_curves(axes[0, 0], [(band, band.progression) for band in outcome.bands])
    axes[0, 0].set(ylabel="Local tumor progression, %")
    axes[0, 0].set_title("Kaplan-Meier", fontsize=10, color=INK, loc="left")
    if outcome.deaths_told:
        curves = [(band, band.incidence) for band in outcome.bands if band.incidence is not None]
        _draw_curves(axes[0, 1], curves)
        axes[0, 1].set_title("Cumulative incidence, death competing", fontsize=10, color=INK, loc="left")
    for place, axis in enumerate(axes[1]):
        _write_at_risk(axis, outcome, named=place == 0)
    axes[0, 0].set_xlim(0, float(outcome.histories.months.max()) * 1.02)
    axes[0, 0].set_xticks(outcome.grid_months)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=4,
        fontsize=8.5,
        frameon=False,
    )
    return svg_bytes(figure)


def draw_ratios(models: Sequence[CoxModel]) -> bytes:
    """Hazard ratios with their intervals, a block a model, as SVG."""
    rows = [(model, term) for model in models for term in model.terms]
    figure = new_figure(0.9 + 0.3 * len(rows) + 0.12 * len(models))
    axis = figure.subplots()
    place, labels, places, last = 0.0, [], [], rows[0][0]
    for model, term in rows:
        place += 1.0 if model is last else 1.5
        last = model
        _draw_ratio(axis, term, place)
        places.append(place)
        labels.append(term.name + ("" if len(model.terms) == 1 else ", adjusted"))
    axis.axvline(1, color=MUTED, linewidth=1.0)
    axis.set(xscale="log", ylim=(place + 0.7, 0.3), xlabel="Hazard ratio of local tumor progression (95 % interval)")
    axis.set_yticks(places, labels=labels)
    ticks = [tick for tick in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 100) if _within(tick, [term for _, term in rows])]
    axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    plain(axis)
    return svg_bytes(figure)


def draw_roc(roc: Roc) -> bytes:
    """The ROC curve of the margin with the best cut-off and the given ones, as SVG."""
    figure = new_figure(4.0)
    axis = figure.subplots()
    axis.set_aspect("equal")
    axis.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axis.step(100 * roc.false_rate, 100 * roc.true_rate, where="post", color=INK, linewidth=1.8)
    marks = [(cut.sensitivity.value, cut.specificity.value, "o", f"{cut.margin_mm:g} mm") for cut in roc.given]
    if roc.best is not None:
        best, label = roc.best, f"best: {bare_mm(roc.best.margin_mm.value)} mm"
        marks.append((best.counted_sensitivity, best.counted_specificity, "D", label))
    for sensitivity, specificity, marker, label in marks:
        place = (100 * (1 - specificity), 100 * sensitivity)
        axis.plot(*place, marker=marker, color=INK, fillstyle="none" if marker == "o" else "full", markersize=6)
        offset = (-7, 7) if marker == "D" else (8, -9)
        align = "right" if marker == "D" else "left"
        axis.annotate(label, place, offset, textcoords="offset points", fontsize=9, color=INK, ha=align)
    axis.set(xlim=(-2, 102), ylim=(-2, 102), xlabel="1 − specificity, %", ylabel="Sensitivity, %")
    plain(axis)
    return svg_bytes(figure)


def draw_calibration(calibration: Calibration) -> bytes:
    """Predicted against observed progression by groups of risk, as SVG."""
    figure = new_figure(3.6)
    axis = figure.subplots()
    axis.set_aspect("equal")
    axis.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for group in calibration.groups:
        observed = group.observed
        if np.isfinite(observed.lower):
            axis.vlines(100 * group.predicted, 100 * observed.lower, 100 * observed.upper, color=INK, linewidth=1.2)
        axis.plot(100 * group.predicted, 100 * observed.value, "o", color=INK, markersize=6)
    until = f"until {calibration.horizon_months:g} months, %"
    axis.set(xlim=(0, 100), ylim=(0, 100), xlabel=f"Predicted progression {until}", ylabel="Observed, %")
    plain(axis)
    return svg_bytes(figure)


def _draw_curves(axis: Axes, curves: Sequence[tuple[BandOutcome, Curve]]) -> None:
    highest = 10.0
    for outcome, curve in curves:
        key = outcome.band.key
        style: dict[str, Any] = {"color": LINE_COLORS[key], "linestyle": LINE_STYLES[key]}
        label = f"{outcome.band.label} ({outcome.progressions} of {outcome.lesions})"
        axis.step(curve.months, 100 * curve.share, where="post", linewidth=1.9, label=label, **style)
        known = np.isfinite(curve.lower)
        axis.fill_between(
            curve.months[known],
            100 * curve.lower[known],
            100 * curve.upper[known],
            step="post",
            color=LINE_COLORS[key],
            alpha=0.13,
            linewidth=0,
        )
        highest = max(highest, 100 * float(np.nanmax(curve.upper, initial=curve.share.max())))
    axis.set(ylim=(0, min(100.0, 1.05 * highest)))
    plain(axis)


def _write_at_risk(axis: Axes, outcome: Outcome, *, named: bool) -> None:
    axis.spines[:].set_visible(False)
    axis.tick_params(bottom=False, left=False, labelsize=9, colors=INK)
    axis.tick_params(axis="y", pad=14)
    rows = outcome.bands
    axis.set(ylim=(len(rows) - 0.3, -0.9), xlabel="Months after ablation; below the axis: lesions at risk")
    axis.xaxis.label.set(color=INK, fontsize=9)
    axis.set_yticks(range(len(rows)), labels=[row.band.label.partition(" (")[0] if named else "" for row in rows])
    for place, row in enumerate(rows):
        for moment, count in zip(outcome.grid_months, row.at_risk, strict=True):
            color = LINE_COLORS[row.band.key]
            axis.text(moment, place, str(count), ha="center", va="center", fontsize=8.5, color=color)


def _draw_ratio(axis: Axes, term: Term, place: float) -> None:
    axis.plot([term.lower, term.upper], [place, place], color=INK, linewidth=1.4)
    axis.plot(term.ratio, place, "s", color=INK, markersize=5)
    text = f"{term.ratio:.2f} ({term.lower:.2f} to {term.upper:.2f})"
    axis.annotate(
        text,
        (1.0, place),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=9,
        va="center",
    )


def _within(tick: float, terms: Sequence[Term]) -> bool:
    lowest, highest = min([0.5, *(term.lower for term in terms)]), max([2.0, *(term.upper for term in terms)])
    return 0.8 * lowest <= tick <= 1.25 * highest
