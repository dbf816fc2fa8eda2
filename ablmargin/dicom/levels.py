"""Whether the values of each slice go on from those of its neighbors: a slice with a wrong rescale doesn't."""

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
    """HU_IMPLAUSIBLE for each slice whose values jump against those of its neighbors, by every eighth pixel.

    Parameters
    ----------
    slices_hu : array, shape (n, rows, columns)
        In the order of the body.
    headers : sequence of SliceHeader
        Of these slices. Where two neighbors differ in their rescale, their air is compared by itself.
    """
    rescales = [(header.rescale_slope, header.rescale_intercept_hu) for header in headers]
    usual = Counter(rescales)
    faults: dict[int, Fault] = {}
    for below, above in itertools.pairwise(range(len(headers))):
        rescaled = rescales[below] != rescales[above]
        jump_hu = _jump_hu(*(slices_hu[index, ::_STEP, ::_STEP] for index in (below, above)), with_air=rescaled)
        if jump_hu > JUMP_HU:
            odd, other = (below, above) if usual[rescales[below]] < usual[rescales[above]] else (above, below)
            faults.setdefault(odd, _fault(headers[odd], headers[other], jump_hu, rescaled=rescaled))
    return list(faults.values())


def _jump_hu(below: Array, above: Array, *, with_air: bool) -> float:
    """The middle difference of two slices where at least one was scanned; or that of their air, if it is larger."""
    scanned = (below != AIR_HU) | (above != AIR_HU)
    apart = np.abs(above - below)[scanned]
    if not apart.size:
        return 0.0
    jump_hu = float(np.median(apart))
    airy = (np.minimum(below, above) < _AIR_BELOW_HU)[scanned]
    if with_air and airy.mean() > _LEAST_AIR:
        return max(jump_hu, float(np.median(apart[airy])))
    return jump_hu


def _fault(odd: SliceHeader, other: SliceHeader, jump_hu: float, *, rescaled: bool) -> Fault:
    because = " under another rescale" if rescaled else ""
    return Fault(
        code="HU_IMPLAUSIBLE",
        source=odd.source,
        found=f"values{because} that lie {jump_hu:.0f} HU from those of the neighboring {other.source}",
        expected="Hounsfield units that go on from slice to slice",
        remedy="Export the series again from the scanner or PACS, with its original pixel values and rescale.",
        attribute=attribute("RescaleIntercept"),
    )
