"""A real CT made harder in known ways, for the benchmark of the liver: each variant with the mask that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, triple
from ablmargin.itk import resample
from ablmargin.volume import LabelMask, Volume

Change = Callable[["Exam"], "Exam"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """A CT and its liver."""

    volume: Volume
    liver: LabelMask


def variants(exam: Exam) -> Iterator[tuple[str, Exam]]:
    """The exam itself first; every change has a fixed seed."""
    filled = np.flatnonzero(exam.liver.voxels.any(axis=(1, 2)))
    first, last = int(filled[0]), int(filled[-1])
    third, slices = (last - first) // 3, exam.volume.geometry.shape[0]
    changes: dict[str, Change] = {
        "as it is": lambda exam: exam,
        "slices of 1.5 mm": lambda exam: _slices_of(exam, 1.5),
        "slices of 4 mm": lambda exam: _slices_of(exam, 4.0),
        "slices of 5 mm": lambda exam: _slices_of(exam, 5.0),
        "lower third cut off": lambda exam: _cut(exam, first + third, slices),
        "upper third cut off": lambda exam: _cut(exam, 0, last - third),
        "steatotic, 50 HU darker": lambda exam: _darker(exam, 50.0),
        "steatotic, 90 HU darker": lambda exam: _darker(exam, 90.0),
        "noise of 40 HU": lambda exam: _with_hu(exam, exam.volume.voxels_hu + _noise(exam, 40.0)),
        "8 bits, -200..250 HU": lambda exam: _clipped(exam, -200, 250),
        "8 bits, -100..155 HU": lambda exam: _clipped(exam, -100, 155),
        "8 bits, 0..255 HU": lambda exam: _clipped(exam, 0, 255),
        "axes turned around": _turned,
    }
    for seed, (diameter_mm, darker_hu) in enumerate(((55, 45), (50, 45), (45, 60), (55, 35)), start=1):
        changes[f"border lesion of {diameter_mm} mm, {darker_hu} HU darker"] = (
            lambda exam, seed=seed, size=diameter_mm, drop=darker_hu: _with_lesion(exam, seed, size, drop)
        )
    for name, change in changes.items():
        yield name, change(exam)


def _with_hu(exam: Exam, voxels_hu: Array) -> Exam:
    return replace(exam, volume=replace(exam.volume, voxels_hu=np.asarray(voxels_hu, np.float32)))


def _slices_of(exam: Exam, slice_mm: float) -> Exam:
    grid, hu = exam.volume.geometry, exam.volume.voxels_hu
    count = int((grid.shape[0] - 1) * grid.spacing_mm[0] // slice_mm) + 1
    other = replace(grid, shape=(count, *grid.shape[1:]), spacing_mm=(slice_mm, *grid.spacing_mm[1:]))
    if slice_mm > grid.spacing_mm[0]:
        hu = ndimage.gaussian_filter1d(hu, 0.4 * slice_mm / grid.spacing_mm[0], axis=0)
    voxels = resample(exam.liver.voxels, grid, other) >= 0.5
    return Exam(
        volume=Volume(voxels_hu=resample(hu, grid, other, fill=-1000.0).astype(np.float32), geometry=other),
        liver=replace(exam.liver, voxels=voxels, geometry=other),
    )


def _cut(exam: Exam, first: int, last: int) -> Exam:
    box = (first, 0, 0), (last, *exam.volume.geometry.shape[1:])
    return Exam(volume=exam.volume.cropped(*box), liver=exam.liver.cropped(*box))


def _darker(exam: Exam, drop_hu: float) -> Exam:
    return _with_hu(exam, exam.volume.voxels_hu - drop_hu * _softened(exam.liver.voxels, exam, 1.0))


def _clipped(exam: Exam, low_hu: float, high_hu: float) -> Exam:
    return _with_hu(exam, np.clip(np.round(exam.volume.voxels_hu), low_hu, high_hu))


def _noise(exam: Exam, sd_hu: float) -> Array:
    return np.random.default_rng(7).normal(0, sd_hu, exam.volume.geometry.shape)


def _turned(exam: Exam) -> Exam:
    """Slices from head to feet, columns from left to right: another handedness of nothing but the grid."""
    grid = exam.volume.geometry
    slices, rows, columns = grid.directions
    flipped = replace(
        grid,
        origin_mm=triple(grid.points_at([(grid.shape[0] - 1, 0, grid.shape[2] - 1)])[0]),
        directions=(triple(-np.array(slices)), rows, triple(-np.array(columns))),
    )
    return Exam(
        volume=Volume(voxels_hu=exam.volume.voxels_hu[::-1, :, ::-1], geometry=flipped),
        liver=replace(exam.liver, voxels=exam.liver.voxels[::-1, :, ::-1], geometry=flipped),
    )


def _with_lesion(exam: Exam, seed: int, diameter_mm: float, darker_hu: float) -> Exam:
    """An uneven dark lesion, cut by the capsule: its center lies a third of its diameter below it."""
    rng, spacing = np.random.default_rng(seed), np.array(exam.volume.geometry.spacing_mm)
    depth_mm = ndimage.distance_transform_edt(exam.liver.voxels, sampling=spacing)
    places = np.argwhere((depth_mm > 0.3 * diameter_mm) & (depth_mm < 0.36 * diameter_mm))
    center, radii = places[rng.integers(len(places))], diameter_mm / 2 * rng.uniform(0.88, 1.12, 3)
    index = np.ogrid[tuple(slice(0, size) for size in exam.liver.voxels.shape)]
    level = sum(((at - c) * step / r) ** 2 for at, c, step, r in zip(index, center, spacing, radii, strict=True))
    lesion = (level + 0.12 * _texture(rng, exam, 5.0) < 1) & exam.liver.voxels
    share = _softened(lesion, exam, 1.2) * exam.liver.voxels
    return _with_hu(exam, exam.volume.voxels_hu + share * (8.0 * _texture(rng, exam, 3.0) - darker_hu))


def _texture(rng: np.random.Generator, exam: Exam, correlation_mm: float) -> Array:
    spacing = np.array(exam.volume.geometry.spacing_mm)
    white = rng.standard_normal(exam.volume.geometry.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(white, correlation_mm / spacing)
    return smooth / smooth.std()


def _softened(mask: Array, exam: Exam, sigma_mm: float) -> Array:
    return ndimage.gaussian_filter(mask.astype(np.float32), sigma_mm / np.array(exam.volume.geometry.spacing_mm))
