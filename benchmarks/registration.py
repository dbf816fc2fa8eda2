"""The registration alone against exact truth: simulated pairs, wrong alignments on purpose, other programs beside it.

``python benchmarks/registration.py [--kinds phantom semireal arterial unenhanced hard] [--seeds 8] [--wrong] [--large] [--rivals]``
prints a row a lesion and exits with 1 if a limit isn't met. Outlines have a smooth error of 1 mm sd. ``phantom`` and
``semireal`` (made from a real CT, which ``--data`` holds) show one contrast phase, ``arterial`` and ``unenhanced`` two. ``hard``
pairs are made to fail (much motion and noise, contraction, thick slices, outlines 3 mm off): only whether
what is told of their error finds the points that are far off, and that none that fails is called good, is held to limits. The error of the minimum
margin is that of the registration alone: the true tumor surface, moved by the alignment, in the true ablated tissue.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from registration_pairs import (
    DATA,
    KINDS,
    OTHER_PHASE,
    SAME_PHASE,
    Plan,
    align,
    cost_of,
    enlarged,
    make_pair,
    plans,
    tumor_points,
)
from registration_rivals import rival_scores
from registration_scores import Score, summary_lines
from registration_wrong import wrong_at_one_of_two, wrong_grades
from scipy.stats import rankdata

from ablmargin.geometry import BoolArray, FloatArray, PointTransform
from ablmargin.registration.quality import Grade
from ablmargin.registration.register import Alignment, RegistrationSettings
from ablmargin.simulation.pair import LesionTruth, SimulatedPair

FAR_OFF_MM, FAILED_MM = 2.0, 3.0
WRONG_PAIRS, GOOD_PAIRS_A_KIND = 5, 10
TWO_TUMORS = Plan(kind="phantom", seed=101, scenario="two-lesions")
LARGE = Plan(kind="phantom", seed=101, scenario="thin-margin")
FAST = RegistrationSettings(threads=1, ensemble=False)
HEADER = "kind       seed | tumor TRE  p95  rigid  liver | MAM error | sd   told true (rms, mm) | quality  phases | CPU s  without ensemble"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One lesion, mm: mean errors at its surface and in the liver; the alignment's own estimate beside them."""

    plan: Plan
    tumor_mm: float
    tumor_p95_mm: float
    rigid_mm: float
    liver_mm: float
    mam_error_mm: float
    sd_mm: float
    true_mm: FloatArray  # error at some surface points, shape (n,)
    told_mm: FloatArray  # the error that is expected there, root mean square
    quality: Grade
    phases_match: bool
    cpu_s: float
    cpu_alone_s: float  # without the ensemble

    def __str__(self) -> str:
        return (
            f"{self.plan.kind:10s} {self.plan.seed:4d} | {self.tumor_mm:9.2f} {self.tumor_p95_mm:4.2f}  {self.rigid_mm:5.2f}"
            f"  {self.liver_mm:5.2f} | {self.mam_error_mm:+9.2f} | {self.sd_mm:.2f} {_rms(self.told_mm):.2f} {_rms(self.true_mm):.2f}"
            f"            | {self.quality:8s} {'match ' if self.phases_match else 'differ'} | {self.cpu_s:5.1f}  {self.cpu_alone_s:5.1f}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A figure and the range that it must keep to; without a figure there is nothing to fail."""

    name: str
    value: float | None
    most: float
    least: float = -np.inf

    @property
    def is_met(self) -> bool:
        return self.value is None or self.least <= self.value <= self.most

    def __str__(self) -> str:
        bounds = f"{self.least:g} to {self.most:g}" if self.least > -np.inf else f"at most {self.most:g}"
        value = "None" if self.value is None else f"{self.value:.2f}"
        return f"{self.name}: {value} ({bounds}){'' if self.is_met else '  MISSED'}"


def auc(scores: FloatArray, positive: BoolArray) -> float | None:
    """The chance that a positive scores higher than a negative, ties half; None if either is missing.

    Examples
    --------
    >>> auc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def mam_error_mm(lesion: LesionTruth, post_from_pre: PointTransform) -> float:
    """Minimum margin of the true tumor surface as a map moves it, less the true one; positive is unsafe."""
    return float(lesion.margins_mm(post_from_pre.map_points(lesion.tumor_surface_pre_mm)).min()) - lesion.mam_mm


def misses_mm(post_from_pre: PointTransform, pre_mm: FloatArray, post_mm: FloatArray) -> FloatArray:
    """How far a map is from sending points (n, 3) where they belong: shape (n,)."""
    return np.asarray(np.linalg.norm(post_from_pre.map_points(pre_mm) - post_mm, axis=1))


def measured(plan: Plan, pair: SimulatedPair) -> Row:
    """Align a pair twice, with and without the ensemble, and compare with the truth at its first lesion."""
    alignment, cpu_s = _timed(pair, RegistrationSettings(threads=1))
    _, cpu_alone_s = _timed(pair, FAST)
    truth, lesion = pair.truth, pair.truth.lesions[0]
    to_post, pre, post = alignment.post_from_pre, lesion.tumor_surface_pre_mm, lesion.tumor_surface_post_mm
    tumor = misses_mm(to_post, pre, post)
    few = tumor_points(pair)
    assessed = alignment.assess(few)
    return Row(
        plan=plan,
        tumor_mm=float(tumor.mean()),
        tumor_p95_mm=float(np.percentile(tumor, 95)),
        rigid_mm=float(misses_mm(alignment.rigid_post_from_pre, pre, post).mean()),
        liver_mm=float(misses_mm(to_post, truth.landmarks_pre_mm, truth.landmarks_post_mm).mean()),
        mam_error_mm=mam_error_mm(lesion, to_post),
        sd_mm=assessed.sd_mm or 0.0,
        true_mm=tumor[::10],
        told_mm=_told_mm(alignment, few),
        quality=assessed.quality,
        phases_match=alignment.phases_match,
        cpu_s=cpu_s,
        cpu_alone_s=cpu_alone_s,
    )


def _timed(pair: SimulatedPair, settings: RegistrationSettings) -> tuple[Alignment, float]:
    start = time.process_time()
    return align(pair, settings), time.process_time() - start


def _told_mm(alignment: Alignment, points_mm: FloatArray) -> FloatArray:
    """The error that the alignment expects of itself at points (n, 3) of the pre frame: root mean square, shape (n,)."""
    error = alignment.local_error(points_mm)
    assert error is not None
    if error.covariance_mm2 is None:
        return np.full(len(points_mm), np.sqrt(3.0) * error.sd_mm)
    return np.asarray(np.sqrt(np.trace(error.covariance_mm2, axis1=1, axis2=2)))


def checks_of(rows: Sequence[Row]) -> Iterator[Check]:
    """The limits, on whatever kinds were run."""
    same = [row for row in rows if row.plan.same_phase]
    other = [row for row in rows if row.plan.kind in OTHER_PHASE]
    if same:
        yield from _same_phase_checks(same)
    if other:
        yield Check(name="other phase, mean tumor TRE, mm", value=_mean(row.tumor_mm for row in other), most=1.5)
        bias = _mean(row.mam_error_mm for row in other)
        yield Check(name="other phase, bias of the minimum margin, mm", value=bias, least=-0.5, most=0.5)
    if rows:
        yield from _error_checks(rows)
        yield Check(name="CPU s, largest, with the ensemble", value=max(row.cpu_s for row in rows), most=40)
        yield Check(name="CPU s, largest, without", value=max(row.cpu_alone_s for row in rows), most=5)


def _same_phase_checks(rows: Sequence[Row]) -> Iterator[Check]:
    yield Check(name="same phase, mean tumor TRE, mm", value=_mean(row.tumor_mm for row in rows), most=0.8)
    yield Check(name="same phase, largest tumor TRE of a case, mm", value=max(row.tumor_mm for row in rows), most=1.5)
    yield Check(name="same phase, mean liver TRE, mm", value=_mean(row.liver_mm for row in rows), most=1.0)
    errors = [abs(row.mam_error_mm) for row in rows]
    yield Check(name="same phase, mean |error of the minimum margin|, mm", value=_mean(errors), most=0.4)
    yield Check(name="same phase, largest of a case, mm", value=max(errors), most=1.0)


def _error_checks(rows: Sequence[Row]) -> Iterator[Check]:
    usual, hard = ([row for row in rows if (row.plan.kind == "hard") == is_hard] for is_hard in (False, True))
    if usual:
        yield Check(
            name="true error by told error, rms of all points", value=_true_by_told(usual), least=0.8, most=1.25
        )
    if hard:
        yield Check(name="the same of hard pairs, for information", value=_true_by_told(hard), most=np.inf)
    true, told = _pooled(rows)
    far = true > FAR_OFF_MM
    name = f"AUC of the told error for points off by more than {FAR_OFF_MM:g} mm ({far.mean():.2%} of them)"
    yield Check(name=name, value=auc(told, far), least=0.95, most=1.0)
    missed = sum(row.tumor_mm > FAILED_MM and row.quality == "good" for row in rows)
    yield Check(name=f"cases with a tumor TRE over {FAILED_MM:g} mm graded good", value=missed, most=0)


def _pooled(rows: Sequence[Row]) -> tuple[FloatArray, FloatArray]:
    true, told = (np.concatenate([getattr(row, name) for row in rows]) for name in ("true_mm", "told_mm"))
    return true, told


def _true_by_told(rows: Sequence[Row]) -> float:
    true, told = _pooled(rows)
    return _rms(true) / _rms(told)


def _mean(values: Iterator[float] | Sequence[float]) -> float:
    return float(np.mean(list(values)))


def _rms(values: FloatArray) -> float:
    return float(np.sqrt((values**2).mean()))


def wrong_checks(rows: Sequence[Row], data: Path) -> Iterator[Check]:
    """Grades of twenty wrong alignments, two more with two tumors, and of the good kinds' first ten pairs each; ``rows`` need not be run again."""
    pairs = [make_pair(plan, data) for plan in plans(["phantom"], WRONG_PAIRS + 1)]
    grades = []
    for what, quality in (*wrong_grades(pairs[:-1], pairs[-1]), *wrong_at_one_of_two(make_pair(TWO_TUMORS, data))):
        print(f"wrong: {what:24s} {quality.quality:8s} {' '.join(map(str, quality.reasons))}", flush=True)
        grades.append(quality.quality)
    yield Check(name=f"wrong alignments of {len(grades)} graded good", value=grades.count("good"), most=0)
    known = {row.plan: row.quality for row in rows}
    todo = plans(SAME_PHASE, GOOD_PAIRS_A_KIND)
    grades = [known.get(plan) or _grade(make_pair(plan, data)) for plan in todo]
    yield Check(
        name=f"good alignments of {len(grades)} not graded good", value=sum(g != "good" for g in grades), most=1
    )


def _grade(pair: SimulatedPair) -> Grade:
    return align(pair).assess(tumor_points(pair)).quality


def large_checks(data: Path) -> Iterator[Check]:
    """CPU time and memory, above the images', of 512 x 512 x 200 voxels to 512 x 512 x 300, in a process of its own."""
    pair = enlarged(make_pair(LARGE, data))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        parts = pair.pre, pair.post, pair.liver_pre, pair.liver_post, pair.tumors, pair.zones
        for ensemble, most_s in ((True, 40.0), (False, 5.0)):
            cpu_s, peak_mb = pool.submit(cost_of, parts, ensemble=ensemble).result()
            name = f"large pair, {'with' if ensemble else 'without'} the ensemble"
            yield Check(name=f"{name}, CPU s", value=cpu_s, most=most_s)
            yield Check(name=f"{name}, peak above the images, MB", value=peak_mb, most=1000.0)


def main() -> int:
    """Run the benchmark; the exit code tells whether the limits are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS, help="none: only what is asked for")
    parser.add_argument("--seeds", type=int, default=8, help="pairs of a kind; of all but the first two, six at most")
    parser.add_argument("--wrong", action="store_true", help="grades of 22 wrong and 20 good alignments")
    parser.add_argument("--large", action="store_true", help="cost of one large pair (Linux)")
    parser.add_argument(
        "--rivals", action="store_true", help="elastix, greedy and ANTs on the pairs in one phase, and means by program"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real CT and its liver mask")
    arguments = parser.parse_args()
    if not arguments.data.is_dir() and ("semireal" in arguments.kinds or arguments.wrong):
        parser.error("semireal pairs are made from a real CT: tell --data, or leave out --wrong and that kind")
    todo = plans(arguments.kinds, arguments.seeds)
    if todo:
        print(HEADER)
    rows: list[Row] = []
    scores: list[Score] = []
    for plan in todo:
        pair = make_pair(plan, arguments.data)
        rows.append(measured(plan, pair))
        print(rows[-1], flush=True)
        if arguments.rivals and plan.same_phase:
            for score in rival_scores(pair):
                scores.append(score)
                print(f"           {plan.seed:4d} {score}", flush=True)
    print(*summary_lines(scores), sep="\n")
    checks = list(checks_of(rows))
    checks += wrong_checks(rows, arguments.data) if arguments.wrong else ()
    checks += large_checks(arguments.data) if arguments.large else ()
    return report(checks)


def report(checks: Sequence[Check]) -> int:
    """Print the figures beside their limits; 0 if all are met, else 1."""
    for check in checks:
        print(check)
    met = all(check.is_met for check in checks)
    print("limits met" if met else "LIMITS MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
