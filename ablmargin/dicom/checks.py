"""Whether the files of a series make one regular CT volume: every reason why not, told together.

Nothing is repaired silently: what can't be one box of voxels is refused, what is left out or doubtful is a caution.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ablmargin.dicom.discover import SeriesFiles
from ablmargin.dicom.enhanced import concatenation_cautions
from ablmargin.dicom.filechecks import file_faults
from ablmargin.dicom.groups import acquired_s, close_groups, equal_groups, orientation_of
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.kinds import kind_cautions, kind_faults, without_strays
from ablmargin.dicom.stack import CORNER_MM, Stack, stack_of
from ablmargin.dicom.text import attribute
from ablmargin.dicom.walk import REMEDIES
from ablmargin.errors import Caution, Fault
from ablmargin.hazards import sifted
from ablmargin.wholenumber import whole_number

FIELD_MM = (24.0, 1000.0)
"""A lesion's surroundings are wider than the first, no gantry is wider than the second."""
COARSE_MM = 3.0
"""Slices thicker or farther apart than this blur a margin of 5 mm."""
PAUSE_S = 60.0
"""A patient who lies still so long between two slices has breathed, and contrast agent has gone on."""
UNSEEN_SHARE = 0.9
"""Slices thinner than this share of their distance leave tissue between them unseen."""

_PART_BYTES = 2**20
_RESEND = "Ask the PACS to send the series again."
_UNPLACED = {
    "GEOM_MISSING_TAG",
    "GEOM_BAD_VALUE",
    "GEOM_BAD_ORIENTATION",
    "GEOM_MIXED_ORIENTATION",
    "RESOURCE_LIMIT",
}
"""With one of these there is no sense in looking for a grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSeries:
    """The outcome of all checks on headers; ``stack`` is None exactly if there are faults."""

    stack: Stack | None
    faults: tuple[Fault, ...]
    cautions: tuple[Caution, ...]


def check_series(series: SeriesFiles, accepted: Collection[str] = ()) -> CheckedSeries:
    """Check everything that headers can tell, before any pixel is decoded.

    ``accepted``: hazards that are taken on purpose, see :mod:`ablmargin.hazards`.
    """
    kept, cautions = without_strays(series.headers)
    kept, found = without_copies(kept)
    cautions = [*cautions, *found, *instance_cautions(kept), *concatenation_cautions(kept), *kind_cautions(kept)]
    faults = [fault for header in kept for fault in file_faults(header)]
    if "FILE_TRUNCATED" in accepted:
        kept = _without_files(kept, {fault.source for fault in faults if fault.code == "FILE_TRUNCATED"})
    faults += [*damaged_faults(series), *kind_faults(kept, series.source), *consistency_faults(kept)]
    placed = not _UNPLACED & {fault.code for fault in faults}
    faults, taken = sifted(merged(faults), accepted)
    cautions += taken
    stack = None
    if placed:
        outcome = stack_of(kept, series.source, accepted)
        stack, faults, cautions = outcome.stack, faults + outcome.faults, cautions + outcome.taken
    if stack is not None:
        cautions += stack_cautions(stack)
    return CheckedSeries(stack=None if faults else stack, faults=tuple(faults), cautions=tuple(cautions))


def _without_files(headers: Sequence[SliceHeader], sources: set[str]) -> list[SliceHeader]:
    return [header for header in headers if header.source not in sources]


def without_copies(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[Caution]]:
    """Leave out second copies of a slice: the same in everything that is read of a header, and in all bytes of pixels."""
    groups = equal_groups(headers, lambda header: (header.texts["SOPInstanceUID"], header.frame))
    digest_of = functools.cache(_digest)
    copies = [header for group in groups for header in _copies_in(group, digest_of)]
    if not copies:
        return list(headers), []
    message = f"{len(copies)} second copies of slices were left out"
    left_out = {id(header) for header in copies}
    return [h for h in headers if id(h) not in left_out], [Caution(code="DUPLICATE_INSTANCE", message=message)]


def _copies_in(group: Sequence[SliceHeader], digest_of: Callable[[Path, int, int], bytes]) -> list[SliceHeader]:
    """Which of some slices with one SOPInstanceUID are copies of the first."""
    first, *others = group
    alike = [header for header in others if _wherever_it_lies(header) == _wherever_it_lies(first)]
    pixels = digest_of(first.path, *_pixel_bytes(first)) if alike else b""
    return [header for header in alike if digest_of(header.path, *_pixel_bytes(header)) == pixels]


def _wherever_it_lies(header: SliceHeader) -> SliceHeader:
    """What a header says, without what is its file's."""
    return replace(header, path=Path(), source="", file_bytes=0, pixels=None, faults=())


def _pixel_bytes(header: SliceHeader) -> tuple[int, int]:
    """Where a slice's pixels begin and how many bytes they are; where they are compressed, all that the file holds."""
    start = header.pixels.start if header.pixels else 0
    if header.pixels is None or header.pixels.length is None:
        return start, header.file_bytes
    return start + header.frame * header.frame_bytes, min(header.frame_bytes, header.file_bytes)


def _digest(path: Path, start: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        digest = hashlib.sha256()
        while part := file.read(min(count, _PART_BYTES)):
            digest.update(part)
            count -= len(part)
        return digest.digest()


def instance_cautions(headers: Sequence[SliceHeader]) -> list[Caution]:
    """Doubts about the set of files: instance numbers that start late, one UID for all, no frame of reference."""
    cautions = []
    numbers = sorted(n for h in headers if (n := whole_number(h.texts["InstanceNumber"])) is not None)
    if len(numbers) == len(headers) and len(set(numbers)) == len(numbers) and numbers and numbers[0] > 1:
        message = f"instance numbers run from {numbers[0]} to {numbers[-1]}: slices may be missing at an end"
        cautions.append(Caution(code="SERIES_INCOMPLETE", message=message))
    uids = [(header.texts["SOPInstanceUID"], header.frame) for header in headers]
    if len(set(uids)) < len(uids):
        message = f"{len(uids)} slices share {len(set(uids))} SOPInstanceUID(s); all of them were used"
        cautions.append(Caution(code="UID_DUPLICATE", message=message))
    if not any(header.texts["FrameOfReferenceUID"] for header in headers):
        message = "no FrameOfReferenceUID: nothing tells which other series share this one's coordinates"
        cautions.append(Caution(code="FRAME_OF_REFERENCE_MISSING", message=message))
    return cautions


def damaged_faults(series: SeriesFiles) -> list[Fault]:
    """A fault for each unreadable file that lies among the slices."""
    return [
        Fault(
            code=file.code,
            source=file.source,
            found=file.reason,
            expected="a readable CT slice",
            remedy=f"It lies among the slices, so one may be missing. {REMEDIES.get(file.code, _RESEND)}",
            attribute=file.attribute,
        )
        for file in series.damaged
    ]


def consistency_faults(headers: Sequence[SliceHeader]) -> list[Fault]:
    """Slices that differ where one series must be of one piece. Names may be misspelled: they count where no ID is known."""
    nobody = [header for header in headers if header.patient.is_unknown]
    rules = (
        ("PATIENT_MIXED", "PatientID", "one patient", _known(headers, lambda h: h.patient.patient_id)),
        ("PATIENT_MIXED", "PatientBirthDate", "one patient", _known(headers, lambda h: h.patient.birth_date)),
        ("PATIENT_MIXED", "PatientSex", "one patient", _known(headers, lambda h: h.patient.sex)),
        ("PATIENT_MIXED", "PatientName", "one patient", _known(nobody, lambda h: h.patient.name)),
        (
            "FRAME_OF_REFERENCE_MIXED",
            "FrameOfReferenceUID",
            "one frame of reference",
            _said(headers, "FrameOfReferenceUID"),
        ),
        (
            "FRAME_OF_REFERENCE_MIXED",
            "StudyInstanceUID",
            "one study",
            equal_groups(headers, lambda h: h.texts["StudyInstanceUID"]),
        ),
        ("SERIES_AMBIGUOUS", "ConvolutionKernel", "one kernel", _said(headers, "ConvolutionKernel")),
        ("SERIES_AMBIGUOUS", "ContrastBolusAgent", "one contrast agent", _said(headers, "ContrastBolusAgent")),
        ("GEOM_MIXED_GRID", "Rows", "one matrix size", equal_groups(headers, lambda h: (h.rows, h.columns))),
        ("GEOM_MIXED_GRID", "PixelSpacing", "one pixel spacing", close_groups(headers, _spacing, 1e-4)),
        (
            "GEOM_MIXED_ORIENTATION",
            "ImageOrientationPatient",
            "one orientation",
            close_groups(headers, orientation_of),
        ),
    )
    return [_mixed(groups, code, keyword, expected) for code, keyword, expected, groups in rules if len(groups) > 1]


def _known(headers: Sequence[SliceHeader], value_of: Callable[[SliceHeader], str | None]) -> list[list[SliceHeader]]:
    """Slices by a value; those that don't tell it belong to no group."""
    return equal_groups([header for header in headers if value_of(header)], value_of)


def _said(headers: Sequence[SliceHeader], keyword: str) -> list[list[SliceHeader]]:
    return _known(headers, lambda header: header.texts[keyword])


def stack_cautions(stack: Stack) -> list[Caution]:
    """Things of a regular stack that limit what may be concluded from it."""
    cautions = []
    spacing, thickness = stack.widest_step_mm, largest_thickness_mm(stack.headers) or 0.0
    if max(spacing, thickness) > COARSE_MM:
        thick = f"{thickness:g} mm thick at {spacing:.2f} mm spacing" if thickness else f"{spacing:.2f} mm apart"
        message = f"slices are {thick}; finer than {COARSE_MM:g} mm is wanted"
        cautions.append(Caution(code="GEOM_COARSE", message=message))
    if 0 < thickness < UNSEEN_SHARE * spacing:
        message = f"slices of {thickness:g} mm lie {spacing:.2f} mm apart: what is between them was not imaged"
        cautions.append(Caution(code="GEOM_UNSEEN", message=message))
    if stack.tilt_degrees:
        message = (
            f"slices sheared by {stack.tilt_degrees:.1f}°, as by a tilted gantry; each was moved in its own plane onto a "
            f"straight grid, to {stack.worst_corner_mm:.3f} mm; values are interpolated between neighboring pixels"
        )
        cautions.append(Caution(code="GEOM_TILT", message=message))
    cautions += [*_field_cautions(stack), *_pause_cautions(stack.headers)]
    if stack.off_grid_mm > CORNER_MM:
        message = (
            f"positions in the headers are rounded, up to {stack.off_grid_mm:.3f} mm off an even grid: each slice was put "
            f"where its own header says, to {stack.worst_corner_mm:.3f} mm; values are interpolated between neighbors"
        )
        cautions.append(Caution(code="GEOM_ROUNDED", message=message))
    return cautions


def _field_cautions(stack: Stack) -> list[Caution]:
    """A word on slices smaller or larger than any CT: their pixel spacing may be in another unit, or of another matrix."""
    first = stack.headers[0]
    height_mm, width_mm = np.array((first.rows, first.columns)) * (first.pixel_spacing_mm or np.nan)
    if FIELD_MM[0] <= min(height_mm, width_mm) and max(height_mm, width_mm) <= FIELD_MM[1]:
        return []
    message = (
        f"slices of {height_mm:.0f} × {width_mm:.0f} mm: no CT is so small or so large; is the pixel spacing right?"
    )
    return [Caution(code="GEOM_FIELD_ODD", message=message)]


def _pause_cautions(ordered: Sequence[SliceHeader]) -> list[Caution]:
    """A word where neighboring slices were acquired long after each other."""
    moments = [acquired_s(header) for header in ordered]
    pauses = [
        abs(after - before) for before, after in itertools.pairwise(moments) if before is not None and after is not None
    ]
    longest = max(pauses, default=0.0)
    if longest <= PAUSE_S:
        return []
    count = sum(pause > PAUSE_S for pause in pauses) + 1
    message = (
        f"the slices were acquired in {count} blocks, up to {longest / 60:.0f} minutes apart: breath and contrast phase may "
        "differ from one to the next"
    )
    return [Caution(code="SERIES_PARTS", message=message)]


def largest_thickness_mm(headers: Iterable[SliceHeader]) -> float | None:
    """Of all slices, as the thickest limits what can be seen; None if no header tells."""
    return max((h.slice_thickness_mm for h in headers if h.slice_thickness_mm is not None), default=None)


def merged(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Faults that differ only in their file become one that names the files."""
    groups: dict[Fault, list[str]] = {}
    for fault in faults:
        groups.setdefault(replace(fault, source=""), []).append(fault.source)
    return tuple(replace(fault, source=_listed(sources)) for fault, sources in groups.items())


def names(headers: Sequence[SliceHeader]) -> str:
    """The files of some slices, or the frames of a file, in words."""
    return _listed([header.source for header in headers])


def _listed(sources: Sequence[str]) -> str:
    if len(sources) <= 4:
        return ", ".join(sources)
    return f"{', '.join(sources[:3])} and {len(sources) - 3} more"


def _spacing(header: SliceHeader) -> Sequence[float] | None:
    return header.pixel_spacing_mm


def _mixed(groups: list[list[SliceHeader]], code: str, keyword: str, expected: str) -> Fault:
    shown = "; ".join(names(group) for group in sorted(groups, key=len)[:4])
    return Fault(
        code=code,
        source=shown,
        found=f"{len(groups)} different values, in {' + '.join(str(len(group)) for group in groups[:6])} slices",
        expected=expected,
        remedy="Give a folder that holds the files of one series of one patient only.",
        attribute=attribute(keyword),
    )
