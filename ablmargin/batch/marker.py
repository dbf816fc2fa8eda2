"""``DONE.json``, the only sign that a case is finished: what it was made from, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ablmargin.batch.inputs import Fingerprint, input_paths, seal_of, unchanged
from ablmargin.batch.job import CaseJob
from ablmargin.errors import UsageError

MARKER = "DONE.json"
SCHEMA = "ablmargin.done/1"


def write_marker(job: CaseJob, inputs: Sequence[Fingerprint], folder: Path) -> None:
    """Write the marker into a finished case's folder, last of all files."""
    seal = seal_of(job.analysis.key())
    record = {
        "schema": SCHEMA,
        "case_id": job.case_id,
        "parameters": job.parameters,
        "inputs": [{"stamp": seal(one.stamp), "content": seal(one.content)} for one in inputs],
        "result": _sha256(folder / "result.json"),
    }
    (folder / MARKER).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def is_finished(job: CaseJob) -> bool:
    """Whether the case has a result of the same inputs, parameters and versions that nobody has changed since."""
    try:
        record = json.loads((job.folder / MARKER).read_text(encoding="utf-8"))
        known = [Fingerprint(stamp=one["stamp"], content=one["content"]) for one in record["inputs"]]
        return bool(
            record["schema"] == SCHEMA
            and record["parameters"] == job.parameters
            and record["result"] == _sha256(job.folder / "result.json")
            and unchanged(input_paths(job.request, *job.analysis.model_files()), known, seal_of(job.analysis.key()))
        )
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
