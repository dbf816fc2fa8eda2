"""How a batch is shown while it runs and at its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ablmargin.batch.job import Outcome
from ablmargin.batch.keyfile import PATIENT_COLUMN
from ablmargin.batch.results import NOT_RUN, failures
from ablmargin.batch.run import Plan, Summary, finished_cases, other_cases, run_batch
from ablmargin.clinical.criteria import Verdict
from ablmargin.errors import printable
from ablmargin.reasons import WORDS
from ablmargin.report import DISCLAIMER

from .terminal import say, write_lines

SHOWN = 10


def tell_plan(plan: Plan) -> int:
    """Print what a batch would do; the exit code."""
    jobs = plan.jobs()
    finished = finished_cases(jobs)
    lesions = sum(len(job.lesion_ids) for job in jobs)
    told = f"{len(finished)} finished, {len(jobs) - len(finished)} to analyze"
    write_lines([f"{_count(len(jobs), 'case')} with {_count(lesions, 'lesion')}: {told}", *_remarks(plan)])
    return 0


def _remarks(plan: Plan) -> list[str]:
    """What is right with a plan but may not be meant."""
    remarks = list(plan.manifest.remarks)
    own = [printable(name) for name in plan.manifest.carried_columns if name != PATIENT_COLUMN]
    if own and plan.analysis.key_file is not None:
        remarks.append(f"Your own columns go into the tables as they are, whatever they tell: {', '.join(own)}")
    elif plan.manifest.carried_columns:
        remarks.append(
            f"Columns that only go through to the tables: {', '.join(map(printable, plan.manifest.carried_columns))}"
        )
    if others := other_cases(plan):
        remarks.append(
            f"{_count(len(others), 'finished case')} in {plan.out} that no row names, so no table has: {_some(others)}"
        )
    return remarks


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def carry_out(plan: Plan) -> bool:
    """Run a batch, show its progress and print its summary; whether a case failed."""
    jobs = plan.jobs()
    try:
        with _shown(len(jobs)) as view:
            summary = run_batch(plan, jobs, started=view.started, ended=view.ended)
    except KeyboardInterrupt:
        say("Finished cases are kept; the same command goes on with the others.")
        raise
    _print_summary(plan, summary)
    return summary.states["failed"] > 0


class _View:
    """Counts, rate and time left, on a bar or in lines."""

    def __init__(self, total: int, bars: Progress | None) -> None:
        self.total, self.bars = total, bars
        self.done = self.failed = self.kept = 0
        self.began = time.monotonic()
        self.task = None if bars is None else bars.add_task("cases", total=total, told="starting workers")

    def started(self, slots: int) -> None:
        self.began = time.monotonic()
        if self.bars is None:
            say(f"{_count(self.total, 'case')}, " + (f"{slots} at once" if slots else "no worker yet"))

    def ended(self, outcome: Outcome) -> None:
        self.done += 1
        self.failed += outcome.state == "failed"
        self.kept += outcome.state == "kept"
        if self.bars is None or self.task is None:
            self._say_line(outcome)
            return
        if outcome.state == "failed":
            self.bars.console.print(f"{outcome.case_id}: {outcome.error_code}", markup=False)
        self.bars.update(self.task, completed=self.done, told=self._told())

    def _say_line(self, outcome: Outcome) -> None:
        words = {"done": f"finished in {outcome.seconds:.0f} s", "kept": "was finished before"}
        told = words.get(outcome.state, f"failed: {outcome.error_code}")
        say(f"{self.done}/{self.total} {outcome.case_id} {told}; {self._told()}")

    def _told(self) -> str:
        analyzed = self.done - self.kept
        if not analyzed:
            return f"{self.failed} failed"
        per_case_s = (time.monotonic() - self.began) / analyzed
        left_s = per_case_s * (self.total - self.done)
        return f"{self.failed} failed, {3600 / per_case_s:.0f} an hour, {_duration(left_s)} left"


@contextmanager
def _shown(total: int) -> Iterator[_View]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _View(total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bars:
        yield _View(total, bars)


def _print_summary(plan: Plan, summary: Summary) -> None:
    states = summary.states
    told = f"{states['done']} analyzed, {states['kept']} finished before, {states['failed']} failed"
    lines = [f"{_count(sum(states.values()), 'case')}: {told}"]
    verdicts = [row["verdict"] for row in summary.tables.rows if row["verdict"]]
    if verdicts:
        told = ", ".join(f"{verdicts.count(one)} {one}" for one in ("adequate", "inadequate", "indeterminate"))
        withheld = sum(row["status"] == "withheld" for row in summary.tables.rows)
        lines.append(f"{_count(len(verdicts), 'lesion')}: {told}" + (f" ({withheld} withheld)" if withheld else ""))
        lines += [f"  {count} × indeterminate: {why}" for why, count in _undecided(summary).most_common()]
    lines += [f"  {count} × {code}" for code, count in failures(summary.tables.rows) if code != NOT_RUN]
    waiting = sum(row["error_code"] == NOT_RUN for row in summary.tables.rows)
    if waiting:
        lines.append(f"  {_count(waiting, 'lesion')} not analyzed yet")
    kept = ", ".join(path.name for path in summary.tables.kept)
    lines += [f"Somebody had edited the tables; what they were is kept: {kept}"] if kept else []
    lines += _remarks(plan)
    lines += [f"The tables: {plan.out / 'results.csv'}, results.parquet; logs: {plan.out / 'logs'}", DISCLAIMER]
    write_lines(lines)


def _undecided(summary: Summary) -> Counter[str]:
    """How many lesions got no verdict for what reason: the first that hindered it, else what the numbers say."""
    codes = (row["reason_codes"] for row in summary.tables.rows if row["verdict"] == Verdict.INDETERMINATE)
    return Counter(WORDS[code.split()[0]] for code in codes if code)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
