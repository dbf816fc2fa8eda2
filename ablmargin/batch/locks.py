"""Who works in a batch's folder: a lock file with process and host, which doesn't outlive its holder for long."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
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
WHOLE = "all"


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
def table_lock(out: Path, *, patience_s: float = 600.0) -> Iterator[None]:
    """Hold the table of results for a moment; waits for others."""
    until = time.monotonic() + patience_s
    path = out / STATE_FOLDER / "locks" / "table.lock"
    while True:
        try:
            with _held(path, f"--out {out}: another batch writes its results"):
                yield
                return
        except _TakenError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


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
        if _holder(path).get("token") == token:
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
                os.link(draft, path)  # whole or not at all, also on NFS
                return token
            holder = _holder(path)
            if _lives(path):
                raise _TakenError(f"{refusal} (process {holder.get('pid')} on {holder.get('host')})")
            with suppress(FileNotFoundError):
                _put_away(path, holder.get("token"))
        raise _TakenError(refusal)
    finally:
        draft.unlink(missing_ok=True)


def _put_away(path: Path, token: object) -> None:
    """Remove a lock whose holder is gone, but not one that somebody else has put in its place meanwhile."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    path.rename(aside)
    if _holder(aside).get("token") != token:
        with suppress(FileExistsError):
            os.link(aside, path)
    aside.unlink()


def _lives(path: Path) -> bool:
    """Whether a lock's holder is at work: its process, on this machine; its touches, on another one."""
    holder = _holder(path)
    if not holder:
        return False
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


def _holder(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        with suppress(OSError):
            os.utime(path)
