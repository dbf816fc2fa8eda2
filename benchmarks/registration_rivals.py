"""Other registration programs on the pictures that the product's own looks at: elastix, greedy and ANTs.

Each gets the texture on the 2 mm working grid, carried on beyond where it counts, and the rigid start, which is written into
the moving picture's axes, so that nothing is resampled. Two masks tell where texture counts; the fixed one leaves out what
doesn't count in either exam at the start. A program runs on one thread in a process of its own, so that its crash is a row.
Their settings were chosen by ``registration_tuning.py`` on other pairs; elastix is run by the product, which has it as its
second engine.

The command line, ``python benchmarks/registration_rivals.py PROGRAM FOLDER``, is that process.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from registration_pairs import align, prepared
from registration_scores import Run, Score, score_of, watched_points

from ablmargin.geometry import Array, FloatArray
from ablmargin.registration.elastix import PARAMETERS, deform, shared_mask
from ablmargin.registration.images import PreparedExam
from ablmargin.registration.pyramid import Level, Pyramids
from ablmargin.registration.register import RegistrationSettings
from ablmargin.registration.transform import RigidTransform
from ablmargin.simulation.pair import SimulatedPair

Settings = Mapping[str, Any]
"""A program's own options by its own names, as JSON can hold them."""

MODULES = {"elastix": "itk", "greedy": "picsl_greedy", "ants": "ants"}
SETTINGS: dict[str, Settings] = {
    "elastix": {},
    "greedy": {"m": "WNCC 2x2x2", "s": "6vox 4vox", "n": "50x30x10"},
    "ants": {"syn_sampling": 3, "reg_iterations": [100, 60, 0], "flow_sigma": 9, "total_sigma": 9},
}
"""What the benchmark runs; elastix's are changes to what the product gives it."""

LIMIT_S = 900.0
_ONE_THREAD = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_PARTS = ("fixed", "moving", "fixed_mask", "moving_mask")


def is_installed(program: str) -> bool:
    """Whether a program of ``MODULES`` can be imported here."""
    return importlib.util.find_spec(MODULES[program]) is not None


def run_rival(
    program: str,
    pre: PreparedExam,
    post: PreparedExam,
    rigid: RigidTransform,
    points_mm: FloatArray,
    *,
    settings: Settings | None = None,
) -> Run:
    """Let a program align two exams from a rigid start (post_from_pre), and map points (n, 3) of the pre frame."""
    if not is_installed(program):
        return Run(program=program, failure="not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, pre, post, rigid, points_mm)
        (folder / "settings.json").write_text(json.dumps(SETTINGS.get(program) if settings is None else settings))
        command = [sys.executable, str(Path(__file__).resolve()), program, name]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=LIMIT_S, check=False, env=os.environ | _ONE_THREAD
            )
        except subprocess.TimeoutExpired:
            return Run(program=program, failure=f"no result in {LIMIT_S:.0f} s")
        if done.returncode != 0:
            return Run(program=program, failure=failure_of(done.returncode, done.stderr))
        with np.load(folder / "moved.npz") as result:
            return Run(program=program, points_mm=rigid.map_points(result["points_mm"]), cpu_s=float(result["cpu_s"]))


def failure_of(returncode: int, stderr: bytes) -> str:
    r"""Why a process gave no answer, in a few words.

    Examples
    --------
    >>> failure_of(-11, b"")
    'crashed (signal 11)'
    >>> failure_of(1, b"Traceback ...\nValueError: no overlap\n")
    'failed (ValueError: no overlap)'
    """
    if returncode < 0:
        return f"crashed (signal {-returncode})"
    last = stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"failed ({last[:100]})"


def rival_scores(pair: SimulatedPair) -> Iterator[Score]:
    """What the other programs make of a pair, after the rigid start and the product without its ensemble."""
    start = time.process_time()
    alignment = align(pair, RegistrationSettings(threads=1, ensemble=False))
    cpu_s = time.process_time() - start
    points = watched_points(pair.truth)
    exams, rigid = prepared(pair), alignment.rigid_post_from_pre
    runs = [
        Run(program="rigid start", points_mm=rigid.map_points(points), cpu_s=0.0),
        Run(program="ablmargin", points_mm=alignment.post_from_pre.map_points(points), cpu_s=cpu_s),
        *(run_rival(program, *exams, rigid, points) for program in MODULES),
    ]
    return (score_of(run, pair.truth) for run in runs)


def write_inputs(
    folder: Path, pre: PreparedExam, post: PreparedExam, rigid: RigidTransform, points_mm: FloatArray
) -> None:
    """Pictures, masks and points as files: the fixed frame is the pre exam's, the moving one is ``rigid`` away from post."""
    fixed, moving = (Pyramids(exam).signed()[-1] for exam in (pre, post))
    for name, level, start in (("fixed", fixed, None), ("moving", moving, rigid.inverse())):
        sitk.WriteImage(placed_image(level.picture, level, start), str(folder / f"{name}.mha"))
        mask = shared_mask(fixed, moving, rigid) if level is fixed else level.counts > 0
        sitk.WriteImage(placed_image(mask.astype(np.uint8), level, start), str(folder / f"{name}_mask.mha"))
    (folder / "levels.pickle").write_bytes(pickle.dumps((fixed, moving, rigid)))
    np.save(folder / "points.npy", points_mm)


def placed_image(values: Array, level: Level, rigid: RigidTransform | None) -> sitk.Image:
    """An image of an array (x, y, z) on the level's grid, moved as a whole by a rigid map."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(level.grid.spacing_mm)
    origin = np.array([level.grid.origin_mm])
    image.SetOrigin((origin if rigid is None else rigid.map_points(origin))[0].tolist())
    image.SetDirection((np.eye(3) if rigid is None else rigid.rotation).ravel().tolist())
    return image


def displaced(field: sitk.Image, points_mm: FloatArray) -> FloatArray:
    """Points (n, 3) plus the vectors (LPS mm) of a displacement image there, linearly interpolated."""
    transform = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return np.array([transform.TransformPoint(point) for point in points_mm.tolist()])


def _elastix(folder: Path, points_mm: FloatArray, settings: Settings) -> tuple[FloatArray, float]:
    """The product's adapter, in the fixed frame as the others."""
    pre, post, rigid = pickle.loads((folder / "levels.pickle").read_bytes())
    importlib.import_module("itk").ElastixRegistrationMethod  # noqa: B018 - what is loaded when first asked for
    parameters = {**PARAMETERS, **{name: (value,) for name, value in settings.items()}}
    start = time.process_time()
    moved = deform(pre, post, rigid, parameters).map_points(points_mm)
    return rigid.inverse().map_points(moved), time.process_time() - start


def _greedy(folder: Path, points_mm: FloatArray, settings: Settings) -> tuple[FloatArray, float]:
    images = {part: sitk.ReadImage(str(folder / f"{part}.mha"), sitk.sitkFloat32) for part in _PARTS}
    program: Any = importlib.import_module("picsl_greedy").Greedy3D()
    options = " ".join(f"-{name} {value}" for name, value in settings.items())
    start = time.process_time()
    program.execute(
        f"-i fixed moving -gm fixed_mask -mm moving_mask {options} -threads 1 -o warp",
        warp=None,
        **images,
    )
    cpu_s = time.process_time() - start
    return displaced(program["warp"], points_mm), cpu_s


def _ants(folder: Path, points_mm: FloatArray, settings: Settings) -> tuple[FloatArray, float]:
    ants: Any = importlib.import_module("ants")
    images = {part: ants.image_read(str(folder / f"{part}.mha")) for part in _PARTS}
    start = time.process_time()
    result = ants.registration(
        images["fixed"],
        images["moving"],
        type_of_transform="SyNOnly",
        initial_transform="identity",
        mask=images["fixed_mask"],
        moving_mask=images["moving_mask"],
        syn_metric="CC",
        outprefix=str(folder / "ants_"),
        **settings,
    )
    cpu_s = time.process_time() - start
    frame = importlib.import_module("pandas").DataFrame(points_mm, columns=["x", "y", "z"])
    moved = ants.apply_transforms_to_points(3, frame, result["fwdtransforms"])
    return moved[["x", "y", "z"]].to_numpy(), cpu_s


_RUNS: dict[str, Callable[[Path, FloatArray, Settings], tuple[FloatArray, float]]] = {
    "elastix": _elastix,
    "greedy": _greedy,
    "ants": _ants,
}


def main() -> None:
    """Run one program on the inputs in a folder and leave its answer there."""
    program, name = sys.argv[1:]
    folder = Path(name)
    settings = json.loads((folder / "settings.json").read_text())
    points_mm, cpu_s = _RUNS[program](folder, np.load(folder / "points.npy"), settings)
    np.savez(folder / "moved.npz", points_mm=points_mm, cpu_s=cpu_s)


if __name__ == "__main__":
    main()
