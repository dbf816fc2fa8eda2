"""Simulated pairs as folders: DICOM in, as a hospital's would be, the exact truth beside it; and how far a result is off.

::

    pre/, post/                     CT series as DICOM
    masks/                          liver-pre, liver-post, tumor-<n>, ablation-<n> (.nii.gz)
    truth.json                      true margins, landmarks, the deformation in words
    pre_to_post_displacement.nrrd   the true deformation: vectors, LPS mm, on the pre grid around the liver
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.imagefile import save_mask, save_vector_field
from ablmargin.loading import load_image, load_mask
from ablmargin.progress import Progress, silent
from ablmargin.registration.transform import displacement_on
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.semireal import simulate_from_ct
from ablmargin.volume import Structure

GENERATION = 1
"""Count up whenever the phantom's images change, so that a cached pair is never an old one."""

PRE_FOLDER, POST_FOLDER, MASK_FOLDER, TRUTH_FILE = "pre", "post", "masks", "truth.json"
DISPLACEMENT_FILE = "pre_to_post_displacement.nrrd"
_LIVER_PAD_MM = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFolder:
    """Where the parts of a pair lie."""

    pre: Path
    post: Path
    liver_pre: Path
    liver_post: Path
    tumors: tuple[Path, ...]
    ablations: tuple[Path, ...]
    truth: Path

    @classmethod
    def at(cls, folder: Path) -> PairFolder:
        """Find the parts of a pair that :func:`write_pair` has written."""
        masks = folder / MASK_FOLDER
        return cls(
            pre=folder / PRE_FOLDER,
            post=folder / POST_FOLDER,
            liver_pre=masks / "liver-pre.nii.gz",
            liver_post=masks / "liver-post.nii.gz",
            tumors=tuple(sorted(masks.glob("tumor-*.nii.gz"))),
            ablations=tuple(sorted(masks.glob("ablation-*.nii.gz"))),
            truth=folder / TRUTH_FILE,
        )


def write_pair(pair: SimulatedPair, folder: Path) -> PairFolder:
    """Write a simulated pair into a folder that doesn't exist yet or is empty."""
    (folder / MASK_FOLDER).mkdir(parents=True, exist_ok=True)
    write_ct_series(pair.pre, folder / PRE_FOLDER, identity=_identity(pair, "pre"))
    write_ct_series(pair.post, folder / POST_FOLDER, identity=_identity(pair, "post"))
    masks = {"liver-pre": pair.liver_pre, "liver-post": pair.liver_post}
    masks |= {f"tumor-{number}": mask for number, mask in enumerate(pair.tumors, start=1)}
    masks |= {f"ablation-{number}": mask for number, mask in enumerate(pair.zones, start=1)}
    for name, mask in masks.items():
        save_mask(mask, folder / MASK_FOLDER / f"{name}.nii.gz")
    around_liver = pair.pre.geometry.cropped(*pair.liver_pre.bounding_box(pad_mm=_LIVER_PAD_MM))
    vectors = displacement_on(pair.truth.post_from_pre, around_liver)
    save_vector_field(vectors, around_liver, folder / DISPLACEMENT_FILE)
    (folder / TRUTH_FILE).write_text(json.dumps(pair.truth.record(), indent=1), encoding="utf-8")
    return PairFolder.at(folder)


def read_truth(path: Path) -> Mapping[str, Any]:
    """What ``truth.json`` says."""
    truth: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return truth


def landmark_errors_mm(post_from_pre: PointTransform, truth: Mapping[str, Any]) -> FloatArray:
    """Distance of each mapped landmark from its true place after ablation, shape (n,), mm."""
    landmarks = truth["landmarks"]
    mapped = post_from_pre.map_points(np.array(landmarks["pre_mm"], float))
    return np.asarray(np.linalg.norm(mapped - np.array(landmarks["post_mm"], float), axis=1))


def _identity(pair: SimulatedPair, exam: str) -> SeriesIdentity:
    before = exam == "pre"
    volume = pair.pre if before else pair.post
    phase = pair.phase_pre if before else pair.phase_post
    return SeriesIdentity(
        patient_id=f"SIM-{pair.truth.seed:04d}",
        patient_name="PHANTOM^ABLMARGIN",
        study_date="20260110" if before else "20260112",
        study_time="083000" if before else "114500",
        series_description=f"{exam} ablation, {phase}",
        series_number=3 if before else 5,
        slice_thickness_mm=volume.geometry.spacing_mm[0],
        contrast_agent=None if phase == "unenhanced" else "simulated",
        seed=pair.truth.seed,
    )


def pair_from_ct(
    image: Path,
    liver: str,
    *,
    series: str | None = None,
    seed: int = 1,
    nominal_mam_mm: float = 3.0,
    progress: Progress = silent,
) -> SimulatedPair:
    """A semi-real pair: a tumor, a deformation and an ablation zone put into a real CT with its liver mask."""
    loaded = load_image(image, series=series)
    mask = load_mask(liver, Structure.LIVER, onto=loaded.volume.geometry, source_name="--liver")
    return simulate_from_ct(loaded.volume, mask, seed=seed, nominal_mam_mm=nominal_mam_mm, progress=progress)


def cached_phantom(scenario: str, *, seed: int, progress: Progress = silent) -> PairFolder:
    """The phantom pair of a scenario, made on first use and kept in the user's cache folder.

    The folder is named after the version of the package and of the generator, so a newer one never serves old images.
    ``ABLMARGIN_CACHE`` names another place.
    """
    root = Path(os.environ.get("ABLMARGIN_CACHE") or platformdirs.user_cache_dir("ablmargin"))
    folder = root / f"{version('ablmargin')}-{GENERATION}" / f"{scenario}-{seed}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            write_pair(simulate_phantom(scenario, seed=seed, progress=progress), Path(scratch) / "pair")
            with suppress(FileExistsError, OSError):  # somebody else was faster: theirs is the same
                (Path(scratch) / "pair").rename(folder)
    return PairFolder.at(folder)
