"""Files that hold several structures: choosing one of them, and what its mask then knows of where it comes from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablmargin.errors import EmptyMaskError, Fault, InputError, printable
from ablmargin.geometry import Geometry
from ablmargin.volume import INSIDE_SHARE, LabelMask, MaskOrigin, Structure
from ablmargin.wholenumber import whole_number

SOFT_METHOD = "given as a file (shares of voxels)"

_MOST_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One structure in a file.

    Parameters
    ----------
    number : int
        Its label value, SegmentNumber or ROINumber.
    name : str
        As in the file; "" if it has none.
    is_empty : bool
        Whether nothing is drawn.
    """

    number: int
    name: str = ""
    is_empty: bool = False

    def __str__(self) -> str:
        return f"{self.number} ({printable(self.name)})" if self.name else f"{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentMask:
    """A segment of a file with its mask, cut to the box that it fills."""

    segment: Segment
    mask: LabelMask

    @classmethod
    def of(cls, segment: Segment, mask: LabelMask) -> SegmentMask:
        """Cut the mask of a segment that isn't empty."""
        return cls(segment=segment, mask=mask.cropped(*mask.bounding_box()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a structure is, in SNOMED CT, as (code, meaning). The category is of DICOM PS3.16 CID 7150."""

    category: tuple[str, str]
    kind: tuple[str, str]
    color: tuple[int, int, int]
    """Red, green, blue, 0..255."""


_ANATOMY = ("91723000", "Anatomical Structure")
_ABNORMAL = ("49755003", "Morphologically Abnormal Structure")

MEANINGS = {
    Structure.LIVER: Meaning(category=_ANATOMY, kind=("10200004", "Liver"), color=(221, 130, 101)),
    Structure.TUMOR: Meaning(category=_ABNORMAL, kind=("108369006", "Neoplasm"), color=(144, 238, 144)),
    Structure.ABLATION_ZONE: Meaning(category=_ABNORMAL, kind=("6574001", "Necrosis"), color=(216, 191, 216)),
    Structure.LIVER_SEGMENT: Meaning(category=_ANATOMY, kind=("10200004", "Liver"), color=(186, 77, 64)),
    Structure.VESSELS: Meaning(category=_ANATOMY, kind=("59820001", "Blood Vessel"), color=(0, 151, 206)),
}


def chosen_segment(segments: Sequence[Segment], label: str | None, path: Path) -> Segment:
    """The segment that a name or a number stands for; without one, the only segment that isn't empty.

    A name wins over a number.

    Raises
    ------
    EmptyMaskError
        MASK_EMPTY, if nothing is drawn.
    InputError
        MASK_SEVERAL_LABELS, MASK_LABEL_MISSING, or MASK_LABEL_AMBIGUOUS if two segments go by what was asked for.

    Examples
    --------
    >>> segments = [Segment(number=1, name="liver"), Segment(number=2, name="Tumor 1")]
    >>> chosen_segment(segments, "Tumor 1", Path("case.seg.nrrd")).number
    2
    """
    segment = _only_one(segments, path) if label is None else _named(segments, label, path)
    if segment.is_empty:
        raise EmptyMaskError(_fault(path, "MASK_EMPTY", f"nothing drawn in segment {segment}", "a segment with voxels"))
    return segment


def _only_one(segments: Sequence[Segment], path: Path) -> Segment:
    drawn = [segment for segment in segments if not segment.is_empty]
    if not drawn:
        raise EmptyMaskError(_fault(path, "MASK_EMPTY", listed(segments), "a segment with voxels"))
    if len(drawn) > 1:
        example = printable(drawn[0].name) or str(drawn[0].number)
        remedy = f"Choose one with a hash, such as {path.name}#{example}."
        found = f"{len(drawn)} segments: {listed(drawn)}"
        raise InputError(_fault(path, "MASK_SEVERAL_LABELS", found, "one segment, or the choice of one", remedy))
    return drawn[0]


def _named(segments: Sequence[Segment], label: str, path: Path) -> Segment:
    fitting = [segment for segment in segments if segment.name == label]
    if not fitting and (number := whole_number(label)) is not None:
        fitting = [segment for segment in segments if segment.number == number]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        found, expected = f"{len(fitting)} segments called {label!r}: {listed(fitting)}", "one of that name"
        remedy = "Choose by number, or give the segments different names and numbers in the program that drew them."
        raise InputError(_fault(path, "MASK_LABEL_AMBIGUOUS", found, expected, remedy))
    found = f"no segment {label!r}, but {listed(segments)}"
    raise InputError(_fault(path, "MASK_LABEL_MISSING", found, "one of the file's segments", "Choose one of them."))


def require_any(masks: Sequence[SegmentMask], path: Path) -> None:
    """Raise EmptyMaskError if a file has no segment with voxels."""
    if not masks:
        raise EmptyMaskError(_fault(path, "MASK_EMPTY", "nothing drawn in any segment", "segments with voxels"))


def listed(segments: Sequence[Segment]) -> str:
    """Numbers and names for messages, the first twenty."""
    shown = ", ".join(map(str, segments[:_MOST_LISTED])) or "no segment at all"
    return f"{shown}, ..." if len(segments) > _MOST_LISTED else shown


def origin_in(path: Path, label: str | int | None, drawn_on: Geometry) -> MaskOrigin:
    """Where a mask from a file comes from: the file's last name, no folder, and its hash."""
    return MaskOrigin(
        name=path.name if label is None else f"{path.name}#{label}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        drawn_spacing_mm=drawn_on.spacing_mm,
    )


def require_drawn(mask: LabelMask, path: Path) -> LabelMask:
    """The mask itself; EmptyMaskError with the file's name if no voxel is set."""
    if mask.is_empty:
        found = "no voxel set" if mask.fractions is None else f"no voxel with a share of {INSIDE_SHARE} or more"
        raise EmptyMaskError(_fault(path, "MASK_EMPTY", found, f"the {mask.structure}"))
    return mask


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place beside a file to write to; at the end it becomes the file, so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _fault(
    path: Path, code: str, found: str, expected: str, remedy: str = "Check that the right file was given."
) -> Fault:
    return Fault(code=code, source=str(path), found=found, expected=expected, remedy=remedy)
