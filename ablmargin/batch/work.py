"""What happens in a case's own process: its analysis, its folder, its log, and what went wrong in a word."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from ablmargin.batch.inputs import fingerprint_of, input_paths, stamp_of
from ablmargin.batch.job import CaseJob, Outcome, without_places
from ablmargin.batch.marker import write_marker
from ablmargin.errors import AblMarginError, Fault, InputError, MissingExtraError, RegistrationError
from ablmargin.pipeline import analyze, now
from ablmargin.report.casefolder import fill_case_folder, new_folder
from ablmargin.wholeway import result_of

INTERNAL, IO = "INTERNAL_ERROR", "IO_ERROR"
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (MissingExtraError, "EXTRA_MISSING"),
    (RegistrationError, "REGISTRATION_FAILED"),
    (AblMarginError, "USAGE"),
)


class CaseLog:
    """A case's log: times and steps. Nothing of what files hold is ever written, as that could be a patient's name."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a", encoding="utf-8")
        self._step = ""

    def say(self, text: str) -> None:
        """Write a line, with the time."""
        self.file.write(f"{now()} {text}\n")
        self.file.flush()

    def progress(self, step: str, share: float) -> None:  # noqa: ARG002 - what listeners are given
        """Write the name of each step that begins."""
        if step != self._step:
            self._step = step
            self.say(step)


def work(job: CaseJob, log: CaseLog) -> Outcome:
    """Analyze a case and write its folder; whatever goes wrong is an outcome."""
    started = time.perf_counter()
    try:
        _analyze(job, log)
    except InputError as error:
        code, told = " ".join(dict.fromkeys(fault.code for fault in error.faults)), str(error)
    except AblMarginError as error:
        code, told = next(code for kind, code in _CODES if isinstance(error, kind)), str(error)
    except MemoryError:
        code, told = "CASE_MEMORY", "The memory that --memory allows wasn't enough."
    except OSError as error:
        code, told = IO, _told(error)
    except Exception as error:  # noqa: BLE001 - a bug of ours is told in its row, and must not end the batch
        code, told = INTERNAL, _bug(error, log)
    else:
        seconds = time.perf_counter() - started
        with suppress(OSError):
            log.say(f"finished in {seconds:.1f} s")
        return Outcome(case_id=job.case_id, state="done", seconds=seconds)
    told = without_places(told.replace("\n", " "), job.request)
    with suppress(OSError):  # a disk that is full fails it, and takes no line either
        log.say(f"failed: {told}")
    seconds = time.perf_counter() - started
    return Outcome(case_id=job.case_id, state="failed", error_code=code, error=told, seconds=seconds)


def disk_failure(job: CaseJob, error: OSError) -> Outcome:
    """What comes of a case whose log can't even be opened."""
    return Outcome(case_id=job.case_id, state="failed", error_code=IO, error=_told(error))


def _told(error: OSError) -> str:
    """What the system says, with the file's own name: folders may be named after patients."""
    return f"{error.strerror or type(error).__name__}: {Path(str(error.filename or '')).name}"


def _analyze(job: CaseJob, log: CaseLog) -> None:
    paths = input_paths(job.request, *job.analysis.model_files())
    stamps = [stamp_of(path) for path in paths]
    result = result_of(
        job.request,
        analyze,
        job.analysis.settings(),
        methods=job.analysis.methods(),
        lesion_ids=job.lesion_ids,
        key=job.analysis.key(),
        progress=log.progress,
    )
    log.progress("writing the report", 0.0)
    with new_folder(job.folder, overwrite=True) as folder:
        fill_case_folder(result, folder, command=["ablmargin", "batch"])
        inputs = [fingerprint_of(path) for path in paths]
        if [one.stamp for one in inputs] != stamps:
            raise InputError(_changed(job))
        write_marker(job, inputs, folder)


def _changed(job: CaseJob) -> Fault:
    return Fault(
        code="INPUT_CHANGED",
        source=job.case_id,
        found="files that changed during the analysis",
        expected="inputs that stay as they are",
        remedy="Run the batch again once they are complete.",
    )


def _bug(error: Exception, log: CaseLog) -> str:
    """Where it happened; the message is left out, as it may hold what a file says."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in frames:
        log.say(f"  {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}")
    last = frames[-1]
    return (
        f"A bug of ablmargin: {type(error).__name__} in {Path(last.filename).name}, line {last.lineno}. "
        f"Run ablmargin analyze on this case to see its message (Python {sys.version_info.major}.{sys.version_info.minor})."
    )
