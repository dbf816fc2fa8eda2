"""Hidden folders that processes leave behind which are killed while they write a case."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ablmargin.batch.job import CaseJob

_PARTIAL = re.compile(r"\.(.+)\.partial-[0-9a-f]{8}", re.DOTALL)
"""As :func:`ablmargin.report.casefolder.new_folder` names them; an ID may look like one itself, so its end counts."""


@contextmanager
def without_leftovers(out: Path, jobs: Sequence[CaseJob]) -> Iterator[None]:
    """Remove what lies beside these cases' folders, before and after; the folder of all cases is only listed twice."""
    cases = {job.case_id for job in jobs}
    _clear(out, cases)
    try:
        yield
    finally:
        _clear(out, cases)


def _clear(out: Path, cases: set[str]) -> None:
    with os.scandir(out) as entries:
        found = [entry.path for entry in entries if (match := _PARTIAL.fullmatch(entry.name)) and match[1] in cases]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
