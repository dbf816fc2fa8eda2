"""The keeper of a worker: a process that has loaded everything once and forks a process for each case.

A new Python takes a second to load what an analysis needs; a fork has it at once and shares nothing that it changes. Forking
is safe because the keeper has a single thread: libraries only start theirs when they compute. On macOS, where system
libraries don't survive a fork, the keeper does one case itself and ends.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ablmargin.batch.job import CaseJob, Limits

FORKS = sys.platform == "linux"
_LIFELINE = 0
"""The file descriptor (standard input) that comes to its end when the worker does."""
_BURST = 1.5
"""How many times the memory limit a process may ask for at once: more than that fails before anybody can look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the worker sends."""

    job: CaseJob
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first that a case's process sends; its outcome is the second."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a keeper that forks sends when the process has ended: its exit code, or minus the signal that ended it."""

    code: int


def main() -> None:
    """Serve the worker at the other end of the connection whose file descriptor is the only argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for whoever runs the batch
    connection = Connection(int(sys.argv[1]))
    from ablmargin.batch import preloaded  # noqa: F401, PLC0415 - the second that it is all about

    try:
        while True:
            task = connection.recv()
            if not FORKS:
                _do(task, connection)
            connection.send(Ended(code=_in_fork(task, connection)))
    except (EOFError, OSError):
        return


def _in_fork(task: Task, connection: Connection) -> int:
    """Do a case in a forked process of its own group, wait for its end, and remove the temporary files that it leaves."""
    with tempfile.TemporaryDirectory(prefix="ablmargin-", ignore_cleanup_errors=True) as scratch:
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                tempfile.tempdir = os.environ["TMPDIR"] = scratch
                _do(task, connection)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _do(task: Task, connection: Connection) -> None:
    """Do a case in this process, send its outcome and end."""
    from ablmargin.batch.work import CaseLog, disk_failure, work  # noqa: PLC0415 - loaded before

    threading.Thread(target=_end_with_worker, daemon=True).start()
    try:
        log = CaseLog(task.job.log)
    except OSError as error:
        connection.send(disk_failure(task.job, error))
        os._exit(0)
    faulthandler.enable(log.file)
    _silence()
    _limit(task.limits.memory_bytes)
    connection.send(Started(pid=os.getpid()))
    connection.send(work(task.job, log))
    log.file.close()
    os._exit(0)


def _end_with_worker() -> None:
    """End this process with all of its group as soon as the worker is gone."""
    while os.read(_LIFELINE, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _silence() -> None:
    """What libraries print could hold what files say, and nobody would read it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _limit(memory_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(memory_bytes * _BURST)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
