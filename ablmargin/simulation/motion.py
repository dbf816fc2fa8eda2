"""The known map between the two exams: table shift, breathing, bending of the liver, shrinking of ablated tissue.

The map is given where it is exact, from post to pre ("where did this tissue lie before"), as

    pre = R (G x' - c) + c + t + b(G x') - b(c),    x' = x + sum_k  s_k (x - a_k) exp(-|x - a_k|^2 / (2 w_k^2))

with G the rigid change of scanner frame, R and t the liver's own turn and shift, b a sum of plane waves, and a
contraction of share s_k toward the center a_k of each ablation. The way back is found by iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.simulation.fields import Points, WaveField

INVERSE_TOLERANCE_MM = 1e-6
MAX_ITERATIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidMap:
    """Turn about a fixed center, then shift: ``R (x - c) + c + t``."""

    rotation: FloatArray
    center_mm: FloatArray
    shift_mm: FloatArray

    @classmethod
    def from_degrees(
        cls, degrees: tuple[float, ...], shift_mm: tuple[float, ...], center_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    ) -> RigidMap:
        """Build from angles about x, y and z, applied in this order."""
        return cls(
            rotation=Rotation.from_euler("xyz", degrees, degrees=True).as_matrix(),
            center_mm=np.array(center_mm, float),
            shift_mm=np.array(shift_mm, float),
        )

    def map_points(self, points_mm: Points) -> Points:
        """Map points (n, 3), keeping their precision."""
        kind = points_mm.dtype
        offset = self.center_mm + self.shift_mm - self.rotation @ self.center_mm
        return np.asarray(points_mm @ self.rotation.T.astype(kind) + offset.astype(kind))

    def inverse_points(self, points_mm: Points) -> Points:
        """Map points (n, 3) back."""
        kind = points_mm.dtype
        moved = points_mm - (self.center_mm + self.shift_mm).astype(kind)
        return np.asarray(moved @ self.rotation.astype(kind) + self.center_mm.astype(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """Tissue drawn toward a point by heat: at the center by ``share``, fading with distance (Gaussian)."""

    center_mm: tuple[float, float, float]
    share: float
    width_mm: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"the share of contraction must be in [0, 1), not {self.share}")

    def pulled_back(self, points_mm: Points) -> Points:
        """Where tissue now at these post points, (n, 3), lay before it shrank."""
        kind = points_mm.dtype
        offset = points_mm - np.array(self.center_mm, kind)
        squared = np.einsum("ij,ij->i", offset, offset)
        gain = kind.type(self.share) * np.exp(squared * kind.type(-0.5 / self.width_mm**2))
        return np.asarray(points_mm + offset * gain[:, None])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """How the liver lies in the post exam, against the pre exam.

    Parameters
    ----------
    frame : RigidMap
        Post scanner frame to pre scanner frame; skeleton and table follow it alone.
    breathing : RigidMap
        The liver's own turn and shift against the skeleton, in the pre frame.
    bending : WaveField
        Three components, in mm.
    contractions : tuple of Contraction
        In the post frame.
    """

    frame: RigidMap
    breathing: RigidMap
    bending: WaveField
    contractions: tuple[Contraction, ...] = ()

    def static_points(self, points_mm: Points) -> Points:
        """Post points of the skeleton, (n, 3), to the pre frame."""
        return self.frame.map_points(points_mm)

    def organ_points(self, points_mm: Points) -> Points:
        """Post points of the liver, (n, 3), to the pre frame: the exact pull-back."""
        moved = points_mm
        for contraction in self.contractions:
            moved = contraction.pulled_back(moved)
        framed = self.frame.map_points(moved)
        kind = framed.dtype
        still = self.bending(self.breathing.center_mm[None])[0].astype(kind)
        return np.asarray(self.breathing.map_points(framed) + self.bending(framed) - still)

    def inverse_organ_points(self, points_mm: FloatArray) -> FloatArray:
        """Pre points of the liver, (n, 3), to the post frame, by fixed-point iteration on the rigid part.

        Raises
        ------
        ArithmeticError
            If the iteration doesn't come within 1e-6 mm; then the map isn't invertible there.
        """
        target = np.asarray(points_mm, float)
        points = self._rigid_back(target)
        for _ in range(MAX_ITERATIONS):
            found = self.organ_points(points)
            if len(target) == 0 or np.abs(found - target).max() < INVERSE_TOLERANCE_MM:
                return points
            points = points + self._rigid_back(target) - self._rigid_back(found)
        raise ArithmeticError("the simulated deformation can't be inverted at some of these points")

    def jacobian_determinants(self, points_mm: FloatArray, *, step_mm: float = 0.05) -> FloatArray:
        """Volume of tissue before over volume after, at post points (n, 3), by central differences."""
        points = np.asarray(points_mm, float)
        columns = [
            (self.organ_points(points + axis) - self.organ_points(points - axis)) / (2 * step_mm)
            for axis in step_mm * np.eye(3)
        ]
        return np.asarray(np.linalg.det(np.stack(columns, axis=-1)))

    def with_contractions(self, *contractions: Contraction) -> Motion:
        """The same motion with other contractions."""
        return replace(self, contractions=contractions)

    def describe(self) -> dict[str, object]:
        """The map in numbers, ready for JSON, with which a reader can compute it."""
        return {
            "maps": "post to pre, LPS mm: R (G x' - c) + c + t + b(G x') - b(c)",
            "frame": _rigid_record(self.frame),
            "breathing": _rigid_record(self.breathing),
            "bending": {
                "form": "b(p) = sum over waves of weight * sin(wave . p + phase)",
                "waves_rad_per_mm": self.bending.waves.tolist(),
                "phases_rad": self.bending.phases.tolist(),
                "weights_mm": self.bending.weights.tolist(),
            },
            "contractions": [
                {"center_mm": list(c.center_mm), "share": c.share, "width_mm": c.width_mm} for c in self.contractions
            ],
        }

    def _rigid_back(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(self.frame.inverse_points(self.breathing.inverse_points(points_mm)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreFromPost(PointTransform):
    """The motion as a point transform from the post frame to the pre frame; analytic."""

    motion: Motion

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map post points (n, 3) to the pre frame."""
        return np.asarray(self.motion.organ_points(np.asarray(points_mm, float)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PostFromPre(PointTransform):
    """The motion as a point transform from the pre frame to the post frame; to 1e-6 mm."""

    motion: Motion

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        """Map pre points (n, 3) to the post frame."""
        return self.motion.inverse_organ_points(points_mm)


def random_bending(rng: np.random.Generator, *, rms_mm: float, correlation_mm: float = 55.0) -> WaveField:
    """A random bending of a given root-mean-square displacement, smooth over a correlation length."""
    field = WaveField.random(rng, correlation_mm=correlation_mm, components=3, waves=20)
    size = np.sqrt((field.weights**2).sum() / 2.0)
    return replace(field, weights=field.weights * (rms_mm / size))


def _rigid_record(rigid: RigidMap) -> dict[str, list[object]]:
    return {
        "rotation": rigid.rotation.tolist(),
        "center_mm": rigid.center_mm.tolist(),
        "shift_mm": rigid.shift_mm.tolist(),
    }
