"""What the commands have in common: open a case, run a step on it, write and print what was found, choose the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ablmargin.clinical.criteria import Verdict
from ablmargin.deidentify import plain_command
from ablmargin.errors import UsageError
from ablmargin.intake import CaseRequest, mask_path
from ablmargin.itk import itk_path
from ablmargin.outputplace import require_apart
from ablmargin.pipeline import Settings
from ablmargin.progress import Progress
from ablmargin.registration.engines import engine_named
from ablmargin.report.casefolder import write_case_folder
from ablmargin.report.record import result_record
from ablmargin.result import CaseResult
from ablmargin.segmentation.methods import Methods
from ablmargin.wholeway import Step, result_of

from .terminal import print_summary, progress_bars, say

GATE_EXIT = {Verdict.INADEQUATE: 10, Verdict.INDETERMINATE: 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a result goes, and in which form."""

    folder: Path | None
    overwrite: bool = False
    as_json: bool = False
    gate: bool = False
    can_overwrite: bool = True
    """Whether the command has ``--overwrite``."""
    what: str = "case"
    record: str = "result.json"
    """What ``--overwrite`` replaces, and the file that tells it."""
    key: bytes | None = field(default=None, repr=False)
    """If nothing that identifies the patient may be written: what the stand-ins are derived from."""

    def require_writable(self, inputs: Sequence[Path]) -> None:
        """Refuse, before the work, an output folder that can't or mustn't be written.

        Raises
        ------
        UsageError
            If it lies inside an input folder, holds an input, is a file, or holds something that isn't a finished case
            to be replaced.
        InputError
            If its name is no text that a file can be written by.
        """
        out = self.folder
        if out is None:
            return
        itk_path(out.resolve())
        try:
            taken = out.exists() and not out.is_dir()
        except OSError as error:
            raise UsageError(f"--out {out}: {error.strerror}") from error
        if taken:
            raise UsageError(f"--out {out} is a file, not a folder")
        require_apart(out, inputs)
        if not out.is_dir() or not any(out.iterdir()):
            return
        if not self.overwrite:
            or_else = ", or --overwrite keeps the old one beside it" if self.can_overwrite else ""
            raise UsageError(f"--out {out} isn't empty; name another folder{or_else}")
        if not (out / self.record).is_file():
            raise UsageError(
                f"--out {out} isn't empty and no finished {self.what}; --overwrite only replaces finished {self.what}s"
            )


def run_case(
    request: CaseRequest, step: Step, settings: Settings, output: Output, *, methods: Methods | None = None
) -> tuple[CaseResult, int]:
    """Open a case, outline what it lacks, run one step of the pipeline on it and hand the result out."""
    output.require_writable([request.pre, request.post, *(mask_path(text) for text in request.masks)])
    engine_named(settings.registration.engine).require_installed()
    with progress_bars() as progress:
        result = result_of(request, step, settings, methods=methods, key=output.key, progress=progress)
        write(result, output, progress)
    return result, tell(result, output)


def write(result: CaseResult, output: Output, progress: Progress) -> None:
    """Write the case folder, if one was asked for."""
    if output.folder is not None:
        progress("writing the report", 0.0)
        command = sys.argv if output.key is None else plain_command(sys.argv)
        write_case_folder(result, output.folder, overwrite=output.overwrite, command=command)
        progress("writing the report", 1.0)


def tell(result: CaseResult, output: Output) -> int:
    """Print what was asked for and return the exit code. Only after the progress bars are gone."""
    if output.as_json and output.folder is not None:
        sys.stdout.write((output.folder / "result.json").read_text(encoding="utf-8"))
    elif output.as_json:
        sys.stdout.write(json.dumps(result_record(result), indent=2) + "\n")
    else:
        print_summary(result)
    if output.folder is not None:
        say(f"Written to {output.folder}" + (f": open {output.folder / 'report.html'}" if result.lesions else ""))
    return GATE_EXIT.get(result.verdict, 0) if output.gate and result.verdict is not None else 0
