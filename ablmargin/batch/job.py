"""One case's work as it travels to whoever does it, and what comes back: small records, nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ablmargin.batch.keyfile import KeyFile
from ablmargin.errors import printable
from ablmargin.intake import CaseRequest, mask_path
from ablmargin.pipeline import Settings
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.engines import engine_named
from ablmargin.result import software_versions
from ablmargin.segmentation.methods import Methods
from ablmargin.segmentation.segmentername import SegmenterName

_PATHS = ("pre", "post", "landmarks")
_MASKS = ("liver_pre", "liver_post", "segments", "vessels", "tumors", "ablations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """How all cases of a batch are analyzed; see the options of ``ablmargin analyze``."""

    seed: int = 0
    threads: int = 1
    engine: EngineName = EngineName.GAUSS_NEWTON
    segmenter: SegmenterName = SegmenterName.BUILT_IN
    model: Path | None = None
    auto_command: str | None = None
    key_file: KeyFile | None = None
    """If nothing that identifies patients may be written: what the stand-ins are derived from."""

    def settings(self) -> Settings:
        """The pipeline's settings."""
        return Settings.of(seed=self.seed, threads=self.threads, engine=self.engine)

    def methods(self) -> Methods:
        """What outlines that which isn't given; errors as :meth:`ablmargin.segmentation.methods.Methods.chosen`."""
        return Methods.chosen(self.segmenter, model=self.model, command=self.auto_command, threads=self.threads)

    def model_files(self) -> tuple[Path, ...]:
        """The files that a network of one's own consists of."""
        return () if self.model is None else (self.model, self.model.with_suffix(".toml"))

    def key(self) -> bytes | None:
        """The secret, read anew; errors as :meth:`ablmargin.batch.keyfile.KeyFile.key`."""
        return None if self.key_file is None else self.key_file.key()

    def versions(self) -> dict[str, str]:
        """Of everything that can change a number, but for the operating system."""
        more = ["TotalSegmentator"] if self.segmenter is SegmenterName.TOTALSEGMENTATOR else []
        versions = software_versions(*engine_named(self.engine).packages, *more)
        return {package: version for package, version in versions.items() if package != "platform"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a case's process is ended, and how often it may die.

    Parameters
    ----------
    timeout_s : float
        Wall time of one try.
    memory_bytes : int
        Resident memory of the process with all that it starts.
    retries : int
        How often a case is tried again whose process died by itself.
    """

    timeout_s: float = 1800.0
    memory_bytes: int = 8 * 2**30
    retries: int = 1


@dataclass(frozen=True, kw_only=True)
class CaseJob:
    """One case's work.

    Parameters
    ----------
    out : Path
        The batch's folder, absolute; the case's own is in it.
    versions : str
        A digest of :meth:`Analysis.versions`.
    run : str
        The batch run that it belongs to, so that it can be stopped with it.
    """

    request: CaseRequest
    lesion_ids: tuple[str, ...]
    analysis: Analysis
    out: Path
    versions: str
    run: str

    @property
    def case_id(self) -> str:
        return self.request.case_id

    @property
    def folder(self) -> Path:
        return self.out / self.case_id

    @property
    def log(self) -> Path:
        return self.out / "logs" / f"{self.case_id}.log"

    @cached_property
    def parameters(self) -> str:
        """A digest of everything but the inputs' content and place that can change the result."""
        values = {field.name: getattr(self.request, field.name) for field in fields(self.request)}
        for name in _PATHS:
            del values[name]
        for name in _MASKS:
            given = values[name]
            values[name] = [_label(text) for text in given] if isinstance(given, tuple) else given and _label(given)
        values |= {"accepted": sorted(self.request.accepted), "lesion_ids": self.lesion_ids, "versions": self.versions}
        places = {"threads", "model", "key_file"}
        how = {f.name: getattr(self.analysis, f.name) for f in fields(self.analysis) if f.name not in places}
        if self.analysis.key_file is not None:
            how |= {"key": self.analysis.key_file.mark}
        return digest_of(values | how)


State = Literal["done", "kept", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a case: analyzed now, found finished, failed, or stopped with its batch.

    ``seconds`` is the wall time of all ``tries``, ``peak_bytes`` the largest resident memory seen.
    """

    case_id: str
    state: State
    error_code: str | None = None
    error: str | None = None
    seconds: float = 0.0
    peak_bytes: int = 0
    tries: int = 1


def digest_of(values: object) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=_plain).encode()).hexdigest()


def without_places(text: str, request: CaseRequest) -> str:
    """A message without the folders that a case's inputs lie in: they may be named after patients.

    An input folder becomes the name of its column, a file keeps its own name. Folders within an input folder go too.
    """
    named = {"pre": request.pre, "post": request.post}
    for role, path in named.items():
        if path.is_dir():
            text = re.sub(re.escape(str(path)) + r"(?=$|[\s/\\,;:'\")])", role, text)
    for name in _folders_within(request):
        text = re.sub(rf"(?<=: ){re.escape(name)}(?=: found)", "(folder)", text.replace(f"{name}/", ""))
    files = [request.pre, request.post, *([request.landmarks] if request.landmarks else [])]
    folders = {str(path.parent) for path in [*files, *(mask_path(mask) for mask in request.masks)]}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(f"{folder}/", "").replace(folder, "(folder)") if len(folder) > 1 else text
    return text


def _folders_within(request: CaseRequest) -> list[str]:
    """The folders at any depth of all folders that are inputs, as messages name them, the longest name first."""
    roots = {path for path in (request.pre, request.post, *map(mask_path, request.masks)) if path.is_dir()}
    found = {os.path.relpath(parent, root) for root in roots for parent, _, _ in os.walk(root)} - {"."}
    return sorted(map(printable, found), key=len, reverse=True)


def _label(text: str) -> str:
    path = str(mask_path(text))
    return text[len(path) :]


def _plain(value: Any) -> Any:
    return (
        {field.name: getattr(value, field.name) for field in fields(value)}
        if hasattr(value, "__slots__")
        else str(value)
    )
