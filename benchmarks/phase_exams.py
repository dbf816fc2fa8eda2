"""One CT of a phantom patient in any contrast phase, with anybody's dose, fat and noise. No lesion, no movement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from ablmargin.geometry import Geometry
from ablmargin.progress import silent
from ablmargin.simulation.ct import UNENHANCED, Phase, grid_points
from ablmargin.simulation.fields import Lattice
from ablmargin.simulation.liver import LiverShape
from ablmargin.simulation.organs import organs
from ablmargin.simulation.phantom import FEET_MM, HEAD_MM, LIVER_BOX_MM, MIDDLE_MM, TRUNK_BOX_MM
from ablmargin.simulation.render import Anatomy, View, render
from ablmargin.simulation.vessels import HEPATIC_ROOTS, PORTAL_ROOTS, grow_tree
from ablmargin.volume import LabelMask, Structure, Volume

PIXEL_MM, PIXELS = 1.5, 246
DOSE_SD, LIVER_SD_HU = 0.13, 10.0


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What differs between patients besides their anatomy: contrast agent in the blood (1: usual), and the liver's HU without."""

    seed: int
    dose: float = 1.0
    liver_hu: float = UNENHANCED.liver

    @classmethod
    def random(cls, seed: int, rng: np.random.Generator) -> Patient:
        """Doses for the weight, and livers' HU, as they scatter: a sixth of the patients are beyond either sd."""
        dose, liver_hu = rng.normal((1.0, UNENHANCED.liver), (DOSE_SD, LIVER_SD_HU))
        return cls(seed=seed, dose=float(np.clip(dose, 0.7, 1.4)), liver_hu=float(np.clip(liver_hu, 0.0, 75.0)))

    def in_phase(self, phase: Phase) -> Phase:
        """The patient's own HU: each tissue gains in proportion to the dose."""
        own = {
            field.name: getattr(UNENHANCED, field.name)
            + self.dose * (getattr(phase, field.name) - getattr(UNENHANCED, field.name))
            for field in fields(phase)
            if field.name not in {"name", "zone", "rim", "liver"}
        }
        gained_hu = self.dose * (phase.liver - UNENHANCED.liver)
        return replace(phase, liver=self.liver_hu + gained_hu, **own)


def exam_of(patient: Patient, phase: Phase, *, slice_mm: float, noise_hu: float) -> tuple[Volume, LabelMask]:
    """A CT and its exact liver."""

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([patient.seed, purpose])

    liver = LiverShape.random(stream(1))
    anatomy = _anatomy(liver, stream)
    own = patient.in_phase(phase)
    view = View(anatomy=anatomy, organs=organs(stream(12), own, liver, anatomy.fat), phase=own, tumors=())
    grid = _grid(liver, stream(10), slice_mm)
    voxels = render(view, grid, rng=stream(13), noise_sd_hu=noise_hu, progress=silent, step="")
    return Volume(voxels_hu=voxels, geometry=grid), _mask(liver, grid)


def _anatomy(liver: LiverShape, stream: Callable[[int], np.random.Generator]) -> Anatomy:
    portal = grow_tree(stream(2), PORTAL_ROOTS, liver.smooth_level)
    hepatic = grow_tree(stream(3), HEPATIC_ROOTS, liver.smooth_level)
    low, high = LIVER_BOX_MM
    rng = stream(11)
    return Anatomy(
        liver=liver,
        portal=portal.field(),
        hepatic=hepatic.field(),
        patent=portal.field(),
        parenchyma=Lattice.noise(rng, low_mm=low, high_mm=high, step_mm=2.0, correlation_mm=5.0),
        fat=Lattice.noise(rng, low_mm=TRUNK_BOX_MM[0], high_mm=TRUNK_BOX_MM[1], step_mm=4.0, correlation_mm=11.0),
    )


def _grid(liver: LiverShape, rng: np.random.Generator, slice_mm: float) -> Geometry:
    """An axial grid from below to above the liver."""
    points = rng.uniform(*LIVER_BOX_MM, (20_000, 3))
    inside = points[liver.level(points) < 0]
    low, high = inside[:, 2].min() - FEET_MM, inside[:, 2].max() + HEAD_MM
    x, y = MIDDLE_MM[:2] - PIXEL_MM * (PIXELS - 1) / 2
    shape = (int(np.ceil((high - low) / slice_mm)) + 1, PIXELS, PIXELS)
    return Geometry(shape=shape, spacing_mm=(slice_mm, PIXEL_MM, PIXEL_MM), origin_mm=(x, y, low))


def _mask(liver: LiverShape, grid: Geometry) -> LabelMask:
    slices = [liver.level(grid_points(grid, k, k + 1)).reshape(grid.shape[1:]) < 0 for k in range(grid.shape[0])]
    return LabelMask(voxels=np.stack(slices), geometry=grid, structure=Structure.LIVER)
