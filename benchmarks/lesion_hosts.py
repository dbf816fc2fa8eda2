"""Livers to paint lesions into: the digital phantom, and one real portal-venous CT."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, Geometry, triple
from ablmargin.loading import load_image, load_mask
from ablmargin.progress import silent
from ablmargin.simulation.ct import PORTAL_VENOUS, ct_noise, grid_points
from ablmargin.simulation.fields import Lattice, Points, Values
from ablmargin.simulation.liver import LiverShape
from ablmargin.simulation.organs import organs
from ablmargin.simulation.render import Anatomy, View, render
from ablmargin.simulation.vessels import HEPATIC_ROOTS, PATENT_RADIUS_MM, PORTAL_ROOTS, VesselTree, grow_tree
from ablmargin.volume import Structure

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CONTEXT_MM = 32.0
"""How much of the body is kept around a lesion."""
PIXEL_MM = 0.8
LIVER_BOX_MM = (np.array([-140.0, -95.0, -115.0]), np.array([105.0, 95.0, 100.0]))
BRIGHT_VESSEL_HU = 30.0
TEXTURE_MM, DENOISING_MM = 5.0, 1.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """A part of a body, before a lesion is painted into it.

    ``clean_hu`` and ``noise_hu`` add up to the CT; all arrays have the shape ``geometry.shape``.
    """

    geometry: Geometry
    clean_hu: NDArray[np.float32]
    noise_hu: NDArray[np.float32]
    liver: BoolArray
    liver_hu: float
    noise_sd_hu: float


class Host(Protocol):
    """A body with a liver."""

    def depth_mm(self, points_mm: FloatArray) -> FloatArray:
        """How deep points (n, 3) lie below the capsule; negative outside the liver."""
        ...

    def candidates_mm(self, rng: np.random.Generator) -> FloatArray:
        """Random points in the liver, (n, 3)."""
        ...

    def vessel_share(self, points_mm: FloatArray) -> float:
        """Share of points (n, 3) that lie in large vessels or in anything else that isn't parenchyma."""
        ...

    def ground(self, center_mm: FloatArray, reach_mm: float, slice_mm: float, rng: np.random.Generator) -> Ground:
        """What lies within a reach and the usual context of a center."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhantomHost:
    """A digital abdomen, rendered where it is asked for."""

    anatomy: Anatomy
    seed: int

    def depth_mm(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(-self.anatomy.liver.level(points_mm))

    def candidates_mm(self, rng: np.random.Generator) -> FloatArray:
        points = rng.uniform(*LIVER_BOX_MM, (4000, 3))
        return points[self.depth_mm(points) > 0]

    def vessel_share(self, points_mm: FloatArray) -> float:
        return float((self.anatomy.patent(points_mm) < 0).mean())

    def ground(self, center_mm: FloatArray, reach_mm: float, slice_mm: float, rng: np.random.Generator) -> Ground:
        half = reach_mm + CONTEXT_MM
        spacing = np.array([slice_mm, PIXEL_MM, PIXEL_MM])
        shape = np.ceil(2 * half / spacing).astype(int)
        corner = center_mm[::-1] - (shape - 1) / 2 * spacing + rng.uniform(-0.5, 0.5, 3) * spacing
        grid = Geometry(shape=triple_of(shape), spacing_mm=triple(spacing), origin_mm=triple(corner[::-1]))
        view = View(
            anatomy=self.anatomy,
            organs=organs(np.random.default_rng(self.seed), PORTAL_VENOUS, self.anatomy.liver, self.anatomy.fat),
            phase=PORTAL_VENOUS,
            tumors=(),
        )
        clean = render(view, grid, rng=rng, noise_sd_hu=0.0, progress=silent, step="")
        noise_sd = float(rng.uniform(10, 16)) * (2.5 / slice_mm) ** 0.5
        level = self.anatomy.liver.level(grid_points(grid, 0, grid.shape[0]))
        return Ground(
            geometry=grid,
            clean_hu=clean,
            noise_hu=ct_noise(rng, grid, sd_hu=noise_sd),
            liver=(level < 0).reshape(grid.shape),
            liver_hu=PORTAL_VENOUS.liver,
            noise_sd_hu=noise_sd,
        )


def triple_of(sizes: FloatArray) -> tuple[int, int, int]:
    """Three sizes as plain integers."""
    k, j, i = (int(size) for size in sizes)
    return k, j, i


@lru_cache(maxsize=2)
def phantom_host(seed: int) -> PhantomHost:
    """The abdomen of a seed."""
    rng = np.random.default_rng([seed, 77])
    liver = LiverShape.random(rng)
    portal, hepatic = (grow_tree(rng, roots, liver.smooth_level) for roots in (PORTAL_ROOTS, HEPATIC_ROOTS))
    both = VesselTree(segments=portal.segments + hepatic.segments, bifurcations_mm=portal.bifurcations_mm)
    low, high = LIVER_BOX_MM
    trunk = np.array([175.0, 125.0, 175.0])
    anatomy = Anatomy(
        liver=liver,
        portal=portal.field(),
        hepatic=hepatic.field(),
        patent=both.field(above_radius_mm=PATENT_RADIUS_MM),
        parenchyma=Lattice.noise(rng, low_mm=low, high_mm=high, step_mm=2.0, correlation_mm=TEXTURE_MM),
        fat=Lattice.noise(rng, low_mm=-trunk, high_mm=trunk, step_mm=4.0, correlation_mm=11.0),
    )
    return PhantomHost(anatomy=anatomy, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RealHost:
    """A real CT, split into what is seen through a narrow Gaussian and the rest, which stays as its noise."""

    geometry: Geometry
    clean_hu: NDArray[np.float32]
    noise_hu: NDArray[np.float32]
    depth: NDArray[np.float32]
    liver_hu: float
    noise_sd_hu: float

    def _at(self, values: NDArray[np.float32], points_mm: Points, beyond: float) -> Values:
        index = self.geometry.indices_at(points_mm).T
        return np.asarray(ndimage.map_coordinates(values, index, order=1, mode="constant", cval=beyond))

    def depth_mm(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(self._at(self.depth, points_mm, -99.0))

    def candidates_mm(self, rng: np.random.Generator) -> FloatArray:
        flat = rng.choice(np.flatnonzero(self.depth > 0), 1500)
        return self.geometry.points_at(np.stack(np.unravel_index(flat, self.geometry.shape), axis=-1))

    def vessel_share(self, points_mm: FloatArray) -> float:
        return float((np.abs(self._at(self.clean_hu, points_mm, -999.0) - self.liver_hu) > BRIGHT_VESSEL_HU).mean())

    def ground(self, center_mm: FloatArray, reach_mm: float, slice_mm: float, rng: np.random.Generator) -> Ground:  # noqa: ARG002
        start, stop = self.geometry.box_around(center_mm[None], pad_mm=reach_mm + CONTEXT_MM)
        part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return Ground(
            geometry=self.geometry.cropped(start, stop),
            clean_hu=self.clean_hu[part],
            noise_hu=self.noise_hu[part],
            liver=self.depth[part] > 0,
            liver_hu=self.liver_hu,
            noise_sd_hu=self.noise_sd_hu,
        )


@lru_cache(maxsize=1)
def real_host(data: Path) -> RealHost:
    """The portal-venous exam of the shared data, with its consensus liver."""
    volume = load_image(data / "hcc048_portal_venous").volume
    liver = load_mask(str(data / "hcc048_liver_consensus.nii.gz"), Structure.LIVER, onto=volume.geometry)
    raw = np.maximum(volume.voxels_hu, -1024.0)
    clean = ndimage.gaussian_filter(raw, np.array([0.6, 1, 1]) * DENOISING_MM / np.array(volume.geometry.spacing_mm))
    depth = np.full(raw.shape, -99.0, np.float32)
    start, stop = liver.bounding_box(pad_mm=15.0)
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    inside, spacing = liver.voxels[part], liver.geometry.spacing_mm
    depth[part] = ndimage.distance_transform_edt(inside, spacing) - ndimage.distance_transform_edt(~inside, spacing)
    deep = depth > 8.0
    return RealHost(
        geometry=volume.geometry,
        clean_hu=clean,
        noise_hu=raw - clean,
        depth=depth,
        liver_hu=float(np.median(raw[deep])),
        noise_sd_hu=float(np.median(np.abs(raw[deep] - np.median(raw[deep])))) * 1.4826,
    )
