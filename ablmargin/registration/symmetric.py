"""Alignment in both directions: which exam is called fixed must not decide where a tumor lands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ablmargin.errors import RegistrationError
from ablmargin.registration.bspline import basis, fit_on_lattice
from ablmargin.registration.deformable import PointWeights, Recipe, deform
from ablmargin.registration.images import coarser
from ablmargin.registration.pyramid import Pyramid
from ablmargin.registration.rigid import align_rigidly
from ablmargin.registration.transform import RigidTransform, SplineTransform, inverse_points

_MEAN_GRID_MM = 6.0
_MEAN_TOLERANCE_MM = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PyramidPair:
    """Two exams ready to be aligned, with the rigid start that every run shares."""

    pre: Pyramid
    post: Pyramid
    recipe: Recipe
    rigid: RigidTransform
    """post_from_pre"""
    begun: SplineTransform | None = None
    """What a run forward has found at the first ``levels_done`` levels, if they are done already."""
    levels_done: int = 0

    def levels(self, part: slice) -> PyramidPair:
        """The same with some of the levels, coarsest first."""
        return replace(self, pre=self.pre[part], post=self.post[part], recipe=self.recipe[part])

    @classmethod
    def started(cls, pre: Pyramid, post: Pyramid, recipe: Recipe) -> PyramidPair:
        rigid = align_rigidly(pre[0], post[0], surface_weight=recipe[0].surface_weight)
        return cls(pre=pre, post=post, recipe=recipe, rigid=rigid)

    def forward(
        self,
        *,
        recipe: Recipe | None = None,
        weights: PointWeights | None = None,
        begun: SplineTransform | None = None,
        on_level: Callable[[float], None] | None = None,
    ) -> SplineTransform:
        """post_from_pre, with the pre exam fixed. Parameters as in :func:`deform`."""
        recipe = recipe or self.recipe
        return deform(self.pre, self.post, self.rigid, recipe, weights=weights, begun=begun, on_level=on_level)

    def backward(self, *, recipe: Recipe | None = None, weights: PointWeights | None = None) -> SplineTransform:
        """pre_from_post, with the post exam fixed."""
        return deform(self.post, self.pre, self.rigid.inverse(), recipe or self.recipe, weights=weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoWay:
    """Both runs and their mean; the mean is the forward run alone where the backward one can't be inverted."""

    post_from_pre: SplineTransform
    forward: SplineTransform
    backward: SplineTransform
    invertible: bool


def meet_halfway(pair: PyramidPair, forward: SplineTransform, backward: SplineTransform) -> TwoWay:
    """Halve the difference of a run forward and a run backward."""
    try:
        mean = _mean(pair, forward, backward)
    except RegistrationError:
        return TwoWay(post_from_pre=forward, forward=forward, backward=backward, invertible=False)
    return TwoWay(post_from_pre=mean, forward=forward, backward=backward, invertible=True)


def _mean(pair: PyramidPair, forward: SplineTransform, backward: SplineTransform) -> SplineTransform:
    """The spline halfway between a map and the inverse of the other, fitted on a 6 mm lattice."""
    grid = coarser(pair.pre[-1].grid, _MEAN_GRID_MM)
    points = grid.points_at(np.argwhere(np.ones(grid.shape, bool)))
    there = forward.map_points(points)
    back = inverse_points(backward, points, _MEAN_TOLERANCE_MM)
    shift = (there + back) / 2.0 - pair.rigid.map_points(points)
    first_mm = np.subtract(grid.origin_mm, forward.origin_mm)
    matrices = [
        basis((first + grid.spacing_mm[0] * np.arange(size)) / forward.knot_mm, count)
        for first, size, count in zip(first_mm, grid.shape, forward.counts, strict=True)
    ]
    return SplineTransform(
        rigid=forward.rigid,
        origin_mm=forward.origin_mm,
        knot_mm=forward.knot_mm,
        coefficients_mm=fit_on_lattice(shift.reshape(*grid.shape, 3), matrices),
    )
