"""The picture of a lesion's thinnest place in both exams, with the outlines that the margin was measured between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from ablmargin.geometry import FloatArray
from ablmargin.report.palette import BALL, INK, LIVER, RING, TUMOR, VESSELS, ZONE
from ablmargin.report.planes import View
from ablmargin.report.png import png_bytes

WINDOW_LEVEL_HU, WINDOW_WIDTH_HU = 60.0, 320.0
SCALE_BAR_MM = 20.0
HALO = [withStroke(linewidth=2.2, foreground="black")]
RETICLE_MM = (4.0, 9.0)
"""Where the marks around the thinnest place begin and end: the place itself stays free."""


def draw_slices(views: Sequence[View], *, required_mm: float, measured: bool = True) -> bytes:
    """Draw the planes through the thinnest place as PNG: before above, after below; outlines alone without images.

    Without ``measured`` only the tumor is outlined: what may be shown of a margin that must not be believed.
    """
    rows = (
        [("Before ablation", True), ("After ablation, aligned", False)]
        if views[0].before_hu is not None
        else [("Masks", False)]
    )
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(10.2, 3.27 * len(rows) + 0.62), layout=layout, facecolor="white")
    axes = figure.subplots(len(rows), len(views), squeeze=False)
    for (title, is_before), row in zip(rows, axes, strict=True):
        for view, axis in zip(views, row, strict=True):
            _draw_view(axis, view, is_before=is_before, measured=measured)
        row[0].set_ylabel(title, fontsize=11, color=INK, labelpad=6)
    for view, axis in zip(views, axes[0], strict=True):
        axis.set_title(view.plane.name, fontsize=11, color=INK, pad=5)
    entries: list[Artist] = [Patch(color=LIVER, label="liver")] if any(map(_shows_liver, views)) else []
    if any(map(_shows_vessels, views)):
        entries.append(Line2D([], [], color=VESSELS, linewidth=1.5, label="vessels"))
    entries += _lines(required_mm, measured=measured, proposed=any(view.ball_mm is not None for view in views))
    figure.legend(
        handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9.5, labelcolor=INK
    )
    return png_bytes(figure)


def _draw_view(axis: Axes, view: View, *, is_before: bool, measured: bool) -> None:
    half = view.half_field_mm
    axis.set_facecolor("black")
    image = view.before_hu if is_before else view.after_hu
    if image is not None:
        _draw_image(axis, image, half)
    elif _shows_liver(view):
        where = view.outline_axis_mm
        axis.contourf(where, where, view.in_liver, levels=[0.5, 1.5], colors=LIVER)
    if _shows_vessels(view):
        where = view.outline_axis_mm
        axis.contour(where, where, view.vessels, levels=[0.5], colors=VESSELS, linewidths=0.9)
    if measured and not is_before:
        where = view.outline_axis_mm
        axis.contour(where, where, view.grown_mm, levels=[0.0], colors=RING, linewidths=1.0, linestyles="dotted")
        axis.contour(where, where, view.zone_mm, levels=[0.0], colors=ZONE, linewidths=1.6)
        if view.ball_mm is not None and view.ball_mm.max() > 0:
            axis.contour(where, where, view.ball_mm, levels=[0.0], colors=BALL, linewidths=1.4, linestyles="dashed")
    axis.add_collection(LineCollection(list(view.tumor), colors=TUMOR, linewidths=1.6, capstyle="round"))
    if measured:
        _draw_reticle(axis, *view.thinnest)
    _draw_letters(axis, view.plane.letters)
    _draw_scale(axis, half)
    axis.set(xlim=(-half, half), ylim=(half, -half), xticks=[], yticks=[], aspect="equal")
    axis.spines[:].set_visible(False)


def _shows_liver(view: View) -> bool:
    """Where there are no images; they show it better than its outline."""
    return view.before_hu is None and view.in_liver is not None


def _shows_vessels(view: View) -> bool:
    return view.vessels is not None and bool(view.vessels.max() > 0.5)


def _draw_image(axis: Axes, image_hu: FloatArray, half_mm: float) -> None:
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    axis.imshow(
        image_hu,
        cmap="gray",
        vmin=low,
        vmax=low + WINDOW_WIDTH_HU,
        extent=(-half_mm, half_mm, half_mm, -half_mm),
        interpolation="bilinear",
    )


def _draw_reticle(axis: Axes, right_mm: float, down_mm: float) -> None:
    near, far = RETICLE_MM
    pieces = [
        [(right_mm + dx * near, down_mm + dy * near), (right_mm + dx * far, down_mm + dy * far)]
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    axis.add_collection(LineCollection(pieces, colors="black", linewidths=3.0, alpha=0.6))
    axis.add_collection(LineCollection(pieces, colors="white", linewidths=1.3))


def _draw_letters(axis: Axes, letters: str) -> None:
    left, right, top, bottom = list(letters)
    style: dict[str, Any] = {
        "color": "white",
        "fontsize": 10,
        "weight": "bold",
        "ha": "center",
        "va": "center",
        "path_effects": HALO,
    }
    for x, y, letter in ((0.03, 0.5, left), (0.97, 0.5, right), (0.5, 0.96, top), (0.5, 0.04, bottom)):
        axis.text(x, y, letter, transform=axis.transAxes, **style)


def _draw_scale(axis: Axes, half_mm: float) -> None:
    left, down = -0.93 * half_mm, 0.92 * half_mm
    ends = [left, left + SCALE_BAR_MM]
    axis.plot(ends, [down, down], color="black", linewidth=4, alpha=0.6, solid_capstyle="butt")
    axis.plot(ends, [down, down], color="white", linewidth=2, solid_capstyle="butt")
    text = f"{SCALE_BAR_MM:.0f} mm"
    axis.text(left, down - 0.03 * half_mm, text, color="white", fontsize=8, va="bottom", path_effects=HALO)


def _lines(required_mm: float, *, measured: bool, proposed: bool) -> list[Artist]:
    """The legend's entries for what is drawn as a line."""
    lines: list[Artist] = [Line2D([], [], color=TUMOR, linewidth=2.5, label="tumor")]
    if measured:
        reach = f"where the zone has to reach ({required_mm:g} mm)"
        lines += [
            Line2D([], [], color=ZONE, linewidth=2.5, label="ablation zone"),
            Line2D([], [], color=INK, linewidth=1.5, linestyle="dotted", label=reach),
            Line2D([], [], color=INK, marker="+", markersize=11, linestyle="none", label="thinnest place"),
        ]
    if measured and proposed:
        lines.append(Line2D([], [], color=BALL, linewidth=2.0, linestyle="dashed", label="further ablation"))
    return lines
