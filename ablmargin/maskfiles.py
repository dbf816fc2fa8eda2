"""Masks in and out of files, whatever their format; a file's ending or content tells which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ablmargin import imagefile, segnrrd
from ablmargin.dicom.objects import outline_object
from ablmargin.errors import Caution, UsageError
from ablmargin.geometry import Geometry
from ablmargin.pseudonyms import Pseudonyms
from ablmargin.segments import SegmentMask
from ablmargin.segnrrd import holds_segments, load_segment, save_segments
from ablmargin.volume import LabelMask, Structure

DICOM_ENDINGS = (".dcm", ".rtstruct.dcm")
"""What is written as DICOM SEG, and as RTSTRUCT."""


def load_mask_from(
    path: Path,
    label: str | None,
    structure: Structure,
    *,
    onto: Geometry | None,
    told: list[Caution],
    name: str = "",
) -> LabelMask:
    """Load one structure on the grid that it was drawn on.

    Parameters
    ----------
    path : Path
        A volume file, ``.seg.nrrd``, DICOM SEG or RTSTRUCT (whatever its name), or a folder that holds one of the last two.
    onto : Geometry, optional
        The image's grid: contours are drawn on it if they lie in its slices. Other masks keep their own grid.
    told : list of Caution
        Gets what a reader must know of this file.
    name : str
        What to call it in errors, if not by its path.

    Raises
    ------
    InputError
        MASK_FORMAT if it is none of these; else as :func:`ablmargin.imagefile.load_mask_file`,
        :func:`ablmargin.segnrrd.load_segment`, :func:`ablmargin.dicom.seg.load_seg` and
        :func:`ablmargin.dicom.rtstruct.load_rtstruct`.
    """
    if path.is_file() and holds_segments(path):
        return load_segment(path, label, structure)
    if path.is_file() and imagefile.is_image_file(path):
        return imagefile.load_mask_file(path, label, structure)
    found = outline_object(path, name=name or str(path))
    if found.is_structure_set:
        from ablmargin.dicom.rtstruct import load_rtstruct  # noqa: PLC0415  scikit-image takes 0.2 s to load

        return load_rtstruct(found.path, label, structure, onto=onto, told=told)
    from ablmargin.dicom.seg import load_seg  # noqa: PLC0415  highdicom takes 0.1 s to load

    return load_seg(found.path, label, structure, told=told)


def load_all_from(
    path: Path, structure: Structure, *, onto: Geometry | None, told: list[Caution], name: str = ""
) -> list[SegmentMask]:
    """Load every segment of a file, which is read once; each mask is cut to the box that it fills.

    Parameters
    ----------
    path, onto, told, name
        As for :func:`load_mask_from`.
    structure : Structure
        Of all of them.

    Raises
    ------
    InputError
        As :func:`load_mask_from`, but for the choice; those of :func:`ablmargin.imagefile.load_label_map`.
    """
    if path.is_file() and holds_segments(path):
        return segnrrd.load_every_segment(path, structure)
    if path.is_file() and imagefile.is_image_file(path):
        return imagefile.load_label_map(path, structure)
    found = outline_object(path, name=name or str(path))
    if found.is_structure_set:
        from ablmargin.dicom.rtstruct import load_every_region  # noqa: PLC0415  as above

        return load_every_region(found.path, structure, onto=onto, told=told)
    from ablmargin.dicom.seg import load_every_segment  # noqa: PLC0415

    return load_every_segment(found.path, structure, told=told)


def save_mask(
    mask: LabelMask,
    path: Path,
    *,
    name: str = "",
    source: Path | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> None:
    """Write a mask in the format of its name's ending.

    Parameters
    ----------
    path : Path
        ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha``; ``.seg.nrrd`` for 3D Slicer; ``.rtstruct.dcm`` for DICOM RTSTRUCT, any
        other ``.dcm`` for DICOM SEG.
    name : str
        What the segment is called, where the format has names; its structure if empty.
    source : Path, optional
        For DICOM: the folder of the CT series that the mask lies on. Patient, study and frame are taken from it.
    pseudonyms : Pseudonyms, optional
        For DICOM: what stands there for patient, UIDs and dates instead, see :mod:`ablmargin.dicom.deidentify`.

    Raises
    ------
    UsageError
        For another ending, for DICOM without a source, or if the format can't hold a soft mask.
    DicomError
        If the source has no series on the mask's grid.
    """
    save_masks({name or str(mask.structure): mask}, path, source=source, pseudonyms=pseudonyms)


def save_masks(
    masks: Mapping[str, LabelMask], path: Path, *, source: Path | None = None, pseudonyms: Pseudonyms | None = None
) -> None:
    """Write masks on one grid, by name, into one file; see :func:`save_mask`.

    Raises
    ------
    UsageError
        As :func:`save_mask`; also if there is none, or several for a format that holds one.
    """
    if not masks:
        raise UsageError(f"{path.name}: there is no mask to write")
    ending = path.name.lower()
    if ending.endswith(".seg.nrrd"):
        save_segments(masks, path)
    elif ending.endswith(DICOM_ENDINGS):
        _save_dicom(masks, path, source, pseudonyms)
    elif len(masks) > 1:
        raise UsageError(f"{path.name}: several masks go into .seg.nrrd or .dcm")
    else:
        imagefile.save_mask(next(iter(masks.values())), path)


def require_writable_mask(path: Path, *, source: Path | None) -> None:
    """Raise UsageError, before any work, if no format goes by the ending of a name, or for DICOM without a source."""
    if not path.name.lower().endswith((*imagefile.ENDINGS, *DICOM_ENDINGS)):
        endings = ", ".join((*imagefile.ENDINGS, ".seg.nrrd", *DICOM_ENDINGS))
        raise UsageError(f"--out {path.name}: expected a name that ends in {endings}")
    if path.name.lower().endswith(DICOM_ENDINGS):
        _require_source(path, source)


def _require_source(path: Path, source: Path | None) -> Path:
    if source is None:
        raise UsageError(f"{path.name}: DICOM needs the folder of the CT series that the masks lie on")
    return source


def _save_dicom(masks: Mapping[str, LabelMask], path: Path, source: Path | None, pseudonyms: Pseudonyms | None) -> None:
    from ablmargin.dicom.rtwrite import write_rtstruct  # noqa: PLC0415  as above
    from ablmargin.dicom.segwrite import write_seg  # noqa: PLC0415
    from ablmargin.dicom.source import source_series  # noqa: PLC0415

    folder = _require_source(path, source)
    geometry = next(iter(masks.values())).geometry
    if not all(mask.geometry.same_grid_as(geometry) for mask in masks.values()):
        raise UsageError(f"{path.name}: the masks must lie on one grid")
    write = write_rtstruct if path.name.lower().endswith(".rtstruct.dcm") else write_seg
    series = source_series(folder, geometry)
    write(masks, path, series if pseudonyms is None else series.nameless(pseudonyms))
