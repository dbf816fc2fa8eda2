"""How far the truth may be from the alignment, at the place that matters.

Dice and folding can look perfect while the tumor is centimeters off. What tells is what the images leave open, how much the
answer depends on choices that shouldn't matter (which parts of the liver were looked at, how stiff the map is, which exam was
fixed), and whether the textures would agree better elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ablmargin.geometry import Array, FloatArray, PointTransform, Triple
from ablmargin.registration.deformable import PointWeights, Recipe
from ablmargin.registration.symmetric import PyramidPair, TwoWay
from ablmargin.registration.transform import InverseTransform, SplineTransform

RUNS_WEIGHT = 0.7
"""Of a run's distance to the alignment, by which it counts as error."""
LEAST_SD_MM = 0.2
CORRELATION_LENGTH_MM = 25.0
"""Where the true errors' correlation falls below one half, on pairs with known deformation."""

_KNOTS = 300
_BLOCK_MM = 20.0
_BLOCKS = 24
_STIFFER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalError:
    """Standard deviation of the mapping error, by component, and the distance over which it stays alike.

    Parameters
    ----------
    sd_mm : float
        Over all points together.
    correlation_length_mm : float
    covariance_mm2 : ndarray, shape (n, 3, 3), optional
        The error's covariance at each point, of its x, y and z; None if only ``sd_mm`` is known. Doesn't count when
        errors are compared.
    """

    sd_mm: float
    correlation_length_mm: float
    covariance_mm2: FloatArray | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubts:
    """What an alignment's error is told by: maps post_from_pre.

    Parameters
    ----------
    runs : tuple of PointTransform
        The same alignment under other choices.
    center : SplineTransform
        Our own engine's alignment.
    plausible : tuple of SplineTransform
        Random maps around it, as far off as the images allow; none if they have nothing in common.
    """

    runs: tuple[PointTransform, ...]
    center: SplineTransform
    plausible: tuple[SplineTransform, ...]


def estimate_local_error(
    post_from_pre: PointTransform, doubts: Doubts, points_mm: FloatArray, *, shift_mm: Triple | None = None
) -> LocalError:
    """The variance that the images leave open, plus that of the runs around the alignment, at points (n, 3) of the pre frame.

    A shift, if given, is one under which the textures around the treated tissue agree better: it counts as error too.
    Never less than ``LEAST_SD_MM`` by component: some errors neither can show (tissue that shrinks, masks that err alike).
    Infinite where no map is plausible.
    """
    if not doubts.plausible:
        return LocalError(sd_mm=float("inf"), correlation_length_mm=CORRELATION_LENGTH_MM)
    moved, center = post_from_pre.map_points(points_mm), doubts.center.map_points(points_mm)
    scatter = np.stack([sample.map_points(points_mm) - center for sample in doubts.plausible])
    astray = np.stack([_miss_mm(run, points_mm, moved) for run in doubts.runs])
    shift = np.broadcast_to(shift_mm or (0.0, 0.0, 0.0), moved.shape)
    misses = np.concatenate([scatter / np.sqrt(len(scatter)), RUNS_WEIGHT * astray / np.sqrt(len(astray)), shift[None]])
    sd = float(np.sqrt((misses**2).sum(axis=(0, 2)).mean() / 3.0))
    return LocalError(
        sd_mm=max(sd, LEAST_SD_MM),
        correlation_length_mm=CORRELATION_LENGTH_MM,
        covariance_mm2=_covariances_mm2(points_mm, misses) if np.isfinite(sd) else None,
    )


def _covariances_mm2(points_mm: FloatArray, misses_mm: FloatArray) -> FloatArray:
    """The sum of the squares of misses, shape (maps, n, 3), as covariances around each point, shape (n, 3, 3).

    A few maps tell little at one point, so the points around count too, the less the farther away. The axes of both
    exams are taken as parallel. In no direction less than ``LEAST_SD_MM``.
    """
    knots = slice(None, None, -(-len(points_mm) // _KNOTS))
    there = misses_mm[:, knots]
    products = np.einsum("mki,mkj->kij", there, there).reshape(-1, 9)
    apart = ((points_mm[:, None] - points_mm[None, knots]) ** 2).sum(axis=-1)
    weights = np.exp(-apart / (2 * CORRELATION_LENGTH_MM**2))
    smooth = (weights / weights.sum(axis=1, keepdims=True) @ products).reshape(-1, 3, 3)
    power, axes = np.linalg.eigh(smooth)
    return np.asarray(np.einsum("nij,nj,nkj->nik", axes, np.maximum(power, LEAST_SD_MM**2), axes))


def _miss_mm(member: PointTransform, points_mm: FloatArray, moved_mm: FloatArray) -> FloatArray:
    """How far a member is from sending points where the alignment does, shape (n, 3).

    A backward run is asked where it brings the moved points back to: that works even where it can't be inverted.
    """
    if isinstance(member, InverseTransform):
        return points_mm - member.forward.map_points(moved_mm)
    return member.map_points(points_mm) - moved_mm


def run_ensemble(pair: PyramidPair, both: TwoWay, *, seed: int, threads: int) -> tuple[PointTransform, ...]:
    """The alignment under other choices, each a map post_from_pre.

    Forward and backward each evenly and with the liver's blocks weighted at random (a Bayesian bootstrap), a second
    such forward run, and a stiffer one. The two even runs are those at hand; where the forward one is the alignment
    itself, it has nothing to tell.
    """
    jobs: list[Callable[[], SplineTransform]] = [
        partial(pair.backward, weights=block_weights(seed, 0)),
        partial(pair.forward, weights=block_weights(seed, 1)),
        partial(pair.forward, weights=block_weights(seed, 2)),
        partial(pair.forward, recipe=_stiffer(pair.recipe)),
    ]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        backward, *forward = pool.map(lambda job: job(), jobs)
    return (
        *((both.forward,) if both.invertible else ()),
        *forward,
        InverseTransform(forward=both.backward),
        InverseTransform(forward=backward),
    )


def two_engines(first: TwoWay, second: TwoWay) -> tuple[PointTransform, ...]:
    """All runs of two engines in either direction, each a map post_from_pre, for the error of the first one's mean."""
    return (
        *((first.forward,) if first.invertible else ()),
        second.forward,
        InverseTransform(forward=first.backward),
        InverseTransform(forward=second.backward),
    )


def block_weights(seed: int, member: int) -> PointWeights:
    """Exponential weights with mean 1 by blocks of 20 mm, the same at every run for a seed and member number."""
    random = np.random.default_rng([seed, member])
    table = random.exponential(1.0, (_BLOCKS,) * 3).astype(np.float32)
    offset = random.uniform(0.0, _BLOCK_MM, 3)

    def weights(points_mm: Array) -> Array:
        corner = points_mm.min(axis=0)
        block = np.floor((points_mm - corner + offset) / _BLOCK_MM).astype(int) % _BLOCKS
        return np.asarray(table[tuple(block.T)])

    return weights


def _stiffer(recipe: Recipe) -> Recipe:
    """Stiffer the finer the level; the coarsest as it is."""
    factors = (1.0, _STIFFER / 1.5, _STIFFER)
    return tuple(
        replace(stage, stiffness=factor * stage.stiffness) for factor, stage in zip(factors, recipe, strict=True)
    )
