"""What a simulation yields: two exams, the masks that a good reader would draw, and the exact truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.volume import LabelMask, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionTruth:
    """What is exactly true of one tumor and its ablation.

    Parameters
    ----------
    mam_mm : float
        Minimum over the tumor's surface of the signed distance to the surface of the ablated tissue, post frame.
        Ablated tissue ends at the capsule.
    mam_location_mm : ndarray, shape (3,)
        Where on the tumor's surface, post frame.
    subcapsular : bool
        Whether some of the tumor's surface, in the post frame, lies less than 5 mm below the capsule.
    tumor_volume_ml : float
        Before ablation.
    tumor_surface_pre_mm, tumor_surface_post_mm : ndarray, shape (n, 3)
        The same points in both frames.
    mam_constrained_mm : float or None
        The minimum with the capsule's part of the zone's surface left out; None if nothing else is left.
    residual_tumor_ml : float
        Tumor that wasn't ablated, as it lies in the post frame.
    margins_mm : callable
        The signed distance (n,) of post points (n, 3) to the surface of the ablated tissue, positive inside.
    """

    lesion_id: str
    mam_mm: float
    mam_location_mm: FloatArray
    subcapsular: bool
    tumor_volume_ml: float
    tumor_surface_pre_mm: FloatArray
    tumor_surface_post_mm: FloatArray
    mam_constrained_mm: float | None
    residual_tumor_ml: float
    margins_mm: Callable[[FloatArray], FloatArray]

    def record(self) -> dict[str, Any]:
        """The figures, ready for JSON, without the surfaces."""
        return {
            "id": self.lesion_id,
            "mam_mm": self.mam_mm,
            "mam_location_mm": self.mam_location_mm.tolist(),
            "mam_constrained_mm": self.mam_constrained_mm,
            "subcapsular": self.subcapsular,
            "tumor_volume_ml": self.tumor_volume_ml,
            "residual_tumor_ml": self.residual_tumor_ml,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Everything that is exactly known of a simulated pair.

    ``landmarks_pre_mm`` and ``landmarks_post_mm`` (n, 3) are the same tissue: points spread over the liver, then
    branchings of vessels.
    """

    name: str
    seed: int
    post_from_pre: PointTransform
    pre_from_post: PointTransform
    lesions: tuple[LesionTruth, ...]
    landmarks_pre_mm: FloatArray
    landmarks_post_mm: FloatArray
    deformation: dict[str, Any] = field(default_factory=dict)
    """The map in numbers, ready for JSON."""

    def record(self) -> dict[str, Any]:
        """Everything but the surfaces, ready for JSON."""
        return {
            "schema": "ablmargin.truth/1",
            "name": self.name,
            "seed": self.seed,
            "units": {"points": "mm, LPS", "margins": "mm, positive where tissue beyond the tumor is ablated"},
            "point_of_reference": "post",
            "lesions": [lesion.record() for lesion in self.lesions],
            "landmarks": {
                "pre_mm": self.landmarks_pre_mm.tolist(),
                "post_mm": self.landmarks_post_mm.tolist(),
            },
            "deformation": self.deformation,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedPair:
    """A pre- and a post-ablation CT with masks and truth.

    Tumors lie on the pre grid, zones on the post grid, in the order of ``truth.lesions``.
    """

    pre: Volume
    post: Volume
    liver_pre: LabelMask
    liver_post: LabelMask
    tumors: tuple[LabelMask, ...]
    zones: tuple[LabelMask, ...]
    truth: Truth
    phase_pre: str
    phase_post: str
