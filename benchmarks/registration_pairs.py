"""Simulated pairs for the benchmark of the registration, and a large one."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ablmargin.geometry import FloatArray, Geometry, triple
from ablmargin.itk import resample
from ablmargin.loading import load_image, load_mask
from ablmargin.registration.images import PreparedExam, prepare_exam
from ablmargin.registration.register import TUMOR_RIM_MM, ZONE_RIM_MM, Alignment, RegistrationSettings, register
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.scenarios import SCENARIOS
from ablmargin.simulation.semireal import simulate_from_ct
from ablmargin.volume import LabelMask, Structure, Volume

KINDS = ("phantom", "semireal", "arterial", "unenhanced", "hard")
SAME_PHASE = ("phantom", "semireal")
OTHER_PHASE = ("arterial", "unenhanced")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FIRST_SEED = 101
MASK_ERROR_MM, HARD_MASK_ERROR_MM = 1.0, 3.0
MOST_OF_OTHER_KINDS = 6

Parts = tuple[Volume, Volume, LabelMask, LabelMask, tuple[LabelMask, ...], tuple[LabelMask, ...]]

_WATCH_S = 0.01
_SCENARIOS = ("thin-margin", "residual-tumor", "wide-margin", "shrunken-zone", "deep-breath", "subcapsular")
_OTHER_PHASE_SCENARIOS = dict(zip(OTHER_PHASE, ("arterial-post", "no-contrast"), strict=True))
_HARD = {
    name: replace(
        SCENARIOS[name],
        breathing_mm=26.0,
        bending_mm=9.0,
        contraction=0.15,
        noise_pre_hu=40.0,
        noise_post_hu=45.0,
        pre_slice_mm=3.0,
        post_slice_mm=5.0,
    )
    for name in ("subcapsular", "deep-breath")
}
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
    """So many pairs of each kind; of other phases and hard ones six at most.

    Examples
    --------
    >>> [(plan.scenario, plan.seed) for plan in plans(["phantom"], 2)]
    [('thin-margin', 101), ('residual-tumor', 102)]
    >>> len(plans(["arterial"], 8))
    6
    """
    most = {kind: count if kind in SAME_PHASE else min(count, MOST_OF_OTHER_KINDS) for kind in kinds}
    return [_plan(kind, number) for kind in kinds for number in range(most[kind])]


def _plan(kind: str, number: int) -> Plan:
    seed = FIRST_SEED + number
    if kind == "semireal":
        return Plan(kind=kind, seed=seed, nominal_mam_mm=_NOMINAL_MAM_MM[number % len(_NOMINAL_MAM_MM)])
    if kind == "hard":
        return Plan(kind=kind, seed=seed, scenario=tuple(_HARD)[number % len(_HARD)])
    return Plan(kind=kind, seed=seed, scenario=_OTHER_PHASE_SCENARIOS.get(kind, _SCENARIOS[number % len(_SCENARIOS)]))


def make_pair(plan: Plan, data: Path) -> SimulatedPair:
    """The pair of a plan, with outlines that err smoothly by 1 mm, hard ones by 3; ``data`` holds the real CT and its mask."""
    if plan.kind == "hard":
        return simulate_phantom(_HARD[plan.scenario], seed=plan.seed, mask_error_mm=HARD_MASK_ERROR_MM)
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
