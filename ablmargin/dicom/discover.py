"""Find the CT series in a folder: read headers, group them by series, and split what can't be one volume."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pydicom.uid

from ablmargin.dicom.enhanced import MULTI_FRAME, frame_headers
from ablmargin.dicom.header import SliceHeader, UnreadableFileError, read_header
from ablmargin.dicom.split import parts_of
from ablmargin.dicom.terms import MODALITIES, term
from ablmargin.dicom.text import attribute, printable, uid_name
from ablmargin.dicom.walk import FILE_SET_NAMES, MEDIA_DIRECTORY, Skipped, places_under
from ablmargin.errors import UsageError
from ablmargin.progress import Progress, silent
from ablmargin.wholenumber import whole_number

_ARCHIVES = (b"PK\3\4", b"PK\5\6", b"7z\xbc\xaf", b"Rar!")
_TAR_MARK, _TAR_OFFSET = b"ustar", 257


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFiles:
    """The files that name one SeriesInstanceUID, or one volume of several that it holds, in the order found.

    Parameters
    ----------
    number : int
        1, 2, ... in the order of acquisition, series number and UID: what a user chooses by.
    source : str
        The folder that was searched, as the user named it.
    damaged : tuple of Skipped
        Unreadable files in the folders of this series: they may be missing slices.
    split_by, part : str
        The attribute and its value that tell this volume from others of the same SeriesInstanceUID; "" if it is the only one.
    """

    number: int
    series_uid: str
    source: str
    headers: tuple[SliceHeader, ...]
    damaged: tuple[Skipped, ...] = ()
    split_by: str = ""
    part: str = ""

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
    """Find the CT series under a folder, at any depth, in one file, or among the files that a DICOMDIR lists.

    Only regular files inside the folder are opened; symbolic links, pipes and devices are listed as skipped. A DICOMDIR in
    a folder is ignored: the files themselves are searched.

    Raises
    ------
    UsageError
        If there is nothing at the path.
    DicomError
        RESOURCE_LIMIT if there are more files than any exam has.
    """
    if not path.exists():
        raise UsageError(f"{path} doesn't exist")
    places = places_under(path)
    headers: list[SliceHeader] = []
    skipped = list(places.skipped)
    for done, file in enumerate(places.files):
        found = _look_at(file, places.name_of(file))
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            headers.extend(found)
        progress("reading headers", (done + 1) / len(places.files))
    return Discovery(source=str(path), series=_grouped(headers, skipped, str(path)), skipped=tuple(skipped))


def _look_at(path: Path, source: str) -> Sequence[SliceHeader] | Skipped:
    """The slices in a file, none in a DICOMDIR; or why it is skipped."""
    skip = partial(_skip, path, source)
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return skip("NOT_A_FILE", "a link, pipe or device, which is not followed")
        if path.name.upper() in FILE_SET_NAMES:
            return ()
        if path.stat().st_size == 0:
            return skip("FILE_TRUNCATED" if path.suffix.lower() == ".dcm" else "NOT_DICOM", "empty file")
        foreign = _foreign(path)
        if foreign is not None:
            return skip(*foreign)
        return _sorted_out(read_header(path, source))
    except OSError:
        return skip("FILE_UNREADABLE", "can't be opened")
    except UnreadableFileError as error:
        return skip(error.code, str(error), error.keyword)


def _skip(path: Path, source: str, code: str, reason: str, keyword: str | None = None) -> Skipped:
    told_by = None if keyword is None else attribute(keyword)
    return Skipped(source=source, code=code, reason=reason, folder=path.parent, attribute=told_by)


def _foreign(path: Path) -> tuple[str, str] | None:
    """What a file is that has no DICOM mark, as code and words."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[128:132] == b"DICM":
        return None
    if head.startswith(_ARCHIVES) or head[_TAR_OFFSET:].startswith(_TAR_MARK):
        return "ARCHIVE_UNSAFE", "an archive: archives are never opened; unpack it and give its folder"
    return "NOT_DICOM", "not DICOM, in spite of its name" if path.suffix.lower() == ".dcm" else "not DICOM"


def _sorted_out(header: SliceHeader) -> Sequence[SliceHeader] | Skipped:
    """The slices of a CT file, one or a frame each, else what it is instead."""
    sop_class = header.texts["SOPClassUID"]
    skip = partial(_skip, header.path, header.source)
    if sop_class == MEDIA_DIRECTORY:
        return ()
    if not sop_class:
        return skip("FILE_TRUNCATED", "damaged header (no SOPClassUID)")
    if sop_class not in {pydicom.uid.CTImageStorage, *MULTI_FRAME}:
        return skip(*_other_kind(header, sop_class))
    if header.pixels is not None and header.pixels.is_float:
        return skip("PIXEL_FORMAT", "pixels that are floating-point numbers, which no CT image has", "FloatPixelData")
    if sop_class in MULTI_FRAME:
        return frame_headers(header)
    if header.pixels is None:
        return skip("FILE_TRUNCATED", "it ends before its pixels")
    return (header,)


def _other_kind(header: SliceHeader, sop_class: str) -> tuple[str, str, str]:
    """Code, words and attribute of an object that is no CT image."""
    modality = header.texts["Modality"]
    kind = f"{uid_name(sop_class)}, modality {term(modality, MODALITIES) if modality else 'unknown'}"
    if modality != "CT":
        return "NOT_CT", kind, "Modality"
    if header.position_mm is None:
        return "GEOM_MISSING_TAG", f"{kind}, that says nothing of its place in the patient", "ImagePositionPatient"
    return "NOT_CT", kind, "SOPClassUID"


def _grouped(headers: list[SliceHeader], skipped: list[Skipped], source: str) -> tuple[SeriesFiles, ...]:
    groups: dict[str, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(header.series_uid, []).append(header)
    damaged = [file for file in skipped if file.may_be_a_slice]
    parts = [part for group in sorted(groups.values(), key=_by_time) for part in parts_of(group)]
    return tuple(
        SeriesFiles(
            number=number,
            series_uid=part.headers[0].series_uid,
            source=source,
            headers=part.headers,
            damaged=tuple(file for file in damaged if file.folder in {header.path.parent for header in part.headers}),
            split_by=part.attribute,
            part=part.value,
        )
        for number, part in enumerate(parts, start=1)
    )


def _by_time(members: list[SliceHeader]) -> tuple[str, int, str]:
    first = min(members, key=lambda header: header.acquired or "")
    return first.acquired or "", whole_number(first.texts["SeriesNumber"]) or 0, first.series_uid
