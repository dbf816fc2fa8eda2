"""Simulated pairs for the benchmark of the registration: right ones, deliberately wrong ones, and a large one."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from ablmargin.geometry import FloatArray, Geometry, PointTransform, triple
from ablmargin.itk import resample
from ablmargin.loading import load_image, load_mask
from ablmargin.registration.agreement import compare_livers, compare_textures
from ablmargin.registration.images import PreparedExam, prepare_exam
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.registration.register import TUMOR_RIM_MM, ZONE_RIM_MM, Alignment, RegistrationSettings, register
from ablmargin.registration.transform import InverseTransform, SplineTransform, inverse_points
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.semireal import simulate_from_ct
from ablmargin.volume import LabelMask, Structure, Volume

KINDS = ("phantom", "semireal", "arterial", "unenhanced")
SAME_PHASE = ("phantom", "semireal")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FIRST_SEED = 101
MASK_ERROR_MM = 1.0
MOST_OF_OTHER_PHASE = 6
SHIFTED_LIVER_MM = 15.0
LOCAL_SHIFT_MM = (6.0, 8.0)
LOCAL_SHIFT_WIDTH_MM = 20.0

Parts = tuple[Volume, Volume, LabelMask, LabelMask, tuple[LabelMask, ...], tuple[LabelMask, ...]]

_WATCH_S = 0.01
_SCENARIOS = ("thin-margin", "residual-tumor", "wide-margin", "shrunken-zone", "deep-breath", "subcapsular")
_OTHER_PHASE = {"arterial": "arterial-post", "unenhanced": "no-contrast"}
_NOMINAL_MAM_MM = (-2.0, 1.0, 3.0, 5.0, 8.0)
_SETTINGS = RegistrationSettings(threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pair is made from; ``nominal_mam_mm`` counts for pairs from a real CT, ``scenario`` for the others."""

    kind: str
    seed: int
    scenario: str = ""
    nominal_mam_mm: float = 0.0

    @property
    def same_phase(self) -> bool:
        return self.kind in SAME_PHASE


def plans(kinds: Sequence[str], count: int) -> list[Plan]:
    """So many pairs of each kind; of the other phases six at most.

    Examples
    --------
    >>> [(plan.scenario, plan.seed) for plan in plans(["phantom"], 2)]
    [('thin-margin', 101), ('residual-tumor', 102)]
    >>> len(plans(["arterial"], 8))
    6
    """
    most = {kind: count if kind in SAME_PHASE else min(count, MOST_OF_OTHER_PHASE) for kind in kinds}
    return [_plan(kind, number) for kind in kinds for number in range(most[kind])]


def _plan(kind: str, number: int) -> Plan:
    seed = FIRST_SEED + number
    if kind == "semireal":
        return Plan(kind=kind, seed=seed, nominal_mam_mm=_NOMINAL_MAM_MM[number % len(_NOMINAL_MAM_MM)])
    return Plan(kind=kind, seed=seed, scenario=_OTHER_PHASE.get(kind, _SCENARIOS[number % len(_SCENARIOS)]))


def make_pair(plan: Plan, data: Path) -> SimulatedPair:
    """The pair of a plan, outlines with a smooth error of 1 mm sd; ``data`` holds the real CT and its liver mask."""
    if plan.kind != "semireal":
        return simulate_phantom(plan.scenario, seed=plan.seed, mask_error_mm=MASK_ERROR_MM)
    volume = load_image(data / "hcc048_portal_venous").volume
    mask = str(data / "hcc048_liver_consensus.nii.gz")
    liver = load_mask(mask, Structure.LIVER, onto=volume.geometry)
    return simulate_from_ct(
        volume, liver, seed=plan.seed, nominal_mam_mm=plan.nominal_mam_mm, mask_error_mm=MASK_ERROR_MM
    )


def align(pair: SimulatedPair, settings: RegistrationSettings = _SETTINGS) -> Alignment:
    """What the product makes of a pair, on one thread."""
    return register(
        pair.pre,
        pair.post,
        liver_pre=pair.liver_pre,
        liver_post=pair.liver_post,
        ignore_pre=pair.tumors,
        ignore_post=pair.zones,
        settings=settings,
    )


def prepared(pair: SimulatedPair) -> tuple[PreparedExam, PreparedExam]:
    """Both exams as the registration looks at them."""
    return (
        prepare_exam(pair.pre, pair.liver_pre, pair.tumors, rim_mm=TUMOR_RIM_MM),
        prepare_exam(pair.post, pair.liver_post, pair.zones, rim_mm=ZONE_RIM_MM),
    )


def tumor_points(pair: SimulatedPair) -> FloatArray:
    """Points (n, 3) of the first tumor's surface, pre frame, enough to judge an alignment by."""
    return pair.truth.lesions[0].tumor_surface_pre_mm[::10]


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

    def unmap_points(self, points_mm: FloatArray) -> FloatArray:
        return inverse_points(self, points_mm)


def local_shift(pair: SimulatedPair, seed: int) -> LocalShift:
    """By 6 to 8 mm in a random direction at the first tumor."""
    rng = np.random.default_rng([FIRST_SEED, seed])
    direction = rng.standard_normal(3)
    length = rng.uniform(*LOCAL_SHIFT_MM) / np.linalg.norm(direction)
    return LocalShift(
        center_mm=triple(pair.truth.lesions[0].tumor_surface_pre_mm.mean(axis=0)), shift_mm=triple(length * direction)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedBefore:
    """A map post_from_pre whose points are first shifted."""

    shift: LocalShift
    inner: PointTransform

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        return self.inner.map_points(self.shift.map_points(points_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedAfter:
    """Its counterpart pre_from_post: the same shift undone at the end."""

    shift: LocalShift
    inner: PointTransform

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        return self.shift.unmap_points(self.inner.map_points(points_mm))


def tampered(alignment: Alignment, exams: tuple[PreparedExam, PreparedExam], shift: LocalShift) -> Alignment:
    """The alignment with every run shifted alike, so that they agree with each other as before; compared anew."""

    def moved(inner: PointTransform) -> PointTransform:
        if isinstance(inner, InverseTransform):
            return InverseTransform(forward=ShiftedAfter(shift=shift, inner=inner.forward))
        return ShiftedBefore(shift=shift, inner=inner)

    to_post = moved(alignment.post_from_pre)
    return replace(
        alignment,
        post_from_pre=cast("SplineTransform", to_post),
        forward=cast("SplineTransform", moved(alignment.forward)),
        pre_from_post=cast("SplineTransform", ShiftedAfter(shift=shift, inner=alignment.pre_from_post)),
        members=tuple(moved(member) for member in alignment.members),
        textures=compare_textures(*exams, to_post),
        livers=compare_livers(*exams, to_post),
    )


def enlarged(
    pair: SimulatedPair, *, pre: tuple[int, int, int] = (200, 512, 512), post: tuple[int, int, int] = (300, 512, 512)
) -> SimulatedPair:
    """The same pair on finer grids over the same space."""
    return replace(
        pair,
        pre=_on_finer(pair.pre, pre),
        post=_on_finer(pair.post, post),
        liver_pre=_mask_on_finer(pair.liver_pre, pre),
        liver_post=_mask_on_finer(pair.liver_post, post),
        tumors=tuple(_mask_on_finer(mask, pre) for mask in pair.tumors),
        zones=tuple(_mask_on_finer(mask, post) for mask in pair.zones),
    )


def _finer(grid: Geometry, shape: tuple[int, int, int]) -> Geometry:
    spacing = [s * (old - 1) / (new - 1) for s, old, new in zip(grid.spacing_mm, grid.shape, shape, strict=True)]
    return replace(grid, shape=shape, spacing_mm=triple(spacing))


def _on_finer(volume: Volume, shape: tuple[int, int, int]) -> Volume:
    grid = _finer(volume.geometry, shape)
    # The last slice may fall outside by rounding, where air is filled in.
    hu = resample(volume.voxels_hu, volume.geometry, grid, fill=-1000.0)
    return Volume(voxels_hu=hu.astype(np.float32), geometry=grid)


def _mask_on_finer(mask: LabelMask, shape: tuple[int, int, int]) -> LabelMask:
    grid = _finer(mask.geometry, shape)
    return replace(mask, voxels=resample(mask.voxels, mask.geometry, grid) >= 0.5, geometry=grid)


def cost_of(parts: Parts, *, ensemble: bool) -> tuple[float, float]:
    """CPU time, and the most memory in MB beyond what holds the images already."""
    pre, post, liver_pre, liver_post, tumors, zones = parts
    before, peak, done = _resident_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_S):
            peak[0] = max(peak[0], _resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    register(
        pre,
        post,
        liver_pre=liver_pre,
        liver_post=liver_post,
        ignore_pre=tumors,
        ignore_post=zones,
        settings=RegistrationSettings(threads=1, ensemble=ensemble),
    )
    cpu_s = time.process_time() - start
    done.set()
    watcher.join()
    return cpu_s, peak[0] - before


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
