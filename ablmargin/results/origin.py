"""From which files results were read, so that numbers made of them can be traced."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ablmargin.report.casefolder import sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The name of the table, or of the folder where each case has a file of its own, and how many files were read.

    ``sha256`` is that of the file; of several, that of their digests' text, in the order of reading.
    """

    name: str
    files: int
    sha256: str

    @classmethod
    def of(cls, place: Path, files: Sequence[Path]) -> Self:
        digests = [sha256_of(file) for file in files]
        if len(files) == 1:
            return cls(name=files[0].name, files=1, sha256=digests[0])
        joined = hashlib.sha256("".join(digests).encode("ascii")).hexdigest()
        return cls(name=place.resolve().name, files=len(files), sha256=joined)
