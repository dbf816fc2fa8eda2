"""What one lesion costs, from masks on a full CT grid to its margins, bounds and coverage, on one core.

``python benchmarks/speed.py`` prints seconds and memory for a usual and for a large lesion, beside one plain distance
transform of the same grid, and exits with 1 if a limit isn't kept: 1 s of CPU time, 300 MB above the masks, and a
twentieth of the transform's CPU time. The parts are timed one by one, called as a whole measurement calls them, but on
surfaces that were searched before. Memory is read from ``/proc``, so it runs on Linux.
"""

from __future__ import annotations

import argparse
import cProfile
import math
import pstats
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy import ndimage
from threadpoolctl import threadpool_limits

from ablmargin.case import Lesion, RasMutation
from ablmargin.geometry import BoolArray, Geometry
from ablmargin.measurement import measure_lesion
from ablmargin.metrics.completion import propose_completion
from ablmargin.metrics.coverage import measure_coverage
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.metrics.uncertainty import bound_margin, sampling_error_p95_mm
from ablmargin.registration.local_error import LocalError
from ablmargin.result import LesionResult
from ablmargin.target import Rule, Target
from ablmargin.volume import LabelMask, Structure

GRID = Geometry(shape=(300, 512, 512), spacing_mm=(1.0, 0.7, 0.7), origin_mm=(-178.85, -178.85, -149.5))
LIVER_CENTER_MM, LIVER_AXES_MM = (-20.0, 0.0, 0.0), (85.0, 75.0, 56.0)  # 1500 ml
CONTOUR_SD_MM, ERROR = 0.5, LocalError(sd_mm=1.0, correlation_length_mm=25.0)
CPU_LIMIT_S, MEMORY_LIMIT_MB, TRANSFORM_RATIO = 1.0, 300.0, 20.0
REPEATS = 3
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A round tumor close below the capsule, and its round zone a little off its center."""

    name: str
    tumor_mm: float
    zone_mm: float

    def masks(self) -> tuple[LabelMask, LabelMask, LabelMask]:
        """Tumor, ablation zone and liver on the full grid."""
        center = np.add(LIVER_CENTER_MM, (0.0, 0.0, LIVER_AXES_MM[2] - self.tumor_mm - 3.0))
        tumor = _ellipsoid(center, (self.tumor_mm,) * 3)
        liver = _ellipsoid(np.array(LIVER_CENTER_MM), LIVER_AXES_MM)
        zone = _ellipsoid(center - (1.5, 1.0, 2.0), (self.zone_mm,) * 3) & liver
        return (
            LabelMask(voxels=tumor & liver, geometry=GRID, structure=Structure.TUMOR),
            LabelMask(voxels=zone, geometry=GRID, structure=Structure.ABLATION_ZONE),
            LabelMask(voxels=liver, geometry=GRID, structure=Structure.LIVER),
        )


SCENES = (Scene(name="usual", tumor_mm=11.0, zone_mm=18.0), Scene(name="large", tumor_mm=25.0, zone_mm=35.0))


def _ellipsoid(center_mm: np.ndarray, axes_mm: tuple[float, ...]) -> BoolArray:
    slices, rows, columns = np.ogrid[: GRID.shape[0], : GRID.shape[1], : GRID.shape[2]]
    x, y, z = (
        (GRID.origin_mm[axis] + index * spacing - center_mm[axis]) / axes_mm[axis]
        for axis, index, spacing in zip(range(3), (columns, rows, slices), GRID.spacing_mm[::-1], strict=True)
    )
    return np.asarray(x * x + y * y + z * z <= 1.0)


def measure(tumor: LabelMask, zone: LabelMask, liver: LabelMask) -> LesionResult:
    """One whole lesion, as ``ablmargin margin --liver`` measures it."""
    rule = Rule(ras_mutation=RasMutation.UNKNOWN, contour_sd_mm=CONTOUR_SD_MM)
    lesion = Lesion(lesion_id="1", tumor=tumor)
    return measure_lesion(lesion, surface_of(tumor), Target.of(zone, liver), rule, error=ERROR)


def parts_s(tumor_mask: LabelMask, zone_mask: LabelMask, liver: LabelMask) -> dict[str, float]:
    """CPU seconds of the steps."""
    seconds, tumor = _cpu(lambda: surface_of(tumor_mask))
    parts = {"surface of the tumor": seconds}
    parts["surface of the zone"], zone = _cpu(lambda: surface_of(zone_mask))
    parts["depth in the liver"], depth = _cpu(lambda: LiverDepth.around(liver, tumor, zone))
    parts["margins"], margin = _cpu(lambda: measure_margin(tumor, zone, depth=depth))
    parts["coverage"], _ = _cpu(lambda: measure_coverage(tumor, zone, depth=depth))
    parts["raw minimum"], _ = _cpu(lambda: raw_minimum_mm(tumor_mask, zone_mask))
    for constrained in (False, True):
        if constrained and margin.constrained_mm is None:
            continue
        name = "bounds, constrained" if constrained else "bounds"
        parts[name], _ = _cpu(
            lambda constrained=constrained: bound_margin(
                margin,
                zone,
                sd_mm=ERROR.sd_mm,
                correlation_length_mm=ERROR.correlation_length_mm,
                sampling_error_mm=sampling_error_p95_mm(GRID.spacing_mm[0]),
                segmentation_sd_mm=CONTOUR_SD_MM * math.sqrt(2),
                constrained=constrained,
            )
        )
    judged = margin.margin_mm if margin.constrained_mm is None else margin.constrained_mm
    parts["completion"], _ = _cpu(
        lambda: propose_completion(tumor, zone, judged, required_mm=10.0, liver=liver, depth=depth)
    )
    return parts


def _cpu(call: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds, the best of some after one to warm up, and what came out."""
    result, best = call(), math.inf
    for _ in range(REPEATS):
        started = time.process_time()
        result = call()
        best = min(best, time.process_time() - started)
    return best, result


def _wall_s(call: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def transform_cpu_s() -> float:
    """One distance transform of the full grid, to the usual zone: what a voxel tool pays at least once."""
    _, zone, _ = SCENES[0].masks()
    started = time.process_time()
    ndimage.distance_transform_edt(~zone.voxels, sampling=GRID.spacing_mm)
    return time.process_time() - started


def memory_mb(scene: Scene) -> float:
    """Peak memory of a measurement above the masks, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", scene.name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _memory_here_mb(scene: Scene) -> float:
    """Peak resident size above that with masks and libraries loaded; a small lesion first loads what is loaded late."""
    small = Geometry(shape=(40, 50, 50), spacing_mm=(1.0, 0.7, 0.7), origin_mm=(0.0, 0.0, 0.0))
    voxels = np.zeros(small.shape, dtype=bool)
    voxels[10:30, 10:40, 10:40] = True
    masks = [LabelMask(voxels=voxels, geometry=small, structure=structure) for structure in Structure]
    measure(masks[1], masks[2], masks[0])
    masks = list(scene.masks())
    base = _resident_mb()
    _forget_peak()
    measure(*masks)
    return _peak_mb() - base


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 1e6


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def report(scene: Scene, transform_s: float, *, parts: bool) -> bool:
    """Print one scene's rows; whether its limits are kept."""
    masks = scene.masks()
    cpu_s, _ = _cpu(lambda: measure(*masks))
    wall_s, peak_mb = _wall_s(lambda: measure(*masks)), memory_mb(scene)
    ratio = transform_s / cpu_s
    kept = cpu_s <= CPU_LIMIT_S and peak_mb <= MEMORY_LIMIT_MB and ratio >= TRANSFORM_RATIO
    print(
        f"{scene.name:6s} {scene.tumor_mm:4.0f} in {scene.zone_mm:2.0f} mm | CPU {cpu_s:5.2f} s  wall {wall_s:5.2f} s"
        f" | {peak_mb:4.0f} MB | 1/{ratio:.0f} of the transform{'' if kept else '   limit not kept'}"
    )
    for name, seconds in parts_s(*masks).items() if parts else ():
        print(f"    {name:22s} {seconds:6.3f} s")
    return kept


def profile(scene: Scene, *, rows: int = 25) -> None:
    """Print where the CPU time of a whole measurement goes."""
    masks = scene.masks()
    measure(*masks)
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(measure, *masks)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(rows)


def main() -> int:
    """Print the table; 1 if a limit isn't kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {scene.name: scene for scene in SCENES}
    parser.add_argument("--no-parts", action="store_true", help="only the whole")
    parser.add_argument("--profile", choices=names, help="print a profile instead")
    parser.add_argument("--memory-of", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(_memory_here_mb(names[options.memory_of]))
        return 0
    if options.profile:
        profile(names[options.profile])
        return 0
    transform_s = transform_cpu_s()
    print(f"one distance transform of {' x '.join(map(str, GRID.shape))} voxels: {transform_s:.1f} s CPU")
    print(f"limits: {CPU_LIMIT_S:.0f} s CPU, {MEMORY_LIMIT_MB:.0f} MB, 1/{TRANSFORM_RATIO:.0f} of the transform")
    kept = [report(scene, transform_s, parts=not options.no_parts) for scene in SCENES]
    return int(not all(kept))


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        sys.exit(main())
