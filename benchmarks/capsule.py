"""Accuracy of the capsule-constrained margin against exact truth: a tumor ball in a zone ball below a liver capsule.

``python benchmarks/capsule.py`` prints, for slices of 1, 2, 3 and 5 mm (0.7 mm in plane), the exact constrained minimum of
each geometry, what is measured with the zone drawn clipped at the capsule and across it, the error of the shortfall, and
what voxel distances say that leave out everything within 5 mm of the capsule. Then it counts where tumor that is truly
unablated is reported as ablated, also with livers drawn wrongly.

Errors stand as they are, and beside the largest one what that result itself tells it may be off by: for the minimum the
sampling error that its bounds hold, together with the doubt about the capsule; for the shortfall its own doubt. A capsule
that runs along the slices is known to half a slice only: livers that differ by as much have the same voxels, so no
measurement can tell.

A result is *right* within 0.3 mm, *told* (~) if it is off by more, but no more than it tells, and *wrong* (!) otherwise, or
if a verdict contradicts the truth. Unablated tumor that is reported as ablated is told only if no verdict is given, and the
excuse or the lower bound says that tumor may be left. The exit code is 1 if anything is wrong; told ones are counted beside.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import numpy as np
from capsule_cases import REQUIRED_MM, UNABLATED, VARIANTS, Measured, Truth, accurate_scenes, is_hidden, measured

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import COARSE_SLICES_MM, THRESHOLDS_MM, Verdict, judge
from ablmargin.clinical.criteria import Measured as Bounded
from ablmargin.hindrances import NOTABLE_EXCUSE_MM
from ablmargin.metrics.uncertainty import sampling_error_p95_mm
from ablmargin.reasons import Reason, ReasonCode

LIMIT_MM = 0.3
MARKS = {"right": " ", "told": "~", "wrong": "!"}


def minimum_doubt_mm(found: Measured, slice_mm: float) -> float:
    """What the bounds of the minimum hold for voxels alone, without any error of registration or contours."""
    return sampling_error_p95_mm(slice_mm) + found.doubt_mm


def verdict_on(found: Measured, slice_mm: float) -> Verdict:
    """By bounds as wide as the voxels ask for; what keeps the product from a verdict does so here."""
    doubt = minimum_doubt_mm(found, slice_mm)
    bounded = Bounded(minimum_mm=found.minimum_mm, lower_mm=found.minimum_mm - doubt, upper_mm=found.minimum_mm + doubt)
    hindered = found.excused_mm > NOTABLE_EXCUSE_MM or slice_mm >= COARSE_SLICES_MM
    hindrances = (Reason(code=ReasonCode.CAPSULE_UNCLEAR, sentence="The voxels can't tell."),) if hindered else ()
    return judge(dict.fromkeys(THRESHOLDS_MM, bounded), RasMutation.WILD_TYPE, hindrances=hindrances).verdict


def outcome(truth: Truth, found: Measured, slice_mm: float) -> str:
    """Whether one measurement is right, told or wrong."""
    true_verdict = Verdict.ADEQUATE if truth.minimum_mm >= REQUIRED_MM else Verdict.INADEQUATE
    if verdict_on(found, slice_mm) not in (Verdict.INDETERMINATE, true_verdict):
        return "wrong"
    errors = (
        (abs(found.minimum_mm - truth.minimum_mm), minimum_doubt_mm(found, slice_mm)),
        (abs(found.shortfall_mm - truth.shortfall_mm), found.shortfall_doubt_mm),
    )
    if any(error > max(LIMIT_MM, told) for error, told in errors):
        return "wrong"
    return "told" if any(error > LIMIT_MM for error, _ in errors) else "right"


def accuracy_table(slice_mm: float, *, offsets: int) -> Counter[str]:
    """Print the table of one slice spacing; returns how many measurements are right, told and wrong."""
    print(
        f"\nslices of {slice_mm:g} mm, {offsets} offsets: constrained minimum, mm (clipped zone | zone across the capsule)"
    )
    counts: Counter[str] = Counter()
    for scene in accurate_scenes():
        cells = []
        for clipped in (True, False):
            found = [measured(scene, slice_mm, clipped=clipped, seed=seed) for seed in range(offsets)]
            outcomes = Counter(outcome(scene.truth(clipped=clipped), one, slice_mm) for one in found)
            counts += outcomes
            cells.append(f"{_cell(scene.truth(clipped=clipped), found, slice_mm)} {MARKS[max(outcomes, key=_gravity)]}")
        print(f"{scene.name:31s} truth {scene.truth(clipped=True).minimum_mm:5.2f} | {' | '.join(cells)}", flush=True)
    return counts


def _gravity(name: str) -> int:
    return list(MARKS).index(name)


def _cell(truth: Truth, found: list[Measured], slice_mm: float) -> str:
    """The largest errors, each with what the same measurement told."""
    minima = [one.minimum_mm for one in found]
    off, told = max((abs(one.minimum_mm - truth.minimum_mm), minimum_doubt_mm(one, slice_mm)) for one in found)
    short, short_told = max((abs(one.shortfall_mm - truth.shortfall_mm), one.shortfall_doubt_mm) for one in found)
    voxels = np.nanmean([one.voxel_tool_mm for one in found])
    return (
        f"{min(minima):6.2f}..{max(minima):5.2f} err {off:4.2f} told {told:4.2f} "
        f"shortfall err {short:4.2f} told {short_told:4.2f} voxels {voxels:5.2f}"
    )


def hidden_table(slice_mm: float, *, offsets: int) -> Counter[str]:
    """Print where unablated tumor is reported as ablated; returns how often that is told and how often it isn't."""
    print(f"\nslices of {slice_mm:g} mm, {offsets} offsets: unablated tumor reported as ablated (smallest excuse, mm)")
    counts: Counter[str] = Counter()
    for name, liver in VARIANTS.items():
        for scene in UNABLATED:
            found = [measured(scene, slice_mm, clipped=True, seed=seed, liver=liver) for seed in range(offsets)]
            hidden = [one for one in found if is_hidden(scene, one, clipped=True)]
            outcomes = Counter("told" if _is_told(one, slice_mm) else "wrong" for one in hidden)
            counts += outcomes
            if hidden:
                least = min(one.excused_mm for one in hidden)
                print(
                    f"liver {name:15s} {scene.name:31s} {len(hidden)} ({least:.2f}): {outcomes['told']} told and without "
                    f"a verdict, {outcomes['wrong']} untold",
                    flush=True,
                )
    return counts


def _is_told(found: Measured, slice_mm: float) -> bool:
    """Whether no verdict is given, and the excuse or the lower bound says that tumor may be left."""
    may_be_left = found.excused_mm > NOTABLE_EXCUSE_MM or found.minimum_mm < minimum_doubt_mm(found, slice_mm)
    return may_be_left and verdict_on(found, slice_mm) is Verdict.INDETERMINATE


def main() -> int:
    """Print all tables; 1 if a limit isn't kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offsets", type=int, default=5, help="placements of the grid within a voxel")
    parser.add_argument("--slices", type=float, nargs="+", default=[1.0, 2.0, 3.0, 5.0], metavar="MM")
    options = parser.parse_args()
    wrong = 0
    for slice_mm in options.slices:
        counts, hidden = (table(slice_mm, offsets=options.offsets) for table in (accuracy_table, hidden_table))
        wrong += counts["wrong"] + hidden["wrong"]
        print(
            f"slices of {slice_mm:g} mm: {counts['right']} right within {LIMIT_MM:g} mm, {counts['told']} off by no more than "
            f"told, {counts['wrong']} wrong; unablated tumor hidden {hidden['told']} times told, {hidden['wrong']} untold"
        )
    print(f"{wrong} wrong" if wrong else "limits kept")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
