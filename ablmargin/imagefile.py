"""Volumes, masks and vector fields in NIfTI, NRRD and MetaImage files.

ITK reads the voxels. What a header says of space is checked first: ITK makes up a grid for a file that has none, and
of two that contradict each other it takes one, both without a word.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ablmargin.errors import Fault, InputError, UsageError
from ablmargin.geometry import Array, Geometry
from ablmargin.imageheader import HeaderError, geometry_in_header
from ablmargin.itk import geometry_of, image_of, itk_path
from ablmargin.loaded import LoadedImage, loaded_volume
from ablmargin.originnote import note_of, with_note
from ablmargin.segments import (
    SOFT_METHOD,
    Segment,
    SegmentMask,
    origin_in,
    require_drawn,
    whole_file,
)
from ablmargin.volume import LabelMask, Structure, Volume
from ablmargin.wholenumber import whole_number

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")
"""What can be read and written."""

SOME_LABELS, SCALE_TOPS = 8, (100, 255)
"""More labels than this, up to just one of these values, are rather a probability map's steps."""

MANY_LABELS = 20
"""A label map with more labels than this may as well be a gray image."""

_NOTES = "ITK_FileNotes"
"""ITK's name for free text in a file; in NIfTI it is the description."""

_SHARE_TOLERANCE = 1e-5
"""How far single precision may take a share out of 0..1."""


def is_image_file(path: Path) -> bool:
    """Whether the name ends like a file that this module reads."""
    return path.name.lower().endswith(ENDINGS)


def load_volume_file(path: Path, *, accepted: Collection[str] = ()) -> LoadedImage:
    """Load a CT in Hounsfield units. ``accepted`` may hold HU_IMPLAUSIBLE, see :mod:`ablmargin.hazards`.

    Raises
    ------
    InputError
        If the file can't be read, isn't one 3-D image, doesn't say where it lies (VOLUME_NO_GEOMETRY), has slanted
        axes (VOLUME_SHEARED) or two contradicting places (VOLUME_GEOMETRY_CONFLICT), or if its values can't be HU.
    """
    array, geometry, _ = _read(path, "VOLUME")
    voxels = array.astype(np.float32)
    if not np.isfinite(voxels).all():
        raise InputError(_fault(path, "VOLUME_NOT_FINITE", "NaN or infinite values", "Hounsfield units everywhere"))
    voxels.setflags(write=False)
    return loaded_volume(Volume(voxels_hu=voxels, geometry=geometry), name=str(path), accepted=accepted)


def load_mask_file(path: Path, label: str | int | None, structure: Structure) -> LabelMask:
    """Load one structure from a mask, a label map or a soft mask.

    A file with several values between 0 and 1 holds the share of each voxel that lies inside; the shares are kept.

    Parameters
    ----------
    label : str or int, optional
        A label value. None where the file holds one label only.

    Returns
    -------
    LabelMask
        Its origin knows the file's last name, no folder: folders may be named after patients.

    Raises
    ------
    EmptyMaskError
        If no voxel is set.
    InputError
        If the file can't be read or doesn't say where it lies, if it holds several labels and none was chosen
        (MASK_SEVERAL_LABELS), not the one chosen (MASK_LABEL_MISSING), one chosen in a soft mask (MASK_SOFT_LABEL), or
        values that are neither labels nor shares (MASK_NOT_BINARY).
    """
    array, geometry, note = _read(path, "MASK")
    values = np.unique(array[array != 0])
    origin = origin_in(path, label, geometry)
    if _are_shares(values):
        if label is not None:
            found, remedy = "shares of voxels between 0 and 1, no labels", "Leave the hash and what follows it out."
            raise InputError(_fault(path, "MASK_SOFT_LABEL", found, f"a label {str(label)!r}", remedy))
        origin = replace(origin, method=SOFT_METHOD)
        shares = np.clip(array.astype(np.float32), 0.0, 1.0)
        mask = LabelMask.soft(shares, geometry=geometry, structure=structure, origin=origin)
        return require_drawn(with_note(mask, note), path)
    _require_labels(path, values)
    if label is None and len(values) > 1:
        raise InputError(_several_labels(path, values))
    chosen = array != 0 if label is None else array == _value_of(path, label, values)
    mask = LabelMask(voxels=chosen, geometry=geometry, structure=structure, origin=origin)
    return require_drawn(with_note(mask, note), path)


def load_labels(path: Path) -> tuple[Array, Geometry]:
    """Load a label map as it is.

    Returns
    -------
    labels : ndarray of int32, shape (slices, rows, columns)
        0 where there is nothing; may be 0 everywhere.
    geometry : Geometry
        The grid that they lie on.

    Raises
    ------
    InputError
        As :func:`load_mask_file`; MASK_NOT_BINARY too if the values are shares of voxels.
    """
    array, geometry, _ = _read(path, "MASK")
    values = np.unique(array)
    _require_labels(path, values)
    return array.astype(np.int32), geometry


def load_label_map(path: Path, structure: Structure) -> list[SegmentMask]:
    """Load every label of a label map.

    Raises
    ------
    EmptyMaskError
        If no voxel is set.
    InputError
        As :func:`load_mask_file`; MASK_NOT_BINARY for shares of voxels, and MASK_ONE_LABEL if there is but one: a mask, in
        which the value doesn't tell what it is.
    """
    array, geometry, _ = _read(path, "MASK")
    values = np.unique(array[array != 0])
    if _are_shares(values):
        found = "shares of voxels between 0 and 1"
        raise InputError(_fault(path, "MASK_NOT_BINARY", found, "whole-numbered labels"))
    _require_labels(path, values)
    if len(values) == 1:
        found, remedy = f"a mask with the single label {values[0]:g}", "Give the file with all segments."
        raise InputError(_fault(path, "MASK_ONE_LABEL", found, "several labels, one for each segment", remedy))
    if len(values) and (len(values) > MANY_LABELS or values[0] < 0):
        raise InputError(_fault(path, "MASK_NOT_BINARY", _listed(values), f"at most {MANY_LABELS} labels above 0"))
    origin = origin_in(path, None, geometry)
    drawn = LabelMask(voxels=array != 0, geometry=geometry, structure=structure, origin=origin)
    start, stop = require_drawn(drawn, path).bounding_box()
    around = drawn.cropped(start, stop)  # the rest is quicker
    labels = array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    return [
        SegmentMask.of(Segment(number=number), replace(around, voxels=labels == number))
        for number in values.astype(int).tolist()
    ]


def save_mask(mask: LabelMask, path: Path) -> None:
    """Write a mask as 0 and 1 in uint8, or a soft one as its shares in float32, compressed, in the ending's format."""
    image = image_of(mask.voxels if mask.fractions is None else mask.fractions, mask.geometry)
    if note := note_of(mask):
        image.SetMetaData(_NOTES, note)
    _write(image, path)


def save_volume(volume: Volume, path: Path) -> None:
    """Write a CT in HU as float32, compressed, in the format of the name's ending."""
    _write(image_of(volume.voxels_hu, volume.geometry), path)


def save_vector_field(vectors_mm: Array, geometry: Geometry, path: Path) -> None:
    """Write vectors, shape (slices, rows, columns, 3), as a float32 vector image in ``.nrrd`` or ``.mha``.

    The components are (x, y, z) in LPS mm, however the grid is oriented.

    Raises
    ------
    UsageError
        For another ending: NIfTI has its own axes for vectors.
    """
    if not path.name.lower().endswith((".nrrd", ".mha")):
        raise UsageError(f"{path.name}: a vector field is written as .nrrd or .mha")
    image = sitk.GetImageFromArray(np.ascontiguousarray(vectors_mm, np.float32), isVector=True)
    image.CopyInformation(image_of(np.zeros(geometry.shape, np.uint8), geometry))
    _write(image, path)


def _read(path: Path, what: str) -> tuple[Array, Geometry, str]:
    """Voxels, their grid and what the file says of itself; every failure becomes an InputError."""
    if path.stat().st_size == 0:
        found, expected = "an empty file of 0 bytes", "a NIfTI, NRRD or MetaImage file"
        raise InputError(_fault(path, "FILE_UNREADABLE", found, expected))
    readable = itk_path(path)
    try:
        from_header = geometry_in_header(path)
        image = sitk.ReadImage(readable)
    except HeaderError as error:
        code = error.code if error.code.startswith("FILE_") else f"{what}_{error.code}"
        raise InputError(_fault(path, code, error.found, error.expected)) from None
    except (RuntimeError, OSError, EOFError, zlib.error, struct.error) as error:
        found = f"content that can't be read ({type(error).__name__})"
        raise InputError(_fault(path, "FILE_UNREADABLE", found, "a NIfTI, NRRD or MetaImage file")) from None
    if not image.GetNumberOfPixels():
        raise InputError(_fault(path, f"{what}_NO_GEOMETRY", f"a size of {image.GetSize()}", "one voxel or more"))
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        found = f"{image.GetDimension()} dimensions, {image.GetNumberOfComponentsPerPixel()} value(s) a voxel"
        raise InputError(_fault(path, f"{what}_NOT_3D", found, "3 dimensions, one value a voxel"))
    try:
        geometry = from_header or geometry_of(image)
    except ValueError:
        raise InputError(_fault(path, f"{what}_SHEARED", "slanted axes", "axes at right angles")) from None
    return sitk.GetArrayFromImage(image), geometry, image.GetMetaData(_NOTES) if image.HasMetaDataKey(_NOTES) else ""


def _are_shares(values: Array) -> bool:
    """Whether the values other than 0 are shares of voxels: several, all up to 1, and some below."""
    if len(values) < 2 or not np.isfinite(values).all() or values.dtype.kind != "f":
        return False
    in_range = values.min() >= -_SHARE_TOLERANCE and values.max() <= 1 + _SHARE_TOLERANCE
    return bool(in_range and (values != np.rint(values)).any())


def _require_labels(path: Path, values: Array) -> None:
    if not np.isfinite(values).all():
        raise InputError(_fault(path, "MASK_NOT_FINITE", "NaN or infinite values", "0 and label values"))
    if len(values) > 1 and (values != np.rint(values)).any():
        found = f"{len(values)} different values from {values[0]:g} to {values[-1]:g}"
        expected = "0 and one other value, whole-numbered labels, or shares of voxels between 0 and 1"
        raise InputError(_fault(path, "MASK_NOT_BINARY", found, expected, _scale_remedy(values)))


def _several_labels(path: Path, values: Array) -> Fault:
    if len(values) > SOME_LABELS and values[-1] in SCALE_TOPS:
        return _scaled_shares(path, values)
    remedy = f"Choose one with a hash, such as {path.name}#{values[0]:g}."
    if len(values) > MANY_LABELS:
        remedy += f" {_scale_remedy(values)}"
    return _fault(path, "MASK_SEVERAL_LABELS", _listed(values), "one label, or the choice of one", remedy)


def _scaled_shares(path: Path, values: Array) -> Fault:
    """What looks like a probability map: one of its values, chosen as a label, would be a shell of the structure."""
    top = f"{values[-1]:g}"
    found = (
        f"{len(values)} different whole numbers from {values[0]:g} to {top}, perhaps a probability map from 0 to {top}"
    )
    remedy = (
        f"{_scale_remedy(values)} Save them as floating-point numbers. If they are labels, export one structure alone."
    )
    return _fault(path, "MASK_SEVERAL_LABELS", found, "one label, or shares of voxels between 0 and 1", remedy)


def _scale_remedy(values: Array) -> str:
    if values[0] < 0:
        return "Negative values are an image's or a distance map's: export the mask itself."
    return f"If these are shares of voxels on a scale from 0 to {_scale(float(values[-1])):g}, divide them by it."


def _scale(largest: float) -> float:
    """The usual top of a scale that holds a value, or the value itself."""
    return next((top for top in (1.0, 100.0, 255.0, 65535.0) if 0.9 * top <= largest <= top), largest)


def _value_of(path: Path, label: str | int, values: Array) -> int:
    text = str(label)
    value = whole_number(text)
    if value is None or value not in values:
        found = f"no label {text!r}, but {_listed(values)}"
        raise InputError(_fault(path, "MASK_LABEL_MISSING", found, "one of the file's labels", "Choose one of them."))
    return value


def _listed(values: Array) -> str:
    if not len(values):
        return "no label at all"
    shown = ", ".join(f"{value:g}" for value in values[:20].tolist())
    return f"{len(values)} label{'s' if len(values) > 1 else ''}: {shown}{', ...' if len(values) > 20 else ''}"


def _write(image: sitk.Image, path: Path) -> None:
    if not is_image_file(path):
        raise UsageError(f"{path.name}: expected a name that ends in {', '.join(ENDINGS)}")
    with whole_file(path) as unfinished:
        sitk.WriteImage(image, itk_path(unfinished), useCompression=True)


def _fault(path: Path, code: str, found: str, expected: str, remedy: str = "Export the file again.") -> Fault:
    return Fault(code=code, source=str(path), found=found, expected=expected, remedy=remedy)
