"""The signed margin at every point of a tumor's surface, and what is read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.errors import Fault, GeometryMismatchError
from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.metrics.depth import DEEPEST_MM, LiverDepth
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.residual import FreeBorder
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

LEAST_DOUBT_MM = 0.3
"""A capsule that is known better than this needs no second look."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginResult:
    """Margins over a tumor's surface, in the frame of the exam after ablation.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3)
        The tumor's surface points, LPS mm.
    margin_mm : ndarray, shape (n,)
        Signed distance to the zone's border, positive where tissue beyond the tumor is ablated.
    area_mm2 : ndarray, shape (n,)
        Surface that each point stands for.
    depth_mm : ndarray, shape (n,), optional
        Depth below the liver capsule, up to 15 mm; None without a liver.
    constrained_mm : ndarray, shape (n,), optional
        Margin to that part of the zone's border that has liver beyond it; never smaller than ``margin_mm``. None
        without a liver, and if no part of the zone's border lies inside the liver: then only ``margin_mm`` can be
        judged.
    zone_inside_liver : ndarray of bool, shape (m,), optional
        The zone's triangles that ``constrained_mm`` refers to.
    excused_mm : float
        How far tumor that counts as ablated at the capsule may yet reach out of the zone, as the voxels can't tell.
    capsule_doubt_mm : float
        How much ``constrained_minimum_mm`` changes if the capsule lies elsewhere between the same voxels; 0 where they
        tell its place to ``LEAST_DOUBT_MM``.

    Examples
    --------
    >>> margin = MarginResult.from_distances([3, 6, 9], area_mm2=[2, 1, 1])
    >>> margin.minimum_mm, margin.mean_mm
    (3.0, 5.25)
    >>> margin.share_below(5)
    0.5
    >>> margin.surface_shares()
    {'below_0': 0.0, '0_to_5': 0.5, '5_to_10': 0.5, 'from_10': 0.0}
    """

    points_mm: FloatArray
    margin_mm: FloatArray
    area_mm2: FloatArray
    depth_mm: FloatArray | None = None
    constrained_mm: FloatArray | None = None
    zone_inside_liver: BoolArray | None = None
    excused_mm: float = 0.0
    capsule_doubt_mm: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.margin_mm)
        if np.shape(self.points_mm) != (count, 3) or not count:
            raise ValueError(f"{count} margins need points of shape ({count}, 3), not {np.shape(self.points_mm)}")
        for name in ("points_mm", "margin_mm", "area_mm2", "depth_mm", "constrained_mm"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, _checked(name, values, count))
        if not (self.area_mm2.min() >= 0 and self.area_mm2.sum() > 0):
            raise ValueError("areas must not be negative, nor all zero")

    @classmethod
    def from_distances(cls, margins_mm: Sequence[float], *, area_mm2: Sequence[float]) -> MarginResult:
        """Margins without a place, for examples: all points lie at the origin."""
        return cls(
            points_mm=np.zeros((len(margins_mm), 3)),
            margin_mm=np.array(margins_mm, float),
            area_mm2=np.array(area_mm2, float),
        )

    @property
    def minimum_mm(self) -> float:
        return float(self.margin_mm.min())

    @property
    def location_mm(self) -> FloatArray:
        """Where the minimum is, shape (3,), LPS mm."""
        return np.asarray(self.points_mm[int(self.margin_mm.argmin())])

    @property
    def mean_mm(self) -> float:
        return float(np.average(self.margin_mm, weights=self.area_mm2))

    @property
    def constrained_minimum_mm(self) -> float | None:
        return None if self.constrained_mm is None else float(self.constrained_mm.min())

    def percentile_mm(self, q: float) -> float:
        """The margin that ``q`` percent of the surface stay below, weighted by area; 0 is the minimum, 100 the maximum."""
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, not at {q}")
        order = np.argsort(self.margin_mm)
        area = self.area_mm2[order]
        middle = (np.cumsum(area) - area / 2) / area.sum()
        places = np.concatenate([[0.0], middle, [1.0]])
        values = self.margin_mm[order]
        return float(np.interp(q / 100, places, np.concatenate([values[:1], values, values[-1:]])))

    def share_below(self, threshold_mm: float) -> float:
        """Share of the surface whose margin is smaller than a threshold, 0..1; exactly 5 mm passes a 5 mm rule."""
        return float(self.area_mm2[self.margin_mm < threshold_mm].sum() / self.area_mm2.sum())

    def surface_shares(self) -> dict[str, float]:
        """Shares of the surface by margin: below 0, 0 to under 5, 5 to under 10, and from 10 mm on; they sum to 1."""
        counts = np.bincount(np.digitize(self.margin_mm, [0.0, 5.0, 10.0]), weights=self.area_mm2, minlength=4)
        names = ("below_0", "0_to_5", "5_to_10", "from_10")
        return {name: float(area / counts.sum()) for name, area in zip(names, counts, strict=True)}


def measure_margin(
    tumor: Surface, zone: Surface, *, liver: LabelMask | None = None, depth: LiverDepth | None = None
) -> MarginResult:
    """Measure the ablative margin over the whole surface of a tumor.

    Parameters
    ----------
    tumor : Surface
        In the frame of the exam after ablation.
    zone : Surface
        The ablation zone; of several overlapping ones, their union.
    liver : LabelMask, optional
        The liver after ablation. With it the result also tells depths and constrained margins.
    depth : LiverDepth, optional
        The same, where it is already known; ``liver`` isn't looked at then.

    Returns
    -------
    MarginResult

    Raises
    ------
    GeometryMismatchError
        If the three are known to lie in different frames of reference.
    """
    _require_one_frame(tumor, zone, liver)
    points, margins = tumor.vertices_mm, signed_distances_mm(zone, tumor.vertices_mm)
    if depth is None and liver is not None and not liver.is_empty:
        depth = LiverDepth.around(liver, tumor, zone)
    if depth is None:
        return MarginResult(points_mm=points, margin_mm=margins, area_mm2=tumor.vertex_areas_mm2)
    border = FreeBorder.of(zone, depth)
    inside = border.inside_liver
    if not inside.any():
        return MarginResult(
            points_mm=points, margin_mm=margins, area_mm2=tumor.vertex_areas_mm2, depth_mm=depth.at(points)
        )
    constrained, excused = border.margins_mm(points, margins)
    return MarginResult(
        points_mm=points,
        margin_mm=margins,
        area_mm2=tumor.vertex_areas_mm2,
        depth_mm=depth.at(points),
        constrained_mm=constrained,
        zone_inside_liver=inside,
        excused_mm=excused,
        capsule_doubt_mm=_capsule_doubt_mm(zone, depth, points, margins, constrained),
    )


def _capsule_doubt_mm(
    zone: Surface, depth: LiverDepth, points_mm: FloatArray, margin_mm: FloatArray, constrained_mm: FloatArray
) -> float:
    """How much the smallest constrained margin changes if the capsule is shifted as far as its voxels allow."""
    lowest = points_mm[[constrained_mm.argmin()]]
    shift_mm = float(depth.doubt_at(lowest)[0])
    if depth.at(lowest)[0] >= DEEPEST_MM or shift_mm < LEAST_DOUBT_MM:
        return 0.0
    borders = (FreeBorder.of(zone, depth.shifted(side * shift_mm)) for side in (1, -1))
    minima = [border.margins_mm(points_mm, margin_mm)[0].min() for border in borders if border.inside_liver.any()]
    return float(np.abs(np.array(minima) - constrained_mm.min()).max(initial=0.0))


def _require_one_frame(tumor: Surface, zone: Surface, liver: LabelMask | None) -> None:
    frames = {tumor.frame_uid, zone.frame_uid, None if liver is None else liver.geometry.frame_uid} - {None}
    if len(frames) > 1:
        raise GeometryMismatchError(
            Fault(
                code="FRAME_MISMATCH",
                source="tumor, ablation zone and liver",
                found=f"{len(frames)} different frames of reference",
                expected="one frame",
                remedy="Register the exams first and move the tumor into the frame of the exam after ablation.",
                attribute="FrameOfReferenceUID (0020,0052)",
            )
        )


def _checked(name: str, values: Array, count: int) -> FloatArray:
    array = np.array(values, np.float64)
    if len(array) != count or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold {count} finite rows")
    array.setflags(write=False)
    return array
