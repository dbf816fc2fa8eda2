"""Find the CT series in a folder: walk it, read headers, group by series."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pydicom.uid

from ablmargin.dicom.header import SliceHeader, UnreadableFileError, read_header
from ablmargin.dicom.text import printable, uid_of
from ablmargin.errors import UsageError
from ablmargin.progress import Progress, silent

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_NAMES_OF_DIRECTORIES = {"DICOMDIR", "DIRFILE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that isn't part of any CT series, or a folder that can't be searched, and why.

    ``code`` is NOT_DICOM, NOT_CT, FILE_TRUNCATED (a damaged DICOM file), FILE_UNREADABLE, NOT_A_FILE or
    FOLDER_UNREADABLE.
    """

    source: str
    code: str
    reason: str
    folder: Path

    @property
    def may_be_a_slice(self) -> bool:
        """Whether the file may be a slice that can't be read."""
        return self.code in {"FILE_TRUNCATED", "FILE_UNREADABLE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFiles:
    """The files that name one SeriesInstanceUID, in the order found.

    Parameters
    ----------
    number : int
        1, 2, ... in the order of acquisition, series number and UID: what a user chooses by.
    source : str
        The folder that was searched, as the user named it.
    damaged : tuple of Skipped
        Unreadable files in the folders of this series: they may be missing slices.
    """

    number: int
    series_uid: str
    source: str
    headers: tuple[SliceHeader, ...]
    damaged: tuple[Skipped, ...] = ()

    @property
    def description(self) -> str:
        return printable(self.headers[0].texts["SeriesDescription"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """All CT series under a path, and everything that is in none."""

    source: str
    series: tuple[SeriesFiles, ...]
    skipped: tuple[Skipped, ...]


def discover(path: Path, *, progress: Progress = silent) -> Discovery:
    """Find the CT series under a folder, at any depth, or in one file.

    Only regular files inside the folder are opened; symbolic links, pipes and devices are listed as skipped. A
    DICOMDIR is ignored: the files themselves are searched.

    Raises
    ------
    UsageError
        If there is nothing at the path.
    """
    if not path.exists():
        raise UsageError(f"{path} doesn't exist")
    locked: list[Path] = []
    root, files = (
        (path, list(_files_under(path, locked))) if path.is_dir() else (path.resolve().parent, [path.resolve()])
    )
    headers: list[SliceHeader] = []
    skipped = [_skip(folder, _name_in(root, folder), "FOLDER_UNREADABLE", "can't be opened") for folder in locked]
    for done, file in enumerate(files):
        found = _look_at(file, _name_in(root, file))
        if isinstance(found, SliceHeader):
            headers.append(found)
        elif found is not None:
            skipped.append(found)
        progress("reading headers", (done + 1) / len(files))
    return Discovery(source=str(path), series=_grouped(headers, skipped, str(path)), skipped=tuple(skipped))


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


def _name_in(root: Path, path: Path) -> str:
    return printable(str(path if path == root else path.relative_to(root)))


def _look_at(path: Path, source: str) -> SliceHeader | Skipped | None:
    """The header of a CT image; why the file is skipped; or None for a DICOMDIR."""
    skip = partial(_skip, path, source)
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return skip("NOT_A_FILE", "a link, pipe or device, which is not followed")
        if path.name.upper() in _NAMES_OF_DIRECTORIES:
            return None
        if path.stat().st_size == 0:
            return skip("FILE_TRUNCATED" if path.suffix.lower() == ".dcm" else "NOT_DICOM", "empty file")
        if not _has_dicom_mark(path):
            return skip(
                "NOT_DICOM", "not DICOM, in spite of its name" if path.suffix.lower() == ".dcm" else "not DICOM"
            )
        header = read_header(path, source)
    except OSError:
        return skip("FILE_UNREADABLE", "can't be opened")
    except UnreadableFileError as error:
        return skip("FILE_TRUNCATED", f"damaged header ({error})")
    return _sorted_out(header)


def _skip(path: Path, source: str, code: str, reason: str) -> Skipped:
    return Skipped(source=source, code=code, reason=reason, folder=path.parent)


def _has_dicom_mark(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _sorted_out(header: SliceHeader) -> SliceHeader | Skipped | None:
    """The header if it is a CT image's, else what it is instead."""
    sop_class = header.texts["SOPClassUID"]
    skip = partial(_skip, header.path, header.source)
    if sop_class == _MEDIA_DIRECTORY:
        return None
    if not sop_class:
        return skip("FILE_TRUNCATED", "damaged header (no SOPClassUID)")
    if sop_class != pydicom.uid.CTImageStorage:
        uid = uid_of(sop_class)
        kind = "a private object" if uid.is_private else printable(uid.name)
        return skip("NOT_CT", f"{kind}, modality {printable(header.texts['Modality']) or 'unknown'}")
    if header.pixels is None:
        return skip("FILE_TRUNCATED", "it ends before its pixels")
    return header


def _grouped(headers: list[SliceHeader], skipped: list[Skipped], source: str) -> tuple[SeriesFiles, ...]:
    groups: dict[str, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(header.series_uid, []).append(header)
    damaged = [file for file in skipped if file.may_be_a_slice]
    return tuple(
        SeriesFiles(
            number=number,
            series_uid=members[0].series_uid,
            source=source,
            headers=tuple(members),
            damaged=tuple(file for file in damaged if file.folder in {header.path.parent for header in members}),
        )
        for number, members in enumerate(sorted(groups.values(), key=_by_time), start=1)
    )


def _by_time(members: list[SliceHeader]) -> tuple[str, int, str]:
    first = min(members, key=lambda header: header.acquired or "")
    number = first.texts["SeriesNumber"]
    return first.acquired or "", int(number) if number.isdecimal() else 0, first.series_uid
