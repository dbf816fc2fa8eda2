"""A finished case on disk: written beside its place, then moved there in one step."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablmargin.errors import UsageError
from ablmargin.imagefile import save_mask, save_vector_field
from ablmargin.registration.itk_transform import save_itk_transform
from ablmargin.registration.transform import displacement_on
from ablmargin.report.html import report_html
from ablmargin.report.meshes import save_surface
from ablmargin.report.record import printable_record, result_record, validate
from ablmargin.report.tables import save_margins
from ablmargin.result import CaseResult
from ablmargin.volume import LabelMask

FIELD_PAD_MM = 10.0
"""How far the stored displacement field reaches beyond the liver."""


def write_case_folder(result: CaseResult, out: Path, *, overwrite: bool, command: Sequence[str]) -> None:
    """Write everything about a finished case: the folder appears whole or not at all.

    Parameters
    ----------
    result : CaseResult
    out : Path
        The folder to make. It may exist if it is empty.
    overwrite : bool
        Whether a folder that isn't empty may be replaced; it is then kept as ``<out>.previous-<n>``.
    command : sequence of str
        The command line, for ``provenance.json``. Of paths only a file's own name is kept: folders may be named after
        patients.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``overwrite`` is False, or is a file.
    """
    with new_folder(out, overwrite=overwrite) as folder:
        fill_case_folder(result, folder, command=command)


def fill_case_folder(result: CaseResult, folder: Path, *, command: Sequence[str]) -> None:
    """Write everything about a finished case into an empty folder; see :func:`write_case_folder`."""
    started = time.perf_counter()
    _write_masks(result, folder)
    _write_registration(result, folder)
    if result.lesions and result.status == "complete":
        save_margins(result, folder / "margins.csv")
        for lesion in result.lesions:
            save_surface(lesion, folder / f"lesion-{lesion.lesion_id}.vtp")
    (folder / "report.html").write_text(report_html(result), encoding="utf-8")
    record = result_record(_with_report_time(result, time.perf_counter() - started))
    validate(record)
    _write_json(record, folder / "result.json")
    _write_json(printable_record(provenance_record(result, command, folder)), folder / "provenance.json")


@contextmanager
def new_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder beside ``out`` that becomes ``out`` if the block ends well, and disappears if it doesn't.

    Raises
    ------
    UsageError
        If ``out`` is taken, or nothing can be made beside it.
    """
    _require_free(out, overwrite=overwrite)
    out = out.resolve()
    hidden = out.with_name(f".{out.name}.partial-{secrets.token_hex(4)}")
    try:
        hidden.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"no folder can be made in {out.parent}: {error.strerror}") from error
    try:
        yield hidden
        _sync(hidden)
        _move_into_place(hidden, out, overwrite=overwrite)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def is_kept_aside(name: str) -> bool:
    """Whether a folder's name says that another one took its place."""
    return re.search(r"\.previous-\d+$", name) is not None


def put_aside(out: Path) -> Path | None:
    """Rename a folder to the first free of ``<name>.previous-1`` and on; None if there is none."""
    return out.rename(_previous(out)) if out.is_dir() else None


def provenance_record(result: CaseResult, command: Sequence[str], folder: Path) -> dict[str, Any]:
    """How a case folder came about: settings, software, inputs and files with their SHA-256."""
    provenance, case = result.provenance, result.case
    exams = {} if case is None else {"pre": case.pre.record.sha256, "post": case.post.record.sha256}
    masks = [
        {"structure": mask.structure.value, "lesion": mask.lesion, "sha256": mask.origin.sha256}
        for mask in result.masks
    ]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "case_id": result.case_id,
        "command": command_record(command),
        "started": provenance.started,
        "finished": provenance.finished,
        "settings": dict(provenance.settings),
        "software": dict(provenance.software),
        "inputs": {"series_sha256": exams, "masks": masks},
        "files": {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths},
    }


def command_record(command: Sequence[str]) -> list[str]:
    """A command line that names no folder: the output, and an option's value that is one on this disk, become ``(folder)``."""
    record = []
    for before, word in pairwise(["", *command]):
        option, value = _option_and_value(word)
        is_value = bool(option) or before.startswith("-")
        is_output = "--out" in {before, option.rstrip("=")}
        is_folder = is_output or (is_value and os.path.isdir(value))  # noqa: PTH112  no error if it is too long for a path
        record.append(f"{option}(folder)" if is_folder else without_folders(word))
    return record


def without_folders(word: str) -> str:
    """A word of a command line with a path in it reduced to the path's last name.

    >>> without_folders("smith/pre"), without_folders("--tumor=/data/plan.nrrd#Tumor 1"), without_folders("-5")
    ('pre', '--tumor=plan.nrrd#Tumor 1', '-5')
    """
    option, value = _option_and_value(word)
    return option + re.split(r"[/\\]", value.rstrip("/\\"))[-1]


def _option_and_value(word: str) -> tuple[str, str]:
    """``--option=value`` as ``--option=`` and the value; other words as a value alone."""
    option, equals, value = word.partition("=")
    return (option + equals, value) if word.startswith("-") and equals else ("", word)


def _with_report_time(result: CaseResult, seconds: float) -> CaseResult:
    timings = dict(result.timings_s)
    total = timings.get("total", sum(timings.values()))
    return replace(result, timings_s=timings | {"report": seconds, "total": total + seconds})


def _write_masks(result: CaseResult, folder: Path) -> None:
    """Write every outline on the grid that it was measured on."""
    (folder / "masks").mkdir()
    for name, mask in _named_masks(result):
        save_mask(mask, folder / "masks" / f"{name}.nii.gz")


def _named_masks(result: CaseResult) -> Iterator[tuple[str, LabelMask]]:
    for name, liver in _named_livers(result):
        if liver is not None:
            yield name, liver
    drawn = result.case or result.outlines
    if drawn is None:
        return
    for lesion in drawn.lesions:
        yield f"tumor-{lesion.lesion_id}", lesion.tumor
    if len(drawn.zones) == 1:
        yield "ablation", drawn.zones[0]
    else:
        yield from ((f"ablation-{number}", zone) for number, zone in enumerate(drawn.zones, start=1))
    if drawn.anatomy is not None:
        yield from ((f"liver-segment-{name}", mask) for name, mask in drawn.anatomy.segments.items())
        if drawn.anatomy.vessels is not None:
            yield "vessels", drawn.anatomy.vessels


def _named_livers(result: CaseResult) -> list[tuple[str, LabelMask | None]]:
    if result.case is not None:
        return [("liver-pre", result.case.pre.liver), ("liver-post", result.case.post.liver)]
    return [("liver", None if result.outlines is None else result.outlines.liver)]


def _write_registration(result: CaseResult, folder: Path) -> None:
    """Write the map as an ITK transform, and as the displacement of the grid around the liver before ablation."""
    if result.case is None or result.alignment is None or result.case.pre.liver is None:
        return
    liver = result.case.pre.liver
    geometry = liver.geometry.cropped(*liver.bounding_box(pad_mm=FIELD_PAD_MM))
    (folder / "registration").mkdir()
    vectors_mm = displacement_on(result.alignment.post_from_pre, geometry)
    _round_in_place(vectors_mm)
    save_vector_field(vectors_mm, geometry, folder / "registration" / "pre_to_post_displacement.nrrd")
    save_itk_transform(result.alignment.post_from_pre, folder / "registration" / "pre_to_post.tfm")


def _round_in_place(vectors_mm: NDArray[np.float32]) -> None:
    """To 1/1024 mm, a binary fraction: the digits beyond mean nothing, and no compression makes them smaller."""
    vectors_mm *= 1024
    np.rint(vectors_mm, out=vectors_mm)
    vectors_mm /= 1024


def _write_json(record: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_free(out: Path, *, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out needs a folder")
    if os.path.ismount(out):
        raise UsageError(f"{out} is a whole drive or mounted folder; name a folder inside it")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise UsageError(f"{out} isn't empty; choose another folder, or --overwrite to keep the old one aside")


def _move_into_place(folder: Path, out: Path, *, overwrite: bool) -> None:
    """Give the finished folder its name; what had it is kept aside, and gets it back if that fails."""
    _require_free(out, overwrite=overwrite)  # again: another run may have finished meanwhile
    kept = put_aside(out)
    try:
        folder.rename(out)
    except BaseException:
        if kept is not None:
            kept.rename(out)
        raise
    if kept is not None and not any(kept.iterdir()):
        kept.rmdir()
    _sync_folder(out.parent)


def _previous(out: Path) -> Path:
    number = 1
    while (kept := out.with_name(f"{out.name}.previous-{number}")).exists():
        number += 1
    return kept


def _sync(folder: Path) -> None:
    """Have the disk take every file before the folder gets its name."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Where that is possible: Windows can't open a folder for it, some network shares refuse."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
