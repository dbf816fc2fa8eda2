"""What it costs to load a CT series checked, beside SimpleITK's own reader, which checks nothing.

``python benchmarks/intake.py [--slices 300] [--repeats 5]`` writes two series of 512 × 512 pixels, loads one of them by turns
with both readers, from the headers to Hounsfield units, and then two of ours in a process of their own. Exits with 1 if ours
takes more than 1.5 times the CPU time, or both exams together more than 1.2 GB. Wall time is shown; it depends on what else
runs. The files were read before, so that no disk is measured. Memory is Linux's count, whole process and libraries included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.geometry import Geometry
from ablmargin.loading import load_image
from ablmargin.volume import Volume

TIME_RATIO, MEMORY_GB = 1.5, 1.2
MATRIX = 512
SPACING_MM = (1.0, 0.7, 0.7)
RADIUS = 200
"""Of the body, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of one load."""

    cpu_s: float
    wall_s: float


def body(slices: int, seed: int) -> Volume:
    """A noisy cylinder of tissue in air: what is in it doesn't matter, that it looks like HU does."""
    rows, columns = np.ogrid[:MATRIX, :MATRIX]
    inside = (rows - MATRIX / 2) ** 2 + (columns - MATRIX / 2) ** 2 < RADIUS**2
    noise = np.random.default_rng(seed).normal(0.0, 20.0, (slices, MATRIX, MATRIX)).astype(np.float32)
    half = np.multiply(SPACING_MM, (slices - 1, MATRIX - 1, MATRIX - 1)) / 2
    geometry = Geometry(shape=(slices, MATRIX, MATRIX), spacing_mm=SPACING_MM, origin_mm=(-half[2], -half[1], -half[0]))
    return Volume(voxels_hu=noise + np.where(inside, 60.0, -1000.0).astype(np.float32), geometry=geometry)


def by_simpleitk(folder: Path) -> None:
    """The usual way: GDCM lists and sorts the files, the series reader stacks them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    sitk.GetArrayViewFromImage(reader.Execute())


def cost(load: Callable[[Path], object], folder: Path) -> Cost:
    """CPU and wall seconds of one load."""
    cpu, wall = time.process_time(), time.perf_counter()
    load(folder)
    return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)


def compared(folder: Path, repeats: int) -> tuple[list[Cost], list[Cost]]:
    """Ours and SimpleITK's, by turns, after one load of each that isn't counted."""
    load_image(folder)
    by_simpleitk(folder)
    pairs = [(cost(load_image, folder), cost(by_simpleitk, folder)) for _ in range(repeats)]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def peak_gb(folders: list[Path]) -> float:
    """Peak memory of a process that loads both exams and keeps them."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_gb, (folders,))


def _peak_gb(folders: list[Path]) -> float:
    kept = [load_image(folder) for folder in folders]
    assert len(kept) == len(folders)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ablmargin-intake-") as folder:
        folders = [Path(folder) / name for name in ("pre", "post")]
        for seed, exam in enumerate(folders):
            identity = SeriesIdentity(study_date=f"2026011{seed}", seed=seed)
            write_ct_series(body(options.slices, seed), exam, identity=identity)
        memory_gb = peak_gb(folders)
        ours, theirs = compared(folders[0], options.repeats)
    ratio = statistics.median([cost.cpu_s for cost in ours]) / statistics.median([cost.cpu_s for cost in theirs])
    print(f"{options.slices} slices of {MATRIX} × {MATRIX}, uncompressed, median of {options.repeats}")
    for name, costs in (("ablmargin", ours), ("SimpleITK", theirs)):
        cpu_s, wall_s = (
            statistics.median([cost.cpu_s for cost in costs]),
            statistics.median([cost.wall_s for cost in costs]),
        )
        print(f"{name}: {cpu_s:.2f} CPU s, {wall_s:.2f} s")
    is_met = ratio <= TIME_RATIO and memory_gb <= MEMORY_GB
    print(
        f"CPU time {ratio:.2f} times SimpleITK's (limit {TIME_RATIO}); two exams {memory_gb:.2f} GB (limit {MEMORY_GB})"
    )
    print("all limits met" if is_met else "MISSED")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
