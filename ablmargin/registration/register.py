"""The alignment of the two exams, from images and liver masks to a map of points and its quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablmargin.errors import RegistrationError
from ablmargin.geometry import FloatArray, Triple
from ablmargin.progress import Progress, silent
from ablmargin.registration.agreement import (
    LiverAgreement,
    TextureAgreement,
    better_shift_mm,
    compare_livers,
    compare_textures,
    phases_match,
)
from ablmargin.registration.deformable import SIGN_FREE, SIGNED
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.engines import Engine, engine_named
from ablmargin.registration.images import WORKING_MM, PreparedExam, prepare_exam
from ablmargin.registration.local_error import (
    Doubts,
    LocalError,
    estimate_local_error,
    run_ensemble,
    two_engines,
)
from ablmargin.registration.posterior import plausible_alignments
from ablmargin.registration.pyramid import LEVELS, Pyramids
from ablmargin.registration.quality import RegistrationQuality, grade
from ablmargin.registration.symmetric import PyramidPair, TwoWay, meet_halfway
from ablmargin.registration.threads import limited_threads
from ablmargin.registration.transform import ComposedTransform, RigidTransform, SplineTransform, jacobian_determinants
from ablmargin.volume import LabelMask, Volume

TUMOR_RIM_MM = 2.0
ZONE_RIM_MM = 3.0
PHASE_LEVELS = 2
"""Coarse levels of the alignment, signed, under which the contrast phases are compared: a few millimeters do for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSettings:
    """How to align.

    Parameters
    ----------
    seed : int
        Of the ensemble's random weights; the alignment itself has no chance in it.
    threads : int
        At most so many at a time; the numbers don't depend on it.
    ensemble : bool
        Whether to estimate the local error, at about one and a half times the alignment's own cost.
    engine : EngineName or str
        What deforms. With another one than our own, the local error comes from both.
    """

    seed: int = 0
    threads: int = 2
    ensemble: bool = True
    engine: EngineName = EngineName.GAUSS_NEWTON

    def __post_init__(self) -> None:
        object.__setattr__(self, "engine", EngineName(self.engine))
        if self.threads < 1 or self.seed < 0:
            raise ValueError(f"threads must be at least 1 and the seed at least 0, not {self.threads} and {self.seed}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """Where points before ablation lie after it.

    Parameters
    ----------
    post_from_pre : SplineTransform
        The map to use.
    rigid_post_from_pre : RigidTransform
        Its rigid start.
    forward, pre_from_post : SplineTransform
        The runs in either direction, of which ``post_from_pre`` is the mean; not exactly each other's inverse.
    doubts : Doubts, optional
        What its error is told by; None if none was asked for.
    method : str
    phases_match : bool
        Whether both CTs show vessels alike. If not, brightness was compared regardless of its sign.
    both_ways : bool
        Whether the run in either direction could be used. If not, ``post_from_pre`` is the forward run alone.
    exams : (PreparedExam, PreparedExam)
        What was aligned, pre and post.
    textures, livers
        How well the exams agree under ``post_from_pre``.
    """

    post_from_pre: SplineTransform
    rigid_post_from_pre: RigidTransform
    forward: SplineTransform
    pre_from_post: SplineTransform
    doubts: Doubts | None
    method: str
    phases_match: bool
    both_ways: bool
    exams: tuple[PreparedExam, PreparedExam]
    textures: TextureAgreement
    livers: LiverAgreement

    def local_error(self, points_mm: FloatArray) -> LocalError | None:
        """The error to expect at points (n, 3) of the pre frame; None without doubts."""
        return self._local_error(points_mm, self._better_shift_mm(points_mm))

    def assess(self, points_mm: FloatArray) -> RegistrationQuality:
        """Judge the alignment for a tumor whose surface points (n, 3) are given in the pre frame."""
        shift_mm = self._better_shift_mm(points_mm)
        error = self._local_error(points_mm, shift_mm)
        sd_mm = None if error is None else error.sd_mm
        change = float(jacobian_determinants(self.post_from_pre, points_mm).mean()) - 1.0
        inconsistency_mm = self._inverse_consistency_mm(points_mm)
        grading = grade(
            livers=self.livers,
            textures=self.textures,
            better_shift_mm=shift_mm,
            phases_match=self.phases_match,
            both_ways=self.both_ways,
            inverse_consistency_mm=inconsistency_mm,
            sd_mm=sd_mm,
            volume_change=change,
        )
        return RegistrationQuality(
            method=self.method,
            liver_dice=self.livers.dice,
            liver_hd95_mm=self.livers.hd95_mm,
            liver_asd_mm=self.livers.asd_mm,
            jacobian_min=self.livers.jacobian_min,
            folded_share=self.livers.folded_share,
            inverse_consistency_mm=inconsistency_mm,
            engine_distance_mm=self._engine_distance_mm(points_mm),
            sd_mm=sd_mm,
            quality=grading.quality,
            reasons=grading.reasons,
            unquantified=grading.unquantified,
        )

    def _local_error(self, points_mm: FloatArray, shift_mm: Triple) -> LocalError | None:
        if self.doubts is None:
            return None
        meant = shift_mm if self.phases_match else None
        return estimate_local_error(self.post_from_pre, self.doubts, points_mm, shift_mm=meant)

    def _better_shift_mm(self, points_mm: FloatArray) -> Triple:
        return better_shift_mm(*self.exams, self.post_from_pre, points_mm)

    def _inverse_consistency_mm(self, points_mm: FloatArray) -> float:
        there_and_back = ComposedTransform(first=self.forward, then=self.pre_from_post)
        return float(np.linalg.norm(there_and_back.map_points(points_mm) - points_mm, axis=1).mean())

    def _engine_distance_mm(self, points_mm: FloatArray) -> float | None:
        if self.doubts is None or self.doubts.center is self.post_from_pre:
            return None
        apart = self.doubts.center.map_points(points_mm) - self.post_from_pre.map_points(points_mm)
        return float(np.linalg.norm(apart, axis=1).mean())


def register(
    pre: Volume,
    post: Volume,
    *,
    liver_pre: LabelMask,
    liver_post: LabelMask,
    ignore_pre: Sequence[LabelMask] = (),
    ignore_post: Sequence[LabelMask] = (),
    settings: RegistrationSettings | None = None,
    progress: Progress = silent,
) -> Alignment:
    """Align two liver CTs whose frames need not have anything to do with each other.

    The livers' surfaces and textures are brought together, coarse to fine. What is to be ignored (the tumor before,
    the ablation zone after, each with a rim) isn't compared, so nothing pulls the tumor toward the zone: there the map
    goes on smoothly as its surroundings do.

    Parameters
    ----------
    liver_pre, liver_post : LabelMask
        On any grid in the frame of the CT they belong to.
    ignore_pre, ignore_post : sequence of LabelMask
        Treated tissue, likewise.

    Raises
    ------
    UsageError
        If the engine isn't installed.
    EmptyMaskError, GeometryMismatchError
        If a liver's mask is empty or lies outside of its CT.
    RegistrationError
        If too little untreated liver is left to compare, or the engine needs one contrast phase and there are two.

    Notes
    -----
    An alignment that went wrong is no error: :meth:`Alignment.assess` says so.
    """
    settings = settings or RegistrationSettings()
    engine_named(settings.engine).require_installed()
    with limited_threads(settings.threads):
        progress("registration: preparing", 0.0)
        before = prepare_exam(pre, liver_pre, ignore_pre, rim_mm=TUMOR_RIM_MM)
        after = prepare_exam(post, liver_post, ignore_post, rim_mm=ZONE_RIM_MM)
        return _align(before, after, settings, progress)


def _align(pre: PreparedExam, post: PreparedExam, settings: RegistrationSettings, progress: Progress) -> Alignment:
    progress("registration: rigid start", 0.1)
    before, after = Pyramids(pre), Pyramids(post)
    pair = PyramidPair.started(before.signed(), after.signed(), SIGNED)
    rough = pair.levels(slice(PHASE_LEVELS)).forward(on_level=_level_teller(progress))
    progress("registration: contrast phases", 0.3)
    same_phase = phases_match(pre, post, rough)
    engine = _engine_for(settings.engine, phases_match=same_phase)
    if same_phase:
        progress(f"registration: level of {WORKING_MM:g} mm, both ways", 0.35)
        pair = replace(pair, begun=rough, levels_done=PHASE_LEVELS)
    else:
        progress("registration: all levels again, both ways, whatever the signs", 0.35)
        pair = PyramidPair.started(before.sign_free(), after.sign_free(), SIGN_FREE)
    both = meet_halfway(pair, *engine.deform_both_ways(pair, threads=settings.threads))
    progress("registration: local error", 0.6)
    doubts = _doubts(pair, both, settings) if settings.ensemble else None
    progress("registration: quality", 0.95)
    return Alignment(
        post_from_pre=both.post_from_pre,
        rigid_post_from_pre=pair.rigid,
        forward=both.forward,
        pre_from_post=both.backward,
        doubts=doubts,
        method=_method(engine, phases_match=same_phase, both_ways=both.invertible),
        both_ways=both.invertible,
        phases_match=same_phase,
        exams=(pre, post),
        textures=compare_textures(pre, post, both.post_from_pre),
        livers=compare_livers(pre, post, both.post_from_pre),
    )


def _level_teller(progress: Progress) -> Callable[[float], None]:
    """Tells the coarse levels, which come between the rigid start and the contrast phases."""
    shares = {voxel_mm: 0.1 + 0.2 * number / PHASE_LEVELS for number, (voxel_mm, _) in enumerate(LEVELS)}
    return lambda voxel_mm: progress(f"registration: level of {voxel_mm:g} mm", shares[voxel_mm])


def _engine_for(name: EngineName, *, phases_match: bool) -> Engine:
    engine = engine_named(name)
    if engine.needs_one_phase and not phases_match:
        raise RegistrationError(
            "the two CTs seem to be in different contrast phases, or they show little in common;"
            f" {name} can't align those: use the engine {EngineName.GAUSS_NEWTON}"
        )
    return engine


def _doubts(pair: PyramidPair, both: TwoWay, settings: RegistrationSettings) -> Doubts:
    """What the alignment's error is told by; our own engine's alignment too, if another one is used."""
    own = both
    if settings.engine is EngineName.GAUSS_NEWTON:
        runs = run_ensemble(pair, both, seed=settings.seed, threads=settings.threads)
    else:
        engine = engine_named(EngineName.GAUSS_NEWTON)
        own = meet_halfway(pair, *engine.deform_both_ways(pair, threads=settings.threads))
        runs = two_engines(both, own)
    plausible = plausible_alignments(pair, own.post_from_pre, seed=settings.seed)
    return Doubts(runs=runs, center=own.post_from_pre, plausible=plausible)


def _method(engine: Engine, *, phases_match: bool, both_ways: bool) -> str:
    texture = "signed" if phases_match else "sign-free"
    runs = "mean of both directions" if both_ways else "pre to post only"
    return f"{engine.method(texture)}, {runs}"
