"""A worker's side: one process a case, watched for time and memory, ended with all that it started, tried again if it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import psutil

from ablmargin.batch.job import Analysis, CaseJob, Limits, Outcome, digest_of
from ablmargin.batch.keeper import Ended, Started, Task
from ablmargin.batch.marker import is_finished
from ablmargin.report.casefolder import put_aside

DIED = "CASE_DIED"
"""The error of a case whose process came to an end that nobody asked for."""
_LOOK_S = 0.05
"""How often a message, a stop and the time are looked for; memory ten times less often."""
_KEEPER = "from ablmargin.batch.keeper import main; main()"
_START_S = 600.0
"""How long a process may take until its case begins: loading is the file system's affair, not the case's."""
_stopped_runs: set[str] = set()
_own = threading.local()


def carry_out(job: CaseJob, limits: Limits) -> Outcome:
    """Analyze one case in a process of its own, unless it is finished; never raises for what the case is to blame for."""
    if job.versions != _versions(job.analysis):
        told = "The worker that had it has other versions of packages than the program that sent it."
        return Outcome(case_id=job.case_id, state="failed", error_code="WORKER_VERSIONS", error=told, tries=0)
    if is_finished(job, renew=True):
        return Outcome(case_id=job.case_id, state="kept", tries=0)
    tries = [_one_try(Task(job=job, limits=limits))]
    while tries[-1].error_code == DIED and len(tries) <= limits.retries:
        tries.append(_one_try(Task(job=job, limits=limits)))
    if tries[-1].state == "failed":
        put_aside(job.folder)  # what it was before isn't its result any more
    return replace(
        tries[-1],
        seconds=sum(one.seconds for one in tries),
        peak_bytes=max(one.peak_bytes for one in tries),
        tries=len(tries),
    )


@cache
def _versions(analysis: Analysis) -> str:
    return digest_of(analysis.versions())


def stop(run: str) -> None:
    """End all cases of a batch run that this process works on."""
    _stopped_runs.add(run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A keeper process, see :mod:`ablmargin.batch.keeper`. It ends when ``process.stdin`` is closed, or this process ends."""

    process: subprocess.Popen[bytes]
    connection: Connection

    @classmethod
    def start(cls, threads: int) -> Keeper:
        """Start one whose cases use so many threads."""
        ours, theirs = Pipe()
        names = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "VTK_SMP_MAX_THREADS")
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _KEEPER, str(theirs.fileno())],
            stdin=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(names, str(threads)), "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        return cls(process=process, connection=ours)

    def end(self) -> int:
        """End it, and return its exit code."""
        self.process.kill()
        self.connection.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return self.process.wait()


def _one_try(task: Task) -> Outcome:
    keeper = _keeper(task.job.analysis.threads)
    watch = _Watch(task=task, keeper=keeper)
    try:
        keeper.connection.send(task)
        return watch.outcome()
    except BaseException:
        watch.end_case()
        raise
    finally:
        if not watch.keeper_lives:
            keeper.end()
            _own.keeper = None


def _keeper(threads: int) -> Keeper:
    """This thread's keeper, a new one if it has none that lives."""
    keeper: Keeper | None = getattr(_own, "keeper", None)
    if keeper is None or keeper.process.poll() is not None:
        keeper = _own.keeper = Keeper.start(threads)
    return keeper


class _Watch:
    """Waits for a case's end and brings it about if need be."""

    def __init__(self, *, task: Task, keeper: Keeper) -> None:
        self.task, self.keeper = task, keeper
        self.began = time.monotonic()
        self.pid: int | None = None
        self.peak_bytes = 0
        self.said: Outcome | None = None
        self.ending: Outcome | None = None
        self.keeper_lives = True

    def outcome(self) -> Outcome:
        """What came of the case: what it said itself, unless it was ended or died."""
        code = self._wait()
        found = self.ending or self.said or self._failed(DIED, f"Its process died: {_ending(code)}.")
        return replace(found, seconds=time.monotonic() - self.began, peak_bytes=self.peak_bytes)

    def _wait(self) -> int:
        """Follow the process to its end; its exit code."""
        rounds = 0
        while True:
            try:
                if self.keeper.connection.poll(_LOOK_S):
                    message = self.keeper.connection.recv()
                    if isinstance(message, Ended):
                        return message.code
                    self._hear(message)
            except (EOFError, OSError):
                self.keeper_lives = False
                self.end_case()
                return self.keeper.end()
            rounds += 1
            if self.ending is None:
                self._look(with_memory=rounds % 10 == 1)

    def _hear(self, message: Started | Outcome) -> None:
        if isinstance(message, Started):
            self.pid, self.began = message.pid, time.monotonic()
        else:
            self.said = message

    def _look(self, *, with_memory: bool) -> None:
        limits = self.task.limits
        if self.task.job.run in _stopped_runs:
            self.ending = Outcome(case_id=self.task.job.case_id, state="stopped")
        elif time.monotonic() - self.began > (limits.timeout_s if self.pid else _START_S):
            self.ending = self._failed("CASE_TIMEOUT", f"It wasn't finished after {limits.timeout_s / 60:g} minutes.")
        elif with_memory and self._memory_bytes() > limits.memory_bytes:
            told = f"It took more than the {limits.memory_bytes / 2**30:g} GB that --memory allows."
            self.ending = self._failed("CASE_MEMORY", told)
        if self.ending is not None:
            self.end_case()

    def _memory_bytes(self) -> int:
        taken = 0
        for process in self._processes():
            with suppress(psutil.Error):
                taken += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, taken)
        return taken

    def _processes(self) -> list[psutil.Process]:
        """The case's process and all that it started."""
        if self.pid is None:
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []

    def end_case(self) -> None:
        """End the case's process with all that it started; its keeper too if the case hasn't begun yet."""
        processes = self._processes() if self.pid is not None else [psutil.Process(self.keeper.process.pid)]
        for process in processes:
            with suppress(psutil.Error, ProcessLookupError):
                process.send_signal(signal.SIGKILL)

    def _failed(self, code: str, told: str) -> Outcome:
        return Outcome(case_id=self.task.job.case_id, state="failed", error_code=code, error=told)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, as when memory runs out" if -code == signal.SIGKILL else name
