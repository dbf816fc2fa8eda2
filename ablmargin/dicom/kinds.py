"""What kind of images a series holds: slices or scouts, as scanned or derived, in Hounsfield units or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.uid import HTJ2K, JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from ablmargin.dicom.groups import close_groups, orientation_of
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.stack import MIN_SLICES
from ablmargin.dicom.terms import IMAGE_TYPES, RESCALE_TYPES, terms
from ablmargin.dicom.text import attribute, number
from ablmargin.errors import Caution, Fault

_SCOUTS = {"LOCALIZER", "SCOUT", "SCREEN SAVE", "SCREEN"}
_PROJECTIONS = {"MIP", "MINIP", "MAX_IP", "MIN_IP", "MAXIP", "PROJECTION IMAGE", "VRT", "SSD", "VOLUME RENDERED"}
_PROJECTIONS |= {"VOLUME_RENDER", "SURFACE_RENDER"}
_CALCULATED = {"DIVISION", "MULTIPLICATION", "QUANTITY", "STD_DEVIATION", "SUBTRACTION"}
_CALCULATED |= {"CBF", "CBV", "MTT", "RCBF", "RCBV", "TTP"}
"""Images calculated from others (PS3.3 C.8.16.1.4) whose values are no longer attenuation, and maps of perfusion."""
_HU_TYPES = {"", "HU", "US"}
"""RescaleType: Hounsfield units, or unspecified, as some scanners write; what the values are then shows by themselves."""
_LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit}
_LOSSY_OR_NOT = {JPEGLSNearLossless, JPEG2000, HTJ2K}
SAME_PLANE = 0.8
"""Cosine of the angle between two slices: a turned or mirrored one that is left out would be a slice lost."""
_EXPORT = "Export the original axial series of the scanner."


def without_strays(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[Caution]]:
    """Leave out images that share the series' UID but are no slices of it: scouts, screens, one or two in another direction."""
    strays = {id(header) for header in headers if _is_scout(header) or _is_screen(header)}
    rest = [header for header in headers if id(header) not in strays]
    groups = close_groups(rest, orientation_of)
    if any(len(group) >= MIN_SLICES for group in groups):
        main = max(groups, key=len)[0]
        few = [header for group in groups if len(group) < MIN_SLICES for header in group]
        strays |= {id(header) for header in few if not _lies_as(header, main)}
    kept = [header for header in headers if id(header) not in strays]
    if not strays or not kept:
        return list(headers), []
    message = (
        f"{len(strays)} image(s) of the series that are none of its slices were left out: scouts, screens or the like"
    )
    return kept, [Caution(code="NON_AXIAL_DROPPED", message=message)]


def _lies_as(header: SliceHeader, other: SliceHeader) -> bool:
    """Whether two slices lie in nearly one plane, from whichever side they are seen: then neither is a scout of the other."""
    normals = [
        np.cross(one.row_direction, one.column_direction)
        for one in (header, other)
        if one.row_direction and one.column_direction
    ]
    return len(normals) == 2 and bool(abs(np.dot(*normals)) > SAME_PLANE)


def kind_faults(headers: Sequence[SliceHeader], source: str) -> list[Fault]:
    """Projections, and values that their own header calls something else than Hounsfield units."""
    faults = []
    projected = sorted({value for header in headers for value in _PROJECTIONS.intersection(_types(header))})
    if projected:
        faults.append(
            Fault(
                code="IMAGE_PROJECTION",
                source=source,
                found=f"projections ({', '.join(projected)}), which show tissue where it isn't",
                expected="slices",
                remedy=_EXPORT,
                attribute=attribute("ImageType"),
            )
        )
    calculated = sorted({value for header in headers for value in _CALCULATED.intersection(_types(header))})
    if calculated:
        faults.append(
            Fault(
                code="HU_UNKNOWN",
                source=source,
                found=f"values calculated from those of other images ({', '.join(calculated)})",
                expected="HU",
                remedy=_EXPORT,
                attribute=attribute("ImageType"),
            )
        )
    units = sorted({header.texts["RescaleType"].upper() for header in headers} - _HU_TYPES - {"HU_MOD"})
    if units:
        faults.append(
            Fault(
                code="HU_UNKNOWN",
                source=source,
                found=f"values in {', '.join(terms(units, RESCALE_TYPES))}",
                expected="HU",
                remedy=_EXPORT,
                attribute=attribute("RescaleType"),
            )
        )
    return faults


def kind_cautions(headers: Sequence[SliceHeader]) -> list[Caution]:
    """A word on images that software made from others, on modified units, and on lossy compression."""
    cautions = []
    derived = sorted({kind for header in headers if "DERIVED" in _types(header) for kind in _types(header)})
    if derived:
        told = ", ".join(terms(derived, IMAGE_TYPES | _PROJECTIONS | _CALCULATED))
        message = f"images were derived by software from others ({told}), as a reformat is"
        cautions.append(Caution(code="IMAGE_DERIVED", message=message))
    if any(header.texts["RescaleType"].upper() == "HU_MOD" for header in headers):
        cautions.append(
            Caution(code="HU_MODIFIED", message="values are modified Hounsfield units (RescaleType HU_MOD)")
        )
    return [*cautions, *_lossy_cautions(headers)]


def _lossy_cautions(headers: Sequence[SliceHeader]) -> list[Caution]:
    """A word on compression with loss, from what headers say and from what their transfer syntaxes can't but do."""
    lossy = [header for header in headers if _is_lossy(header)]
    ratios = [number(text) for header in lossy for text in header.texts["LossyImageCompressionRatio"].split("\\")]
    worst = max((ratio for ratio in ratios if ratio > 1), default=None)
    if lossy:
        how = f" ({worst:.3g} : 1)" if worst else ""
        message = f"images were compressed with loss{how}: fine texture and noise are no longer the scanner's"
    elif any(_may_be_lossy(header) for header in headers):
        message = "images may have been compressed with loss: their transfer syntax allows it, and no header denies it"
    else:
        return []
    return [Caution(code="LOSSY_COMPRESSION", message=message)]


def _types(header: SliceHeader) -> list[str]:
    return [value.strip() for value in header.texts["ImageType"].upper().split("\\")]


def _is_scout(header: SliceHeader) -> bool:
    return not _SCOUTS.isdisjoint(_types(header))


def _is_screen(header: SliceHeader) -> bool:
    """A picture of a table or a console: made by software, or in color, and nowhere in the patient."""
    nowhere = header.position_mm is None and header.row_direction is None and header.pixel_spacing_mm is None
    told_wrong = any(fault.code == "GEOM_BAD_VALUE" for fault in header.faults)
    made_up = "DERIVED" in _types(header) or header.integers["SamplesPerPixel"] == 3
    return nowhere and made_up and not told_wrong


def _is_lossy(header: SliceHeader) -> bool:
    return header.texts["LossyImageCompression"] == "01" or header.transfer_syntax in _LOSSY


def _may_be_lossy(header: SliceHeader) -> bool:
    return header.texts["LossyImageCompression"] != "00" and header.transfer_syntax in _LOSSY_OR_NOT
