"""``DONE.json``, the only sign that a case is finished: what it was made from, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablmargin.batch.inputs import Fingerprint, fingerprints_if_unchanged, input_paths, seal_of
from ablmargin.batch.job import CaseJob
from ablmargin.errors import UsageError
from ablmargin.report.casefolder import sha256_of

MARKER = "DONE.json"
SCHEMA = "ablmargin.done/2"


def write_marker(job: CaseJob, inputs: Sequence[Fingerprint], folder: Path) -> None:
    """Write the marker into a finished case's folder, last of all files."""
    seal = seal_of(job.analysis.key())
    record = {
        "schema": SCHEMA,
        "case_id": job.case_id,
        "parameters": job.parameters,
        "inputs": [asdict(one.sealed(seal)) for one in inputs],
        "result": sha256_of(folder / "result.json"),
        "files": _sizes(folder),
    }
    _write(record, folder / MARKER)


def finished_record(job: CaseJob) -> Mapping[str, Any] | None:
    """The result of a case as it was written with these parameters and versions; None if there is none.

    Nothing is looked at but the case's own folder: its inputs may have changed since.
    """
    return None if _marker(job) is None else json.loads((job.folder / "result.json").read_text(encoding="utf-8"))


def is_finished(job: CaseJob, *, renew: bool = False) -> bool:
    """Whether the case has a result of the same inputs, parameters and versions, and all its files.

    ``renew``: files that were moved or copied are noted, so that they needn't be read the next time.
    """
    marker = _marker(job)
    if marker is None:
        return False
    try:
        known = [Fingerprint(stamp=one["stamp"], content=one["content"]) for one in marker["inputs"]]
        paths, seal = input_paths(job.request, *job.analysis.model_files()), seal_of(job.analysis.key())
        now = fingerprints_if_unchanged(paths, known, seal) if _has_files(job.folder, marker["files"]) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError):
        return False
    if renew and now is not None and now != known:
        _write({**marker, "inputs": [asdict(one) for one in now]}, job.folder / MARKER)
    return now is not None


def _marker(job: CaseJob) -> Mapping[str, Any] | None:
    """The marker, if its case was analyzed as the job has it and nobody has changed the result since."""
    try:
        marker = json.loads((job.folder / MARKER).read_text(encoding="utf-8"))
        own = marker["schema"] == SCHEMA and marker["parameters"] == job.parameters
        return marker if own and marker["result"] == sha256_of(job.folder / "result.json") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _has_files(folder: Path, sizes: Mapping[str, int]) -> bool:
    return all((folder / name).stat().st_size == size for name, size in sizes.items())


def _write(record: Mapping[str, Any], path: Path) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
