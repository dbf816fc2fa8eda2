"""What the search for the liver looks at: the smoothed CT on its working grid, the trunk, and distances from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.morphology import distance_to
from ablmargin.segmentation.trunk import Trunk, find_trunk
from ablmargin.segmentation.workgrid import WorkImage

Values = NDArray[np.float32]

SPINE_MM = 14.0
"""Aorta, crura and psoas lie so near to the vertebrae."""
ABOVE_LUNG_BASE_MM = 20.0
"""So far above the lungs' lower surface, continued between them, a dome may reach; the heart lies there too."""
NEAR_WALL_MM = 4.0
NEAR_WALL_SHARE = 0.3
SKIN_MM, MUSCLE_MM = 5.0, 8.0
"""Muscle and cartilage below the fat: nothing else within the first, rarely beyond the sum."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """All arrays of shape (k, j, i), indices toward head, back and left, isotropic.

    Parameters
    ----------
    hu : ndarray of float32
        As measured.
    smooth : ndarray of float32
        HU between -200 and 400, noise taken out, edges kept.
    trunk : Trunk
    cavity : ndarray of bool
        The body without its wall and without gas.
    wall_mm, skin_mm, spine_mm : ndarray of float32
        Distances to the wall, to the skin's fat and to the vertebrae.
    above_lungs_mm : ndarray of float32
        Height above the lungs' base; very negative where that isn't known.
    spacing_mm : float
    """

    hu: Values
    smooth: Values
    trunk: Trunk
    cavity: BoolArray
    wall_mm: Values
    skin_mm: Values
    spine_mm: Values
    above_lungs_mm: Values
    spacing_mm: float

    @property
    def voxel_ml(self) -> float:
        return self.spacing_mm**3 / 1000.0

    @property
    def fat(self) -> BoolArray:
        return np.asarray(self.smooth < self.trunk.fat_hu + 5)


def find_scene(image: WorkImage) -> Scene:
    """Everything about the trunk that the search for the liver asks for."""
    spacing_mm = image.spacing_mm
    trunk = find_trunk(image.hu, spacing_mm)
    index = np.arange(image.hu.shape[0], dtype=np.float32)[:, None, None]
    return Scene(
        hu=image.hu,
        smooth=denoised(image.hu),
        trunk=trunk,
        cavity=trunk.body & ~trunk.wall & ~trunk.gas,
        wall_mm=distance_to(trunk.wall, spacing_mm),
        skin_mm=distance_to(trunk.skin, spacing_mm),
        spine_mm=distance_to(trunk.vertebrae, spacing_mm),
        above_lungs_mm=(index - trunk.lung_base[None]) * np.float32(spacing_mm),
        spacing_mm=spacing_mm,
    )


def denoised(hu: Values) -> Values:
    """Curvature-driven diffusion: smooths along edges, not across. Whitaker & Xue 2001, doi:10.1109/ICIP.2001.958131."""
    image = sitk.GetImageFromArray(np.clip(hu, -200, 400))
    smoothed = sitk.CurvatureAnisotropicDiffusion(
        image, timeStep=0.06, conductanceParameter=2.0, conductanceScalingUpdateInterval=1, numberOfIterations=8
    )
    return np.asarray(sitk.GetArrayFromImage(smoothed), np.float32)


def permission(scene: Scene, strictness: float) -> Values:
    """How far the place alone allows liver, 0..1.

    Parameters
    ----------
    scene : Scene
    strictness : float
        0..1: how much muscle looks like the liver, so that only its place below the skin tells it apart.
    """
    near_wall = 1 - (1 - NEAR_WALL_SHARE) * max(strictness, 0.3)
    allowed = np.clip(scene.wall_mm / NEAR_WALL_MM, near_wall, 1)
    allowed *= np.clip((scene.skin_mm - SKIN_MM) / MUSCLE_MM, 1 - strictness, 1)
    allowed *= np.clip(scene.spine_mm / SPINE_MM, 0.2, 1)
    allowed *= np.clip((ABOVE_LUNG_BASE_MM - scene.above_lungs_mm) / ABOVE_LUNG_BASE_MM, 0, 1)
    return np.asarray(allowed, np.float32)


def muscle_level_hu(scene: Scene) -> float | None:
    """Median HU of the chest wall's soft tissue; None where there is too little of it."""
    trunk = scene.trunk
    muscle = trunk.wall & ~trunk.bone & (scene.skin_mm > 4) & (scene.smooth > 0) & (scene.smooth < 100)
    return float(np.median(scene.smooth[muscle])) if muscle.sum() > 500 else None
