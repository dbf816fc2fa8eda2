"""A tumor or an ablation zone from a reader's prompt, without learned weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import BoolArray, FloatArray, Geometry
from ablmargin.itk import resample
from ablmargin.segmentation.lesion_doubts import NOTHING_FOUND, doubts_about_axis, doubts_about_click
from ablmargin.segmentation.lesion_search import (
    ALONG_AXIS,
    COARSE,
    RADII_MM,
    Candidate,
    Expected,
    Scene,
    from_axis,
    from_click,
    of_size,
    refined,
)
from ablmargin.segmentation.lesion_solid import Solid
from ablmargin.segmentation.lesion_trust import Trust, trust_in
from ablmargin.segmentation.prompts import require_prompt
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

METHOD = "histograms and a shape prior, version 2"
LEAST_SD_MM = 1.1
"""What moved prompts don't show: a surface found from an axis is off by 0.85 mm on average (median of 120)."""
MOVED_MM = 1.6
OTHER_SIZE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSegmenter:
    """Proposes a tumor or an ablation zone from its long axis or from a click inside.

    Parameters
    ----------
    structure : Structure
        TUMOR or ABLATION_ZONE.
    """

    structure: Structure = Structure.TUMOR

    @property
    def method(self) -> str:
        return METHOD

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,
        lesions: Sequence[LabelMask] = (),  # noqa: ARG002  (part of the protocol)
    ) -> Segmentation:
        """Propose a mask on the volume's grid; see :class:`~ablmargin.segmentation.protocol.Segmenter`."""
        require_prompt(prompt, volume.geometry, self.structure)
        found = _found(Scene.of(volume, liver, prompt), prompt, self.structure)
        if found is None:
            return Segmentation(mask=self._mask(volume.geometry), doubts=(NOTHING_FOUND,))
        solid, trust = found
        return Segmentation(mask=self._mask(volume.geometry, solid, trust), doubts=self._doubts(trust, prompt))

    def _doubts(self, trust: Trust, prompt: Prompt) -> tuple[str, ...]:
        if prompt.axis_mm is not None:
            return doubts_about_axis(trust)
        return doubts_about_click(trust, self.structure, largest_mm=max(RADII_MM[self.structure]))

    def _mask(self, grid: Geometry, solid: Solid | None = None, trust: Trust | None = None) -> LabelMask:
        sd = None if trust is None else max(trust.sd_mm, LEAST_SD_MM)
        origin = MaskOrigin(source="point", method=self.method, reviewed=False, contour_sd_mm=sd)
        voxels = np.zeros(grid.shape, np.bool_) if solid is None else _on_grid(solid, grid)
        return LabelMask(voxels=voxels, geometry=grid, structure=self.structure, origin=origin)


def _found(scene: Scene, prompt: Prompt, structure: Structure) -> tuple[Solid, Trust] | None:
    if prompt.axis_mm is not None:
        return _found_along(scene, np.array(prompt.axis_mm), ALONG_AXIS[structure])
    return _found_at(scene, np.array(prompt.all_inside_mm[0]), RADII_MM[structure])


def _found_along(scene: Scene, ends_mm: FloatArray, expected: Expected) -> tuple[Solid, Trust] | None:
    solid = from_axis(scene, ends_mm, expected)
    if solid is None:
        return None
    moved = [from_axis(scene, ends, expected, detail=COARSE) for ends in moved_axes(ends_mm)]
    return solid, trust_in(solid, moved)


def _found_at(scene: Scene, point_mm: FloatArray, radii_mm: tuple[float, ...]) -> tuple[Solid, Trust] | None:
    candidates = from_click(scene, point_mm, radii_mm=radii_mm)
    if not candidates:
        return None
    best = candidates[0].solid
    solid = refined(scene, best, point_mm)
    moved = [of_size(scene, point, best.radius_mm) for point in moved_clicks(solid, point_mm)]
    return solid, trust_in(solid, moved, rival=_rival(candidates), clicked_mm=point_mm)


def _rival(candidates: Sequence[Candidate]) -> float:
    """How distinct the best candidate of quite another size is, as a share of the best one's distinction."""
    best = candidates[0]
    others = [one for one in candidates[1:] if abs(np.log(one.solid.radius_mm / best.solid.radius_mm)) > OTHER_SIZE]
    return max((one.distinction for one in others), default=0.0) / max(best.distinction, 1e-6)


def moved_axes(ends_mm: FloatArray) -> list[FloatArray]:
    """The axis as other readers might draw it: each end moved to and fro in six ways, shape (2, 3) each."""
    along = (ends_mm[1] - ends_mm[0]) / np.linalg.norm(ends_mm[1] - ends_mm[0])
    aside = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    aside /= np.linalg.norm(aside)
    step = min(MOVED_MM, 0.2 * float(np.linalg.norm(ends_mm[1] - ends_mm[0])))
    ways = (along, aside, np.cross(along, aside))
    return [ends_mm + step * np.stack([way, sign * way]) for way in ways for sign in (1.0, -1.0)]


def moved_clicks(solid: Solid, point_mm: FloatArray) -> list[FloatArray]:
    """Six other places to click at, around the middle between the click and the solid's center."""
    middle, step = (point_mm + solid.center_mm) / 2, 0.4 * solid.radius_mm
    return [middle + sign * step * way for way in np.eye(3) for sign in (1.0, -1.0)]


def _on_grid(solid: Solid, grid: Geometry) -> BoolArray:
    """The voxels of a grid whose centers lie inside."""
    voxels = np.zeros(grid.shape, np.bool_)
    start, stop = grid.box_around(solid.patch.geometry.corners_mm)
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    voxels[part] = resample(solid.inside_mm, solid.patch.geometry, grid.cropped(start, stop), fill=-1.0) > 0
    return voxels
