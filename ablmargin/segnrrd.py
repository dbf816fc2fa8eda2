"""Segmentations of 3D Slicer, ``.seg.nrrd``: named segments, those that overlap in layers of their own.

The fields are those of Slicer's own files: ``SegmentN_Name``, ``_LabelValue``, ``_Layer``, ``_Extent``.
https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ablmargin.errors import Fault, InputError, UsageError
from ablmargin.geometry import Array, Geometry
from ablmargin.imageheader import HeaderError, nrrd_fields, require_nrrd_space
from ablmargin.itk import geometry_of, itk_path
from ablmargin.originnote import note_of, with_note
from ablmargin.segments import (
    MEANINGS,
    Segment,
    SegmentMask,
    chosen_segment,
    origin_in,
    require_any,
    require_drawn,
    whole_file,
)
from ablmargin.volume import LabelMask, MaskOrigin, Structure
from ablmargin.wholenumber import whole_number

_FIELD = re.compile(r"Segment(\d+)_(\w+)")
_AXIS = re.compile(r"none|\([^)]*\)")
_ORIGIN = re.compile(r"\|origin:([^|]*)")
_MOST_LAYERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in the file a segment is."""

    segment: Segment
    layer: int
    value: int
    note: str = ""
    """What a tag of ours says of its origin."""


def holds_segments(path: Path) -> bool:
    """Whether a file is a NRRD with segments."""
    if not path.name.lower().endswith(".nrrd"):
        return False
    try:
        return any(map(_FIELD.fullmatch, nrrd_fields(path)))
    except (HeaderError, OSError):
        return False


def load_segment(path: Path, label: str | None, structure: Structure) -> LabelMask:
    """Load one segment.

    Parameters
    ----------
    label : str, optional
        The segment's name or its label value. None where only one segment isn't empty.

    Raises
    ------
    InputError
        As :func:`ablmargin.segments.chosen_segment`; FILE_UNREADABLE; MASK_NO_GEOMETRY, MASK_NOT_3D and MASK_SHEARED;
        MASK_NOT_BINARY if the voxels aren't labels.
    """
    layers, geometry, fields = _read(path)
    places = _places(fields, layers, path)
    segment = chosen_segment([place.segment for place in places], label, path)
    place = next(place for place in places if place.segment is segment)
    mask = _mask(place, layers, geometry, structure, origin_in(path, label, geometry))
    return require_drawn(mask, path)


def load_every_segment(path: Path, structure: Structure) -> list[SegmentMask]:
    """Load all segments that aren't empty.

    Raises
    ------
    InputError
        As :func:`load_segment`, but for the choice.
    """
    layers, geometry, fields = _read(path)
    origin = origin_in(path, None, geometry)
    masks = [
        SegmentMask.of(place.segment, _mask(place, layers, geometry, structure, origin))
        for place in _places(fields, layers, path)
        if not place.segment.is_empty
    ]
    require_any(masks, path)
    return masks


def _mask(place: _Place, layers: Array, geometry: Geometry, structure: Structure, origin: MaskOrigin) -> LabelMask:
    voxels = np.asarray(layers[..., place.layer] == place.value)
    mask = LabelMask(voxels=voxels, geometry=geometry, structure=structure, origin=origin)
    return with_note(mask, place.note)


def save_segments(masks: Mapping[str, LabelMask], path: Path) -> None:
    """Write masks on one grid as segments by name, each in the first layer where it overlaps no other.

    Raises
    ------
    UsageError
        If a mask is soft, or they lie on different grids.
    """
    geometry = next(iter(masks.values())).geometry
    if any(mask.fractions is not None for mask in masks.values()):
        raise UsageError(f"{path.name}: a .seg.nrrd holds no shares of voxels; write .nrrd or .dcm")
    if not all(mask.geometry.same_grid_as(geometry) for mask in masks.values()):
        raise UsageError(f"{path.name}: the masks must lie on one grid")
    layers: list[Array] = []
    lines: list[str] = []
    for number, (name, mask) in enumerate(masks.items()):
        layer = _layer_for(mask, layers)
        layers[layer][mask.voxels] = number + 1
        lines += _segment_lines(number, name, mask, layer)
    with whole_file(path) as unfinished:
        header = "\n".join([*_header_lines(geometry, len(layers)), *lines, *_REPRESENTATION, "", ""])
        unfinished.write_bytes(header.encode() + gzip.compress(np.stack(layers, axis=-1).tobytes(), 6, mtime=0))


def _read(path: Path) -> tuple[Array, Geometry, dict[str, str]]:
    """Voxels (slices, rows, columns, layers), their grid, and the header's fields."""
    readable = itk_path(path)
    try:
        fields = nrrd_fields(path)
        _require_layers(fields)
        image = sitk.ReadImage(readable)
        geometry = geometry_of(image)
    except HeaderError as error:
        code = error.code if error.code.startswith("FILE_") else f"MASK_{error.code}"
        raise _error(path, code, error.found, error.expected) from None
    except RuntimeError as error:
        found = f"content that can't be read ({type(error).__name__})"
        raise _error(path, "FILE_UNREADABLE", found, "a NRRD file") from None
    except ValueError:
        raise _error(path, "MASK_SHEARED", "slanted axes", "axes at right angles") from None
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind not in "ui":
        raise _error(path, "MASK_NOT_BINARY", "fractional values", "whole-numbered labels")
    voxels = np.array(array)
    return (voxels if voxels.ndim == 4 else voxels[..., None]), geometry, fields


def _require_layers(fields: Mapping[str, str]) -> None:
    """Three dimensions, or four of which the first isn't in space."""
    require_nrrd_space(fields)
    axes = _AXIS.findall(fields["space directions"])
    if len(axes) not in {3, 4} or any((axis == "none") != (number < len(axes) - 3) for number, axis in enumerate(axes)):
        raise HeaderError("NOT_3D", f"{len(axes)} axes", "three, or layers first and then three")


def _places(fields: Mapping[str, str], layers: Array, path: Path) -> list[_Place]:
    """The segments that the header names, and labels that it doesn't."""
    entries: dict[int, dict[str, str]] = {}
    for key, text in fields.items():
        if match := _FIELD.fullmatch(key):
            entries.setdefault(int(match[1]), {})[match[2]] = text
    present = [set(np.unique(layers[..., layer]).tolist()) - {0} for layer in range(layers.shape[-1])]
    places = []
    for index, entry in sorted(entries.items()):
        # Files of Slicer before 4.11 give neither: each segment has a layer of its own, with the value 1.
        layer = _whole(entry.get("Layer", "0" if "LabelValue" in entry else str(index)), path)
        value = _whole(entry.get("LabelValue", "1"), path)
        is_empty = layer >= len(present) or value not in present[layer]
        segment = Segment(number=value, name=_unescaped(entry.get("Name", "")), is_empty=is_empty)
        note = next(iter(_ORIGIN.findall(entry.get("Tags", ""))), "")
        places.append(_Place(segment=segment, layer=layer, value=value, note=note))
    known = {(place.layer, place.value) for place in places}
    nameless = [(layer, value) for layer, values in enumerate(present) for value in sorted(values)]
    places += [
        _Place(segment=Segment(number=value), layer=layer, value=value)
        for layer, value in nameless
        if (layer, value) not in known
    ]
    return places


def _whole(text: str, path: Path) -> int:
    number = whole_number(text)
    if number is None:
        raise _error(path, "FILE_FORMAT", "a segment whose layer or label is no number", "whole numbers")
    return number


def _layer_for(mask: LabelMask, layers: list[Array]) -> int:
    """The first layer where the mask's voxels are free; a new one is added if there is none."""
    for number, layer in enumerate(layers):
        if not layer[mask.voxels].any():
            return number
    if len(layers) == _MOST_LAYERS:
        raise UsageError(f"more than {_MOST_LAYERS} masks on top of each other")
    layers.append(np.zeros(mask.geometry.shape, np.uint8))
    return len(layers) - 1


def _header_lines(geometry: Geometry, layers: int) -> list[str]:
    k, j, i = geometry.shape
    axes = [_vector(column) for column in geometry.affine[:3, 2::-1].T]
    several = layers > 1
    return [
        "NRRD0004",
        "type: uint8",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if several else ''}{i} {j} {k}",
        f"space directions: {'none ' if several else ''}{' '.join(axes)}",
        f"kinds: {'list ' if several else ''}domain domain domain",
        "encoding: gzip",
        f"space origin: {_vector(geometry.origin_mm)}",
    ]


_REPRESENTATION = (
    "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
    "Segmentation_MasterRepresentation:=Binary labelmap",
    "Segmentation_ReferenceImageExtentOffset:=0 0 0",
)


def _segment_lines(number: int, name: str, mask: LabelMask, layer: int) -> list[str]:
    meaning = MEANINGS[mask.structure]
    category, kind = (f"SCT^{code}^{words}" for code, words in (meaning.category, meaning.kind))
    extent = "0 -1 0 -1 0 -1"
    if not mask.is_empty:
        start, stop = mask.bounding_box()
        extent = " ".join(f"{a} {b - 1}" for a, b in zip(start[::-1], stop[::-1], strict=True))
    values = {
        "ID": f"Segment_{number + 1}",
        "Name": _escaped(name),
        "Color": " ".join(f"{part / 255:.6f}" for part in meaning.color),
        "LabelValue": f"{number + 1}",
        "Layer": f"{layer}",
        "Extent": extent,
        "Tags": f"TerminologyEntry:Segmentation category and type - DICOM master list~{category}~{kind}~^^~~^^~^^|",
    }
    if note := note_of(mask):
        values["Tags"] += f"origin:{note.replace('|', '/')}|"
    return [f"Segment{number}_{key}:={value}" for key, value in values.items()]


def _vector(numbers: Array | tuple[float, float, float]) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


def _error(path: Path, code: str, found: str, expected: str) -> InputError:
    remedy = "Export the segmentation again."
    return InputError(Fault(code=code, source=str(path), found=found, expected=expected, remedy=remedy))
