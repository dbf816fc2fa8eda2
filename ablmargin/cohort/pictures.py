"""Pictures of the margins: each lesion with its bounds, groups side by side, shares of surface, registration errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.cohort.groups import NOT_KNOWN, TOPICS, Topic
from ablmargin.cohort.lesion import Lesion
from ablmargin.cohort.svg import new_figure, plain, svg_bytes
from ablmargin.report.palette import BANDS, INK, MUTED

NAMED_LESIONS = 40
"""So many can be told by name below the waterfall."""

QUALITY_MARKS = {"good": ("o", INK), "doubtful": ("^", "#a32a17"), None: ("s", MUTED)}

GOLDEN = 0.618034
"""Spreads neighboring points evenly, the same way each time."""

LOWEST_MM, HIGHEST_MM = -25.0, 30.0
"""Margins beyond are drawn at the end of the scale."""


def draw_waterfall(lesions: Sequence[Lesion]) -> bytes:
    """Each lesion's judged minimum as a bar in its band's color, lowest first, with its 95 % bounds, as SVG."""
    ordered = sorted(lesions, key=lambda lesion: (lesion.measured.margin_mm, lesion.case_id, lesion.lesion_id))
    figure = new_figure(3.9 if len(ordered) > NAMED_LESIONS else 4.4)
    axis = figure.subplots()
    places = np.arange(len(ordered))
    margins_mm = _clipped([lesion.measured.margin_mm for lesion in ordered])
    bars = axis.bar(places, margins_mm, width=0.8, color=[lesion.measured.band.color for lesion in ordered])
    for bar, lesion in zip(bars, ordered, strict=True):
        if lesion.measured.reviewed is False:
            bar.set(facecolor="white", edgecolor=lesion.measured.band.color, linewidth=1.2)
    _draw_bounds(axis, ordered)
    for threshold in THRESHOLDS_MM:
        axis.axhline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axis.axhline(0, color=INK, linewidth=0.9)
    axis.set(xlim=(-0.9, max(len(ordered), 8) - 0.1), ylabel="Minimum margin, mm")
    plain(axis)
    _name_lesions(axis, ordered)
    _explain_bands(axis, ordered)
    return svg_bytes(figure)


def strips_of(lesions: Sequence[Lesion]) -> list[tuple[Topic, dict[str, list[Lesion]]]]:
    """The lesions of each group by its name, for topics of which something is known; "not known" only where it has any."""
    strips = []
    for topic in TOPICS:
        members: dict[str, list[Lesion]] = {name: [] for name in topic.groups}
        for lesion in lesions:
            members[topic.group_of(lesion)].append(lesion)
        unknown = members.pop(NOT_KNOWN)
        if any(members.values()):
            strips.append((topic, members | ({NOT_KNOWN: unknown} if unknown else {})))
    return strips


def draw_groups(lesions: Sequence[Lesion]) -> bytes | None:
    """Margins by size, RAS status and capsule: a point a lesion, the median as a line, as SVG; None if none is known."""
    strips = strips_of(lesions)
    if not strips:
        return None
    figure = new_figure(3.6)
    widths = [len(members) for _, members in strips]
    axes = figure.subplots(1, len(strips), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axis, (topic, members) in zip(axes, strips, strict=True):
        _draw_strip(axis, topic.name, members)
    axes[0].set_ylabel("Minimum margin, mm")
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(min(low, -1.0), max(high, 11.0))
    return svg_bytes(figure)


def draw_surfaces(lesions: Sequence[Lesion]) -> bytes:
    """How each tumor's surface divides into bands of margins, the worst covered first, as SVG."""
    shares = (
        np.array(sorted(known, key=lambda row: (-row[0], -row[1], -row[2]))) if (known := _shares(lesions)) else None
    )
    figure = new_figure(2.6)
    axis = figure.subplots()
    if shares is not None:
        tops = 100 * np.cumsum(shares, axis=1)
        bottoms = np.column_stack([np.zeros(len(shares)), tops[:, :-1]])
        for band, bottom, top in zip(BANDS, bottoms.T, tops.T, strict=True):
            axis.bar(
                np.arange(len(shares)),
                top - bottom,
                bottom=bottom,
                width=1.0,
                color=band.color,
                edgecolor=band.color,
                linewidth=0.4,
                label=band.label,
            )
        axis.set(xlim=(-0.5, max(len(shares), 8) - 0.5), ylim=(0, 100))
    axis.set(ylabel="Tumor surface, %", xticks=[])
    plain(axis)
    axis.figure.legend(loc="outside upper left", ncols=4, fontsize=8.5, frameon=False)
    return svg_bytes(figure)


def draw_errors(lesions: Sequence[Lesion]) -> bytes | None:
    """The registrations' local errors against the margins that they blur, as SVG; None if none is known."""
    known = [(one.sd_mm, one) for one in (lesion.measured for lesion in lesions) if one.sd_mm is not None]
    if not known:
        return None
    figure = new_figure(3.0)
    axis = figure.subplots()
    for quality, (marker, color) in QUALITY_MARKS.items():
        told = [(sd_mm, one.margin_mm) for sd_mm, one in known if one.quality == quality]
        if told:
            errors_mm, margins_mm = zip(*told, strict=True)
            label = f"registration {quality or 'of unknown quality'} ({len(told)})"
            axis.plot(errors_mm, _clipped(margins_mm), marker, color=color, fillstyle="none", markersize=5, label=label)
    for threshold in THRESHOLDS_MM:
        axis.axhline(threshold, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axis.set(xlabel="Local error of the registration (sd), mm", ylabel="Minimum margin, mm")
    axis.set_xlim(left=0)
    plain(axis)
    figure.legend(loc="outside upper left", ncols=3, fontsize=8.5, frameon=False)
    return svg_bytes(figure)


def _clipped(values_mm: Sequence[float]) -> list[float]:
    return [float(value) for value in np.clip(values_mm, LOWEST_MM, HIGHEST_MM)]


def _shares(lesions: Sequence[Lesion]) -> list[tuple[float, ...]]:
    return [shares for lesion in lesions if (shares := lesion.measured.surface_share) is not None]


def _draw_bounds(axis: Axes, lesions: Sequence[Lesion]) -> None:
    bounds = [
        (place, lower, upper)
        for place, lesion in enumerate(lesions)
        if (lower := lesion.measured.lower_mm) is not None and (upper := lesion.measured.upper_mm) is not None
    ]
    if bounds:
        places, lows, highs = zip(*bounds, strict=True)
        axis.vlines(places, _clipped(lows), _clipped(highs), color=INK, linewidth=1.0 if len(lesions) < 100 else 0.6)


def _name_lesions(axis: Axes, lesions: Sequence[Lesion]) -> None:
    if len(lesions) > NAMED_LESIONS:
        axis.set(xticks=[], xlabel=f"{len(lesions):,} lesions, lowest margin first")
        return
    axis.set_xticks(range(len(lesions)), labels=[_short_name(lesion) for lesion in lesions], rotation=90)
    for label in axis.get_xticklabels():
        label.set(parse_math=False, fontsize=7.5)


def _short_name(lesion: Lesion) -> str:
    name = f"{lesion.case_id} {lesion.lesion_id}"
    return name if len(name) <= 22 else f"{name[:20]}…"


def _explain_bands(axis: Axes, lesions: Sequence[Lesion]) -> None:
    handles = [Patch(facecolor=band.color, label=band.label) for band in BANDS]
    if any(lesion.measured.reviewed is False for lesion in lesions):
        handles.append(Patch(facecolor="white", edgecolor=MUTED, label="hollow: outlines not reviewed"))
    figure = axis.figure
    figure.legend(handles=handles, loc="outside upper left", ncols=5, fontsize=8.5, frameon=False)


def _draw_strip(axis: Axes, topic: str, members: Mapping[str, Sequence[Lesion]]) -> None:
    for place, inside in enumerate(members.values()):
        if inside:
            _draw_points(axis, place, sorted(inside, key=lambda lesion: lesion.measured.margin_mm))
    for threshold in THRESHOLDS_MM:
        axis.axhline(threshold, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    labels = [f"{_short_group(name)}\nn = {len(inside)}" for name, inside in members.items()]
    axis.set_xticks(range(len(members)), labels=labels)
    axis.set(xlim=(-0.6, len(members) - 0.4))
    axis.set_title(f"{topic}, mm" if topic == "Diameter" else topic, fontsize=10, color=INK, loc="left")
    plain(axis)


def _draw_points(axis: Axes, place: int, ordered: Sequence[Lesion]) -> None:
    margins_mm = _clipped([lesion.measured.margin_mm for lesion in ordered])
    width = min(0.35, 0.02 * len(ordered))
    offsets = width * (2 * (GOLDEN * np.arange(len(ordered)) % 1) - 1)
    colors = [lesion.measured.band.color for lesion in ordered]
    axis.scatter(place + offsets, margins_mm, s=14, c=colors, edgecolor=INK, linewidth=0.3)
    axis.hlines(np.median(margins_mm), place - 0.4, place + 0.4, color=INK, linewidth=2.0)


def _short_group(name: str) -> str:
    return name.replace(" mm", "").replace(" or more", "+").replace("not ", "not\n", 1)
