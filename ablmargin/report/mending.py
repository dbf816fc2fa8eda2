"""What is missing of a margin and what would complete it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.clinical.direction import Deficit
from ablmargin.metrics.completion import FARTHEST_CAPSULE_MM, TOLERATED_MM, Completion
from ablmargin.report.numbers import milliliters, percent, signed_mm
from ablmargin.result import LesionResult

NO_PLAN = (
    "This is geometry, not a treatment plan: needle path, vessels, heat sink, neighboring organs and the error of the "
    "registration aren’t considered."
)
LEAST_OFFSET_MM = 0.5
"""A patch no farther from the level of the tumor's center than this lies at it."""


def mending_sentences(lesion: LesionResult) -> tuple[str, ...]:
    """Where margin is missing and the ball that would complete it; nothing if none is missing."""
    return tuple(_sentences(lesion))


def _sentences(lesion: LesionResult) -> Iterator[str]:
    deficit, completion = lesion.deficit, lesion.completion
    required = f"{lesion.judgement.required_margin_mm:g} mm"
    if deficit is None:
        return
    within = " within the liver" if lesion.judges_constrained else ""
    yield f"Less than {required}{within} on {percent(deficit.share)} of the tumor’s surface, {_where(deficit)}."
    if completion is not None:
        yield f"To reach {required}: {_ball(completion)}"
        yield NO_PLAN
    elif lesion.judged_minimum_mm >= lesion.judgement.required_margin_mm - TOLERATED_MM:
        yield f"That is short by {TOLERATED_MM:g} mm at most: no further ablation is proposed."
    else:
        yield "No further ablation is proposed: what is missing lies outside of the liver or of the exam."


def _where(deficit: Deficit) -> str:
    """The side, the hour on the axial slice and the level, as far as they tell something."""
    if deficit.direction == "all around":
        return "all around"
    parts = [f"mainly {deficit.direction}"]
    if deficit.clock_face is not None:
        parts.append(f"at {deficit.clock_face} o’clock on the axial slice")
    if abs(deficit.axial_offset_mm) >= LEAST_OFFSET_MM:
        level = "cranial" if deficit.axial_offset_mm > 0 else "caudal"
        parts.append(f"on average {abs(deficit.axial_offset_mm):.0f} mm {level} of the tumor’s center")
    return _in_both_words(", ".join(parts))


def _in_both_words(text: str) -> str:
    """The sides along the body also as the rest of the report names them, once each."""
    for word, other in (("cranial", "superior"), ("caudal", "inferior")):
        text = text.replace(word, f"{word} ({other})", 1)
    return text


def _ball(completion: Completion) -> str:
    x, y, z = (signed_mm(value) for value in completion.center_mm)
    text = (
        f"one more ablation of {completion.radius_mm:.1f} mm radius centered at x {x}, y {y}, z {z} (LPS)"
        f"{_depth(completion.capsule_distance_mm)}, {milliliters(completion.added_volume_ml)} of new tissue."
    )
    return f"{text} Part of that ball lies beyond the capsule." if completion.leaves_liver else text


def _depth(capsule_distance_mm: float | None) -> str:
    if capsule_distance_mm is None:
        return ""
    if capsule_distance_mm >= FARTHEST_CAPSULE_MM:
        return f", more than {FARTHEST_CAPSULE_MM:g} mm below the capsule"
    return f", {capsule_distance_mm:.0f} mm below the capsule"
