"""The grid on which organs are looked for: isotropic, along the patient's axes; and the way back to the image's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import Array, FloatArray, Geometry, triple, triples
from ablmargin.itk import resample
from ablmargin.volume import Volume

LOWEST_HU, HIGHEST_HU = -1024.0, 1500.0
"""What lies beyond is padding or metal and says no more than these."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkImage:
    """A CT on an isotropic grid whose indices grow toward head, back and left.

    Parameters
    ----------
    hu : ndarray of float32, shape (k, j, i)
        Averaged over the voxels, between -1024 and 1500.
    geometry : Geometry
    """

    hu: NDArray[np.float32]
    geometry: Geometry

    @property
    def spacing_mm(self) -> float:
        return self.geometry.spacing_mm[0]

    @property
    def voxel_ml(self) -> float:
        return self.geometry.voxel_volume_ml


def work_image(volume: Volume, spacing_mm: float) -> WorkImage:
    """The volume on an isotropic grid along the patient's axes, within the volume's own."""
    steps = [max(1, int(spacing_mm / own + 0.3)) for own in volume.geometry.spacing_mm]
    steps = [min(step, size) for step, size in zip(steps, volume.geometry.shape, strict=True)]
    averaged, source = block_means(volume.voxels_hu, volume.geometry, steps)
    np.clip(averaged, LOWEST_HU, HIGHEST_HU, out=averaged)
    grid = work_geometry(volume.geometry, spacing_mm)
    hu = resample(*edge_padded(averaged, source), grid, fill=LOWEST_HU)
    return WorkImage(hu=hu.astype(np.float32, copy=False), geometry=grid)


def work_geometry(own: Geometry, spacing_mm: float) -> Geometry:
    """An isotropic grid over the same space; its axes are those of ``own`` in the order and sense nearest to head, back, left."""
    axes = np.array(own.directions)
    order = _nearest_axes(axes)
    sense = np.array([np.sign(axes[order[at], 2 - at]) or 1.0 for at in range(3)])
    extent_mm = (np.array(own.shape) * own.spacing_mm)[order]
    shape = np.maximum(1, np.rint(extent_mm / spacing_mm).astype(int))
    directions = axes[order] * sense[:, None]
    first = own.center_mm - (directions * ((shape - 1) / 2 * spacing_mm)[:, None]).sum(axis=0)
    return replace(
        own,
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        origin_mm=triple(first),
        directions=triples(directions),
    )


def _nearest_axes(axes: FloatArray) -> list[int]:
    """Which of three axes runs along the body, which from front to back, which across: each taken once."""
    along = np.abs(axes)
    head = int(along[:, 2].argmax())
    back = max((at for at in range(3) if at != head), key=lambda at: along[at, 1])
    return [head, back, 3 - head - back]


def block_means(values: Array, geometry: Geometry, steps: list[int]) -> tuple[NDArray[np.float32], Geometry]:
    """Means over blocks of voxels, and their grid; what is left of the last, incomplete block is dropped."""
    means = np.asarray(values, np.float32)
    for axis in (2, 1, 0):
        means = _means_along(means, axis, steps[axis])
    first = geometry.points_at((np.array(steps) - 1) / 2)
    spacing = np.array(geometry.spacing_mm) * steps
    shape = (means.shape[0], means.shape[1], means.shape[2])
    grid = replace(geometry, shape=shape, spacing_mm=triple(spacing), origin_mm=triple(first))
    return (means.copy() if max(steps) == 1 else means), grid


def _means_along(values: NDArray[np.float32], axis: int, step: int) -> NDArray[np.float32]:
    if step == 1:
        return values
    count = values.shape[axis] // step
    every = (slice(None),) * axis
    total = values[(*every, slice(0, count * step, step))].copy()
    for at in range(1, step):
        total += values[(*every, slice(at, count * step, step))]
    total /= np.float32(step)
    return total


def edge_padded(values: Array, geometry: Geometry, width: int = 2) -> tuple[Array, Geometry]:
    """An array with its outer voxels repeated all around, and its grid."""
    padded = np.pad(values, width, mode="edge")
    first = geometry.points_at(np.full(3, -width))
    shape = (padded.shape[0], padded.shape[1], padded.shape[2])
    return padded, replace(geometry, shape=shape, origin_mm=triple(first))
