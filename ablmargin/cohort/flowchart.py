"""The flow diagram: who was listed, failed, withheld, measured, judged and followed."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablmargin.clinical.criteria import Verdict
from ablmargin.cohort.flow import Flow, Numbers, counted
from ablmargin.cohort.svg import WIDTH_IN, svg_bytes
from ablmargin.report.palette import INK, MUTED

SHOWN_REASONS = 6
LEFT, RIGHT = (0.0, 0.46), (0.54, 1.0)
LINE, PAD, GAP = 0.2, 0.16, 0.24
VERDICT_COLORS = {Verdict.ADEQUATE: "#0a6b5e", Verdict.INADEQUATE: "#a32a17", Verdict.INDETERMINATE: "#7a5a00"}


def draw_flow(flow: Flow, *, with_followup: bool) -> bytes:
    """Draw the flow of lesions as SVG: what goes on at the left, what is left out at the right."""
    steps = list(_steps(flow, with_followup=with_followup))
    heights = [max(_height(stays), _height(leaves)) for stays, leaves in steps]
    total = sum(heights) + GAP * (len(steps) - 1)
    figure = Figure(figsize=(WIDTH_IN, total + 0.1), facecolor="white")
    axis = figure.add_axes((0.01, 0.0, 0.98, 1.0))
    axis.set(xlim=(0, 1), ylim=(total + 0.05, -0.05))
    axis.axis("off")
    top = 0.0
    for place, ((stays, leaves), height) in enumerate(zip(steps, heights, strict=True)):
        _box(axis, LEFT, top, stays)
        if place + 1 < len(steps):
            _arrow(axis, (0.23, top + _height(stays)), (0.23, top + height + GAP))
        if leaves:
            _box(axis, RIGHT, top, leaves)
            _arrow(axis, (LEFT[1], top + 0.22), (RIGHT[0], top + 0.22))
        top += height + GAP
    return svg_bytes(figure)


Lines = Sequence[str]


def _steps(flow: Flow, *, with_followup: bool) -> list[tuple[Lines, Lines]]:
    out = ["Left out", *_reasons(flow.failed, "failed: ")] if flow.left_out else []
    if flow.withheld:
        out.append(f"{flow.withheld:,} withheld: the registration failed")
    judged = [f"{flow.verdicts[verdict]:,} {verdict.value}" for verdict in Verdict]
    undecided = ["Indeterminate because of", *_reasons(flow.undecided)] if flow.undecided else []
    steps: list[tuple[Lines, Lines]] = [(["In the manifest", *_numbers(flow.listed)], out)]
    steps.append((["Measured", *_numbers(flow.measured)], []))
    steps.append((["Verdict by RAS status", *judged], undecided))
    if with_followup:
        missing = ["Not in the analysis of follow-up", *_reasons(flow.not_followed)] if flow.not_followed else []
        steps.append((["Followed up", *_numbers(flow.followed)], missing))
    return steps


def _numbers(numbers: Numbers) -> list[str]:
    cases, patients = counted(numbers.cases, "case"), counted(numbers.patients, "patient")
    return [counted(numbers.lesions, "lesion"), f"{cases}, {patients}"]


def _reasons(reasons: Sequence[tuple[str, int]], before: str = "") -> list[str]:
    lines = [f"{count:,} {before}{name}" for name, count in reasons[:SHOWN_REASONS]]
    rest = sum(count for _, count in reasons[SHOWN_REASONS:])
    wrapped = [line for text in lines for line in fill(text, 52, subsequent_indent="   ").split("\n")]
    return [*wrapped, f"{rest:,} {before}for other reasons"] if rest else wrapped


def _height(lines: Lines) -> float:
    return LINE * len(lines) + PAD if lines else 0.0


def _box(axis: Axes, sides: tuple[float, float], top: float, lines: Lines) -> None:
    left, right = sides
    height = _height(lines)
    axis.fill_between([left, right], top, top + height, facecolor="#f4f6f8", edgecolor=MUTED, linewidth=1.0)
    for place, line in enumerate(lines):
        weight = "bold" if place == 0 else "normal"
        height_here = top + PAD / 2 + LINE * (place + 0.5)
        axis.text(
            left + 0.015,
            height_here,
            line,
            weight=weight,
            color=INK,
            fontsize=9.5,
            va="center",
            parse_math=False,
        )


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    )
