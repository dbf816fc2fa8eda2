"""The order of a batch's steps: check everything, hold the folder, carry out what isn't finished, write the tables."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from ablmargin.batch.engine import Engine, engine_at, local_engine
from ablmargin.batch.inputs import input_paths
from ablmargin.batch.job import Analysis, CaseJob, Limits, Outcome, digest_of
from ablmargin.batch.journal import STATE_FOLDER, Journal
from ablmargin.batch.leftovers import without_leftovers
from ablmargin.batch.locks import WHOLE, batch_lock
from ablmargin.batch.manifest import Manifest
from ablmargin.batch.marker import MARKER, finished_record, is_finished
from ablmargin.batch.results import Tables, write_results
from ablmargin.errors import UsageError
from ablmargin.itk import itk_path
from ablmargin.outputplace import require_apart
from ablmargin.report.casefolder import is_kept_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several equal parts of a batch, counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """From ``3/10``.

        Raises
        ------
        UsageError
            If it is no such thing.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard {text!r}: expected NUMBER/COUNT, such as 3/10, the first being 1/10")
        return cls(number=int(match[1]), count=int(match[2]))

    @property
    def name(self) -> str:
        return WHOLE if self.count == 1 else f"{self.number}-of-{self.count}"

    def of(self, jobs: Sequence[CaseJob]) -> list[CaseJob]:
        """Every so manieth job, in the order of case IDs: it doesn't depend on the order of rows."""
        ordered = sorted(jobs, key=lambda job: job.case_id)
        mine = {job.case_id for job in ordered[self.number - 1 :: self.count]}
        return [job for job in jobs if job.case_id in mine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a batch is to do."""

    manifest: Manifest
    out: Path
    analysis: Analysis
    limits: Limits
    shard: Shard
    workers: int
    scheduler: str | None

    def jobs(self) -> list[CaseJob]:
        """A job for each case of the shard."""
        return self.shard.of(self.all_jobs())

    def all_jobs(self) -> list[CaseJob]:
        """A job for each case of the manifest."""
        versions, run = digest_of(self.analysis.versions()), secrets.token_hex(8)
        out = self.out.absolute()
        return [
            CaseJob(
                request=case.request,
                lesion_ids=case.lesion_ids,
                analysis=self.analysis,
                out=out,
                versions=versions,
                run=run,
            )
            for case in self.manifest.cases
        ]

    def engine(self, cases: int) -> AbstractContextManager[Engine]:
        """The cluster that it asks for, no larger than so many cases need."""
        if self.scheduler is not None:
            return engine_at(self.scheduler, self.limits)
        return local_engine(max(1, min(self.workers, cases)), self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many cases ended how, and what the tables hold."""

    states: Counter[str]
    tables: Tables


Listener = Callable[[Outcome], None]


def require_writable(plan: Plan) -> None:
    """Refuse, before the work, an output folder that can't or mustn't be written.

    Raises
    ------
    UsageError
        If it is a file, holds an input or lies inside one, holds something but no batch, or nothing can be written there.
    """
    itk_path(plan.out.resolve())
    if plan.out.exists() and not plan.out.is_dir():
        raise UsageError(f"--out {plan.out} is a file, not a folder")
    require_apart(plan.out, [path for case in plan.manifest.cases for path in input_paths(case.request)])
    if plan.out.is_dir() and any(plan.out.iterdir()) and not (plan.out / STATE_FOLDER).is_dir():
        raise UsageError(f"--out {plan.out} isn't empty and holds no batch; name another folder")
    state = plan.out / STATE_FOLDER
    for place in (plan.out, plan.out / "logs", state, state / "locks"):
        _probe(plan.out, place)


def _probe(out: Path, place: Path) -> None:
    """Make a file without a name in a folder, or in the one above it that is there."""
    existing = next(folder for folder in (place, *place.absolute().parents) if os.path.lexists(folder))
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        found = error.strerror or type(error).__name__
        raise UsageError(f"--out {out}: nothing can be written in {existing}: {found}") from error


def finished_cases(jobs: Sequence[CaseJob]) -> list[str]:
    """Which cases a batch would skip."""
    return [job.case_id for job in jobs if is_finished(job)]


def run_batch(plan: Plan, jobs: Sequence[CaseJob], *, started: Callable[[int], None], ended: Listener) -> Summary:
    """Carry a plan's jobs out and write the tables; also if it is interrupted.

    Parameters
    ----------
    started : callable
        Told how many cases run at once, when they can.
    ended : callable
        Told what came of each case.

    Raises
    ------
    UsageError
        If another batch works in the folder, or the cluster can't be used.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    states: Counter[str] = Counter()
    with (
        batch_lock(plan.out, plan.shard.name),
        without_leftovers(plan.out, jobs),
        plan.engine(len(jobs)) as engine,
    ):
        journal = Journal(plan.out, plan.shard.name)
        journal.write("batch started", cases=len(jobs), versions=plan.analysis.versions())
        started(engine.slots)
        try:
            for outcome in engine.outcomes(jobs):
                journal.write_outcome(outcome)
                states[outcome.state] += 1
                ended(outcome)
        except BaseException:
            journal.write("batch interrupted", **states)
            raise
        finally:
            tables = _write_tables(plan)
        journal.write("batch ended", **states)
    return Summary(states=states, tables=tables)


def _write_tables(plan: Plan) -> Tables:
    """Both tables, of what was made as the plan would make it, by whatever run or shard."""
    jobs = {job.case_id: job for job in plan.all_jobs()}
    nameless = plan.analysis.key_file is not None
    return write_results(plan.out, plan.manifest, lambda case_id: finished_record(jobs[case_id]), nameless=nameless)


def other_cases(plan: Plan) -> list[str]:
    """Finished cases in the output folder that the manifest doesn't have: no table holds them."""
    own = {case.case_id for case in plan.manifest.cases}
    names = (path.parent.name for path in plan.out.glob(f"*/{MARKER}"))
    return sorted(name for name in names if name not in own and not is_kept_aside(name))
