"""How well two exams agree under a map: livers, textures and contrast phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, PointTransform, Triple, triple
from ablmargin.registration.images import PreparedExam, blur
from ablmargin.registration.sampling import Table
from ablmargin.registration.transform import displacement_on

LEAST_CORRELATION = 0.5
LEAST_CORRELATION_OF_PHASES = 0.3
LEAST_VESSEL_BALANCE, LEAST_VESSEL_SHARE = 0.6, 0.55
"""In one phase at least 0.63 and 0.58 on simulated pairs with noise of up to 60 HU; on ten with an arterial exam at most 0.54
and, but for one, 0.43."""
NEAR_TREATED_MM = 20.0

_TEXTURE_BLUR_MM = 2.0
_SURFACE_BLUR_MM = 2.0
"""Against the steps of voxels of 2 mm, among which a nearest point would always be a nearer one."""
_BRIGHTEST_SHARE = 0.03
_EVERY = 3
_SHARED, _LEAST_PAIRS = 0.9, 100
_FIRST_STEP_MM, _LAST_STEP_MM = 2.0, 0.4
_LEAST_SHIFT_MM = 1.0
"""Half a voxel of the working grid. Right alignments of simulated pairs gain a little up to 0.9 mm away."""
_FOLD_GRID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TextureAgreement:
    """Texture of the two livers, compared where both count and smoothed over 2 mm.

    Parameters
    ----------
    correlation : float
        Over the whole liver.
    correlation_near : float
        Within 20 mm of the tissue to ignore; the whole liver's if there is none.
    """

    correlation: float
    correlation_near: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiverAgreement:
    """The livers' overlap after alignment, and how the map changes volumes within the liver.

    ``folded_share`` is the share of the liver where the map turns space inside out.
    """

    dice: float
    hd95_mm: float
    asd_mm: float
    jacobian_min: float
    folded_share: float


def compare_textures(pre: PreparedExam, post: PreparedExam, post_from_pre: PointTransform) -> TextureAgreement:
    """Compare what the two livers look like under a map."""
    pairs = _Pairs.of(pre, post, post_from_pre)
    if pairs is None:
        return TextureAgreement(correlation=0.0, correlation_near=0.0)
    near = pairs.treated_mm < NEAR_TREATED_MM
    whole = _correlation(pairs.before, pairs.after)
    enough = np.count_nonzero(near) > _LEAST_PAIRS
    return TextureAgreement(
        correlation=whole,
        correlation_near=_correlation(pairs.before[near], pairs.after[near]) if enough else whole,
    )


def phases_match(pre: PreparedExam, post: PreparedExam, post_from_pre: PointTransform) -> bool:
    """Whether bright may be expected to meet bright, under a map that is about right."""
    pairs = _Pairs.of(pre, post, post_from_pre)
    if pairs is None:
        return False
    return bright_meets_bright(_correlation(pairs.before, pairs.after), *_vessels(pairs))


def bright_meets_bright(correlation: float, vessel_balance: float, vessel_share: float) -> bool:
    """Whether textures speak for one contrast phase.

    Parameters
    ----------
    vessel_balance : float
        How bright post is where pre is brightest (3 %: the vessels in most phases), by how bright pre is where post is
        brightest, each measured by its own brightest. 1 in one phase, whatever the noise, if it is the same in both;
        less if vessels that shine before don't after, more if it is the other way round, 0 if either shows them dark.
    vessel_share : float
        How bright each exam is where the other is brightest, by its own brightest, multiplied: 1 if the same vessels
        shine, 0.5 if half of one exam's do in the other; less with noise.
    """
    balanced = LEAST_VESSEL_BALANCE < vessel_balance < 1.0 / LEAST_VESSEL_BALANCE
    return correlation > LEAST_CORRELATION_OF_PHASES and balanced and vessel_share > LEAST_VESSEL_SHARE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """Smoothed textures of the same n places before and after, and their distances to treated tissue, shape (n,)."""

    before: Array
    after: Array
    treated_mm: Array

    @classmethod
    def of(cls, pre: PreparedExam, post: PreparedExam, post_from_pre: PointTransform) -> _Pairs | None:
        """Of every third place where both count; None if they are too few."""
        counted = np.argwhere(pre.counts > 0)[::_EVERY]
        moved = post_from_pre.map_points(pre.grid.points_at(counted)).astype(np.float32)
        columns = _smooth_texture(post), post.counts, post.treated_distance_mm
        samples = Table.of_columns(post.grid, *columns).at(moved)
        shared = samples[:, 1] > _SHARED
        if np.count_nonzero(shared) < _LEAST_PAIRS:
            return None
        places = tuple(counted[shared].T)
        return cls(
            before=_smooth_texture(pre)[places],
            after=samples[shared, 0],
            treated_mm=np.minimum(pre.treated_distance_mm[places], samples[shared, 2]),
        )


def _vessels(pairs: _Pairs) -> tuple[float, float]:
    """Balance and share, as :func:`bright_meets_bright` takes them."""
    before, after = (texture / (texture.std() + 1e-6) for texture in (pairs.before, pairs.after))
    in_pre, in_post = (texture > np.quantile(texture, 1.0 - _BRIGHTEST_SHARE) for texture in (before, after))
    there = after[in_pre].mean() / before[in_pre].mean()
    back = before[in_post].mean() / after[in_post].mean()
    if min(there, back) <= 0:
        return 0.0, 0.0
    share = after[in_pre].mean() / after[in_post].mean() * before[in_post].mean() / before[in_pre].mean()
    return float(there / back), float(share)


def better_shift_mm(
    pre: PreparedExam, post: PreparedExam, post_from_pre: PointTransform, points_mm: FloatArray
) -> Triple:
    """By how much post would have to move for the textures near a tumor to agree best; 0 if that gains nothing or is < 1 mm.

    Compared are places within 20 mm of the points (n, 3), pre frame, and of treated tissue in either exam.
    """
    counted = np.argwhere(pre.counts > 0)
    places = pre.grid.points_at(counted)
    near = np.isfinite(cKDTree(points_mm).query(places, distance_upper_bound=NEAR_TREATED_MM)[0])
    counted, moved = counted[near], post_from_pre.map_points(places[near])
    in_post = Table.of_columns(post.grid, post.treated_distance_mm).at(moved.astype(np.float32))[:, 0]
    treated = np.minimum(pre.treated_distance_mm[tuple(counted.T)], in_post) < NEAR_TREATED_MM
    counted, moved = counted[treated], moved[treated]
    if not len(counted):
        return (0.0, 0.0, 0.0)
    before = _smooth_texture(pre)[tuple(counted.T)]
    table = Table.of_columns(post.grid, _smooth_texture(post), post.counts)

    def agreement(shift_mm: FloatArray) -> float:
        found = table.at((moved + shift_mm).astype(np.float32))
        shared = found[:, 1] > _SHARED
        enough = np.count_nonzero(shared) > _LEAST_PAIRS
        return _correlation(before[shared], found[shared, 0]) if enough else -1.0

    shift, step, best = np.zeros(3), _FIRST_STEP_MM, agreement(np.zeros(3))
    while step > _LAST_STEP_MM and np.linalg.norm(shift) < NEAR_TREATED_MM:
        tried = [shift + step * way for way in (*np.eye(3), *-np.eye(3))]
        values = [agreement(one) for one in tried]
        if max(values) > best:
            best, shift = max(values), tried[int(np.argmax(values))]
        else:
            step /= 2.0
    return triple(shift) if np.linalg.norm(shift) >= _LEAST_SHIFT_MM else (0.0, 0.0, 0.0)


def compare_livers(pre: PreparedExam, post: PreparedExam, post_from_pre: PointTransform) -> LiverAgreement:
    """Compare the two livers' shapes under a map, on the pre exam's working grid and where both CTs have voxels."""
    shift = displacement_on(post_from_pre, pre.grid)
    moved = pre.grid.points_at(np.indices(pre.grid.shape).reshape(3, -1).T) + shift.reshape(-1, 3)
    samples = Table.of_columns(post.grid, post.distance_mm, post.seen).at(moved)
    carried, seen_after = (samples[:, column].reshape(pre.grid.shape) for column in (0, 1))
    seen = pre.seen & (seen_after > 0.5)
    smooth = [blur(distance, _SURFACE_BLUR_MM, pre.grid) for distance in (pre.distance_mm, carried)]
    pairs = (smooth, smooth[::-1])
    distances = np.concatenate([_between(surface, other, seen, pre.grid) for surface, other in pairs])
    inside, covered = (pre.distance_mm < 0) & seen, (carried < 0) & seen
    determinants = _volume_changes(shift, pre)
    return LiverAgreement(
        dice=_dice(inside, covered),
        hd95_mm=float(np.percentile(distances, 95)) if distances.size else float("inf"),
        asd_mm=float(distances.mean()) if distances.size else float("inf"),
        jacobian_min=float(determinants.min()),
        folded_share=float((determinants <= 0).mean()),
    )


def _volume_changes(shift_mm: Array, exam: PreparedExam) -> FloatArray:
    """Jacobian determinants (n,) of a map, given by its displacement on the working grid, at a share of the liver's voxels."""
    thin = (slice(None, None, _FOLD_GRID),) * 3
    inside = ((exam.distance_mm < 0) & exam.seen)[thin]
    slopes = [np.gradient(shift_mm[..., axis], *exam.grid.spacing_mm) for axis in range(3)]
    jacobians = np.stack([[slope[thin][inside] for slope in row] for row in slopes]).transpose(2, 0, 1)
    return np.asarray(np.linalg.det(np.eye(3) + jacobians))


def _dice(one: BoolArray, other: BoolArray) -> float:
    both = np.count_nonzero(one & other)
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2.0 * both / total) if total else 0.0


def _between(one: Array, other: Array, seen: BoolArray, grid: Geometry) -> FloatArray:
    """Distances (n,) in mm of one zero level's points, where both are in view, from the other's tangent planes."""
    surface = _zero_crossings(other, np.ones_like(seen), grid)
    points = _zero_crossings(one, seen, grid)
    if not (len(surface) and len(points)):
        return np.zeros(0)
    normals = Table.with_gradient(grid, other).at(surface.astype(np.float32))[:, 1:4]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6
    nearest = cKDTree(surface).query(points)[1]
    return np.asarray(np.abs(((points - surface[nearest]) * normals[nearest]).sum(axis=1)))


def _zero_crossings(level: Array, seen: BoolArray, grid: Geometry) -> FloatArray:
    """Where a level set cuts the edges between neighboring voxels in view: points (n, 3), LPS mm."""
    found = []
    for axis in range(3):
        first, second = (np.moveaxis(level, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        in_view = np.moveaxis(seen, axis, 0)[:-1] & np.moveaxis(seen, axis, 0)[1:]
        index = np.argwhere(((first < 0) != (second < 0)) & in_view)
        low, high = first[tuple(index.T)], second[tuple(index.T)]
        crossing = index.astype(float)
        crossing[:, 0] += low / (low - high)
        found.append(np.insert(crossing[:, 1:], axis, crossing[:, 0], axis=1))
    return grid.points_at(np.concatenate(found))


def _smooth_texture(exam: PreparedExam) -> Array:
    return np.asarray(blur(exam.texture, _TEXTURE_BLUR_MM, exam.grid) * exam.counts)


def _correlation(one: Array, other: Array) -> float:
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0 else 0.0
