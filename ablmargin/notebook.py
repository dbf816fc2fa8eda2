"""One case in one call, for notebooks and scripts: what the command line does, from files or from what is loaded already."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from ablmargin.analysis import Analysis
from ablmargin.case import UNNAMED_CASE, Case, RasMutation, require_plain_name
from ablmargin.errors import UsageError
from ablmargin.geometry import Array, BoolArray, Geometry
from ablmargin.hazards import require_acceptable
from ablmargin.intake import CaseInputs
from ablmargin.loaded import LoadedImage
from ablmargin.pipeline import Settings
from ablmargin.pipeline import analyze as analyze_case
from ablmargin.progress import Progress, silent
from ablmargin.pseudonyms import read_key
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.engines import engine_named
from ablmargin.result import CaseResult
from ablmargin.segmentation.methods import Methods
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import LabelMask, Structure, Volume
from ablmargin.wholeway import result_of

Image = str | os.PathLike[str] | Volume | LoadedImage
Mask = str | os.PathLike[str] | LabelMask | Array
Target = Mask | Prompt


@overload
def analyze(pre: Case, post: Settings, *, progress: Progress = silent) -> CaseResult: ...


@overload
def analyze(
    pre: Image,
    post: Image,
    *,
    tumor: Target | Sequence[Target],
    ablation: Target | Sequence[Target],
    liver_pre: Mask | None = None,
    liver_post: Mask | None = None,
    ras_mutation: RasMutation | str = RasMutation.UNKNOWN,
    reviewed: bool = False,
    case_id: str = UNNAMED_CASE,
    pre_series: str | None = None,
    post_series: str | None = None,
    segments: str | None = None,
    vessels: str | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    accept: Collection[str] = (),
    methods: Methods | None = None,
    engine: EngineName | str = EngineName.GAUSS_NEWTON,
    seed: int = 0,
    threads: int = 2,
    deidentify: bool = False,
    deidentify_key: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Analysis: ...


def analyze(
    pre: Image | Case,
    post: Image | Settings,
    *,
    tumor: Target | Sequence[Target] = (),
    ablation: Target | Sequence[Target] = (),
    liver_pre: Mask | None = None,
    liver_post: Mask | None = None,
    ras_mutation: RasMutation | str = RasMutation.UNKNOWN,
    reviewed: bool = False,
    case_id: str = UNNAMED_CASE,
    pre_series: str | None = None,
    post_series: str | None = None,
    segments: str | None = None,
    vessels: str | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    accept: Collection[str] = (),
    methods: Methods | None = None,
    engine: EngineName | str = EngineName.GAUSS_NEWTON,
    seed: int = 0,
    threads: int = 2,
    deidentify: bool = False,
    deidentify_key: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Analysis | CaseResult:
    """Register the exams of one patient, measure the margin of each tumor and judge it, as ``ablmargin analyze`` does.

    Parameters
    ----------
    pre, post : path, Volume or LoadedImage
        CT before and after ablation: a folder of DICOM, a volume file, or a volume in HU with its geometry.
    tumor, ablation : mask or Prompt, or several
        Tumors on the exam before, ablation zones on the exam after ablation, each as a file (``plan.dcm#Tumor 1``), a
        LabelMask, an array, or a Prompt to outline it from. Lesions are numbered from 1: masks first, then prompts.
    liver_pre, liver_post : mask, optional
        Outlined by the software where not given.
    ras_mutation : "wildtype", "mutant" or "unknown"
        Unknown asks for 10 mm, as mutant does.
    reviewed : bool
        You have looked at the masks that the software made and vouch for them.
    case_id : str
        Letters, digits, '.', '_' and '-'.
    pre_series, post_series, segments, vessels, landmarks, accept, engine, seed, threads, deidentify, deidentify_key
        As the options of the command.
    methods : Methods, optional
        What outlines that which isn't given.
    progress : callable
        Called with a step's name and the share done, 0..1.

    Returns
    -------
    Analysis
        With the fields of ``result.json``. A ``Case`` with its ``Settings``, instead of exams, gives the CaseResult with all
        surfaces, for programs; see :func:`ablmargin.pipeline.analyze`.

    Raises
    ------
    UsageError
        For a call that doesn't make sense.
    InputError
        With everything that is wrong with the input.
    RegistrationError
        If no alignment can be computed. One that can't be trusted raises nothing: it withholds the verdict.

    Notes
    -----
    An array is a mask on its exam's grid, shape (slices, rows, columns), of bool or of 0 and 1; the exam must then be given as
    a Volume or LoadedImage, so that it is known which grid was meant.
    """
    if isinstance(pre, Case):
        if not isinstance(post, Settings):
            raise UsageError("a Case needs its Settings: analyze(case, Settings())")
        return analyze_case(pre, post, progress=progress)
    if isinstance(post, Settings):
        raise UsageError("Settings go with a Case; exams take engine, seed and threads by name")
    exams = _image(pre), _image(post)
    tumors, tumor_prompts = _targets(tumor, exams[0], Structure.TUMOR, "tumor")
    zones, zone_prompts = _targets(ablation, exams[1], Structure.ABLATION_ZONE, "ablation")
    inputs = CaseInputs(
        pre=exams[0],
        post=exams[1],
        pre_series=pre_series,
        post_series=post_series,
        liver_pre=None if liver_pre is None else _mask(liver_pre, exams[0], Structure.LIVER, "liver_pre"),
        liver_post=None if liver_post is None else _mask(liver_post, exams[1], Structure.LIVER, "liver_post"),
        tumors=tumors,
        ablations=zones,
        ras_mutation=_one_of(RasMutation, ras_mutation, "ras_mutation"),
        case_id=_plain(case_id),
        landmarks=None if landmarks is None else Path(landmarks),
        tumor_prompts=tumor_prompts,
        ablation_prompts=zone_prompts,
        reviewed=reviewed,
        accepted=require_acceptable([*accept]),
        segments=segments,
        vessels=vessels,
    )
    settings = Settings.of(seed=seed, threads=threads, engine=_one_of(EngineName, engine, "engine"))
    engine_named(settings.registration.engine).require_installed()
    wants_key = deidentify or deidentify_key is not None
    key = read_key(None if deidentify_key is None else Path(deidentify_key)) if wants_key else None
    return Analysis(result_of(inputs, analyze_case, settings, methods=methods, key=key, progress=progress), inputs)


def _image(given: Image) -> Path | Volume | LoadedImage:
    return given if isinstance(given, Volume | LoadedImage) else Path(given)


def _targets(
    given: Target | Sequence[Target], exam: Path | Volume | LoadedImage, structure: Structure, name: str
) -> tuple[tuple[str | LabelMask, ...], tuple[Prompt, ...]]:
    several: Sequence[Any] = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise UsageError(f"a lesion needs its tumor and its ablation zone: give {name}, as a mask or as a Prompt")
    prompts = tuple(one for one in several if isinstance(one, Prompt))
    masks = tuple(_mask(one, exam, structure, name) for one in several if not isinstance(one, Prompt))
    return masks, prompts


def _mask(given: Mask, exam: Path | Volume | LoadedImage, structure: Structure, name: str) -> str | LabelMask:
    if isinstance(given, LabelMask):
        return given
    if isinstance(given, np.ndarray):
        return LabelMask(voxels=_voxels(given, grid := _grid(exam, name), name), geometry=grid, structure=structure)
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    raise UsageError(f"{name} must be a path, a LabelMask, an array or a Prompt, not {type(given).__name__}")


def _grid(exam: Path | Volume | LoadedImage, name: str) -> Geometry:
    if isinstance(exam, Path):
        raise UsageError(f"{name} is an array: give its exam as a Volume (load_image), or the mask as a LabelMask")
    return (exam.volume if isinstance(exam, LoadedImage) else exam).geometry


def _voxels(array: Array, grid: Geometry, name: str) -> BoolArray:
    if array.shape != grid.shape:
        raise UsageError(f"{name} has the shape {array.shape}, its exam {grid.shape} (slices, rows, columns)")
    if array.dtype != np.bool_ and not (np.issubdtype(array.dtype, np.integer) and np.isin(array, (0, 1)).all()):
        raise UsageError(f"{name} must be an array of bool, or of 0 and 1; LabelMask.soft takes shares of voxels")
    return array.astype(bool)


def _one_of(kind: Any, given: Any, name: str) -> Any:
    try:
        return kind(given)
    except ValueError:
        raise UsageError(f"{name} must be one of {', '.join(kind)}, not {given!r}") from None


def _plain(case_id: str) -> str:
    try:
        require_plain_name(case_id, "case_id")
    except ValueError as error:
        raise UsageError(str(error)) from error
    return case_id
