"""DICOM objects that hold outlines: telling them from other files, and reading one whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from ablmargin.dicom.header import UnreadableFileError, read_header
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.text import attribute, printable, uid_name
from ablmargin.errors import DicomError, Fault, InputError

LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, newer than pydicom's dictionary."""

SEGMENTATIONS = (SegmentationStorage, LABEL_MAP_SEGMENTATION)
STRUCTURE_SETS = (RTStructureSetStorage,)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_RESEND = "Export the segmentation again, or ask the PACS to send it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineObject:
    """A DICOM file that holds outlines, and its SOP class."""

    path: Path
    sop_class: str

    @property
    def is_structure_set(self) -> bool:
        return self.sop_class in STRUCTURE_SETS


def outline_object(path: Path, *, name: str) -> OutlineObject:
    """The DICOM SEG or RTSTRUCT at a path: a file, or the only one in a folder, at any depth.

    Parameters
    ----------
    name : str
        What to call it in errors.

    Raises
    ------
    InputError
        MASK_FORMAT if there is none; MASK_SEVERAL_FILES, with a list, if the folder holds several.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if _is_plain(file))
    found = [
        OutlineObject(path=file, sop_class=sop_class)
        for file, sop_class in ((file, _sop_class(file)) for file in files)
        if sop_class in (*SEGMENTATIONS, *STRUCTURE_SETS)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(_none(path, name))
    shown = ", ".join(printable(str(each.path.relative_to(path))) for each in found[:10])
    more = ", ..." if len(found) > 10 else ""
    raise InputError(
        Fault(
            code="MASK_SEVERAL_FILES",
            source=name,
            found=f"{len(found)} DICOM objects that hold outlines: {shown}{more}",
            expected="one",
            remedy="Name the file.",
        )
    )


def read_whole(path: Path) -> FileDataset:
    """Read a DICOM file with everything in it.

    Raises
    ------
    DicomError
        FILE_UNREADABLE, or FILE_TRUNCATED if it ends too early; the text quotes nothing from the file.
    """
    try:
        with quiet():
            dataset = pydicom.dcmread(path)
            short = _is_cut(dataset)
    except Exception as error:  # noqa: BLE001 - a hostile file makes pydicom raise almost any type
        raise DicomError(_unreadable(path, f"damaged DICOM ({type(error).__name__})")) from None
    if short:
        found, expected = "a file that ends too early", "a whole DICOM file"
        raise DicomError(Fault(code="FILE_TRUNCATED", source=str(path), found=found, expected=expected, remedy=_RESEND))
    return dataset


def fault_in(path: Path, code: str, keyword: str, *, found: str, expected: str, remedy: str = _RESEND) -> Fault:
    """A fault of one attribute of a DICOM object."""
    return Fault(
        code=code, source=str(path), found=found, expected=expected, remedy=remedy, attribute=attribute(keyword)
    )


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _sop_class(path: Path) -> str:
    """The SOP class of a DICOM file; "" for anything else."""
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return ""
        return read_header(path, path.name).texts["SOPClassUID"]
    except (OSError, UnreadableFileError):
        return ""


def _is_cut(dataset: Dataset) -> bool:
    """Whether an element is shorter than it says."""
    elements: list[Any] = [dataset.get_item(tag) for tag in dataset.keys()]  # noqa: SIM118 - a data set isn't a dict
    raw = [element for element in elements if isinstance(element, RawDataElement)]
    return any(each.length not in (_UNDEFINED_LENGTH, len(each.value or b"")) for each in raw)


def _none(path: Path, name: str) -> Fault:
    sop_class = _sop_class(path) if path.is_file() else ""
    other = "another kind of file" if path.is_file() else "a folder without such an object"
    found = f"DICOM of another kind: {uid_name(sop_class)}" if sop_class else other
    return Fault(
        code="MASK_FORMAT",
        source=name,
        found=found,
        expected="a mask: DICOM SEG or RTSTRUCT, .nii, .nii.gz, .nrrd, .seg.nrrd or .mha",
        remedy="Export the segmentation in one of these formats.",
    )


def _unreadable(path: Path, found: str) -> Fault:
    return Fault(code="FILE_UNREADABLE", source=str(path), found=found, expected="a DICOM file", remedy=_RESEND)
