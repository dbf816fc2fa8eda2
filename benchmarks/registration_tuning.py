"""Settings of the other registration programs, and of our own recipe, tried with equal effort.

``python benchmarks/registration_tuning.py [--programs ablmargin elastix greedy ants] [--pairs 2]`` tries six settings of each
program on a pair and its three best on the others; no benchmark measures these pairs. It prints the best of each: the one
with the least mean error at the tumor; to a hundredth of a millimeter alike, the cheaper one. The first setting is what the
search starts from, the others change what matters much to the program, most of them one thing. CPU s is that of the
deformation alone, from the rigid start: in one direction, of our own engine in both, as it is used.
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

FINALISTS = 3
PAIRS = (
    Plan(kind="phantom", seed=201, scenario="thin-margin"),
    Plan(kind="semireal", seed=203, nominal_mam_mm=3.0),
    Plan(kind="semireal", seed=201, nominal_mam_mm=1.0),
    Plan(kind="phantom", seed=203, scenario="deep-breath"),
)

_ELASTIX = {
    "Metric1Weight": "100",
    "FinalGridSpacingInPhysicalUnits": "18",
    "MaximumNumberOfIterations": "300",
    "NumberOfSpatialSamples": "2000",
}
_GREEDY = {"m": "WNCC 2x2x2", "s": "6vox 4vox", "n": "100x60x30"}
_ANTS = {"syn_sampling": 3, "reg_iterations": [100, 60, 0], "flow_sigma": 9, "total_sigma": 4}

TRIALS: dict[str, dict[str, Settings]] = {
    "ablmargin": {
        "the product's": {},
        "stiffness 5": {"stiffness": 5.0},
        "stiffness 10": {"stiffness": 10.0},
        "stiffness 40": {"stiffness": 40.0},
        "knots 14 mm": {"knot_mm": 14.0},
        "knots 24 mm": {"knot_mm": 24.0},
    },
    "elastix": {
        "bending 100, grid 18 mm, 300 iterations, 2000 samples": _ELASTIX,
        "bending 30": _ELASTIX | {"Metric1Weight": "30"},
        "bending 300": _ELASTIX | {"Metric1Weight": "300"},
        "grid 24 mm": _ELASTIX | {"FinalGridSpacingInPhysicalUnits": "24"},
        "4000 samples": _ELASTIX | {"NumberOfSpatialSamples": "4000"},
        "150 iterations": _ELASTIX | {"MaximumNumberOfIterations": "150"},
    },
    "greedy": {
        "radius 2, smoothing 6 and 4 voxels, 100, 60 and 30 iterations": _GREEDY,
        "radius 3": _GREEDY | {"m": "WNCC 3x3x3"},
        "smoothing 4 and 3": _GREEDY | {"s": "4vox 3vox"},
        "smoothing 8 and 5": _GREEDY | {"s": "8vox 5vox"},
        "smoothing 6 and 6": _GREEDY | {"s": "6vox 6vox"},
        "50, 30 and 10 iterations": _GREEDY | {"n": "50x30x10"},
    },
    "ants": {
        "radius 3, flow 9, total 4, 100 and 60 iterations, none at full resolution": _ANTS,
        "total 1": _ANTS | {"total_sigma": 1},
        "total 9": _ANTS | {"total_sigma": 9},
        "flow 4": _ANTS | {"flow_sigma": 4},
        "radius 2, 40, 20 and 5 at full resolution": _ANTS | {"syn_sampling": 2, "reg_iterations": [40, 20, 5]},
        "radius 2, flow 4, total 1, 40, 20 and 10": {
            "syn_sampling": 2,
            "reg_iterations": [40, 20, 10],
            "flow_sigma": 4,
            "total_sigma": 1,
        },
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


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Least mean error at the tumor first; to a hundredth of a millimeter alike, the cheaper. NaN is left out.

    Examples
    --------
    >>> def trial(name, tumor_mm, cpu_s):
    ...     return Trial(name=name, tumor_mm=tumor_mm, worst_mm=1.0, liver_mm=1.0, cpu_s=cpu_s)
    >>> [t.name for t in ranked([trial("slow", 0.501, 9.0), trial("poor", 0.52, 1.0), trial("fast", 0.504, 3.0)])]
    ['fast', 'slow', 'poor']
    """
    answered = [trial for trial in trials if np.isfinite(trial.tumor_mm)]
    return sorted(answered, key=lambda trial: (round(trial.tumor_mm, 2), trial.cpu_s))


def tried(plan: Plan, names: Mapping[str, Sequence[str]], data: Path) -> Iterator[tuple[str, Score]]:
    """The name of each setting that is asked for and how it did on a pair, program by program."""
    pair = make_pair(plan, data)
    exams, points = prepared(pair), watched_points(pair.truth)
    started = PyramidPair.started(*(Pyramids(exam).signed() for exam in exams), SIGNED)
    for program in names:
        for name in names[program]:
            settings = TRIALS[program][name]
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


Scores = dict[tuple[str, str], list[Score]]
"""By program and name of the setting, a score a pair."""


def scores_on(plans: Sequence[Plan], names: Mapping[str, Sequence[str]], data: Path) -> Scores:
    """Try the named settings of each program on some pairs, and tell each result at once."""
    scores: Scores = {}
    for plan in plans:
        for name, score in tried(plan, names, data):
            print(f"{plan.kind:10s} {plan.seed:4d} {score}  {name}", flush=True)
            scores.setdefault((score.program, name), []).append(score)
    return scores


def trials_of(program: str, scores: Scores) -> list[Trial]:
    """One program's settings."""
    return [trial_of(name, found) for (owner, name), found in scores.items() if owner == program]


def print_tables(tables: Mapping[str, Sequence[Trial]]) -> None:
    """A table a program, best first."""
    for program, trials in tables.items():
        print(f"\n| {program} | tumor TRE mean, mm | worst | liver TRE | CPU s |\n|---|---|---|---|---|")
        print(*trials, sep="\n", flush=True)


def main() -> int:
    """Try everything and print a table a program: all settings on the first pair, then the finalists on all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--pairs", type=int, default=2, choices=range(1, len(PAIRS) + 1), help="from the first")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real CT and its liver mask")
    arguments = parser.parse_args()
    first, *others = PAIRS[: arguments.pairs]
    scores = scores_on([first], {program: list(TRIALS[program]) for program in arguments.programs}, arguments.data)
    tables = {program: ranked(trials_of(program, scores)) for program in arguments.programs}
    print_tables(tables)
    finalists = {program: [trial.name for trial in trials[:FINALISTS]] for program, trials in tables.items()}
    more = scores_on(others, finalists, arguments.data)
    final = {key: scores[key] + more[key] for key in more}
    if others:
        print_tables({program: ranked(trials_of(program, final)) for program in arguments.programs})
    return 0


if __name__ == "__main__":
    sys.exit(main())
