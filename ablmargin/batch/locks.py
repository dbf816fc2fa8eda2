"""Who works in a batch's folder: a lock file with process and host, which doesn't outlive its holder for long."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from ablmargin.batch.journal import STATE_FOLDER
from ablmargin.errors import UsageError

BEAT_S = 30.0
"""How often a holder touches its lock."""
SILENCE_S = 300.0
"""After how long without a touch a holder on another machine counts as gone."""
MAKING_S = 5.0
"""How old a lock that makes no sense must be to hold nothing: where disks have no hard links, it may be being written."""
PATIENCE_S, MOST_PAUSE_S = 60.0, 5.0
"""Of who waits for the table: after how long it says so, and how seldom it looks at the end."""
WHOLE = "all"
_log = logging.getLogger(__name__)


@contextmanager
def batch_lock(out: Path, name: str) -> Iterator[None]:
    """Hold a batch's folder: ``all`` alone, shards (``3-of-10``) beside other shards of the same division.

    Raises
    ------
    UsageError
        If a run that lives holds what this one needs.
    """
    folder = out / STATE_FOLDER / "locks"
    with _held(folder / f"{name}.lock", f"--out {out}: another batch works in it"):
        others = [path.stem for path in folder.glob("*.lock") if path.stem not in {name, "table"} and _lives(path)]
        in_the_way = [other for other in others if not _may_share(name, other)]
        if in_the_way:
            raise UsageError(f"--out {out}: another batch works in it ({', '.join(sorted(in_the_way))})")
        yield


@contextmanager
def table_lock(out: Path) -> Iterator[None]:
    """Hold the table of results for a moment; waits for others as long as they live, and after a while says so."""
    path = out / STATE_FOLDER / "locks" / "table.lock"
    began, told = time.monotonic(), False
    while True:
        try:
            with _held(path, "another batch writes the table of results"):
                yield
                return
        except _TakenError as taken:
            waited_s = time.monotonic() - began
            if waited_s > PATIENCE_S and not told:
                told = True
                _log.warning("%s: waiting until it is done", taken)
            time.sleep(min(MOST_PAUSE_S, 0.2 + waited_s / 10))


class _TakenError(UsageError):
    """The lock is held by somebody who lives."""


def _may_share(name: str, other: str) -> bool:
    return WHOLE not in {name, other} and name.partition("-of-")[2] == other.partition("-of-")[2]


@contextmanager
def _held(path: Path, refusal: str) -> Iterator[None]:
    token = _take(path, refusal)
    over = threading.Event()
    threading.Thread(target=_beat, args=(path, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if (_holder(path) or {}).get("token") == token:
            path.unlink(missing_ok=True)


def _take(path: Path, refusal: str) -> str:
    """Make the lock file; one whose holder is gone is put out of the way first."""
    token = secrets.token_hex(8)
    process = psutil.Process()
    record = {"host": socket.gethostname(), "pid": process.pid, "born": process.create_time(), "token": token}
    draft = path.with_name(f".{path.name}.{token}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps(record), encoding="utf-8")
    try:
        for _ in range(10):
            with suppress(FileExistsError):
                _appear(draft, path)
                return token
            holder = _holder(path)
            if holder is None:
                continue
            if _lives(path):
                who = f"process {holder['pid']} on {holder['host']}" if "pid" in holder else "since a moment ago"
                raise _TakenError(f"{refusal} ({who})")
            _put_away(path, holder)
        raise _TakenError(refusal)
    finally:
        draft.unlink(missing_ok=True)


def _appear(draft: Path, path: Path) -> None:
    """Give what a draft holds its name, unless it is taken: FileExistsError."""
    try:
        os.link(draft, path)  # whole or not at all, also on NFS
    except FileExistsError:
        raise
    except OSError:  # exFAT and some network drives have no hard links
        content = draft.read_bytes()
        with path.open("xb", buffering=0) as file:
            file.write(content)


def _put_away(path: Path, holder: Mapping[str, Any]) -> None:
    """Remove a lock whose holder is gone. One does so at a time, so nobody removes what another has put in its place."""
    claim = path.with_name(f".{path.name}.gone")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        if _silence_s(claim) > MAKING_S:  # who made it was killed
            claim.unlink(missing_ok=True)
        return
    try:
        if _holder(path) == holder:
            path.unlink(missing_ok=True)
    finally:
        claim.unlink(missing_ok=True)


def _lives(path: Path) -> bool:
    """Whether a lock's holder is at work: its process, on this machine; its touches, on another one."""
    holder = _holder(path)
    if not holder:
        return holder is not None and _silence_s(path) < MAKING_S
    if holder.get("host") == socket.gethostname():
        try:
            born = psutil.Process(holder["pid"]).create_time()
        except (psutil.Error, KeyError, TypeError, ValueError):
            return False
        return bool(abs(born - holder.get("born", 0.0)) < 1.0)  # else another process got the number
    return _silence_s(path) < SILENCE_S


def _silence_s(path: Path) -> float:
    """How long ago a file was touched, by the clock of the file system that it lies on."""
    probe = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return float("inf")
    finally:
        probe.unlink(missing_ok=True)


def _holder(path: Path) -> dict[str, Any] | None:
    """What a lock says of its holder, nothing if that makes no sense; None if there is no lock."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        with suppress(OSError):
            os.utime(path)
