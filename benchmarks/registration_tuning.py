"""Settings of the other registration programs, and of our own recipe, tried with equal effort.

``python benchmarks/registration_tuning.py [--programs ablmargin elastix greedy ants] [--pairs 4]`` tries six settings of each
program on the same pairs, none of which a benchmark measures, and prints the best of each: the one with the least mean error at
the tumor; to a hundredth of a millimeter alike, the cheaper one. The first setting is where the search starts from, the
others change one thing that matters much to the program. CPU s is that of the deformation alone, from the rigid start: in
one direction, of our own engine in both, as it is used.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from registration_pairs import DATA, Plan, make_pair, prepared
from registration_rivals import MODULES, Settings, run_rival
from registration_scores import Run, Score, score_of, watched_points

from ablmargin.geometry import FloatArray
from ablmargin.registration.deformable import SIGNED, Recipe
from ablmargin.registration.pyramid import Pyramids
from ablmargin.registration.symmetric import PyramidPair, meet_halfway
from ablmargin.registration.threads import limited_threads

PAIRS = (
    Plan(kind="phantom", seed=201, scenario="thin-margin"),
    Plan(kind="semireal", seed=203, nominal_mam_mm=3.0),
    Plan(kind="semireal", seed=201, nominal_mam_mm=1.0),
    Plan(kind="phantom", seed=203, scenario="deep-breath"),
)

_ELASTIX = {
    "Metric1Weight": "10",
    "FinalGridSpacingInPhysicalUnits": "18",
    "MaximumNumberOfIterations": "300",
    "NumberOfSpatialSamples": "4000",
}
_GREEDY = {"m": "WNCC 3x3x3", "s": "4vox 3vox", "n": "100x60x30"}
_ANTS = {"syn_sampling": 2, "reg_iterations": [40, 20, 10], "flow_sigma": 4, "total_sigma": 1}
_HALF = {"reg_iterations": [100, 60, 0]}

TRIALS: dict[str, dict[str, Settings]] = {
    "ablmargin": {
        "stiffness 10, knots 18 mm": {"stiffness": 10.0, "knot_mm": 18.0},
        "stiffness 5": {"stiffness": 5.0, "knot_mm": 18.0},
        "stiffness 20": {"stiffness": 20.0, "knot_mm": 18.0},
        "stiffness 40": {"stiffness": 40.0, "knot_mm": 18.0},
        "knots 14 mm": {"stiffness": 10.0, "knot_mm": 14.0},
        "knots 24 mm": {"stiffness": 10.0, "knot_mm": 24.0},
    },
    "elastix": {
        "bending 10, grid 18 mm, 300 iterations, 4000 samples": _ELASTIX,
        "bending 3": _ELASTIX | {"Metric1Weight": "3"},
        "bending 30": _ELASTIX | {"Metric1Weight": "30"},
        "grid 12 mm": _ELASTIX | {"FinalGridSpacingInPhysicalUnits": "12"},
        "2000 samples": _ELASTIX | {"NumberOfSpatialSamples": "2000"},
        "600 iterations": _ELASTIX | {"MaximumNumberOfIterations": "600"},
    },
    "greedy": {
        "radius 3, smoothing 4 and 3 voxels, 100, 60 and 30 iterations": _GREEDY,
        "smoothing 3 and 2": _GREEDY | {"s": "3vox 2vox"},
        "smoothing 6 and 4": _GREEDY | {"s": "6vox 4vox"},
        "radius 2": _GREEDY | {"m": "WNCC 2x2x2"},
        "radius 5": _GREEDY | {"m": "WNCC 5x5x5"},
        "200, 120 and 60 iterations": _GREEDY | {"n": "200x120x60"},
    },
    "ants": {
        "radius 2, flow 4, total 1, 40, 20 and 10 iterations": _ANTS,
        "100, 60 and none at full resolution": _ANTS | _HALF,
        "the same, flow 2": _ANTS | _HALF | {"flow_sigma": 2},
        "the same, flow 6": _ANTS | _HALF | {"flow_sigma": 6},
        "the same, radius 3": _ANTS | _HALF | {"syn_sampling": 3},
        "flow 6, 40, 20 and 5 iterations": _ANTS | {"flow_sigma": 6, "reg_iterations": [40, 20, 5]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one setting over the pairs: mean and largest error at the tumor, mean error in the liver, mean CPU time."""

    name: str
    tumor_mm: float
    worst_mm: float
    liver_mm: float
    cpu_s: float

    def __str__(self) -> str:
        figures = f"{self.tumor_mm:.2f} | {self.worst_mm:.2f} | {self.liver_mm:.2f} | {self.cpu_s:.1f}"
        return f"| {self.name} | {figures} |"


def trial_of(name: str, scores: Sequence[Score]) -> Trial:
    """One setting's figures; a run without an answer makes all of them NaN."""
    tumor, liver, cpu = np.array([[score.tumor_mm, score.liver_mm, score.cpu_s] for score in scores]).T
    return Trial(
        name=name,
        tumor_mm=float(tumor.mean()),
        worst_mm=float(tumor.max()),
        liver_mm=float(liver.mean()),
        cpu_s=float(cpu.mean()),
    )


def best_of(trials: Sequence[Trial]) -> Trial:
    """The least mean error at the tumor; to a hundredth of a millimeter alike, the cheaper. NaN is never best.

    Examples
    --------
    >>> def trial(name, tumor_mm, cpu_s):
    ...     return Trial(name=name, tumor_mm=tumor_mm, worst_mm=1.0, liver_mm=1.0, cpu_s=cpu_s)
    >>> best_of([trial("slow", 0.501, 9.0), trial("fast", 0.504, 3.0), trial("poor", 0.52, 1.0)]).name
    'fast'
    """
    answered = [trial for trial in trials if np.isfinite(trial.tumor_mm)]
    return min(answered, key=lambda trial: (round(trial.tumor_mm, 2), trial.cpu_s))


def tried(plan: Plan, programs: Sequence[str], data: Path) -> Iterator[tuple[str, Score]]:
    """The name of each setting and how it did on a pair, program by program."""
    pair = make_pair(plan, data)
    exams, points = prepared(pair), watched_points(pair.truth)
    started = PyramidPair.started(*(Pyramids(exam).signed() for exam in exams), SIGNED)
    for program in programs:
        for name, settings in TRIALS[program].items():
            if program in MODULES:
                run = run_rival(program, *exams, started.rigid, points, settings=settings)
            else:
                run = _own_run(started, points, settings)
            yield name, score_of(run, pair.truth)


def _own_run(started: PyramidPair, points_mm: FloatArray, settings: Mapping[str, float]) -> Run:
    pair = replace(started, recipe=recipe_with(settings))
    start = time.process_time()
    with limited_threads(1):
        moved = meet_halfway(pair, pair.forward(), pair.backward()).post_from_pre.map_points(points_mm)
    return Run(program="ablmargin", points_mm=moved, cpu_s=time.process_time() - start)


def recipe_with(settings: Mapping[str, float]) -> Recipe:
    """Our own recipe with another finest level."""
    return (*SIGNED[:-1], replace(SIGNED[-1], **settings))


def main() -> int:
    """Try everything and print a table a program; the best stands last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many of the pairs, from the first")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real CT and its liver mask")
    arguments = parser.parse_args()
    scores: dict[tuple[str, str], list[Score]] = {}
    for plan in PAIRS[: arguments.pairs]:
        for name, score in tried(plan, arguments.programs, arguments.data):
            print(f"{plan.kind:10s} {plan.seed:4d} {score}  {name}", flush=True)
            scores.setdefault((score.program, name), []).append(score)
    for program in arguments.programs:
        trials = [trial_of(name, scores[program, name]) for name in TRIALS[program]]
        print(f"\n| {program} | tumor TRE mean, mm | worst | liver TRE | CPU s |\n|---|---|---|---|---|")
        print(*trials, f"best: {best_of(trials).name}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
