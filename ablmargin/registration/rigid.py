"""The rigid start: liver surface first, then surface and picture, by Gauss-Newton on six parameters."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ablmargin.geometry import Array, FloatArray, triple
from ablmargin.registration.pyramid import Level
from ablmargin.registration.terms import PictureTerm, Residuals, SurfaceTerm
from ablmargin.registration.transform import RigidTransform

_SURFACE_STEPS = 14
_JOINT_STEPS = 10
_SURFACE_ALONE = 0.25
_SMALL_MM = 0.02
_SMALL_RAD = 2e-4


def align_rigidly(fixed: Level, moving: Level, *, surface_weight: float) -> RigidTransform:
    """The rigid map from the fixed to the moving frame, started where the livers' centers meet.

    Parameters
    ----------
    surface_weight : float
        Of the surface against the picture in the joint steps.
    """
    surface, picture = SurfaceTerm.between(fixed, moving), PictureTerm.between(fixed, moving)
    center = _liver_center(fixed)
    rotation, translation = np.eye(3), _liver_center(moving) - center
    for step in range(_SURFACE_STEPS + _JOINT_STEPS):
        joint = step >= _SURFACE_STEPS
        equations = _Equations(center, rotation, translation)
        equations.add_surface(surface, surface_weight if joint else _SURFACE_ALONE)
        if joint:
            equations.add_picture(picture)
        turn, shift = equations.solve()
        rotation = Rotation.from_rotvec(turn).as_matrix() @ rotation
        translation = translation + shift
        if joint and np.linalg.norm(shift) < _SMALL_MM and np.linalg.norm(turn) < _SMALL_RAD:
            break
    return RigidTransform(rotation=rotation, center_mm=triple(center), translation_mm=triple(translation))


class _Equations:
    """The normal equations of one step: a turn about the center after the present rotation, and a shift."""

    def __init__(self, center: FloatArray, rotation: FloatArray, translation: FloatArray) -> None:
        self._center, self._rotation, self._translation = center, rotation, translation
        self._hessian = np.zeros((6, 6))
        self._slope = np.zeros(6)

    def add_surface(self, term: SurfaceTerm, weight: float) -> None:
        turned = self._turned(term.points_mm)
        self._add(term.residuals(self._moved(turned), weight), turned)

    def add_picture(self, term: PictureTerm) -> None:
        turned = self._turned(term.points_mm)
        samples = term.table.at(self._moved(turned))
        self._add(term.residuals(samples, term.best_gain(samples)), turned)

    def solve(self) -> tuple[FloatArray, FloatArray]:
        """Rotation vector and translation, mm."""
        damped = self._hessian + 1e-9 * np.trace(self._hessian) * np.eye(6)
        update = np.linalg.solve(damped, self._slope)
        return update[:3], update[3:]

    def _turned(self, points_mm: Array) -> FloatArray:
        return np.asarray((points_mm - self._center) @ self._rotation.T)

    def _moved(self, turned: FloatArray) -> Array:
        return (turned + self._center + self._translation).astype(np.float32)

    def _add(self, residuals: Residuals, turned: FloatArray) -> None:
        jacobian = np.concatenate([np.cross(turned, residuals.slope), residuals.slope], axis=1)
        self._hessian += jacobian.T @ (jacobian * residuals.weight[:, None])
        self._slope += jacobian.T @ (residuals.weight * residuals.residual)


def _liver_center(level: Level) -> FloatArray:
    inside = np.argwhere(level.distance_mm < 0)
    return np.asarray(level.grid.points_at(inside).mean(axis=0))
