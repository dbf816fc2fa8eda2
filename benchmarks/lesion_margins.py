"""What outlines from prompts do to the answer: minimum margins with them and with the true outlines, in one frame.

Each tumor gets a zone of known shape around it, each zone a tumor within it, so that one outline alone is to blame. Printed
are the errors by size and by contrast, for results that the tool trusts and for those that it flags, and how much ten
prompts in one lesion spread the answer. Exits with 1 if a limit is missed.

    python benchmarks/lesion_margins.py [--tumors N] [--zones N] [--repeated N] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from lesion_scenes import DATA, Scene, click, drawn_axis, scenes
from scipy import ndimage

from ablmargin.geometry import FloatArray
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import surface_of
from ablmargin.segmentation.methods import Methods
from ablmargin.segmentation.protocol import Prompt, Segmentation
from ablmargin.volume import LabelMask, Structure

FIRST = 5000
"""Scenes from here on were never looked at while the method was made."""
PROMPTS: dict[str, Callable[[LabelMask, np.random.Generator], Prompt]] = {"long axis": drawn_axis, "click": click}
SIZES_MM = (0.0, 15.0, 25.0, np.inf)
CONTRASTS = (0.0, 1.5, 2.2, np.inf)
MOST_MEDIAN_MM, MOST_SPREAD_MM = 1.0, 0.7
TIMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One outline's effect; the error is positive on the unsafe side, NaN if nothing was outlined."""

    structure: Structure
    prompt: str
    diameter_mm: float
    contrast_to_noise: float
    is_trusted: bool
    error_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the minimum margins from ten prompts in one lesion scatter, and how many were trusted."""

    structure: Structure
    prompt: str
    sd_mm: float
    trusted: int


def counterpart(truth: LabelMask, rng: np.random.Generator) -> LabelMask:
    """For a tumor the zone around it, for a zone the tumor in it: 2 mm away on one side, 8 mm on the other."""
    is_tumor = truth.structure is Structure.TUMOR
    start, stop = truth.bounding_box(pad_mm=14.0)
    part = truth.cropped(start, stop)
    distance_mm = ndimage.distance_transform_edt(~part.voxels if is_tumor else part.voxels, part.geometry.spacing_mm)
    side = rng.normal(size=3)
    points = part.geometry.points_at(np.moveaxis(np.indices(part.geometry.shape), 0, -1))
    from_center = points - truth.voxel_centers_mm().mean(axis=0)
    cosine = from_center @ side / (np.linalg.norm(side) * (np.linalg.norm(from_center, axis=-1) + 1e-9))
    reach_mm = 5.0 + 3.0 * cosine
    inside = distance_mm <= reach_mm if is_tumor else distance_mm > reach_mm
    voxels = np.zeros(truth.geometry.shape, bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = inside
    other = Structure.ABLATION_ZONE if is_tumor else Structure.TUMOR
    return LabelMask(voxels=voxels, geometry=truth.geometry, structure=other)


def minimum_mm(one: LabelMask, other: LabelMask) -> float:
    """The minimum margin between a tumor and a zone, in whichever order."""
    tumor, zone = (one, other) if one.structure is Structure.TUMOR else (other, one)
    return measure_margin(surface_of(tumor), surface_of(zone)).minimum_mm


def outlined(scene: Scene, prompt: Prompt, methods: Methods) -> Segmentation:
    """What the built-in method proposes."""
    return methods.of(scene.structure).segment(scene.volume, prompt, liver=scene.liver)


def rows_of(scene: Scene, methods: Methods) -> Iterator[Row]:
    """One prompt of each kind."""
    rng = np.random.default_rng([FIRST, int(scene.name.split()[0])])
    other = counterpart(scene.truth, rng)
    if other.is_empty:
        return
    true_mm = minimum_mm(scene.truth, other)
    for name, make in PROMPTS.items():
        proposal = outlined(scene, make(scene.truth, rng), methods)
        found_mm = np.nan if proposal.mask.is_empty else minimum_mm(proposal.mask, other)
        yield Row(
            structure=scene.structure,
            prompt=name,
            diameter_mm=scene.diameter_mm,
            contrast_to_noise=scene.contrast_to_noise,
            is_trusted=proposal.is_trusted,
            error_mm=found_mm - true_mm,
        )


def spreads_of(scene: Scene, methods: Methods) -> Iterator[Spread]:
    """Ten prompts of each kind."""
    rng = np.random.default_rng([FIRST, int(scene.name.split()[0]), 1])
    other = counterpart(scene.truth, rng)
    if other.is_empty:
        return
    for name, make in PROMPTS.items():
        proposals = [outlined(scene, make(scene.truth, rng), methods) for _ in range(TIMES)]
        found_mm = [minimum_mm(each.mask, other) for each in proposals if not each.mask.is_empty]
        yield Spread(
            structure=scene.structure,
            prompt=name,
            sd_mm=float(np.std(found_mm, ddof=1)) if len(found_mm) > 1 else np.nan,
            trusted=sum(each.is_trusted for each in proposals),
        )


def main() -> int:
    """Run the benchmark; the exit code tells whether the limits are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tumors", type=int, default=80)
    parser.add_argument("--zones", type=int, default=24)
    parser.add_argument(
        "--repeated", type=int, default=20, help="lesions with ten prompts, three quarters of them tumors"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real CT and its liver mask")
    arguments = parser.parse_args()
    methods, rows, spreads = Methods(), list[Row](), list[Spread]()
    counts = {Structure.TUMOR: arguments.tumors, Structure.ABLATION_ZONE: arguments.zones}
    shares = {Structure.TUMOR: arguments.repeated * 3 // 4, Structure.ABLATION_ZONE: arguments.repeated // 4}
    for structure, count in counts.items():
        for number, scene in enumerate(scenes(structure, count, first=FIRST, data=arguments.data)):
            rows += rows_of(scene, methods)
            if number % max(count // max(shares[structure], 1), 1) == 0:
                spreads += spreads_of(scene, methods)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    print(*table(rows), "", *spread_table(spreads), sep="\n")
    missed = [*misses(rows, spreads)]
    print(*missed, "LIMITS MISSED" if missed else "limits met", sep="\n")
    return 1 if missed else 0


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Errors by size and by contrast."""
    yield "|MAM error| in mm: median / 90th percentile (n) of the trusted; of the flagged"
    for structure, prompt in _groups(rows):
        group = [row for row in rows if (row.structure, row.prompt) == (structure, prompt)]
        yield f"{structure}, {prompt}"
        yield f"  {'all':22s}{_cells(group)}"
        for low, high in pairwise(SIZES_MM):
            yield f"  {f'diameter {low:g}-{high:g} mm':22s}{_cells([r for r in group if low <= r.diameter_mm < high])}"
        for low, high in pairwise(CONTRASTS):
            yield f"  {f'contrast {low:g}-{high:g}':22s}{_cells([r for r in group if low <= r.contrast_to_noise < high])}"


def spread_table(spreads: Sequence[Spread]) -> Iterator[str]:
    """Spread of the minimum margin by kind of prompt."""
    yield f"standard deviation of the minimum margin over {TIMES} prompts in one lesion, mm: median, largest (lesions)"
    for structure, prompt in _groups(spreads):
        group = [each for each in spreads if (each.structure, each.prompt) == (structure, prompt)]
        all_mm = _finite([each.sd_mm for each in group])
        trusted = _finite([each.sd_mm for each in group if each.trusted > TIMES // 2])
        text = "; ".join(
            f"{name} {np.median(values):.2f}, {values.max():.2f} ({len(values)})"
            for name, values in (("all", all_mm), ("mostly trusted", trusted))
            if len(values)
        )
        yield f"  {structure}, {prompt}: {text}"


def misses(rows: Sequence[Row], spreads: Sequence[Spread]) -> Iterator[str]:
    """Limits that aren't kept."""
    for structure, prompt in _groups(rows):
        group = [row for row in rows if (row.structure, row.prompt) == (structure, prompt) and row.is_trusted]
        median_mm = float(np.median(np.abs(_finite([row.error_mm for row in group])))) if group else np.nan
        if not median_mm <= MOST_MEDIAN_MM:
            yield f"MISSED: {structure}, {prompt}: median |MAM error| {median_mm:.2f} mm (at most {MOST_MEDIAN_MM:g})"
        group_mm = _finite([each.sd_mm for each in spreads if (each.structure, each.prompt) == (structure, prompt)])
        if len(group_mm) and not np.median(group_mm) <= MOST_SPREAD_MM:
            yield f"MISSED: {structure}, {prompt}: spread {np.median(group_mm):.2f} mm (at most {MOST_SPREAD_MM:g})"


def _groups(rows: Sequence[Row] | Sequence[Spread]) -> list[tuple[Structure, str]]:
    return list(dict.fromkeys((row.structure, row.prompt) for row in rows))


def _cells(rows: Sequence[Row]) -> str:
    return "   ".join(
        _cell(_finite([abs(row.error_mm) for row in rows if row.is_trusted is trusted])) for trusted in (True, False)
    )


def _cell(errors_mm: FloatArray) -> str:
    if not len(errors_mm):
        return f"{'-':>18s}"
    return f"{np.median(errors_mm):5.2f} / {np.percentile(errors_mm, 90):5.2f} ({len(errors_mm):2d})"


def _finite(values: Sequence[float]) -> FloatArray:
    array = np.array(values, float)
    return array[np.isfinite(array)]


if __name__ == "__main__":
    sys.exit(main())
