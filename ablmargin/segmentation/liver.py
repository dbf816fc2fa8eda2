"""The liver without a click and without weights: a random walker with priors on a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, Geometry, Triple
from ablmargin.itk import resample
from ablmargin.segmentation.livercore import find_core
from ablmargin.segmentation.liverdoubts import doubts_about
from ablmargin.segmentation.liverfill import filled
from ablmargin.segmentation.liverpasses import Found, Marks, grow
from ablmargin.segmentation.liverscene import Scene, Values, find_scene
from ablmargin.segmentation.liverseed import find_seed
from ablmargin.segmentation.plausible import truncation
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.segmentation.workgrid import WorkImage, edge_padded, work_image
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

METHOD = "random walker for the liver, version 1"
POINT_BALL_MM = 10.0
"""What lies so near to a point that a reader gave is taken to find the liver's level."""
MARK_MM = 5.0
SEED_BALL_MM = (10.0, 30.0)
NOTHING_FOUND = "No liver was found: the image holds no thick soft tissue of one gray level on the patient's right."


@dataclass(frozen=True, slots=True, kw_only=True)
class LiverWalker:
    """Finds the liver in a CT of the upper belly, with contrast agent or without; a point mends a wrong start.

    Parameters
    ----------
    spacing_mm : float
        Of the isotropic grid on which it works; the mask comes back on the image's own.
    """

    spacing_mm: float = 2.5

    @property
    def method(self) -> str:
        return METHOD

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,  # noqa: ARG002 - it is what is looked for
        lesions: Sequence[LabelMask] = (),
    ) -> Segmentation:
        """Propose the liver; see :class:`~ablmargin.segmentation.protocol.Segmenter`.

        Raises
        ------
        InputError
            PROMPT_OUTSIDE if a point lies outside of the image.
        """
        require_imaged(prompt, volume.geometry)
        image = work_image(volume, self.spacing_mm)
        scene = find_scene(image)
        marks = _marks(prompt, image)
        ball = _start(prompt, image, scene)
        if ball is None:
            return _nothing(volume)
        core = find_core(scene, ball & ~marks.outside)
        found = grow(scene, core, marks)
        given = _on_work_grid(lesions, image)
        whole = filled(scene, core.level, found, given) & ~marks.outside
        mask = _on_own_grid(_soft(whole, found), image, volume.geometry, lesions, prompt)
        caution = truncation(mask)
        doubts = doubts_about(scene, core, whole, truncated=caution is not None)
        return Segmentation(mask=mask, doubts=doubts, cautions=() if caution is None else (caution,))


def _marks(prompt: Prompt, image: WorkImage) -> Marks:
    return Marks(inside=_balls(prompt.all_inside_mm, MARK_MM, image), outside=_balls(prompt.outside_mm, MARK_MM, image))


def _balls(points_mm: Sequence[Triple], radius_mm: float, image: WorkImage) -> BoolArray:
    """Balls around points; a point's own voxel in any case."""
    voxels = np.zeros(image.hu.shape, np.bool_)
    for point in points_mm:
        voxels |= _ball(image.geometry.indices_at([point])[0], radius_mm, image)
    return voxels


def _ball(center: FloatArray, radius_mm: float, image: WorkImage) -> BoolArray:
    k, j, i = np.ogrid[: image.hu.shape[0], : image.hu.shape[1], : image.hu.shape[2]]
    squared = (k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2
    return np.asarray(squared <= max(radius_mm / image.spacing_mm, 1) ** 2)


def _start(prompt: Prompt, image: WorkImage, scene: Scene) -> BoolArray | None:
    """A ball in the liver: around the reader's points, or the most plausible one; None if there is none."""
    if not prompt.is_empty:
        return _balls(prompt.all_inside_mm, POINT_BALL_MM, image)
    seed = find_seed(image.hu, scene.trunk, image.spacing_mm)
    if seed is None:
        return None
    radius_mm = float(np.clip(0.8 * seed.radius_mm, *SEED_BALL_MM))
    return _ball(np.array(seed.center, float), radius_mm, image) & scene.trunk.body


def _on_work_grid(lesions: Sequence[LabelMask], image: WorkImage) -> BoolArray:
    together = np.zeros(image.hu.shape, np.bool_)
    for lesion in lesions:
        together |= resample(lesion.voxels, lesion.geometry, image.geometry) >= 0.5
    return together


def _soft(whole: BoolArray, found: Found) -> Values:
    """A smooth function that crosses one half at the liver's border, where the probability says between two voxels."""
    sure = np.where(whole, np.maximum(found.probability, 0.62), np.minimum(found.probability, 0.38))
    return np.asarray(ndimage.gaussian_filter(sure.astype(np.float32), 0.7))


def _on_own_grid(
    soft: Values, image: WorkImage, geometry: Geometry, lesions: Sequence[LabelMask], prompt: Prompt
) -> LabelMask:
    voxels = resample(*edge_padded(soft, image.geometry), geometry) >= 0.5
    for lesion in lesions:
        voxels |= lesion.voxels
    return _mask(voxels, geometry, prompt)


def _mask(voxels: BoolArray, geometry: Geometry, prompt: Prompt = NO_PROMPT) -> LabelMask:
    origin = MaskOrigin(source="automatic" if prompt.is_empty else "point", method=METHOD, reviewed=False)
    return LabelMask(voxels=voxels, geometry=geometry, structure=Structure.LIVER, origin=origin)


def _nothing(volume: Volume) -> Segmentation:
    empty = _mask(np.zeros(volume.geometry.shape, np.bool_), volume.geometry)
    return Segmentation(mask=empty, doubts=(NOTHING_FOUND,))
