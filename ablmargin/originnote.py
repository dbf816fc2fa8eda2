"""A mask's origin as a line of text, so that a proposal of the software doesn't turn into a reader's mask in a file.

The line is ``ablmargin:SOURCE:REVIEWED:SD:CHECKSUM:METHOD``, ASCII. It holds nothing of the patient. The checksum is that
of the voxels: where it differs, somebody has changed the mask since.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import cast

import numpy as np
from scipy.optimize import linear_sum_assignment

from ablmargin.errors import printable
from ablmargin.volume import LabelMask, MaskSource

LONGEST = 79
"""Characters that the description of a NIfTI file holds."""

_NOTE = re.compile(r"ablmargin:(reader|point|automatic):(yes|no):(-|\d+\.\d\d):(-|[0-9a-f]{8}):(.*)")


def note_of(mask: LabelMask, *, checked: bool = True) -> str:
    """The line for a mask that the software made; "" for a reader's, which needs none.

    Parameters
    ----------
    checked : bool
        Whether the format gives back the same voxels. If not, the line can't tell later changes, and no review outlives it.
    """
    origin = mask.origin
    if origin.source == "reader":
        return ""
    reviewed = "yes" if origin.reviewed else "no"
    sd = "-" if origin.contour_sd_mm is None else f"{origin.contour_sd_mm:.2f}"
    checksum = checksum_of(mask) if checked else "-"
    method = origin.method.encode("ascii", "replace").decode()
    return f"ablmargin:{origin.source}:{reviewed}:{sd}:{checksum}:{method}"[:LONGEST].strip()


def with_note(mask: LabelMask, note: str) -> LabelMask:
    """A mask that was read, with the origin that a line beside it tells; the mask itself if there is no such line."""
    match = _NOTE.fullmatch(note.strip())
    if match is None:
        return mask
    source, reviewed, sd, checksum, method = match.groups()
    found = checksum_of(mask)
    edited = checksum not in {"-", found}
    origin = replace(
        mask.origin,
        source=cast("MaskSource", source),
        reviewed=reviewed == "yes" and checksum == found,
        contour_sd_mm=None if sd == "-" else float(sd),
        method=method or mask.origin.method,
        edited=edited,
    )
    return replace(mask, origin=origin)


def with_algorithm(mask: LabelMask, note: str, *, kind: str, name: str) -> LabelMask:
    """A mask from a DICOM object, with the origin that our line tells, or else what the object says of its algorithm.

    Parameters
    ----------
    kind : str
        SegmentAlgorithmType (0062,0008) or ROIGenerationAlgorithm (3006,0036). AUTOMATIC: nobody has reviewed it, as far
        as the object tells. SEMIAUTOMATIC is what other programs call a reader's work with tools.
    name : str
        What the object calls its algorithm; may be empty.
    """
    told = with_note(mask, note)
    if told is not mask or kind != "AUTOMATIC":
        return told
    method = printable(name) or "a program that doesn't say its name"
    return replace(mask, origin=replace(mask.origin, source="automatic", reviewed=False, method=method))


def checksum_of(mask: LabelMask) -> str:
    """CRC-32 of the voxels in the box around them, eight hexadecimal digits.

    The same for a soft mask and its hard one, and on grids that are cropped, turned by right angles or mirrored: formats
    order slices, rows and columns differently.
    """
    if mask.is_empty:
        return f"{0:08x}"
    start, stop = replace(mask, fractions=None).bounding_box()
    axes = np.array(mask.geometry.directions)
    _, order = linear_sum_assignment(-np.abs(axes).T)  # which array axis runs most along x, y and z
    backward = tuple(world for world, axis in enumerate(order.tolist()) if axes[axis, world] < 0)
    voxels = np.flip(mask.cropped(start, stop).voxels.transpose(order), backward)
    return f"{zlib.crc32(np.packbits(voxels).tobytes()):08x}"
