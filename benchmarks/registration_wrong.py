"""Deliberately wrong alignments for the benchmark of the registration: none of them may be called good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from registration_pairs import FIRST_SEED, align, prepared, tumor_points

from ablmargin.geometry import FloatArray, PointTransform, triple
from ablmargin.registration.agreement import compare_livers, compare_textures
from ablmargin.registration.images import PreparedExam
from ablmargin.registration.local_error import Doubts
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.registration.register import Alignment
from ablmargin.registration.transform import ComposedTransform, InverseTransform, SplineTransform
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.volume import LabelMask

SHIFTED_LIVER_MM = 15.0
LOCAL_SHIFT_MM = (6.0, 8.0)
LOCAL_SHIFT_WIDTH_MM = 20.0


def wrong_grades(pairs: Sequence[SimulatedPair], stranger: SimulatedPair) -> Iterator[tuple[str, RegistrationQuality]]:
    """Four wrong alignments of each pair: another patient's post, a mirrored one, a liver mask off, a local shift.

    The other patient is the next pair's, the ``stranger`` after the last.
    """
    for number, (pair, other) in enumerate(zip(pairs, [*pairs[1:], stranger], strict=True)):
        points = tumor_points(pair)
        yield "other patient", align(with_post_of(pair, other)).assess(points)
        yield "mirrored", align(mirrored(pair)).assess(points)
        yield "liver mask off by 15 mm", align(with_shifted_liver(pair)).assess(points)
        yield "shifted at the tumor", tampered(align(pair), prepared(pair), local_shift(pair, number)).assess(points)


def wrong_at_one_of_two(pair: SimulatedPair) -> Iterator[tuple[str, RegistrationQuality]]:
    """Of a pair with several tumors: each shifted by itself, the others right, and judged at that one."""
    alignment, exams = align(pair), prepared(pair)
    for number, lesion in enumerate(pair.truth.lesions):
        points = lesion.tumor_surface_pre_mm
        wrong = tampered(alignment, exams, local_shift(pair, number, lesion=number))
        yield "shifted at one of two", wrong.assess(points[::10])


def with_post_of(pair: SimulatedPair, other: SimulatedPair) -> SimulatedPair:
    """A pair whose exam after ablation is another patient's."""
    return replace(pair, post=other.post, liver_post=other.liver_post, zones=other.zones)


def mirrored(pair: SimulatedPair) -> SimulatedPair:
    """A pair whose exam after ablation, masks included, has left and right exchanged."""
    return replace(
        pair,
        post=replace(pair.post, voxels_hu=pair.post.voxels_hu[..., ::-1]),
        liver_post=_mirrored_mask(pair.liver_post),
        zones=tuple(_mirrored_mask(zone) for zone in pair.zones),
    )


def _mirrored_mask(mask: LabelMask) -> LabelMask:
    assert mask.fractions is None
    return replace(mask, voxels=mask.voxels[..., ::-1])


def with_shifted_liver(pair: SimulatedPair) -> SimulatedPair:
    """A pair whose liver mask after ablation lies too far toward the head."""
    x, y, z = pair.liver_post.geometry.origin_mm
    grid = replace(pair.liver_post.geometry, origin_mm=(x, y, z + SHIFTED_LIVER_MM))
    return replace(pair, liver_post=replace(pair.liver_post, geometry=grid))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalShift:
    """A smooth map of the pre frame: the full shift at a center, fading as a Gaussian.

    Examples
    --------
    >>> shift = LocalShift(center_mm=(0, 0, 0), shift_mm=(7, 0, 0), width_mm=20)
    >>> shift.map_points(np.array([[0.0, 0, 0], [0, 200, 0]])).round(3).tolist()
    [[7.0, 0.0, 0.0], [0.0, 200.0, 0.0]]
    """

    center_mm: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    width_mm: float = LOCAL_SHIFT_WIDTH_MM

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        squared = ((points_mm - np.array(self.center_mm)) ** 2).sum(axis=1)
        fading = np.exp(-squared / (2.0 * self.width_mm**2))
        return np.asarray(points_mm + fading[:, None] * np.array(self.shift_mm))


def local_shift(pair: SimulatedPair, seed: int, *, lesion: int = 0) -> LocalShift:
    """By 6 to 8 mm in a random direction at one tumor."""
    rng = np.random.default_rng([FIRST_SEED, seed])
    direction = rng.standard_normal(3)
    length = rng.uniform(*LOCAL_SHIFT_MM) / np.linalg.norm(direction)
    return LocalShift(
        center_mm=triple(pair.truth.lesions[lesion].tumor_surface_pre_mm.mean(axis=0)),
        shift_mm=triple(length * direction),
    )


def tampered(alignment: Alignment, exams: tuple[PreparedExam, PreparedExam], shift: LocalShift) -> Alignment:
    """The alignment with every run shifted alike, so that they agree with each other as before; compared anew."""
    back = InverseTransform(forward=shift)

    def moved(inner: PointTransform) -> PointTransform:
        if isinstance(inner, InverseTransform):
            return InverseTransform(forward=ComposedTransform(first=inner.forward, then=back))
        return ComposedTransform(first=shift, then=inner)

    to_post = moved(alignment.post_from_pre)
    return replace(
        alignment,
        post_from_pre=cast("SplineTransform", to_post),
        forward=cast("SplineTransform", moved(alignment.forward)),
        pre_from_post=cast("SplineTransform", ComposedTransform(first=alignment.pre_from_post, then=back)),
        doubts=None if alignment.doubts is None else _moved_doubts(alignment.doubts, moved),
        textures=compare_textures(*exams, to_post),
        livers=compare_livers(*exams, to_post),
    )


def _moved_doubts(doubts: Doubts, moved: Callable[[PointTransform], PointTransform]) -> Doubts:
    return Doubts(
        runs=tuple(moved(run) for run in doubts.runs),
        center=cast("SplineTransform", moved(doubts.center)),
        plausible=tuple(cast("SplineTransform", moved(sample)) for sample in doubts.plausible),
    )
