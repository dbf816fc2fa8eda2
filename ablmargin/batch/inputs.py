"""What a case was made from: every file's size and time, cheap to compare, and the SHA-256 of all content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablmargin.intake import CaseRequest, mask_path
from ablmargin.pseudonyms import Pseudonyms

Seal = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Of one file, or of all files of a folder.

    ``stamp`` changes if a file is added, removed, renamed, resized or written to; ``content`` only with names below the
    folder and content.
    """

    stamp: str
    content: str


def input_paths(request: CaseRequest, *more: Path) -> tuple[Path, ...]:
    """Every file and folder that a case is made from, each once."""
    single = [request.pre, request.post, *([] if request.landmarks is None else [request.landmarks])]
    return tuple(dict.fromkeys([*single, *(mask_path(text) for text in request.masks), *more]))


def stamp_of(path: Path) -> str:
    """A digest of the names, sizes and times of all files at a path; "" if nothing is there."""
    digest = hashlib.sha256()
    found = False
    for name, file in _files(path):
        found = True
        status = file.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
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


def unchanged(paths: Sequence[Path], known: Sequence[Fingerprint], seal: Seal = str) -> bool:
    """Whether what lies at the paths is what was fingerprinted and sealed. Content is only read where a stamp differs."""
    if len(paths) != len(known):
        return False
    return all(
        seal(stamp_of(path)) == before.stamp or seal(fingerprint_of(path).content) == before.content
        for path, before in zip(paths, known, strict=True)
    )


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
