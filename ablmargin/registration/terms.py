"""What makes two exams agree: robust squared differences in picture and in distance to the liver's surface.

The robust loss is Cauchy's, s²/2 · log(1 + (r/s)²): it is r²/2 for small residuals and lets large ones go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ablmargin.geometry import Array, Geometry
from ablmargin.registration.pyramid import Level
from ablmargin.registration.sampling import Table

SURFACE_BAND_MM = 6.0
_SURFACE_SCALE_MM = 2.0
_SURFACE_CAP_MM = 12.0
_PICTURE_SCALE = 4.0
_GAIN_LIMITS = (0.25, 4.0)
_LEAST_SHARED_GAIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """Differences fixed - moving at n points, their robust weights (n,) and the moving side's slopes (n, 3) by mm."""

    weight: Array
    residual: Array
    slope: Array
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurfaceTerm:
    """The two liver surfaces must meet. Compared in a band around the fixed one, where both CTs have voxels."""

    voxels: Array
    """Flat indices of the band's voxels on the fixed grid."""
    points_mm: Array
    values: Array
    table: Table
    volume: float
    """Of a voxel, in units of 8 mm³, so that levels weigh alike."""

    @classmethod
    def between(cls, fixed: Level, moving: Level) -> SurfaceTerm:
        voxels = np.flatnonzero((np.abs(fixed.distance_mm) < SURFACE_BAND_MM) & fixed.seen)
        table = Table.with_gradient(moving.grid, moving.distance_mm, extra=[moving.seen])
        return cls(
            voxels=voxels,
            points_mm=points_of(fixed.grid, voxels),
            values=fixed.distance_mm.ravel()[voxels],
            table=table,
            volume=_volume(fixed.grid),
        )

    def residuals(self, moved_mm: Array, weight: float) -> Residuals:
        """At the moved points (n, 3), float32, in the moving frame."""
        samples = self.table.at(moved_mm)
        residual = np.clip(self.values - samples[:, 0], -_SURFACE_CAP_MM, _SURFACE_CAP_MM)
        return _robust(residual, samples[:, 1:4], weight * self.volume * samples[:, 4], _SURFACE_SCALE_MM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureTerm:
    """The two pictures must agree up to a gain, wherever both count."""

    voxels: Array
    points_mm: Array
    values: Array
    weights: Array
    table: Table

    @classmethod
    def between(cls, fixed: Level, moving: Level) -> PictureTerm:
        voxels = np.flatnonzero(fixed.counts)
        return cls(
            voxels=voxels,
            points_mm=points_of(fixed.grid, voxels),
            values=fixed.picture.ravel()[voxels],
            weights=np.full(len(voxels), _volume(fixed.grid), np.float32),
            table=Table.with_gradient(moving.grid, moving.picture, extra=[moving.counts]),
        )

    def weighted(self, weights: Array) -> PictureTerm:
        """The same with weights (n,) multiplied in."""
        return replace(self, weights=(self.weights * weights).astype(np.float32))

    def best_gain(self, samples: Array) -> float:
        """The factor on the moving picture that leaves the least squares: with it, the sum is a global correlation."""
        weight = samples[:, 4] * self.weights
        agree = (weight * self.values * samples[:, 0]).sum(dtype=float)
        return float(np.clip(agree / ((weight * samples[:, 0] ** 2).sum(dtype=float) + 1e-9), *_GAIN_LIMITS))

    def shared_gain(self, samples: Array) -> float:
        """The like factor when both pictures' means are taken off first: small where they share little but a mean."""
        weight = samples[:, 4] * self.weights
        total = weight.sum(dtype=float) + 1e-9
        fixed, moving = (part - (weight * part).sum(dtype=float) / total for part in (self.values, samples[:, 0]))
        agree = (weight * fixed * moving).sum(dtype=float) / ((weight * moving**2).sum(dtype=float) + 1e-9)
        return float(np.clip(agree, _LEAST_SHARED_GAIN, _GAIN_LIMITS[1]))

    def misfit(self, samples: Array, gain: float) -> float | None:
        """Mean square of the pictures' difference, where both count; None if that is nowhere."""
        weight = samples[:, 4] * self.weights
        if not weight.any():
            return None
        difference = self.values - np.float32(gain) * samples[:, 0]
        return float((weight * difference**2).sum(dtype=float) / weight.sum(dtype=float))

    def residuals(self, samples: Array, gain: float) -> Residuals:
        """From samples of the table at the moved points."""
        residual = self.values - np.float32(gain) * samples[:, 0]
        return _robust(residual, np.float32(gain) * samples[:, 1:4], samples[:, 4] * self.weights, _PICTURE_SCALE)


def points_of(grid: Geometry, voxels: Array) -> Array:
    """Centers of voxels, given by flat index, of a working grid: shape (n, 3), float32."""
    index = np.stack(np.unravel_index(voxels, grid.shape), axis=-1)
    return np.asarray(np.array(grid.origin_mm) + index * grid.spacing_mm[0], np.float32)


def _volume(grid: Geometry) -> float:
    return float((grid.spacing_mm[0] / 2.0) ** 3)


def _robust(residual: Array, slope: Array, weight: Array, scale: float) -> Residuals:
    ratio = 1.0 + (residual / np.float32(scale)) ** 2
    energy = 0.5 * scale**2 * float((weight * np.log(ratio)).sum(dtype=float))
    return Residuals(weight=weight / ratio, residual=residual, slope=slope, energy=energy)
