"""Enhanced CT (PS3.3 A.38, A.70.2): all slices in one file, each described by its functional groups.

Each frame becomes a slice of its own. Where it lies, what its values mean and when it was acquired is told by functional
groups alone: attributes of a classic slice that stray into the head of such a file are not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from ablmargin.dicom.decimals import measures
from ablmargin.dicom.framegroups import FrameGroups, read_groups
from ablmargin.dicom.header import SliceHeader, UnreadableFileError
from ablmargin.errors import Caution, Fault
from ablmargin.wholenumber import whole_number

MULTI_FRAME = {str(EnhancedCTImageStorage), str(LegacyConvertedEnhancedCTImageStorage)}


def frame_headers(header: SliceHeader) -> tuple[SliceHeader, ...]:
    """The frames of an Enhanced CT file as slices, in the order of the frames.

    Parameters
    ----------
    header : SliceHeader
        The file's own header.

    Raises
    ------
    UnreadableFileError
        As :func:`ablmargin.dicom.framegroups.read_groups`; FILE_MALFORMED also if there are pixels of more frames.
    OSError
        If the file can't be opened.
    """
    groups = read_groups(header.path)
    _require_no_surplus(header, groups)
    return tuple(_frame(header, groups, number, said) for number, said in enumerate(groups.frames))


def is_multi_frame(header: SliceHeader) -> bool:
    """Whether the slice is a frame of an Enhanced CT file."""
    return header.texts["SOPClassUID"] in MULTI_FRAME


def concatenation_cautions(headers: Sequence[SliceHeader]) -> list[Caution]:
    """A word on each concatenation, one volume in several files, of which files are missing (PS3.3 C.7.6.16.1.3)."""
    parts: dict[str, dict[str, str]] = {}
    for header in headers:
        if header.texts.get("ConcatenationUID"):
            found = parts.setdefault(header.texts["ConcatenationUID"], {})
            found[header.texts["InConcatenationNumber"]] = header.texts["InConcatenationTotalNumber"]
    return [
        Caution(code="SERIES_INCOMPLETE", message=f"{len(found)} of the {total} files of one volume are there")
        for found in parts.values()
        if (total := max(whole_number(text) or 0 for text in found.values())) > len(found)
    ]


def _require_no_surplus(header: SliceHeader, groups: FrameGroups) -> None:
    """More pixels than frames: nothing tells which of them belong together."""
    wanted = header.frame_bytes * len(groups.frames)
    there = groups.pixels.length if groups.pixels else None
    if there is not None and there >= wanted + max(header.frame_bytes, 1):
        reason = f"it holds pixels of more than the {len(groups.frames)} frames it describes"
        raise UnreadableFileError("FILE_MALFORMED", reason, "PixelData")


def _frame(header: SliceHeader, groups: FrameGroups, number: int, said: dict[str, str]) -> SliceHeader:
    source = f"frame {number + 1} of {header.source}"
    faults: list[Fault] = []
    numbers = measures(lambda keyword: said.get(keyword, ""), source, faults)
    return replace(
        header,
        source=source,
        frame=number,
        texts=_texts(header, groups.top, number, said),
        **numbers,
        pixels=groups.pixels,
        faults=tuple(faults),
    )


def _texts(header: SliceHeader, top: dict[str, str], number: int, said: dict[str, str]) -> dict[str, str]:
    """What a classic slice would say in the same words."""
    own = header.texts
    moment = (
        said.get("FrameAcquisitionDateTime") or said.get("FrameReferenceDateTime") or top.get("AcquisitionDateTime")
    )
    date, time = (moment[:8], moment[8:]) if moment else (own["AcquisitionDate"], own["AcquisitionTime"])
    agent = said.get("ContrastBolusAgent") or top.get("ContrastBolusAgent") or own["ContrastBolusAgent"]
    acquisition = said.get("FrameAcquisitionNumber") or said.get("AcquisitionNumber") or own["AcquisitionNumber"]
    return own | {
        "InstanceNumber": _place(top, number),
        "ImageType": _kind(said.get("FrameType") or own["ImageType"], said.get("VolumeBasedCalculationTechnique", "")),
        "RescaleType": said.get("RescaleType", ""),
        "AcquisitionDate": date,
        "AcquisitionTime": _without_zone(time),
        "AcquisitionNumber": acquisition,
        "TemporalPositionIdentifier": said.get("TemporalPositionIndex") or said.get("TemporalPositionTimeOffset", ""),
        "StackID": said.get("StackID", ""),
        "ConvolutionKernel": said.get("ConvolutionKernel") or own["ConvolutionKernel"],
        "ContrastBolusAgent": agent,
        "ConcatenationUID": top.get("ConcatenationUID", ""),
        "InConcatenationNumber": top.get("InConcatenationNumber", ""),
        "InConcatenationTotalNumber": top.get("InConcatenationTotalNumber", ""),
    }


def _place(top: dict[str, str], number: int) -> str:
    """Which frame of a concatenation it is, from 1; "" in a file on its own, whose frames are numbered by no one."""
    offset = whole_number(top.get("ConcatenationFrameOffsetNumber", ""))
    return "" if offset is None else str(offset + number + 1)


def _kind(frame_type: str, technique: str) -> str:
    """The kind of image, and how it was calculated from a volume, if it was."""
    return frame_type if technique in {"", "NONE"} else f"{frame_type}\\{technique}"


def _without_zone(time: str) -> str:
    """A time of day of a DT: its offset from UTC cut off."""
    return time.partition("+")[0].partition("-")[0]
