"""How far a program is off on a simulated pair, and what that comes to over all pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import FloatArray
from ablmargin.simulation.pair import Truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Where a program sends the points (n, 3), post frame, and its CPU time; None and why, if it gave no answer."""

    program: str
    points_mm: FloatArray | None = None
    cpu_s: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Mean errors at the first tumor's surface and in the liver, error of its minimum margin (positive is unsafe), mm."""

    program: str
    tumor_mm: float = np.nan
    liver_mm: float = np.nan
    mam_error_mm: float = np.nan
    cpu_s: float = np.nan
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return f"{self.program:12s} {self.failure}"
        figures = f"tumor TRE {self.tumor_mm:5.2f}  liver TRE {self.liver_mm:5.2f}  MAM error {self.mam_error_mm:+5.2f}"
        return f"{self.program:12s} {figures}  CPU s {self.cpu_s:5.1f}"


def watched_points(truth: Truth) -> FloatArray:
    """The points (n, 3) that a run is judged by, pre frame: landmarks, then the first tumor's surface."""
    return np.concatenate([truth.landmarks_pre_mm, truth.lesions[0].tumor_surface_pre_mm])


def score_of(run: Run, truth: Truth) -> Score:
    """Compare where the watched points went with where they belong."""
    if run.points_mm is None or run.cpu_s is None:
        return Score(program=run.program, failure=run.failure)
    liver, tumor = np.split(run.points_mm, [len(truth.landmarks_pre_mm)])
    lesion = truth.lesions[0]
    return Score(
        program=run.program,
        tumor_mm=float(np.linalg.norm(tumor - lesion.tumor_surface_post_mm, axis=1).mean()),
        liver_mm=float(np.linalg.norm(liver - truth.landmarks_post_mm, axis=1).mean()),
        mam_error_mm=float(lesion.margins_mm(tumor).min()) - lesion.mam_mm,
        cpu_s=run.cpu_s,
    )


def summary_lines(scores: Sequence[Score]) -> Iterator[str]:
    """A line a program, in the order of their first runs: means over the pairs that it gave an answer to."""
    if scores:
        yield "program      | tumor TRE mean worst | liver TRE | |MAM error| mean worst | CPU s | pairs  failed"
    for program in dict.fromkeys(score.program for score in scores):
        runs = [score for score in scores if score.program == program]
        done = [score for score in runs if not score.failure]
        yield f"{program:12s} | {_figures(done) if done else 'no answer'} | {len(done):5d}  {len(runs) - len(done):6d}"


def _figures(scores: Sequence[Score]) -> str:
    tumor, liver, margin, cpu = np.array([[s.tumor_mm, s.liver_mm, abs(s.mam_error_mm), s.cpu_s] for s in scores]).T
    return (
        f"{tumor.mean():14.2f} {tumor.max():5.2f} | {liver.mean():9.2f}"
        f" | {margin.mean():16.2f} {margin.max():5.2f} | {cpu.mean():5.1f}"
    )
