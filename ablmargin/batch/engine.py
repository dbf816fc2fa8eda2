"""Dask as the engine: the one place that knows it. A task holds a case's names and paths and returns a few words."""

from __future__ import annotations

import logging
import secrets
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from ablmargin.batch.job import CaseJob, Limits, Outcome
from ablmargin.errors import UsageError, printable

CONNECT_S = 30.0
STOP_S = 3.0
"""How long workers get to end their cases after an interruption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A Dask cluster to send cases to; see :func:`local_engine` and :func:`engine_at`."""

    client: Any
    limits: Limits

    @property
    def slots(self) -> int:
        """How many cases run at once."""
        return sum(self.client.nthreads().values())

    def outcomes(self, jobs: Sequence[CaseJob]) -> Iterator[Outcome]:
        """Carry jobs out, and yield what came of them as they end.

        If the caller stops listening, or is interrupted, all cases that still run are ended.
        """
        from distributed import as_completed  # noqa: PLC0415 - an extra

        from ablmargin.batch.supervise import carry_out  # noqa: PLC0415

        if not jobs:
            return
        batch = f"case-{secrets.token_hex(4)}"
        futures = {
            self.client.submit(carry_out, job, self.limits, key=(batch, number), pure=False): job
            for number, job in enumerate(jobs)
        }
        finished = False
        try:
            for future in as_completed(list(futures)):
                yield self._outcome(future, futures.pop(future))
            finished = True
        finally:
            if not finished:
                self._stop(list(futures), jobs[0].run)

    def _outcome(self, future: Any, job: CaseJob) -> Outcome:
        error = future.exception()
        if error is None:
            found: Outcome = future.result()
        else:
            found = _lost(job, error)
        future.release()
        return found

    def _stop(self, futures: list[Any], run: str) -> None:
        from ablmargin.batch.supervise import stop  # noqa: PLC0415

        with suppress(Exception):  # a cluster that is gone has nothing to stop
            self.client.cancel(futures, force=True)
        with suppress(Exception):
            self.client.sync(self.client._run, stop, run, on_error="ignore", callback_timeout=STOP_S)  # noqa: SLF001


def _lost(job: CaseJob, error: BaseException) -> Outcome:
    """A task that raised is no case's fault: its worker died again and again, or can't do our work at all.

    How often a case is given to another worker is the scheduler's choice: ours has it from ``Limits``, a running one its own.
    """
    from distributed import KilledWorker  # noqa: PLC0415 - an extra

    if isinstance(error, KilledWorker):
        deaths = error.allowed_failures + 1
        code, told = "WORKER_DIED", f"The worker that had it died, {deaths} time{'s' * (deaths > 1)}."
    else:
        code, told = "ENGINE_ERROR", f"Its worker couldn't start it: {type(error).__name__}."
    return Outcome(case_id=job.case_id, state="failed", error_code=code, error=told)


@contextmanager
def local_engine(workers: int, limits: Limits) -> Iterator[Engine]:
    """A cluster of so many worker processes on this machine; only this process can send them work.

    Raises
    ------
    UsageError
        If a worker can't be started.
    """
    import dask  # noqa: PLC0415 - an extra
    from distributed import Client  # noqa: PLC0415

    _quiet()
    settings = {
        "distributed.scheduler.allowed-failures": limits.retries,
        "distributed.scheduler.worker-saturation": 1.0,  # no case waits for a worker that is busy
        "distributed.scheduler.http.routes": [],  # nothing is served to browsers
        "distributed.worker.http.routes": [],
    }
    with dask.config.set(settings), _started(workers) as cluster, Client(cluster) as client:
        yield Engine(client=client, limits=limits)


def _started(workers: int) -> Any:
    """A cluster that has started, even if this is interrupted: Dask can't be ended in order before."""
    with ThreadPoolExecutor(1, initializer=_deafen) as starter:
        starting = starter.submit(_cluster, workers)
        try:
            return starting.result()
        except KeyboardInterrupt:
            with suppress(Exception):
                starting.result().close()
            raise
        except (OSError, RuntimeError) as error:
            found = f"{type(error).__name__}: {printable(str(error))[:200]}"
            raise UsageError(f"--workers {workers}: they can't be started on this machine ({found})") from None


def _cluster(workers: int) -> Any:
    from distributed import LocalCluster  # noqa: PLC0415 - an extra
    from distributed.security import Security  # noqa: PLC0415

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,  # cases have a limit each
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL + 1,
        security=Security.temporary(),
    )


def _deafen() -> None:
    """For this thread and all that it starts: only the main process hears Ctrl-C or a closed terminal, and ends the others."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()  # it would undo the next line
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextmanager
def engine_at(address: str, limits: Limits) -> Iterator[Engine]:
    """A running cluster, by its scheduler's address; its workers must see the same paths.

    Raises
    ------
    UsageError
        If nothing answers there, or its workers have other versions than this program.
    """
    from distributed import Client  # noqa: PLC0415 - an extra

    _quiet()
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"--scheduler {printable(address)}: no Dask scheduler answers ({type(error).__name__})"
        ) from None
    with client:
        _require_same_versions(client, address)
        yield Engine(client=client, limits=limits)


def _require_same_versions(client: Any, address: str) -> None:
    from ablmargin.result import software_versions  # noqa: PLC0415

    ours = {name: version for name, version in software_versions().items() if name != "platform"}
    for theirs in client.run(_worker_versions, on_error="return").values():
        if theirs != ours:
            found = _differences(ours, theirs) if isinstance(theirs, dict) else f"none ({type(theirs).__name__})"
            raise UsageError(
                f"--scheduler {printable(address)}: its workers have other versions than this program: {found}"
            )


def _worker_versions() -> dict[str, str]:
    from ablmargin.batch import supervise  # noqa: F401, PLC0415 - without the extra's packages a worker is of no use
    from ablmargin.result import software_versions  # noqa: PLC0415

    return {name: version for name, version in software_versions().items() if name != "platform"}


def _differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    return ", ".join(f"{name} {theirs.get(name)} for {ours[name]}" for name in ours if theirs.get(name) != ours[name])


def _quiet() -> None:
    """What Dask says to developers isn't for users: what matters is in the cases' rows."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
