"""Open what a user names, whatever its format.

Images come from DICOM or volume files; masks are brought onto their image's grid on purpose, by their place in the
patient and never by the shape of their array.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from ablmargin.dicom.choose import choice, skipped_cautions
from ablmargin.dicom.discover import discover
from ablmargin.dicom.load import load_series
from ablmargin.errors import Caution, Fault, InputError
from ablmargin.geometry import Geometry
from ablmargin.imagefile import ENDINGS, is_image_file, load_volume_file
from ablmargin.loaded import LoadedImage, PatientDigest
from ablmargin.maskfiles import load_all_from, load_mask_from
from ablmargin.progress import Progress, silent
from ablmargin.regrid import moved_onto
from ablmargin.segments import SegmentMask
from ablmargin.volume import LabelMask, Structure

UNNAMED_METHOD = "a program that its file names"
"""What made a proposal that was read from a file, where results mustn't repeat free text."""

_TARGETS = {Structure.TUMOR: "a tumor", Structure.ABLATION_ZONE: "an ablation zone", Structure.LIVER: "a liver"}

__all__ = [
    "LoadedImage",
    "PatientDigest",
    "check_target",
    "fitted_mask",
    "load_all",
    "load_image",
    "load_mask",
    "require_targets",
    "require_there",
]


def load_image(
    path: Path, *, series: str | None = None, accepted: Collection[str] = (), progress: Progress = silent
) -> LoadedImage:
    """Load a CT from a folder of DICOM (any depth), a DICOMDIR, a DICOM file or a volume file.

    Parameters
    ----------
    series : str, optional
        Which of several series: its SeriesInstanceUID or its number as ``inspect`` prints it.
    accepted : collection of str
        Hazards that are taken on purpose, see :mod:`ablmargin.hazards`.

    Raises
    ------
    InputError
        With everything that is wrong: PATH_MISSING if there is nothing at the path; SERIES_AMBIGUOUS, with a list, if
        several series can serve and none is chosen.
    UsageError
        If a series is chosen that isn't there.
    """
    require_there(path, str(path), expected=f"a folder of DICOM, or a volume file ({', '.join(ENDINGS)})")
    if path.is_file() and is_image_file(path):
        return replace(load_volume_file(path, accepted=accepted), source=path)
    discovery = discover(path, progress=progress)
    chosen, told = choice(discovery, series, accepted)
    loaded = load_series(chosen, accepted=accepted, progress=progress)
    return replace(loaded, cautions=(*skipped_cautions(discovery), *told, *loaded.cautions), source=path)


def load_mask(
    text: str,
    structure: Structure,
    *,
    onto: Geometry | None,
    source_name: str = "",
    called: str = "",
    cautions: list[Caution] | None = None,
) -> LabelMask:
    """Load a mask and bring it onto its image's grid.

    Where voxel centers meet (within 0.01 mm), also if the mask's grid is cropped, turned or mirrored, it is taken as it is;
    on another grid it is interpolated where it lies in space. Shares of voxels are kept for a tumor and an ablation zone; of a liver, whose border only tells depths, the
    voxels that lie inside by half or more are taken.

    Parameters
    ----------
    text : str
        ``path`` or ``path#label``, the label being a number or a segment's name.
    onto : Geometry, optional
        The image's grid; the result has exactly this geometry. None keeps the mask's own grid.
    source_name : str
        The option that named the mask, for messages: ``--tumor``. The mask's origin keeps it with the file's last name;
        folders, which may be named after patients, only appear in errors.
    called : str
        What results call it instead, where they mustn't identify anybody: no name from the file or of the file then gets
        into the mask's origin or a caution.
    cautions : list of Caution, optional
        Gets MASK_SOFT if the mask holds shares of voxels, MASK_RESAMPLED, MASK_VOLUME_CHANGED if the new grid can't hold
        the shape, and what is to know of a DICOM file: MASK_GAPS, MASK_POINTS_SKIPPED, MASK_SPACING_INFERRED.

    Raises
    ------
    GeometryMismatchError
        If a voxel of the mask lies outside the image, or the mask in another frame of reference.
    InputError
        See :func:`ablmargin.maskfiles.load_mask_from`; PATH_MISSING.
    """
    path, label = path_and_label(text)
    name = f"{source_name} {text}".strip()
    require_there(path, name, expected="a mask: a volume file, .seg.nrrd, DICOM SEG or RTSTRUCT")
    of_file: list[Caution] = []
    loaded = load_mask_from(path, label, structure, onto=onto, told=of_file, name=name)
    mask = without_words(loaded, called) if called else _from_option(loaded, source_name)
    told: list[Caution] = [] if cautions is None else cautions
    told += _about(mask.origin.name, of_file)
    return fitted_mask(mask, onto=onto, name=name, cautions=told)


def fitted_mask(mask: LabelMask, *, onto: Geometry | None, name: str, cautions: list[Caution]) -> LabelMask:
    """A loaded mask as an analysis takes it: a liver without shares of voxels, on the image's grid; see :func:`load_mask`."""
    if mask.fractions is not None:
        cautions.append(_soft_caution(mask))
        mask = replace(mask, fractions=None) if mask.structure is Structure.LIVER else mask
    return mask if onto is None else moved_onto(mask, onto, name=name, cautions=cautions)


def load_all(
    text: str,
    structure: Structure,
    *,
    onto: Geometry | None,
    source_name: str,
    called: str = "",
    cautions: list[Caution],
) -> list[SegmentMask]:
    """Load every segment of a file as :func:`load_mask` does one, each on the grid that it was drawn on.

    Raises
    ------
    InputError
        As :func:`ablmargin.maskfiles.load_all_from`; PATH_MISSING; MASK_LABEL_CHOSEN if one of the segments is named.
    """
    path, label = path_and_label(text)
    name = f"{source_name} {text}"
    if label is not None:
        found, remedy = f"the choice of {label!r}", "Leave the hash and what follows it out."
        expected = "a file of which all segments are taken"
        raise InputError(Fault(code="MASK_LABEL_CHOSEN", source=name, found=found, expected=expected, remedy=remedy))
    require_there(path, name, expected="segments: a label map, .seg.nrrd, DICOM SEG or RTSTRUCT")
    of_file: list[Caution] = []
    loaded = load_all_from(path, structure, onto=onto, told=of_file, name=name)
    cautions += _about(called or f"{source_name} {path.name}", of_file)
    return [
        replace(one, mask=without_words(one.mask, called) if called else _from_option(one.mask, source_name))
        for one in loaded
    ]


def _about(name: str, cautions: Iterable[Caution]) -> list[Caution]:
    return [replace(caution, message=f"{name}: {caution.message}") for caution in cautions]


def without_words(mask: LabelMask, name: str) -> LabelMask:
    """The mask without anything that its file says in words."""
    origin = mask.origin
    method = origin.method if origin.source == "reader" else UNNAMED_METHOD
    return replace(mask, origin=replace(origin, name=name, method=method))


def _from_option(mask: LabelMask, source_name: str) -> LabelMask:
    return replace(mask, origin=replace(mask.origin, name=f"{source_name} {mask.origin.name}".strip()))


def require_there(path: Path, name: str, *, expected: str) -> None:
    """Raise InputError with PATH_MISSING if there is nothing at a path, which the user called ``name``."""
    if not path.exists():
        remedy = "Check how it is spelled, and the folder that the command runs in."
        raise InputError(
            Fault(code="PATH_MISSING", source=name, found="nothing there", expected=expected, remedy=remedy)
        )


def require_targets(masks: Iterable[LabelMask]) -> None:
    """Raise InputError with every tumor or ablation zone that is empty or reaches the border of its image."""
    faults: list[Fault] = []
    for mask in masks:
        try:
            mask.require_not_empty()
            check_target(mask)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)


def check_target(mask: LabelMask) -> None:
    """Raise InputError if a tumor or ablation zone reaches the border of its image, where it may go on unseen."""
    if mask.touches_border():
        raise InputError(
            Fault(
                code="TARGET_TOUCHES_EDGE",
                source=mask.origin.name or f"the {mask.structure} mask",
                found=f"{_TARGETS[mask.structure]} that reaches the border of its grid",
                expected="at least one empty voxel around it",
                remedy="Its margin can't be known there. If the mask was cropped, export it with a border of at least one "
                "voxel; if the image ends there, use one that covers it.",
            )
        )


def path_and_label(text: str) -> tuple[Path, str | None]:
    """Split at the last hash, unless a file has the whole text as its name."""
    path, sign, label = text.rpartition("#")
    if not sign or Path(text).exists():
        return Path(text), None
    return Path(path), label


def _soft_caution(mask: LabelMask) -> Caution:
    used = (
        "voxels that lie inside by half or more were used" if mask.structure is Structure.LIVER else "used as they are"
    )
    message = f"{mask.origin.name} holds shares of voxels between 0 and 1; {used}"
    return Caution(code="MASK_SOFT", message=message)
