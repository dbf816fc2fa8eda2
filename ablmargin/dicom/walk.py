"""Which files to look at: those under a folder, or those that a DICOMDIR lists; never one outside, never through a link."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from ablmargin.dicom.bounded import BoundedReader
from ablmargin.dicom.quiet import quiet
from ablmargin.errors import DicomError, Fault, printable

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
MOST_FILES = 200_000
"""More than a hundred exams of two thousand slices: somebody named the whole disk."""
FILE_SET_NAMES = {"DICOMDIR", "DIRFILE"}
REMEDIES = {
    "FILE_MISSING": "Copy the whole medium, not only a part of it.",
    "PIXEL_FORMAT": "Export the original CT series of the scanner.",
}
"""How to mend what a file is skipped for, where nothing else would help."""
_VERSION = re.compile(r"\.?(;[0-9]+)?$")
"""What ISO 9660 puts behind the names of a CD's files, and some systems show."""


_SLICES_PERHAPS = {
    "FILE_TRUNCATED",
    "FILE_MALFORMED",
    "RESOURCE_LIMIT",
    "FILE_UNREADABLE",
    "FILE_MISSING",
    "PIXEL_FORMAT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that isn't part of any CT series, or a folder that can't be searched, and why.

    ``code`` is NOT_DICOM, NOT_CT, GEOM_MISSING_TAG (an image without a place), ARCHIVE_UNSAFE, FILE_TRUNCATED
    (a DICOM file that ends too early), FILE_MALFORMED, RESOURCE_LIMIT, FILE_UNREADABLE, FILE_MISSING, PIXEL_FORMAT
    (floating-point pixels), OUTSIDE_FOLDER, NOT_A_FILE or FOLDER_UNREADABLE. ``attribute`` is the DICOM attribute that tells so, if one does.
    """

    source: str
    code: str
    reason: str
    folder: Path
    attribute: str | None = None

    @property
    def may_be_a_slice(self) -> bool:
        """Whether the file may be a slice that can't be read."""
        return self.code in _SLICES_PERHAPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What to open, and what is known already not to be opened."""

    root: Path
    files: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def name_of(self, path: Path) -> str:
        """A path relative to the folder that was searched, safe to print."""
        return printable(str(path if path == self.root else path.relative_to(self.root)))


def places_under(path: Path) -> Places:
    """Everything to look at under a folder, at any depth; a single file; or the files that a DICOMDIR lists.

    Raises
    ------
    DicomError
        RESOURCE_LIMIT if there are more than 200,000 files.
    """
    if path.is_dir():
        return _searched(path)
    file = path.resolve()
    if file.is_file() and is_file_set(file):
        return _listed(file)
    return Places(root=file.parent, files=[file])


def place_of(path: Path) -> Path:
    """What is read if a path is named: the folder of a DICOMDIR, else the path itself."""
    return path.parent if path.is_file() and is_file_set(path) else path


def is_file_set(path: Path) -> bool:
    """Whether a file is a DICOMDIR, which lists files and isn't one of them."""
    if path.name.upper() in FILE_SET_NAMES:
        return True
    try:
        with path.open("rb") as file, quiet():
            if file.read(132)[128:] != b"DICM":
                return False
            file.seek(0)
            reader: Any = BoundedReader(file, path.stat().st_size)
            meta = read_partial(reader, stop_when=_at_once).file_meta
            return str(meta.get("MediaStorageSOPClassUID", "")) == MEDIA_DIRECTORY
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it isn't a media directory
        return False


def _at_once(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom gives all three
    return True


def _read(path: Path, keyword: str) -> FileDataset:
    """One attribute of a file, and its meta information."""
    with path.open("rb") as file, quiet():
        reader: Any = BoundedReader(file, path.stat().st_size)
        return pydicom.dcmread(reader, stop_before_pixels=True, specific_tags=[keyword])


def _searched(folder: Path) -> Places:
    places = Places(root=folder)
    locked: list[Path] = []
    places.files.extend(itertools.islice(_files_under(folder, locked), MOST_FILES + 1))
    if len(places.files) > MOST_FILES:
        raise DicomError(_too_many(folder))
    places.skipped.extend(
        Skipped(source=places.name_of(one), code="FOLDER_UNREADABLE", reason="can't be opened", folder=one.parent)
        for one in locked
    )
    return places


def _files_under(folder: Path, locked: list[Path]) -> Iterator[Path]:
    """Everything under a folder that isn't a folder, sorted; links to folders are not followed.

    Folders that can't be opened are added to ``locked``.
    """

    def note(error: OSError) -> None:
        locked.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=note, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in sorted([*names, *links]))


def _listed(directory: Path) -> Places:
    """The files that a DICOMDIR names, as far as they lie in its folder."""
    places = Places(root=directory.parent)
    try:
        names = _names_in(directory)
    except Exception:  # noqa: BLE001 - pydicom raises almost any type on a damaged file
        reason = "a media directory that can't be read; name its folder instead, which is searched without it"
        places.skipped.append(
            Skipped(source=directory.name, code="FILE_MALFORMED", reason=reason, folder=directory.parent)
        )
        return places
    listings: dict[Path, dict[str, Path]] = {}
    for number, parts in enumerate(names[:MOST_FILES], start=1):
        found = _inside(directory.parent, parts, f"{directory.name}, record {number}", listings)
        if isinstance(found, Skipped):
            places.skipped.append(found)
        else:
            places.files.append(found)
    return places


def _names_in(directory: Path) -> list[list[str]]:
    """The parts of each ReferencedFileID."""
    with quiet():
        records = _read(directory, "DirectoryRecordSequence").get("DirectoryRecordSequence", [])
        values = [record.get("ReferencedFileID") for record in records]
    return [[value] if isinstance(value, str) else [str(part) for part in value] for value in values if value]


def _inside(folder: Path, parts: Iterable[str], source: str, listings: dict[Path, dict[str, Path]]) -> Path | Skipped:
    """The regular file at a path relative to a folder, part by part and without links; or why it isn't opened.

    Media were written in capitals; file systems may show them in small letters.
    """
    place = folder
    for part in parts:
        if part.strip(". ") == "" or set(part) & set("/\\\0"):
            reason = "refers to a place outside its folder, which isn't opened"
            return Skipped(source=source, code="OUTSIDE_FOLDER", reason=reason, folder=folder)
        place = _entry(place, part, listings)
        if not os.path.lexists(place):
            return Skipped(
                source=source, code="FILE_MISSING", reason="lists a file that isn't there", folder=place.parent
            )
        if stat.S_ISLNK(place.lstat().st_mode):
            reason = "leads through a link, which is not followed"
            return Skipped(source=source, code="NOT_A_FILE", reason=reason, folder=folder)
    return place


def _entry(folder: Path, name: str, listings: dict[Path, dict[str, Path]]) -> Path:
    """A folder's entry of that name, if need be in other letters or with a version."""
    exact = folder / name
    if os.path.lexists(exact) or not folder.is_dir():
        return exact
    if folder not in listings:
        listings[folder] = {_plain(path.name): path for path in folder.iterdir()}
    return listings[folder].get(_plain(name), exact)


def _plain(name: str) -> str:
    """A name as media and file systems agree on it: ``I0001`` for ``i0001.;1``."""
    return _VERSION.sub("", name.casefold(), count=1)


def _too_many(folder: Path) -> Fault:
    return Fault(
        code="RESOURCE_LIMIT",
        source=str(folder),
        found=f"more than {MOST_FILES} files",
        expected="the folder of one exam",
        remedy="Name the exam's own folder.",
    )
