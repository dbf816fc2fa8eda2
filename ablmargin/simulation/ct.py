"""What CT makes of tissue: Hounsfield units by contrast phase, and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import Geometry
from ablmargin.simulation.fields import Points, Values

AIR_HU = -1000.0
FAT_HU = -100.0
LUNG_HU = -840.0
BILE_HU = 8.0
FLUID_HU = 18.0
BONE_HU = 520.0
MARROW_HU = 190.0
GAS_HU = -350.0
"""Gas bubbles of an ablation zone, smaller than a voxel: a mixture with tissue."""
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
SLAB_POINTS = 250_000
"""How many voxels are painted at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Mean HU of the tissues in one contrast phase. ``rim`` is added around the ablation zone (hyperemia)."""

    name: str
    liver: float
    portal_vein: float
    hepatic_vein: float
    tumor: float
    muscle: float
    spleen: float
    cortex: float
    medulla: float
    heart: float
    aorta: float
    cava: float
    bowel_wall: float
    pancreas: float
    zone: float
    rim: float


PORTAL_VENOUS = Phase(
    name="portal venous",
    liver=110, portal_vein=168, hepatic_vein=162, tumor=70, muscle=60, spleen=122, cortex=185, medulla=165,
    heart=150, aorta=160, cava=150, bowel_wall=85, pancreas=98, zone=45, rim=16,
)  # fmt: skip
LATE_PORTAL_VENOUS = Phase(
    name="portal venous",
    liver=102, portal_vein=148, hepatic_vein=146, tumor=72, muscle=60, spleen=110, cortex=168, medulla=165,
    heart=134, aorta=140, cava=140, bowel_wall=80, pancreas=86, zone=43, rim=18,
)  # fmt: skip
ARTERIAL = Phase(
    name="arterial",
    liver=76, portal_vein=108, hepatic_vein=62, tumor=64, muscle=56, spleen=132, cortex=205, medulla=95,
    heart=230, aorta=310, cava=75, bowel_wall=95, pancreas=112, zone=44, rim=26,
)  # fmt: skip
DELAYED = Phase(
    name="delayed",
    liver=92, portal_vein=109, hepatic_vein=108, tumor=74, muscle=62, spleen=96, cortex=165, medulla=170,
    heart=106, aorta=108, cava=108, bowel_wall=68, pancreas=78, zone=44, rim=20,
)  # fmt: skip
UNENHANCED = Phase(
    name="unenhanced",
    liver=58, portal_vein=42, hepatic_vein=42, tumor=44, muscle=52, spleen=48, cortex=34, medulla=32,
    heart=42, aorta=42, cava=42, bowel_wall=38, pancreas=42, zone=52, rim=0,
)  # fmt: skip

PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "portal": PORTAL_VENOUS,
        "late-portal": LATE_PORTAL_VENOUS,
        "arterial": ARTERIAL,
        "delayed": DELAYED,
        "unenhanced": UNENHANCED,
    }
)


def blend(hu: Values, share: Values, tissue_hu: Values | float) -> Values:
    """Paint a tissue over HU values, to a share of 0 to 1 at each point."""
    kind = hu.dtype
    return np.asarray(hu + share.astype(kind) * (np.asarray(tissue_hu, kind) - hu))


def ct_noise(rng: np.random.Generator, geometry: Geometry, *, sd_hu: float) -> NDArray[np.float32]:
    """Noise as filtered back-projection leaves it, shape ``geometry.shape``.

    Its spectrum in the slice rises like a ramp and falls with a soft-tissue kernel (peak near 0.25 cycles per mm);
    neighboring slices overlap a little; it is weakest near the edges of the image.
    """
    noise = rng.standard_normal(geometry.shape, dtype=np.float32)
    kernel = _spectrum(geometry)
    for k, white in enumerate(noise):
        noise[k] = np.fft.irfft2(np.fft.rfft2(white) * kernel, s=white.shape)
    noise[1:] += 0.3 * noise[:-1]
    noise *= np.float32(sd_hu / noise.std()) * _center_weight(geometry)
    return noise


def _spectrum(geometry: Geometry) -> NDArray[np.float32]:
    _, rows, columns = geometry.shape
    _, row_mm, column_mm = geometry.spacing_mm
    frequency = np.hypot(np.fft.fftfreq(rows, row_mm)[:, None], np.fft.rfftfreq(columns, column_mm)[None])
    return np.asarray((frequency + 0.03) * np.exp(-((frequency / 0.33) ** 2)), np.float32)


def _center_weight(geometry: Geometry) -> NDArray[np.float32]:
    _, rows, columns = geometry.shape
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    return np.asarray(0.6 + 0.5 * np.exp(-2.5 * (x**2 + 1.6 * y**2)), np.float32)


def grid_points(geometry: Geometry, first: int, last: int, *, slice_offset: float = 0.0) -> Points:
    """Voxel centers of slices ``first`` to ``last - 1``, shape (n, 3), float32; shifted by a share of a slice."""
    _, rows, columns = geometry.shape
    k, j, i = np.meshgrid(
        np.arange(first, last, dtype=np.float32) + np.float32(slice_offset),
        np.arange(rows, dtype=np.float32),
        np.arange(columns, dtype=np.float32),
        indexing="ij",
    )
    matrix = geometry.affine.astype(np.float32)
    index = np.stack([k.ravel(), j.ravel(), i.ravel()], axis=1)
    return np.asarray(index @ matrix[:3, :3].T + matrix[:3, 3])
