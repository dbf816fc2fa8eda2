"""The free-form deformation between two prepared exams, coarse to fine, by Gauss-Newton.

Minimized over the spline u, with T = rigid + u from the fixed to the moving frame::

    sum rho(F - g M∘T)  +  w sum rho(S_F - S_M∘T)  +  stiffness · bending energy of u

F and M are the pictures, g a gain, S the signed distances to the liver's surface, rho Cauchy's loss. Where the picture
doesn't count (treated tissue), only the bending energy acts and continues what the surroundings do.

The gradient is exact at the voxels; the Hessian is gathered into 6 mm cells and applied without ever being built, in
conjugate gradients with its diagonal as preconditioner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, FloatArray
from ablmargin.registration.bspline import Bending, fit_on_lattice
from ablmargin.registration.curvature import PAIRS, Curvature
from ablmargin.registration.lattice import Lattice
from ablmargin.registration.pyramid import Level, Pyramid
from ablmargin.registration.terms import PictureTerm, Residuals, SurfaceTerm
from ablmargin.registration.transform import RigidTransform, SplineTransform

PointWeights = Callable[[Array], Array]
"""Weights (n,) of the picture at fixed points (n, 3)."""

_CELL_MM = 6.0
_LEAST_GAIN = 2e-4
_SMALL_MM = 0.03
_SHORTEST_STEP = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How one level is solved: knot distance, most Gauss-Newton steps, weights of bending and of the surface."""

    knot_mm: float
    steps: int
    stiffness: float
    surface_weight: float


Recipe = tuple[Stage, ...]

SIGNED: Recipe = (
    Stage(knot_mm=48.0, steps=10, stiffness=60.0, surface_weight=0.08),
    Stage(knot_mm=28.0, steps=8, stiffness=20.0, surface_weight=0.03),
    Stage(knot_mm=18.0, steps=6, stiffness=20.0, surface_weight=0.01),
)
SIGN_FREE: Recipe = (
    Stage(knot_mm=48.0, steps=10, stiffness=60.0, surface_weight=0.08),
    Stage(knot_mm=28.0, steps=8, stiffness=30.0, surface_weight=0.03),
    Stage(knot_mm=18.0, steps=6, stiffness=20.0, surface_weight=0.01),
)
"""The surface counts less at fine levels: a mask is off by about 1 mm over patches of about 12 mm, so hundreds of voxels
share one error."""


def deform(
    fixed: Pyramid,
    moving: Pyramid,
    start: RigidTransform,
    recipe: Recipe,
    *,
    begun: SplineTransform | None = None,
    weights: PointWeights | None = None,
    on_level: Callable[[float], None] | None = None,
) -> SplineTransform:
    """The smooth map from the fixed to the moving frame.

    Parameters
    ----------
    begun : SplineTransform, optional
        What coarser levels with the same rigid start have found.
    weights : callable, optional
        How much the picture counts at points of the fixed frame; evenly if not given.
    on_level : callable, optional
        Told the voxel size (mm) of each level before it is solved.
    """
    spline = begun
    for fixed_level, moving_level, stage in zip(fixed, moving, recipe, strict=True):
        if on_level is not None:
            on_level(fixed_level.grid.spacing_mm[0])
        spline = LevelProblem(fixed_level, moving_level, start, stage, weights).solve(spline)
    assert spline is not None
    return spline


class LevelProblem:
    """One level: the two exams' terms, the lattices they live on, and the spline sought."""

    def __init__(
        self, fixed: Level, moving: Level, start: RigidTransform, stage: Stage, weights: PointWeights | None
    ) -> None:
        self.grid, self.start, self.stage = fixed.grid, start, stage
        self.surface = SurfaceTerm.between(fixed, moving)
        self.picture = PictureTerm.between(fixed, moving)
        if weights is not None:
            self.picture = self.picture.weighted(weights(self.picture.points_mm))
        x, y, z = (
            int(np.ceil((n - 1) * fixed.grid.spacing_mm[0] / stage.knot_mm + 1e-6)) + 3 for n in fixed.grid.shape
        )
        self.bending = Bending(counts=(x, y, z), knot_mm=stage.knot_mm)
        self.voxels = Lattice(fixed.grid, self.bending)
        self.cells = Lattice(fixed.grid, self.bending, block=round(_CELL_MM / fixed.grid.spacing_mm[0]))
        self.rigid_surface, self.rigid_picture = (
            start.map_points(term.points_mm).astype(np.float32) for term in (self.surface, self.picture)
        )

    def solve(self, before: SplineTransform | None) -> SplineTransform:
        """Start from the coarser level's spline and take Gauss-Newton steps until they gain little."""
        state = self.state_at(self._initial(before))
        for _ in range(self.stage.steps):
            step = self._newton_step(state)
            better = self._line_search(state, step)
            if better is None:
                break
            gained = state.energy - better.energy
            moved = float(np.abs(better.coefficients - state.coefficients).max())
            state = self._with_best_gain(better)
            if gained < _LEAST_GAIN * state.energy or moved < _SMALL_MM:
                break
        return self._transform(state.coefficients)

    def state_at(self, coefficients: FloatArray, gain: float | None = None) -> LevelState:
        """What a spline costs; with the best gain if none is given."""
        shift = self.voxels.spread(coefficients).reshape(-1, 3)
        surface = self.surface.residuals(self.rigid_surface + shift[self.surface.voxels], self.stage.surface_weight)
        samples = self.picture.table.at(self.rigid_picture + shift[self.picture.voxels])
        gain = self.picture.best_gain(samples) if gain is None else gain
        return self._state(coefficients, surface, samples, gain)

    def normal_equations(self, state: LevelState) -> tuple[Array, Array]:
        """Slope of the data terms at each voxel (x, y, z, 3), and their Hessian in each cell (cells, 6)."""
        slope = np.zeros((int(np.prod(self.grid.shape)), 3), np.float32)
        hessian = np.zeros((int(np.prod(self.cells.shape)), 6))
        for term, residuals in ((self.surface, state.surface), (self.picture, state.picture)):
            weighted = residuals.weight[:, None] * residuals.slope
            slope[term.voxels] += weighted * residuals.residual[:, None]
            cell = self.cells.block_of(term.voxels, self.grid)
            for column, (a, b) in enumerate(PAIRS):
                product = weighted[:, a] * residuals.slope[:, b]
                hessian[:, column] += np.bincount(cell, product, len(hessian))
        return slope.reshape(*self.grid.shape, 3), hessian.astype(np.float32)

    def curvature(self, hessian: Array, *, stiffness: float) -> Curvature:
        """From the data terms' Hessian in each cell."""
        return Curvature(hessian, self.cells, self.bending, stiffness=stiffness)

    def _initial(self, before: SplineTransform | None) -> FloatArray:
        if before is None:
            return np.zeros((*self.bending.counts, 3))
        coarse = Lattice(self.grid, Bending(counts=before.counts, knot_mm=before.knot_mm))
        return fit_on_lattice(coarse.spread(before.coefficients_mm), self.voxels.matrices)

    def _transform(self, coefficients: FloatArray) -> SplineTransform:
        return SplineTransform(
            rigid=self.start,
            origin_mm=self.grid.origin_mm,
            knot_mm=self.stage.knot_mm,
            coefficients_mm=coefficients,
        )

    def _with_best_gain(self, state: LevelState) -> LevelState:
        return self._state(state.coefficients, state.surface, state.samples, self.picture.best_gain(state.samples))

    def _state(self, coefficients: FloatArray, surface: Residuals, samples: Array, gain: float) -> LevelState:
        picture = self.picture.residuals(samples, gain)
        bending = self.stage.stiffness * self.bending.energy(coefficients)
        return LevelState(
            coefficients=coefficients,
            surface=surface,
            samples=samples,
            gain=gain,
            picture=picture,
            energy=surface.energy + picture.energy + bending,
        )

    def _line_search(self, state: LevelState, step: FloatArray) -> LevelState | None:
        length = 1.0
        while length >= _SHORTEST_STEP:
            tried = self.state_at(state.coefficients + length * step, state.gain)
            if tried.energy < state.energy:
                return tried
            length /= 2.0
        return None

    def _newton_step(self, state: LevelState) -> FloatArray:
        slope, hessian = self.normal_equations(state)
        stiffness = self.stage.stiffness
        right = self.voxels.gather(slope) - stiffness * self.bending.gradient(state.coefficients)
        return self.curvature(hessian, stiffness=stiffness).solved(right[..., None])[..., 0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelState:
    """A spline and how well it does."""

    coefficients: FloatArray
    surface: Residuals
    samples: Array
    gain: float
    picture: Residuals
    energy: float
