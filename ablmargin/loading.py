"""Open what a user names, whatever its format, and make sure that it belongs together.

Images come from DICOM or volume files; masks are brought onto their image's grid on purpose, by their place in the
patient and never by the shape of their array; the two exams of a case must be one patient's, in the right order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ablmargin.dicom.checks import check_series
from ablmargin.dicom.discover import Discovery, SeriesFiles, discover
from ablmargin.dicom.load import load_series
from ablmargin.errors import Caution, DicomError, Fault, InputError, UsageError
from ablmargin.geometry import Geometry
from ablmargin.imagefile import ENDINGS, is_image_file, load_mask_file, load_volume_file
from ablmargin.loaded import LoadedImage, PatientDigest
from ablmargin.progress import Progress, silent
from ablmargin.regrid import require_inside, resampled, resampling_cautions
from ablmargin.volume import LabelMask, Structure

_KINDS_SKIPPED = {
    "NOT_DICOM": "no DICOM",
    "NOT_CT": "DICOM of another kind",
    "FILE_TRUNCATED": "damaged DICOM",
    "FILE_UNREADABLE": "file that can't be opened",
    "NOT_A_FILE": "link, pipe or device",
    "FOLDER_UNREADABLE": "folder that can't be opened",
}

__all__ = ["LoadedImage", "PatientDigest", "check_pair", "check_target", "load_image", "load_mask", "require_targets"]


def load_image(path: Path, *, series: str | None = None, progress: Progress = silent) -> LoadedImage:
    """Load a CT from a folder of DICOM (any depth), a DICOM file or a volume file.

    Parameters
    ----------
    series : str, optional
        Which of several series: its SeriesInstanceUID or its number as ``inspect`` prints it.

    Raises
    ------
    InputError
        With everything that is wrong; SERIES_AMBIGUOUS, with a list, if several series can serve and none is chosen.
    UsageError
        If there is nothing at the path, or a series is chosen that isn't there.
    """
    if not path.exists():
        raise UsageError(f"{path} doesn't exist")
    if path.is_file() and is_image_file(path):
        return load_volume_file(path)
    discovery = discover(path, progress=progress)
    chosen = _choice(discovery, series)
    loaded = load_series(chosen, progress=progress)
    return replace(loaded, cautions=(*_skipped_cautions(discovery), *loaded.cautions))


def load_mask(
    text: str,
    structure: Structure,
    *,
    onto: Geometry | None,
    source_name: str = "",
    cautions: list[Caution] | None = None,
) -> LabelMask:
    """Load a mask and bring it onto its image's grid.

    On the same grid (corners within 0.01 mm) it is taken as it is; on another grid it is interpolated where it lies in
    space. Shares of voxels are kept for a tumor and an ablation zone; of a liver, whose border only tells depths, the
    voxels that lie inside by half or more are taken.

    Parameters
    ----------
    text : str
        ``path`` or ``path#label``.
    onto : Geometry, optional
        The image's grid; the result has exactly this geometry. None keeps the mask's own grid.
    source_name : str
        The option that named the mask, for messages: ``--tumor``. The mask's origin keeps it with the file's last name;
        folders, which may be named after patients, only appear in errors.
    cautions : list of Caution, optional
        Gets MASK_SOFT if the mask holds shares of voxels, MASK_RESAMPLED, and MASK_VOLUME_CHANGED if the new grid can't
        hold the shape.

    Raises
    ------
    GeometryMismatchError
        If a voxel of the mask lies outside the image.
    InputError
        See :func:`ablmargin.imagefile.load_mask_file`; MASK_FORMAT for other formats.
    """
    path, label = path_and_label(text)
    name = f"{source_name} {text}".strip()
    if not path.exists():
        raise UsageError(f"{name} doesn't exist")
    if not path.is_file() or not is_image_file(path):
        raise InputError(_format_fault(name))
    mask = load_mask_file(path, label, structure)
    mask = replace(mask, origin=replace(mask.origin, name=f"{source_name} {mask.origin.name}".strip()))
    told: list[Caution] = [] if cautions is None else cautions
    if mask.fractions is not None:
        told.append(_soft_caution(mask))
        mask = replace(mask, fractions=None) if structure is Structure.LIVER else mask
    if onto is None:
        return mask
    if mask.geometry.same_grid_as(onto):
        return replace(mask, geometry=onto)
    require_inside(mask, onto, source=name)
    moved = resampled(mask, onto)
    moved.require_not_empty()
    told += resampling_cautions(mask, moved)
    return moved


def check_pair(pre: LoadedImage, post: LoadedImage) -> tuple[Caution, ...]:
    """Make sure that two exams are one patient's, before and after; cautions where their headers don't tell.

    Raises
    ------
    InputError
        SAME_SERIES, PATIENT_MISMATCH and ORDER_SUSPECT, all that apply.
    """
    faults = [*_same_series(pre, post), *_other_patient(pre, post), *_wrong_order(pre, post)]
    if faults:
        raise InputError(*faults)
    cautions = []
    if not (pre.identity and post.identity) or pre.identity.is_unknown or post.identity.is_unknown:
        message = "at least one exam has no PatientID: nothing verifies that both are of one patient"
        cautions.append(Caution(code="PATIENT_UNVERIFIED", message=message))
    before, after = _comparable_times(pre, post)
    if not before or before == after:
        message = "the exams' dates don't tell which was acquired first"
        cautions.append(Caution(code="ORDER_UNKNOWN", message=message))
    return tuple(cautions)


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
                found=f"a {mask.structure} that reaches the border of the image",
                expected="at least one voxel of image around it",
                remedy="Its margin can't be known there. Use a series that covers it.",
            )
        )


def _choice(discovery: Discovery, series: str | None) -> SeriesFiles:
    if not discovery.series:
        raise DicomError(*_nothing_found(discovery))
    if series is not None:
        for candidate in discovery.series:
            if series in {str(candidate.number), candidate.series_uid}:
                return candidate
        raise UsageError(f"{discovery.source} has no series {series!r}, but {_listed(discovery.series)}")
    if len(discovery.series) == 1:
        return discovery.series[0]
    outcomes = [(candidate, check_series(candidate).faults) for candidate in discovery.series]
    usable = [candidate for candidate, faults in outcomes if not faults]
    if not usable:
        raise DicomError(*(fault for _, faults in outcomes for fault in faults))
    if len(usable) > 1:
        raise DicomError(_ambiguous(discovery.source, usable))
    return usable[0]


def _nothing_found(discovery: Discovery) -> list[Fault]:
    """Why there is no CT series: images of another kind, damaged files, or nothing of the sort."""
    told = [file for file in discovery.skipped if file.code not in {"NOT_DICOM", "NOT_A_FILE"}]
    remedy = f"Give a folder of classic CT images, or a volume file ({', '.join(ENDINGS)})."
    if told:
        return [
            Fault(code=file.code, source=file.source, found=file.reason, expected="CT Image Storage", remedy=remedy)
            for file in told[:10]
        ]
    count = len(discovery.skipped)
    found = f"{count} other file{'' if count == 1 else 's'}"
    return [Fault(code="NO_IMAGE", source=discovery.source, found=found, expected="a CT series", remedy=remedy)]


def _ambiguous(source: str, usable: list[SeriesFiles]) -> Fault:
    return Fault(
        code="SERIES_AMBIGUOUS",
        source=source,
        found=f"{len(usable)} CT series: {_listed(usable)}",
        expected="one, or the choice of one",
        remedy="Choose with --pre-series or --post-series, by number or SeriesInstanceUID.",
        attribute="SeriesInstanceUID (0020,000e)",
    )


def _listed(series: tuple[SeriesFiles, ...] | list[SeriesFiles]) -> str:
    parts = []
    for candidate in series[:20]:
        stack = check_series(candidate).stack
        spacing = f" at {stack.geometry.spacing_mm[0]:.2f} mm" if stack else ""
        parts.append(f"{candidate.number} {candidate.description!r} ({len(candidate.headers)} slices{spacing})")
    return "; ".join(parts)


def _skipped_cautions(discovery: Discovery) -> list[Caution]:
    if not discovery.skipped:
        return []
    counts = Counter(file.code for file in discovery.skipped)
    shown = ", ".join(f"{counts[code]} × {kind}" for code, kind in _KINDS_SKIPPED.items() if counts[code])
    return [Caution(code="FILES_SKIPPED", message=f"what isn't a CT slice was left out: {shown}; inspect lists it")]


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


def _format_fault(name: str) -> Fault:
    return Fault(
        code="MASK_FORMAT",
        source=name,
        found="another kind of file",
        expected=f"a mask in {', '.join(ENDINGS)}",
        remedy="Export the segmentation in one of these formats.",
    )


def _same_series(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    one, other = pre.record, post.record
    same_uid = one.series_uid is not None and one.series_uid == other.series_uid
    if not same_uid and (one.sha256 is None or one.sha256 != other.sha256):
        return []
    found = "the same SeriesInstanceUID" if same_uid else "the same pixels"
    return [
        _pair_fault(
            pre, post, "SAME_SERIES", found=found, expected="two exams", remedy="Name the CT after ablation as post."
        )
    ]


def _other_patient(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    differing = pre.identity.differences(post.identity) if pre.identity and post.identity else ()
    if not differing:
        return []
    found, remedy = f"different {', '.join(differing)}", "Check that both folders are of the same patient."
    return [_pair_fault(pre, post, "PATIENT_MISMATCH", found=found, expected="exams of one patient", remedy=remedy)]


def _wrong_order(pre: LoadedImage, post: LoadedImage) -> list[Fault]:
    before, after = _comparable_times(pre, post)
    if before <= after:
        return []
    found, remedy = "post acquired before pre", "Check whether the two were swapped."
    return [
        _pair_fault(pre, post, "ORDER_SUSPECT", found=found, expected="the exam before ablation as pre", remedy=remedy)
    ]


def _comparable_times(pre: LoadedImage, post: LoadedImage) -> tuple[str, str]:
    """Both acquisition times to the precision that both have; empty where one is unknown."""
    before, after = pre.record.acquired or "", post.record.acquired or ""
    length = min(len(before), len(after))
    return before[:length], after[:length]


def _pair_fault(pre: LoadedImage, post: LoadedImage, code: str, *, found: str, expected: str, remedy: str) -> Fault:
    source = f"{pre.record.name} and {post.record.name}"
    return Fault(code=code, source=source, found=found, expected=expected, remedy=remedy)
