"""The header of one DICOM file, parsed without trust: every number is checked, a bad one becomes a fault."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from ablmargin.dicom.bounded import HEADER_BYTES, INFLATED_BYTES, BoundedReader, TooLargeError, TooShortError
from ablmargin.dicom.decimals import DECIMALS, measures
from ablmargin.dicom.pixelplace import PixelPlace, pixel_place
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.text import iso_time
from ablmargin.errors import Fault
from ablmargin.geometry import Triple
from ablmargin.loaded import PatientDigest

_INTEGERS = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
)
_TEXTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ImageType",
    "SeriesDescription",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "NumberOfFrames",
    "AcquisitionDate",
    "AcquisitionTime",
    "SeriesDate",
    "SeriesTime",
    "StudyDate",
    "StudyTime",
    "PatientID",
    "PatientName",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientPosition",
    "PhotometricInterpretation",
    "RescaleType",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "TemporalPositionIdentifier",
    "StackID",
)
_RAW = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_TAGS: dict[str, BaseTag] = {
    keyword: Tag(keyword) for keyword in (*DECIMALS, *_INTEGERS, *_TEXTS, *_RAW, "SpecificCharacterSet")
}
_READ = set(_TAGS.values())
_MOST_VALUE_BYTES = 2**16
"""A thousand times what texts and numbers of a header have; pydicom takes eighty times as much memory to decode them."""
_TOO_LARGE = (
    f"a header, or a value in it, that is larger than any CT's: {HEADER_BYTES >> 20} MB in all, {_MOST_VALUE_BYTES >> 10} kB a "
    f"value, {INFLATED_BYTES >> 20} MB where it is deflated"
)
_SHORT_BYTES = 2
_ESCAPE = b"\x1b"
"""Where this occurs, ASCII codes may stand for other letters."""
_BODY = {0x52009229, 0x52009230, 0x7FE00008, 0x7FE00009, 0x7FE00010}
"""Functional groups of frames, and pixels: what comes after a header."""


_ENDS_EARLY = (EOFError, TooShortError, struct.error)


class UnreadableFileError(Exception):
    """A header that can't be parsed: ``code`` is FILE_TRUNCATED, FILE_MALFORMED or RESOURCE_LIMIT. Never leaves this package.

    ``keyword`` is the attribute that tells so, if one does.
    """

    def __init__(self, code: str, reason: str, keyword: str | None = None) -> None:
        self.code, self.keyword = code, keyword
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceHeader:
    """What one slice says of itself. Text is as in the file; None stands for absent, empty or unusable.

    Parameters
    ----------
    source : str
        The file relative to the folder that was searched, and the frame if it holds several; safe to print.
    frame : int
        Which of the file's frames it is, from 0; 0 in a classic file.
    texts : dict
        Text attributes by keyword, "" where absent.
    position_mm : (x, y, z), optional
        Center of the first pixel, LPS mm.
    row_direction, column_direction : (x, y, z), optional
        Where the column index and the row index grow, as written: not normalized.
    pixel_spacing_mm : (float, float), optional
        Distance of the rows, then of the columns.
    pixels : PixelPlace, optional
        None if the file ends before its pixels.
    faults : tuple of Fault
        Numbers that can't be parsed.
    """

    path: Path
    source: str
    frame: int
    file_bytes: int
    transfer_syntax: str
    texts: dict[str, str]
    position_mm: Triple | None
    row_direction: Triple | None
    column_direction: Triple | None
    pixel_spacing_mm: tuple[float, float] | None
    slice_thickness_mm: float | None
    rescale_slope: float | None
    rescale_intercept_hu: float | None
    integers: dict[str, int | None]
    padding_bytes: bytes | None
    padding_limit_bytes: bytes | None
    pixels: PixelPlace | None
    patient: PatientDigest
    faults: tuple[Fault, ...]

    @property
    def series_uid(self) -> str:
        return self.texts["SeriesInstanceUID"]

    @property
    def is_little_endian(self) -> bool:
        return self.transfer_syntax != pydicom.uid.ExplicitVRBigEndian

    @property
    def rows(self) -> int:
        return self.integers["Rows"] or 0

    @property
    def columns(self) -> int:
        return self.integers["Columns"] or 0

    @property
    def frame_bytes(self) -> int:
        """Size of the slice's decoded pixels as the header declares it."""
        return self.rows * self.columns * ((self.integers["BitsAllocated"] or 0) // 8)

    @property
    def acquired(self) -> str | None:
        """Date and time of acquisition (or of the series, or of the study), ISO 8601; None if there is no date."""
        for moment in ("Acquisition", "Series", "Study"):
            iso = iso_time(self.texts[f"{moment}Date"], self.texts[f"{moment}Time"])
            if iso is not None:
                return iso
        return None

    @property
    def clock(self) -> str | None:
        """Time of day of the acquisition: tells phases of one exam apart, and no date."""
        moment = self.acquired
        return moment.partition("T")[2] or None if moment else None


def read_header(path: Path, source: str) -> SliceHeader:
    """Read a file up to its pixels, or to the descriptions of its frames.

    Raises
    ------
    UnreadableFileError
        If it isn't DICOM or can't be parsed. The text tells why and quotes nothing from the file.
    OSError
        If it can't be opened.
    """
    with path.open("rb") as file, quiet():
        try:
            reader: Any = BoundedReader(file, path.stat().st_size)
            dataset = read_partial(reader, stop_when=_at_body, specific_tags=[*_TAGS.values()])
            return _header(dataset, path, source, pixel_place(dataset, file))
        except OSError:
            raise
        except TooLargeError:
            raise UnreadableFileError("RESOURCE_LIMIT", _TOO_LARGE) from None
        except _ENDS_EARLY:
            raise UnreadableFileError("FILE_TRUNCATED", "its header ends too early") from None
        except Exception as error:  # noqa: BLE001 - a hostile file makes pydicom raise almost any type
            raise UnreadableFileError("FILE_MALFORMED", f"damaged header ({type(error).__name__})") from None


def _at_body(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom gives all three
    """Whether to stop; TooLargeError before a value of unknown or senseless length is read."""
    if tag in _READ and length > _MOST_VALUE_BYTES:
        raise TooLargeError
    return tag in _BODY


def _header(dataset: FileDataset, path: Path, source: str, pixels: PixelPlace | None) -> SliceHeader:
    faults: list[Fault] = []
    texts = {name: _text(dataset, name) for name in _TEXTS}
    texts["SOPClassUID"] = texts["SOPClassUID"] or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    numbers = measures(lambda keyword: _plain(dataset, keyword), source, faults)
    return SliceHeader(
        path=path,
        source=source,
        frame=0,
        file_bytes=path.stat().st_size,
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        texts=texts,
        **numbers,
        integers={name: _integer(dataset, name) for name in _INTEGERS},
        padding_bytes=_raw(dataset, "PixelPaddingValue"),
        padding_limit_bytes=_raw(dataset, "PixelPaddingRangeLimit"),
        pixels=pixels,
        patient=PatientDigest.of(
            patient_id=texts.pop("PatientID"),
            birth_date=texts.pop("PatientBirthDate"),
            sex=texts.pop("PatientSex"),
            name=texts.pop("PatientName"),
            issuer=texts.pop("IssuerOfPatientID"),
        ),
        faults=tuple(faults),
    )


def _text(dataset: FileDataset, keyword: str) -> str:
    """A text attribute; plain ASCII, which nearly all are, isn't sent through pydicom's slow conversion."""
    raw = _raw(dataset, keyword)
    if raw is not None and raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii").strip(" \0")
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        joined = value if isinstance(value, str) else "\\".join(map(str, value)) if _is_list(value) else str(value)
        return joined.strip(" \0")
    except Exception:  # noqa: BLE001 - an undecodable text is as good as none
        return ""


def _is_list(value: object) -> bool:
    return isinstance(value, pydicom.multival.MultiValue)


def _integer(dataset: FileDataset, keyword: str) -> int | None:
    """An attribute of the kind US; what can't be read as such is as good as absent: the checks then name the attribute."""
    raw, tag = _raw(dataset, keyword), _TAGS[keyword]
    if raw is not None and len(raw) == _SHORT_BYTES and dataset.get_item(tag).VR in {None, "US"}:
        return int.from_bytes(raw, "little" if dataset.original_encoding[1] else "big")
    try:
        value = dataset.get(keyword)
        return None if value is None else int(value)
    except Exception:  # noqa: BLE001 - as above
        return None


def _raw(dataset: FileDataset, keyword: str) -> bytes | None:
    tag = _TAGS[keyword]
    element = dataset.get_item(tag) if tag in dataset else None
    value = getattr(element, "value", None)
    return value if isinstance(value, bytes) else None


def _plain(dataset: FileDataset, keyword: str) -> str:
    """A decimal attribute's text as it stands in the file."""
    raw = _raw(dataset, keyword)
    return "" if raw is None else raw.decode("ascii", "replace").strip(" \0")
