"""The functional groups of a multi-frame image (PS3.3 C.7.6.16): what they say of each frame, as text.

Only the attributes that place a frame, scale its values or tell it from others are kept.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import UID, ExplicitVRLittleEndian

from ablmargin.dicom.bounded import INFLATED_BYTES
from ablmargin.dicom.header import UnreadableFileError
from ablmargin.dicom.nested import Element, Encoding, EndsEarlyError, NestingError, elements, items
from ablmargin.dicom.pixelplace import PixelPlace
from ablmargin.dicom.text import uid_of
from ablmargin.wholenumber import whole_number

MOST_FRAMES = 16_384
"""Four volumes of the longest scan."""
MOST_HEADER_BYTES = 64 * 2**20
_FIRST_READ_BYTES = 2 * 2**20
_ENDS_EARLY = "its header ends too early"

_MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "FrameContentSequence": (
        "FrameAcquisitionDateTime",
        "FrameReferenceDateTime",
        "FrameAcquisitionNumber",
        "TemporalPositionIndex",
        "StackID",
    ),
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "CTImageFrameTypeSequence": ("FrameType", "VolumeBasedCalculationTechnique"),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "UnassignedSharedConvertedAttributesSequence": ("AcquisitionNumber", "ConvolutionKernel", "ContrastBolusAgent"),
    "UnassignedPerFrameConvertedAttributesSequence": ("AcquisitionNumber", "ConvolutionKernel", "ContrastBolusAgent"),
}
"""Functional group macros and what is read of each."""
_TOP = (
    "NumberOfFrames",
    "AcquisitionDateTime",
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)
_KEYWORDS = {
    tag_for_keyword(keyword): keyword
    for keyword in (
        *_MACROS,
        *(keyword for macro in _MACROS.values() for keyword in macro),
        *_TOP,
        "ContrastBolusAgentSequence",
        "CodeMeaning",
    )
}
_SYNTAX, _SHARED, _PER_FRAME, _PIXELS = 0x00020010, 0x52009229, 0x52009230, 0x7FE00010
_EXPLICIT = Encoding(is_implicit=False, is_little=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGroups:
    """What a multi-frame file says beyond a classic one.

    Parameters
    ----------
    top : dict
        Attributes of the whole object by keyword.
    frames : tuple of dict
        What is said of each frame, in the order of the frames.
    pixels : PixelPlace, optional
        None if the file ends before its pixels.
    """

    top: dict[str, str]
    frames: tuple[dict[str, str], ...]
    pixels: PixelPlace | None


def read_groups(path: Path) -> FrameGroups:
    """Read the functional groups of a multi-frame file.

    Raises
    ------
    UnreadableFileError
        FILE_TRUNCATED, FILE_MALFORMED if frames and their descriptions don't fit together or sequences can't be walked,
        RESOURCE_LIMIT if there are more than 16,384 frames, or a header of more than 64 MB.
    OSError
        If the file can't be opened.
    """
    with path.open("rb") as file:
        size, wanted = path.stat().st_size, _FIRST_READ_BYTES
        while True:
            file.seek(0)
            data = file.read(min(wanted, MOST_HEADER_BYTES))
            try:
                return _groups(data)
            except NestingError:
                raise UnreadableFileError("FILE_MALFORMED", "damaged sequences in its header") from None
            except EndsEarlyError:
                _require_more(len(data), size)
            wanted *= 4


def _require_more(have: int, size: int) -> None:
    if have >= size:
        raise UnreadableFileError("FILE_TRUNCATED", _ENDS_EARLY)
    if have >= MOST_HEADER_BYTES:
        raise UnreadableFileError("RESOURCE_LIMIT", f"its header is longer than {MOST_HEADER_BYTES >> 20} MB")


def _groups(data: bytes) -> FrameGroups:
    """Walk what is there of a file; EndsEarlyError asks for more."""
    start, syntax = _after_meta(data)
    if syntax.is_deflated:
        data, start = _inflated(data[start:]), 0
    encoding = Encoding(is_implicit=syntax.is_implicit_VR, is_little=syntax.is_little_endian)
    shared: list[dict[str, str]] = []
    frames: list[dict[str, str]] = []
    top: dict[str, str] = {}
    pixels = None
    for element in elements(data, start, len(data), encoding, until=_PIXELS):
        if element.tag == _SHARED:
            shared = _each(data, element, encoding)
        elif element.tag == _PER_FRAME:
            frames = _each(data, element, encoding)
        elif element.tag == _PIXELS:
            pixels = PixelPlace() if syntax.is_deflated else PixelPlace(start=element.start, length=element.length)
        elif _KEYWORDS.get(element.tag) == "ContrastBolusAgentSequence":
            top |= _contrast(data, element, encoding)
        elif _KEYWORDS.get(element.tag) in _TOP:
            top |= _value(data, element, encoding)
    if pixels is None:
        raise EndsEarlyError
    _require_count(top.get("NumberOfFrames", ""), frames)
    return FrameGroups(top=top, frames=_joined(shared, frames), pixels=pixels)


def _after_meta(data: bytes) -> tuple[int, UID]:
    """Where the data set begins, and its transfer syntax; explicit VR little endian if it names none of the standard."""
    syntax, start = "", 132
    while data[start : start + 2] == b"\2\0":
        element = next(elements(data, start, len(data), _EXPLICIT))
        if element.tag == _SYNTAX:
            syntax = data[element.start : element.stop].decode("ascii", "replace").strip(" \0")
        start = element.after
    uid = uid_of(syntax)
    return start, uid if uid.is_transfer_syntax and not uid.is_private else ExplicitVRLittleEndian


def _inflated(data: bytes) -> bytes:
    """Plain bytes of a deflated data set; the whole of it, or a request for more of the file."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = machine.decompress(data, INFLATED_BYTES + 1)
    except zlib.error:
        raise NestingError from None
    if len(plain) > INFLATED_BYTES:
        raise UnreadableFileError("RESOURCE_LIMIT", f"it inflates to more than {INFLATED_BYTES >> 20} MB")
    if not machine.eof:
        raise EndsEarlyError
    return plain


def _each(data: bytes, sequence: Element, encoding: Encoding) -> list[dict[str, str]]:
    """What each item of a sequence of functional groups says."""
    found: list[dict[str, str]] = []
    for start, stop in items(data, sequence, encoding):
        if len(found) >= MOST_FRAMES:
            raise UnreadableFileError("RESOURCE_LIMIT", f"it describes more than {MOST_FRAMES} frames")
        found.append(_item(data, start, stop, encoding))
    return found


def _item(data: bytes, start: int, stop: int, encoding: Encoding) -> dict[str, str]:
    """The attributes of one item's functional groups."""
    said: dict[str, str] = {}
    for macro in elements(data, start, stop, encoding):
        name = _KEYWORDS.get(macro.tag, "")
        if name not in _MACROS:
            continue
        for number, (first, last) in enumerate(items(data, macro, encoding)):
            if number:
                raise UnreadableFileError("FILE_MALFORMED", "a frame is described twice", name)
            for element in elements(data, first, last, encoding):
                if _KEYWORDS.get(element.tag) in _MACROS[name]:
                    said |= _value(data, element, encoding)
    return said


def _contrast(data: bytes, sequence: Element, encoding: Encoding) -> dict[str, str]:
    """The agent's name, from its code."""
    for start, stop in items(data, sequence, encoding):
        for element in elements(data, start, stop, encoding):
            if _KEYWORDS.get(element.tag) == "CodeMeaning":
                return {"ContrastBolusAgent": _value(data, element, encoding)["CodeMeaning"]}
    return {}


_NUMBERS = {"US": "H", "UL": "I", "FD": "d"}


def _value(data: bytes, element: Element, encoding: Encoding) -> dict[str, str]:
    """An element's value as text, under its keyword."""
    keyword, raw = _KEYWORDS[element.tag], data[element.start : element.stop]
    form = ("<" if encoding.is_little else ">") + _NUMBERS.get(dictionary_VR(element.tag), "")
    if len(form) == 1:
        return {keyword: raw.decode("utf-8", "replace").strip(" \0")}
    return {keyword: str(struct.unpack(form, raw)[0]) if len(raw) == struct.calcsize(form) else ""}


def _require_count(declared: str, frames: list[dict[str, str]]) -> None:
    count = whole_number(declared)
    if count != len(frames):
        reason = f"it declares {'no' if count is None else count} frames and describes {len(frames)}"
        raise UnreadableFileError("FILE_MALFORMED", reason, "NumberOfFrames")


def _joined(shared: list[dict[str, str]], frames: list[dict[str, str]]) -> tuple[dict[str, str], ...]:
    """Shared and own groups of each frame; what both say must be the same."""
    if len(shared) > 1:
        raise UnreadableFileError("FILE_MALFORMED", "shared groups twice", "SharedFunctionalGroupsSequence")
    common = shared[0] if shared else {}
    for keyword, value in _pairs(frames):
        if common.get(keyword, value) != value:
            raise UnreadableFileError("FILE_MALFORMED", "shared and frame's own groups contradict each other", keyword)
    return tuple(common | frame for frame in frames)


def _pairs(frames: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    return (pair for frame in frames for pair in frame.items())
