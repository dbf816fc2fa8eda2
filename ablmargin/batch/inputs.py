"""What a case was made from: every file's size and time, cheap to compare, and the SHA-256 of all content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablmargin.dicom.walk import place_of
from ablmargin.intake import CaseRequest, mask_path
from ablmargin.pseudonyms import Pseudonyms

Seal = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Of one file, or of all files of a folder.

    ``stamp`` changes if a file is added, removed, renamed, moved, resized or written to, whatever time it is given then;
    ``content`` only with names below the folder and content.
    """

    stamp: str
    content: str

    def sealed(self, seal: Seal) -> Fingerprint:
        """As it may be written."""
        return Fingerprint(stamp=seal(self.stamp), content=seal(self.content))


def input_paths(request: CaseRequest, *more: Path) -> tuple[Path, ...]:
    """Every file and folder that a case is made from, each once."""
    single = [*map(place_of, (request.pre, request.post)), *([] if request.landmarks is None else [request.landmarks])]
    return tuple(dict.fromkeys([*single, *(mask_path(text) for text in request.masks), *more]))


def stamp_of(path: Path) -> str:
    """A digest of the path and of the names, sizes and times of all files at it; "" if nothing is there."""
    digest = hashlib.sha256(f"{path.absolute()}\0".encode("utf-8", "surrogateescape"))
    found = False
    for name, file in _files(path):
        found = True
        status = file.stat()
        times = f"{status.st_mtime_ns}\0{status.st_ctime_ns}"  # the second one nobody can set
        digest.update(f"{name}\0{status.st_size}\0{times}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest() if found else ""


def fingerprint_of(path: Path) -> Fingerprint:
    """Read everything at a path."""
    digest = hashlib.sha256()
    stamp = stamp_of(path)
    for name, file in _files(path):
        with file.open("rb") as content:
            part = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{name}\0{part}\0".encode("utf-8", "surrogateescape"))
    return Fingerprint(stamp=stamp, content=digest.hexdigest())


def seal_of(key: bytes | None) -> Seal:
    """What a digest is written as: itself, or with a key its stand-in, from which nobody can tell that it was this input."""
    return str if key is None else Pseudonyms(key=key, subject="").digest


def fingerprints_if_unchanged(
    paths: Sequence[Path], known: Sequence[Fingerprint], seal: Seal = str
) -> list[Fingerprint] | None:
    """The sealed fingerprints of what lies at the paths, with the stamps of today; None if it isn't what was fingerprinted.

    Content is only read where a stamp differs.
    """
    if len(paths) != len(known):
        return None
    now = [replace(before, stamp=seal(stamp_of(path))) for path, before in zip(paths, known, strict=True)]
    for path, one, before in zip(paths, now, known, strict=True):
        if one.stamp != before.stamp and seal(fingerprint_of(path).content) != before.content:
            return None
    return now


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """The files at a path with their names relative to it, in a fixed order."""
    if path.is_file():
        yield "", path
        return
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                yield file.relative_to(path).as_posix(), file
