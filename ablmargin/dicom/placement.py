"""Slices that don't lie on a box of voxels as they are: sheared by a tilted gantry, unevenly spaced, or at rounded positions.

A tilted gantry moves each slice within its own plane. So each is moved back there and no value travels from one slice to
another: positions are exact, values are interpolated linearly between neighboring pixels. Uneven slices are accepted on
purpose only; between two slices values are interpolated linearly as well. So they are where positions were rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import FloatArray, Geometry, triple, triples

_DUST = 1e-9
_STILL = 1e-4
"""Pixels: moving a slice by less would change nothing but its noise."""
_NUDGE = 0.1
"""Slices moved by less, in pixels and planes, are still the grid's own: positions were rounded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Where slices lie on the grid of the volume.

    Parameters
    ----------
    planes : ndarray, shape (n,)
        Index of each slice along the volume's first axis, increasing; fractions allowed.
    shifts : ndarray, shape (n, 2)
        Row and column index of each slice's first pixel; fractions allowed. Negative by rounding only.
    """

    planes: FloatArray
    shifts: FloatArray

    @property
    def is_plain(self) -> bool:
        """Whether the slices, one after the other, are the volume."""
        return not self.shifts.any() and bool(np.array_equal(self.planes, np.arange(len(self.planes))))

    @property
    def is_even(self) -> bool:
        """Whether each slice lies in its own plane of the volume, but for rounding."""
        return bool(np.abs(self.planes - np.arange(len(self.planes))).max() < _NUDGE)

    @property
    def is_nudged(self) -> bool:
        """Whether no slice is moved within its plane, but for rounding."""
        return bool(np.abs(self.shifts).max() < _NUDGE)


def fit(
    local_mm: FloatArray,
    planes: FloatArray,
    *,
    axes: FloatArray,
    matrix: tuple[int, int],
    pixel_mm: tuple[float, float],
    frame_uid: str | None,
    sheared: bool,
) -> tuple[Geometry, Placement]:
    """The grid that fits the slices best, and where they lie on it.

    Parameters
    ----------
    local_mm : ndarray, shape (n, 3)
        Center of each slice's first pixel along the axes, in mm.
    planes : ndarray, shape (n,)
        Index of each slice along the normal, increasing; fractions allowed.
    axes : ndarray, shape (3, 3)
        Row direction (where columns grow), column direction and normal, LPS, orthonormal.
    matrix, pixel_mm : pairs
        Rows and columns; distance of the rows, then of the columns.
    sheared : bool
        Place each slice in its plane by its own position, and not by the mean of all.
    """
    centered = planes - planes.mean()
    spacing = round(float(centered @ local_mm[:, 2] / (centered @ centered)), 9)
    corner = local_mm.min(axis=0) if sheared else local_mm.mean(axis=0)
    corner[2] = local_mm[:, 2].mean() - planes.mean() * spacing
    shifts = (local_mm - corner)[:, 1::-1] / pixel_mm if sheared else np.zeros((len(local_mm), 2))
    shifts[np.abs(shifts) < _DUST] = 0.0
    rows, columns = (matrix + np.ceil(shifts.max(axis=0))).astype(int).tolist()
    geometry = Geometry(
        shape=(int(planes[-1] + _DUST) + 1, rows, columns),
        spacing_mm=(spacing, *pixel_mm),
        origin_mm=triple((corner @ axes).round(9)),
        directions=triples(axes[[2, 1, 0]]),
        frame_uid=frame_uid,
    )
    return geometry, Placement(planes=planes, shifts=shifts)


def placement_of(positions_mm: FloatArray, geometry: Geometry) -> Placement:
    """Where slices lie on a grid by their own first pixels, (n, 3) in LPS mm."""
    index = geometry.indices_at(positions_mm)
    shifts = index[:, 1:]
    shifts[np.abs(shifts) < _STILL] = 0.0
    return Placement(planes=index[:, 0], shifts=shifts)


def placed(
    slices_hu: NDArray[np.float32], placement: Placement, shape: tuple[int, int, int], *, outside_hu: float
) -> NDArray[np.float32]:
    """Slices, shape (n, rows, columns), on the volume's grid; ``outside_hu`` where none was scanned."""
    if placement.is_plain:
        return slices_hu
    straight = np.full((len(slices_hu), *shape[1:]), outside_hu, np.float32)
    beyond: Literal["nearest", "constant"] = "nearest" if placement.is_nudged else "constant"
    for target, source, shift in zip(straight, slices_hu, placement.shifts, strict=True):
        target[: source.shape[0], : source.shape[1]] = source
        if shift.any():
            target[:] = ndimage.shift(target, shift, order=1, mode=beyond, cval=outside_hu)
    return _between_planes(straight, placement.planes, shape[0])


def _between_planes(slices: NDArray[np.float32], planes: FloatArray, count: int) -> NDArray[np.float32]:
    if len(slices) == count and np.array_equal(planes, np.arange(count)):
        return slices
    volume = np.empty((count, *slices.shape[1:]), np.float32)
    for k in range(count):
        below = min(int(np.searchsorted(planes, k + _DUST)) - 1, len(planes) - 2)
        share = np.float32((k - planes[below]) / (planes[below + 1] - planes[below]))
        volume[k] = (1 - share) * slices[below] + share * slices[below + 1]
    return volume
