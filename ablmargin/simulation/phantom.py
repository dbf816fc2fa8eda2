"""The digital phantom: an abdomen before and after the ablation of a liver metastasis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ablmargin.errors import UsageError
from ablmargin.geometry import FloatArray, Geometry, triple
from ablmargin.progress import Progress, silent
from ablmargin.simulation.ct import PHASES
from ablmargin.simulation.fields import Lattice
from ablmargin.simulation.lesions import LesionPlan, outward_direction, place_tumor
from ablmargin.simulation.liver import LiverShape
from ablmargin.simulation.masks import draw_masks
from ablmargin.simulation.motion import Motion
from ablmargin.simulation.organs import organs
from ablmargin.simulation.pair import SimulatedPair, Truth
from ablmargin.simulation.plan import ablate, contracted, made_up_uid, random_motion
from ablmargin.simulation.render import Anatomy, View, render
from ablmargin.simulation.scenarios import SCENARIOS, Scenario
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.truth import lesion_truth, pair_truth, spread_landmarks
from ablmargin.simulation.vessels import HEPATIC_ROOTS, PATENT_RADIUS_MM, PORTAL_ROOTS, VesselTree, grow_tree
from ablmargin.simulation.zone import ZoneSurface
from ablmargin.threads import one_blas_thread
from ablmargin.volume import Volume

LIVER_BOX_MM = (np.array([-140.0, -95.0, -115.0]), np.array([105.0, 95.0, 100.0]))
"""The liver lies within, in the pre frame."""
TUMOR_BOX_MM = (np.array([-125.0, -70.0, -75.0]), np.array([40.0, 70.0, 70.0]))
TRUNK_BOX_MM = (np.array([-175.0, -125.0, -175.0]), np.array([175.0, 125.0, 175.0]))
PRE_PIXEL_MM, PRE_PIXELS = 1.15, 320
POST_PIXEL_MM, POST_PIXELS = 1.2, 304
MIDDLE_MM = np.array([0.0, 6.0, 0.0])
"""Middle of the pre images, in the slice."""
HEAD_MM, FEET_MM = 16.0, 18.0
"""How far beyond the liver the images reach."""
LESION_DISTANCE_MM = 55.0

Stream = Callable[[int], np.random.Generator]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """All shapes of a case, before anything is painted."""

    scenario: Scenario
    liver: LiverShape
    portal: VesselTree
    hepatic: VesselTree
    patent: Lattice
    motion: Motion
    tumors: tuple[StarShape, ...]
    zones: tuple[ZoneSurface, ...]


@one_blas_thread()
def simulate_phantom(
    scenario: str | Scenario,
    *,
    seed: int = 1,
    coarse: float = 1.0,
    mask_error_mm: float = 0.0,
    progress: Progress = silent,
) -> SimulatedPair:
    """Make a pre- and a post-ablation CT of a digital abdomen, with masks and exact truth.

    Parameters
    ----------
    scenario : str or Scenario
        A name in ``SCENARIOS``, or one of your own.
    seed : int
        Another seed is another patient with another movement.
    coarse : float
        Factor on all voxel sizes; larger is faster.
    mask_error_mm : float
        Standard deviation of a smooth random error of the masks' borders; the truth is unaffected.

    Raises
    ------
    UsageError
        If there is no such scenario.

    Examples
    --------
    >>> pair = simulate_phantom("residual-tumor", seed=3, coarse=4.0)
    >>> pair.truth.lesions[0].mam_mm < 0
    True
    >>> pair.truth.lesions[0].residual_tumor_ml > 0
    True
    """
    planned = _scenario(scenario)

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose])

    progress("plan the patient", 0.0)
    plan = _plan(planned, stream)
    pre, post = _grids(plan, stream(10), coarse)
    anatomy = _anatomy(plan, stream(11))
    before, after = _volumes(plan, anatomy, (pre, post), stream, progress)
    progress("compute the truth", 0.0)
    truth = _truth(plan, seed, stream(20))
    masks = draw_masks(
        plan.liver.level,
        LIVER_BOX_MM,
        motion=plan.motion,
        tumors=plan.tumors,
        zones=plan.zones,
        grids=(pre, post),
        error_mm=mask_error_mm,
        rng=stream(21),
    )
    return SimulatedPair(
        pre=before,
        post=after,
        liver_pre=masks.liver_pre,
        liver_post=masks.liver_post,
        tumors=masks.tumors,
        zones=masks.zones,
        truth=truth,
        phase_pre=PHASES[plan.scenario.phase_pre].name,
        phase_post=PHASES[plan.scenario.phase_post].name,
    )


def _scenario(scenario: str | Scenario) -> Scenario:
    if isinstance(scenario, Scenario):
        return scenario
    if scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[scenario]


def _plan(scenario: Scenario, stream: Stream) -> _Plan:
    liver = LiverShape.random(stream(1))
    portal = grow_tree(stream(2), PORTAL_ROOTS, liver.smooth_level)
    hepatic = grow_tree(stream(3), HEPATIC_ROOTS, liver.smooth_level)
    both = VesselTree(segments=portal.segments + hepatic.segments, bifurcations_mm=portal.bifurcations_mm)
    patent = both.field(above_radius_mm=PATENT_RADIUS_MM)
    motion = random_motion(stream(4), breathing_mm=scenario.breathing_mm, bending_mm=scenario.bending_mm)
    tumors: list[StarShape] = []
    for index, lesion in enumerate(scenario.lesions):
        placed = [np.array(tumor.center_mm) for tumor in tumors]
        tumors.append(_tumor(stream(30 + index), lesion, liver, patent, placed))
    motion = contracted(motion, tumors, scenario.lesions, share=scenario.contraction)
    zones = tuple(
        ablate(stream(40 + index), lesion, tumor, liver.level, motion)
        for index, (lesion, tumor) in enumerate(zip(scenario.lesions, tumors, strict=True))
    )
    return _Plan(
        scenario=scenario,
        liver=liver,
        portal=portal,
        hepatic=hepatic,
        patent=patent,
        motion=motion,
        tumors=tuple(tumors),
        zones=zones,
    )


def _tumor(
    rng: np.random.Generator, lesion: LesionPlan, liver: LiverShape, patent: Lattice, placed: list[FloatArray]
) -> StarShape:
    def allowed(center: FloatArray) -> bool:
        far = all(np.linalg.norm(center - other) > LESION_DISTANCE_MM for other in placed)
        free = float(patent(center[None])[0]) >= 3.0
        lateral = not lesion.subcapsular or outward_direction(liver.level, center)[0] < -0.6
        return far and free and lateral

    return place_tumor(rng, lesion, liver.level, TUMOR_BOX_MM, allowed)


def _anatomy(plan: _Plan, rng: np.random.Generator) -> Anatomy:
    low, high = LIVER_BOX_MM
    return Anatomy(
        liver=plan.liver,
        portal=plan.portal.field(),
        hepatic=plan.hepatic.field(),
        patent=plan.patent,
        parenchyma=Lattice.noise(rng, low_mm=low, high_mm=high, step_mm=2.0, correlation_mm=5.0),
        fat=Lattice.noise(rng, low_mm=TRUNK_BOX_MM[0], high_mm=TRUNK_BOX_MM[1], step_mm=4.0, correlation_mm=11.0),
    )


def _grids(plan: _Plan, rng: np.random.Generator, coarse: float) -> tuple[Geometry, Geometry]:
    """Grids of both exams: each holds the whole liver, and they differ in everything."""
    low, high = LIVER_BOX_MM
    points = rng.uniform(low, high, (20_000, 3))
    liver_pre = points[plan.liver.level(points) < 0]
    liver_post = plan.motion.inverse_organ_points(liver_pre)
    pre = _grid(liver_pre, MIDDLE_MM, PRE_PIXEL_MM, PRE_PIXELS, slice_mm=plan.scenario.pre_slice_mm, coarse=coarse)
    middle = plan.motion.frame.inverse_points(MIDDLE_MM[None])[0] + rng.uniform(-5.0, 5.0, 3)
    post = _grid(liver_post, middle, POST_PIXEL_MM, POST_PIXELS, slice_mm=plan.scenario.post_slice_mm, coarse=coarse)
    return pre.in_frame(made_up_uid(rng)), post.in_frame(made_up_uid(rng))


def _grid(
    liver_mm: FloatArray, middle_mm: FloatArray, pixel_mm: float, pixels: int, *, slice_mm: float, coarse: float
) -> Geometry:
    """An axial grid around a middle (x, y), from below to above a liver's points (n, 3)."""
    low, high = liver_mm[:, 2].min() - FEET_MM, liver_mm[:, 2].max() + HEAD_MM
    pixel, step, count = pixel_mm * coarse, slice_mm * coarse, max(8, round(pixels / coarse))
    x, y = middle_mm[:2] - pixel * (count - 1) / 2
    return Geometry(
        shape=(max(3, int(np.ceil((high - low) / step)) + 1), count, count),
        spacing_mm=(step, pixel, pixel),
        origin_mm=triple(np.round([x, y, low], 3)),
    )


def _volumes(
    plan: _Plan,
    anatomy: Anatomy,
    grids: tuple[Geometry, Geometry],
    stream: Callable[[int], np.random.Generator],
    progress: Progress,
) -> tuple[Volume, Volume]:
    scenario = plan.scenario
    views = (
        _view(plan, anatomy, scenario.phase_pre, stream(12)),
        _view(plan, anatomy, scenario.phase_post, stream(12), treated=True),
    )
    noises = scenario.noise_pre_hu, scenario.noise_post_hu
    steps = "paint the CT before ablation", "paint the CT after ablation"
    before, after = (
        Volume(
            voxels_hu=render(
                view, grid, rng=stream(13 + at), noise_sd_hu=noises[at], progress=progress, step=steps[at]
            ),
            geometry=grid,
        )
        for at, (view, grid) in enumerate(zip(views, grids, strict=True))
    )
    return before, after


def _view(plan: _Plan, anatomy: Anatomy, phase: str, rng: np.random.Generator, *, treated: bool = False) -> View:
    return View(
        anatomy=anatomy,
        organs=organs(rng, PHASES[phase], plan.liver, anatomy.fat),
        phase=PHASES[phase],
        tumors=plan.tumors,
        zones=tuple(zone.shape for zone in plan.zones) if treated else (),
        motion=plan.motion if treated else None,
    )


def _truth(plan: _Plan, seed: int, rng: np.random.Generator) -> Truth:
    lesions = tuple(
        lesion_truth(str(number), tumor, zone, plan.motion)
        for number, (tumor, zone) in enumerate(zip(plan.tumors, plan.zones, strict=True), start=1)
    )
    forks = np.vstack([plan.portal.bifurcations_mm, plan.hepatic.bifurcations_mm])
    inside = forks[plan.liver.level(forks) < 0]
    spread = spread_landmarks(rng, plan.liver.level, LIVER_BOX_MM)
    return pair_truth(plan.scenario.name, seed, plan.motion, lesions, np.vstack([spread, inside]))
