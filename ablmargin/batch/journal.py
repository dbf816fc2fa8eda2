"""A batch's journal: a line an event, only ever added to, so that a kill at any moment loses no line before."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablmargin.batch.job import Outcome
from ablmargin.pipeline import now

STATE_FOLDER = ".batch"


class Journal:
    """Where one run, or one shard of it, writes what becomes of its cases."""

    def __init__(self, out: Path, name: str) -> None:
        self._path = out / STATE_FOLDER / f"journal-{name}.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            self._append(b"\n")  # the line that a kill cut off stays a line of its own

    def write(self, event: str, **more: object) -> None:
        """Add an event with its time; it is on the disk when this returns, unless it only tells that nothing was done."""
        record = {"time": now(), "event": event, **more}
        self._append(json.dumps(record, ensure_ascii=False).encode() + b"\n", lasting=event != "kept")

    def write_outcome(self, outcome: Outcome) -> None:
        """Add what came of a case."""
        told = {"error_code": outcome.error_code, "error": outcome.error} if outcome.state == "failed" else {}
        megabytes = round(outcome.peak_bytes / 2**20)
        self.write(
            outcome.state,
            case_id=outcome.case_id,
            **told,
            seconds=round(outcome.seconds, 2),
            peak_mb=megabytes,
            tries=outcome.tries,
        )

    def _append(self, line: bytes, *, lasting: bool = True) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while line:
                line = line[os.write(handle, line) :]
            if lasting:
                os.fsync(handle)
        finally:
            os.close(handle)


def last_events(out: Path) -> Mapping[str, Mapping[str, Any]]:
    """The last event of each case, of all runs and shards in a folder."""
    events = [event for path in sorted((out / STATE_FOLDER).glob("journal-*.jsonl")) for event in _events(path)]
    events.sort(key=lambda event: str(event["time"]))
    return {event["case_id"]: event for event in events if "case_id" in event}


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    """Whole lines; the last one may have been cut off by a kill."""
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "time" in event:
            yield event
