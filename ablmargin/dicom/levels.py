"""Whether the values of a slice with a rescale of its own go on from those of its neighbors: if it is wrong, they don't."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.text import attribute
from ablmargin.errors import Fault
from ablmargin.geometry import Array
from ablmargin.loaded import AIR_HU

JUMP_HU = 250.0
"""No body changes by this over half of two neighboring slices. Real ones: 14 HU, and 4 HU in air."""
_AIR_BELOW_HU, _LEAST_AIR = -500.0, 0.05
_STEP = 8


def level_faults(slices_hu: Array, headers: Sequence[SliceHeader]) -> list[Fault]:
    """HU_IMPLAUSIBLE for each slice whose rescale differs from a neighbor's and whose values jump against it, by every eighth pixel.

    Under one rescale values may jump: where a phantom begins.

    Parameters
    ----------
    slices_hu : array, shape (n, rows, columns)
        In the order of the body.
    headers : sequence of SliceHeader
        Of these slices.
    """
    rescales = [(header.rescale_slope, header.rescale_intercept_hu) for header in headers]
    usual = Counter(rescales)
    faults: dict[int, Fault] = {}
    for below, above in itertools.pairwise(range(len(headers))):
        if rescales[below] == rescales[above]:
            continue
        jump_hu = _jump_hu(*(slices_hu[index, ::_STEP, ::_STEP] for index in (below, above)))
        if jump_hu > JUMP_HU:
            odd, other = (below, above) if usual[rescales[below]] < usual[rescales[above]] else (above, below)
            faults.setdefault(odd, _fault(headers[odd], headers[other], jump_hu))
    return list(faults.values())


def _jump_hu(below: Array, above: Array) -> float:
    """The middle difference of two slices where at least one was scanned; or that of their air, if it is larger."""
    scanned = (below != AIR_HU) | (above != AIR_HU)
    apart = np.abs(above - below)[scanned]
    if not apart.size:
        return 0.0
    jump_hu = float(np.median(apart))
    airy = (np.minimum(below, above) < _AIR_BELOW_HU)[scanned]
    if airy.mean() > _LEAST_AIR:
        return max(jump_hu, float(np.median(apart[airy])))
    return jump_hu


def _fault(odd: SliceHeader, other: SliceHeader, jump_hu: float) -> Fault:
    return Fault(
        code="HU_IMPLAUSIBLE",
        source=odd.source,
        found=f"values under another rescale that lie {jump_hu:.0f} HU from those of the neighboring {other.source}",
        expected="Hounsfield units that go on from slice to slice",
        remedy="Export the series again from the scanner or PACS, with its original pixel values and rescale.",
        attribute=attribute("RescaleIntercept"),
    )
