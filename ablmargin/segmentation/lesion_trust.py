"""Whether a proposed solid can be trusted: what its border, its rivals and its answers to moved prompts tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, FloatArray
from ablmargin.segmentation.lesion_patch import SOFT_TISSUE_HU
from ablmargin.segmentation.lesion_solid import Solid

BORDER_MM = 3.0
"""Tissue this near to the surface is compared across it."""
EDGE_SHARE = 0.3
"""A place of the surface has an edge if the step there is this share of the step over the whole border."""
EDGE_STEP_MM = 2.0
RIM_MM, BEYOND_RIM_MM = (0.5, 2.5), (4.0, 9.0)
"""How far outside a rim is looked for, and what it is compared with."""
FARTHEST_MM = 6.0
"""Moved answers that lie farther off count as this far off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What speaks for and against a solid.

    Parameters
    ----------
    contrast_hu, noise_hu : float
        Step of the median across the surface, and the noise of the slightly smoothed image.
    edge_share : float
        Share of the surface with an edge in that direction.
    distinction : float
        Mean log ratio of how often an HU occurs inside and around.
    agreement : float
        Mean Dice with the answers to moved prompts.
    sd_mm : float
        Standard deviation of the surface under moved prompts.
    rival : float
        Distinction of the best candidate of quite another size, as a share of the chosen one's.
    radius_mm : float
    rim_hu : float
        By how much a thin layer around differs from what is farther out, positive if away from what is inside.
    off_center : float
        How far from its center the click lies, as a share of its radius.
    """

    contrast_hu: float
    noise_hu: float
    edge_share: float
    distinction: float
    agreement: float
    sd_mm: float
    rival: float
    radius_mm: float
    rim_hu: float
    off_center: float

    @property
    def contrast_to_noise(self) -> float:
        return abs(self.contrast_hu) / self.noise_hu


def trust_in(
    solid: Solid, moved: Sequence[Solid | None], *, rival: float = 0.0, clicked_mm: FloatArray | None = None
) -> Trust:
    """Measure how far a solid can be trusted.

    Parameters
    ----------
    solid : Solid
    moved : sequence of Solid or None
        What the same method finds with moved prompts.
    rival : float
        Distinction of the best candidate of quite another size, as a share of the chosen one's.
    clicked_mm : ndarray, shape (3,), optional
        Where the reader clicked.
    """
    off = np.zeros(3) if clicked_mm is None else clicked_mm - solid.center_mm
    contrast = _contrast_hu(solid)
    return Trust(
        contrast_hu=contrast,
        noise_hu=solid.patch.noise_sd_hu,
        edge_share=_edge_share(solid, contrast),
        distinction=solid.distinction(),
        agreement=float(np.mean([_dice(solid, other) for other in moved])),
        sd_mm=_surface_sd_mm(solid, moved),
        rival=rival,
        radius_mm=solid.radius_mm,
        rim_hu=_rim_hu(solid),
        off_center=float(np.linalg.norm(off)) / solid.radius_mm,
    )


def _contrast_hu(solid: Solid) -> float:
    """How much brighter it is just inside the surface than just outside; negative for a dark lesion."""
    hu, inside = solid.patch.hu, solid.inside_mm
    within = hu[(inside > 0) & (inside <= BORDER_MM)]
    around = hu[(inside <= 0) & (inside > -BORDER_MM) & solid.patch.is_image]
    return float(np.median(within) - np.median(around)) if len(within) and len(around) else 0.0


def _rim_hu(solid: Solid) -> float:
    """How much more a thin layer around differs from the core than the liver beyond it does: a bright rim, a dark one."""
    hu, outside = solid.patch.hu, -solid.inside_mm
    tissue = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    layers = [hu[tissue & (outside > low) & (outside <= high)] for low, high in (RIM_MM, BEYOND_RIM_MM)]
    core = hu[solid.voxels]
    if not all(len(values) for values in (*layers, core)):
        return 0.0
    rim, beyond = (float(np.median(values)) for values in layers)
    return (rim - beyond) * (1.0 if beyond >= float(np.median(core)) else -1.0)


def _edge_share(solid: Solid, contrast_hu: float) -> float:
    points, normals = _surface(solid)
    step = EDGE_STEP_MM * normals
    rise = solid.patch.at(solid.patch.hu, points - step) - solid.patch.at(solid.patch.hu, points + step)
    return float((np.sign(contrast_hu) * rise > EDGE_SHARE * abs(contrast_hu)).mean())


def _surface(solid: Solid) -> tuple[FloatArray, FloatArray]:
    """Points on the surface and outward unit normals there, (n, 3) each, LPS mm."""
    smooth = ndimage.gaussian_filter(solid.inside_mm, 1.0)
    near = np.abs(solid.inside_mm) <= 0.75 * solid.patch.spacing_mm
    index = np.argwhere(near)
    inward = np.stack([part[near] for part in np.gradient(smooth)], axis=1)[:, ::-1]
    normals = -inward / np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    points = solid.patch.geometry.points_at(index) + normals * solid.inside_mm[near][:, None]
    return points, normals


def _on(solid: Solid, points_mm: FloatArray) -> Array:
    """Signed distance of points (n, 3) to another solid's surface, positive inside it."""
    index = solid.patch.geometry.indices_at(points_mm).T
    return np.asarray(ndimage.map_coordinates(solid.inside_mm, index, order=1, mode="nearest"))


def _surface_sd_mm(solid: Solid, moved: Sequence[Solid | None]) -> float:
    """Root mean square distance of the moved answers' surfaces from this one's."""
    points, _ = _surface(solid)
    far = np.full(len(points), FARTHEST_MM)
    off = [far if other is None else np.clip(_on(other, points), -FARTHEST_MM, FARTHEST_MM) for other in moved]
    return float(np.sqrt(np.mean(np.square(off))))


def _dice(solid: Solid, other: Solid | None) -> float:
    if other is None:
        return 0.0
    here = solid.patch.geometry.points_at(np.argwhere(solid.voxels))
    common = float((_on(other, here) > 0).sum()) * solid.patch.spacing_mm**3
    return min(2 * common / (solid.volume_mm3 + other.volume_mm3), 1.0)
