"""A tumor or an ablation zone from a reader's prompt, without learned weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.errors import Fault, InputError
from ablmargin.geometry import BoolArray, FloatArray, Geometry
from ablmargin.itk import resample
from ablmargin.segmentation.lesion_search import Scene, from_axis, from_click, refined
from ablmargin.segmentation.lesion_solid import Solid
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

METHOD = "histograms and a shape prior, version 1"


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
        solid = _found(Scene.of(volume, liver, prompt), prompt)
        origin = MaskOrigin(source="point", method=self.method, reviewed=False)
        voxels = np.zeros(volume.geometry.shape, np.bool_) if solid is None else _on_grid(solid, volume.geometry)
        mask = LabelMask(voxels=voxels, geometry=volume.geometry, structure=self.structure, origin=origin)
        return Segmentation(mask=mask)


def _found(scene: Scene, prompt: Prompt) -> Solid | None:
    if prompt.axis_mm is not None:
        return from_axis(scene, np.array(prompt.axis_mm))
    point = np.array(prompt.all_inside_mm[0])
    candidates = from_click(scene, point)
    return refined(scene, candidates[0].solid, point) if candidates else None


def _on_grid(solid: Solid, grid: Geometry) -> BoolArray:
    """The voxels of a grid whose centers lie inside."""
    voxels = np.zeros(grid.shape, np.bool_)
    start, stop = grid.box_around(solid.patch.geometry.corners_mm)
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    voxels[part] = resample(solid.inside_mm, solid.patch.geometry, grid.cropped(start, stop), fill=-1.0) > 0
    return voxels


def require_prompt(prompt: Prompt, grid: Geometry, structure: Structure) -> None:
    """Refuse a prompt that points at nothing, or beside the image; all faults together.

    Raises
    ------
    InputError
        PROMPT_MISSING, PROMPT_OUTSIDE, PROMPT_TOO_SHORT.
    """
    faults = [*_missing(prompt, structure), *_outside(prompt, grid, structure), *_too_short(prompt, structure)]
    if faults:
        raise InputError(*faults)


SHORTEST_AXIS_MM = 2.0


def _missing(prompt: Prompt, structure: Structure) -> list[Fault]:
    if not prompt.is_empty:
        return []
    return [
        Fault(
            code="PROMPT_MISSING",
            source=f"the {structure} prompt",
            found="no point inside",
            expected="a point inside, or the two ends of the long axis",
            remedy="Click into the lesion, or better draw its long axis.",
        )
    ]


def _outside(prompt: Prompt, grid: Geometry, structure: Structure) -> list[Fault]:
    named: list[tuple[str, FloatArray]] = [
        (name, np.array(point))
        for name, points in (
            ("point", () if prompt.point_mm is None else (prompt.point_mm,)),
            ("end of the axis", prompt.axis_mm or ()),
            ("point inside", prompt.inside_mm),
            ("point outside", prompt.outside_mm),
        )
        for point in points
    ]
    low, high = grid.corners_mm.min(axis=0), grid.corners_mm.max(axis=0)
    extent = " × ".join(f"{a:.0f}..{b:.0f}" for a, b in zip(low, high, strict=True))
    return [
        Fault(
            code="PROMPT_OUTSIDE",
            source=f"the {structure} prompt, {name}",
            found="({:.1f}, {:.1f}, {:.1f}) mm".format(*point),
            expected=f"a point in the image, {extent} mm in x × y × z",
            remedy="Give points as x, y, z in LPS mm of this image; check that pre and post aren't exchanged.",
        )
        for name, point in named
        if not grid.contains(point[None])[0]
    ]


def _too_short(prompt: Prompt, structure: Structure) -> list[Fault]:
    if prompt.axis_mm is None:
        return []
    length = float(np.linalg.norm(np.subtract(*prompt.axis_mm)))
    if length >= SHORTEST_AXIS_MM:
        return []
    return [
        Fault(
            code="PROMPT_TOO_SHORT",
            source=f"the {structure} prompt, axis",
            found=f"{length:.1f} mm between its ends",
            expected=f"{SHORTEST_AXIS_MM:.0f} mm or more",
            remedy="Draw the longest diameter, or click instead.",
        )
    ]
