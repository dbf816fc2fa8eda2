"""The header of one DICOM file, parsed without trust: every number is checked, a bad one becomes a fault."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag, Tag

from ablmargin.dicom.bounded import INFLATED_BYTES, BoundedReader, TooLargeError, TooShortError
from ablmargin.dicom.pixelplace import PixelPlace, pixel_place
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.text import attribute, iso_time, number, printable
from ablmargin.errors import Fault
from ablmargin.geometry import Triple
from ablmargin.loaded import PatientDigest

GEOMETRY_LENGTHS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
RESCALE_LENGTHS = {"RescaleSlope": 1, "RescaleIntercept": 1}
_DECIMALS = GEOMETRY_LENGTHS | RESCALE_LENGTHS | {"SliceThickness": 1}
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
    "PatientBirthDate",
    "PatientSex",
    "PatientPosition",
    "PhotometricInterpretation",
    "RescaleType",
    "LossyImageCompression",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "TemporalPositionIdentifier",
)
_RAW = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_TAGS: dict[str, BaseTag] = {
    keyword: Tag(keyword) for keyword in (*_DECIMALS, *_INTEGERS, *_TEXTS, *_RAW, "SpecificCharacterSet")
}
_SHORT_BYTES = 2
_ESCAPE = b"\x1b"
"""Where this occurs, ASCII codes may stand for other letters."""

_ENDS_EARLY = (EOFError, TooShortError, struct.error)


class UnreadableFileError(Exception):
    """A header that can't be parsed: ``code`` is FILE_TRUNCATED, FILE_MALFORMED or RESOURCE_LIMIT. Never leaves this package."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceHeader:
    """What one file says of itself. Text is as in the file; None stands for absent, empty or unusable.

    Parameters
    ----------
    source : str
        The file relative to the folder that was searched, safe to print.
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
        """Size of the decoded pixels as the header declares it."""
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
    """Read a file up to its pixels.

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
            dataset = pydicom.dcmread(reader, stop_before_pixels=True, specific_tags=[*_TAGS.values()])
            return _header(dataset, path, source, pixel_place(dataset, file))
        except OSError:
            raise
        except TooLargeError:
            raise UnreadableFileError("RESOURCE_LIMIT", f"it inflates to more than {INFLATED_BYTES >> 20} MB") from None
        except _ENDS_EARLY:
            raise UnreadableFileError("FILE_TRUNCATED", "its header ends too early") from None
        except Exception as error:  # noqa: BLE001 - a hostile file makes pydicom raise almost any type
            raise UnreadableFileError("FILE_MALFORMED", f"damaged header ({type(error).__name__})") from None


def _header(dataset: FileDataset, path: Path, source: str, pixels: PixelPlace | None) -> SliceHeader:
    faults: list[Fault] = []
    texts = {name: _text(dataset, name) for name in _TEXTS}
    texts["SOPClassUID"] = texts["SOPClassUID"] or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    numbers = {name: _decimals(dataset, name, count, source, faults) for name, count in _DECIMALS.items()}
    orientation = numbers["ImageOrientationPatient"]
    return SliceHeader(
        path=path,
        source=source,
        file_bytes=path.stat().st_size,
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        texts=texts,
        position_mm=_three(numbers["ImagePositionPatient"]),
        row_direction=_three(orientation[:3] if orientation else None),
        column_direction=_three(orientation[3:] if orientation else None),
        pixel_spacing_mm=_two(numbers["PixelSpacing"]),
        slice_thickness_mm=_one(numbers["SliceThickness"]),
        rescale_slope=_one(numbers["RescaleSlope"]),
        rescale_intercept_hu=_one(numbers["RescaleIntercept"]),
        integers={name: _integer(dataset, name) for name in _INTEGERS},
        padding_bytes=_raw(dataset, "PixelPaddingValue"),
        padding_limit_bytes=_raw(dataset, "PixelPaddingRangeLimit"),
        pixels=pixels,
        patient=PatientDigest.of(
            patient_id=texts.pop("PatientID"), birth_date=texts.pop("PatientBirthDate"), sex=texts.pop("PatientSex")
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


def _decimals(
    dataset: FileDataset, keyword: str, count: int, source: str, faults: list[Fault]
) -> tuple[float, ...] | None:
    raw = _raw(dataset, keyword)
    text = "" if raw is None else raw.decode("ascii", "replace").strip(" \0")
    if not text:
        return None
    numbers = tuple(number(part) for part in text.split("\\"))
    if len(numbers) == count and all(math.isfinite(number) for number in numbers):
        return numbers
    faults.append(
        Fault(
            code="GEOM_BAD_VALUE" if keyword in GEOMETRY_LENGTHS else "BAD_VALUE",
            source=source,
            found=f"{printable(text[:80])!r}",
            expected=f"{count} finite decimal number{'s' if count > 1 else ''}",
            remedy="The header is damaged: export the series again.",
            attribute=attribute(keyword),
        )
    )
    return None


def _one(numbers: tuple[float, ...] | None) -> float | None:
    return None if numbers is None else numbers[0]


def _two(numbers: tuple[float, ...] | None) -> tuple[float, float] | None:
    return None if numbers is None else (numbers[0], numbers[1])


def _three(numbers: tuple[float, ...] | None) -> Triple | None:
    return None if numbers is None else (numbers[0], numbers[1], numbers[2])
