"""Alignments about as plausible as the one that was found: what the images leave open.

Around its solution an alignment's energy is nearly quadratic. Read as a negative log likelihood, with the noise that the
pictures' remaining difference shows, it tells how far the map may be off: most where nothing is compared (around treated
tissue), where texture is faint, where the noise is strong. Drawn from it (Laplace's approximation), maps scatter around the
solution as the truth may.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablmargin.registration.deformable import LevelProblem
from ablmargin.registration.symmetric import PyramidPair
from ablmargin.registration.transform import SplineTransform

SAMPLES = 16
NOISE = 1.8
"""Voxels that share an error: the variance of their mean is that much larger than if each had its own."""
TISSUE_STIFFNESS = 3.0
"""What the map's bending costs in truth; alignments do best when they bend less than that. Both were set on pairs with known
deformation, without and with noise of 60 and 150 HU, where they hold together."""


def plausible_alignments(pair: PyramidPair, spline: SplineTransform, *, seed: int) -> tuple[SplineTransform, ...]:
    """Random maps post_from_pre around a solution on the lattice of the pair's own forward run; none if nothing is compared.

    Sign-free pictures have a mean, and noise has slopes: where they share little but that mean, they tell less than they
    seem to, by the ratio of the gains with it and without it.
    """
    problem = LevelProblem(pair.pre[-1], pair.post[-1], spline.rigid, pair.recipe[-1], None)
    state = problem.state_at(spline.coefficients_mm)
    misfit = problem.picture.misfit(state.samples, state.gain)
    if misfit is None:
        return ()
    feigned = max(1.0, state.gain / problem.picture.shared_gain(state.samples))
    _, data = problem.normal_equations(state)
    curvature = problem.curvature(data, stiffness=TISSUE_STIFFNESS)
    offsets = curvature.solved(curvature.scattered(np.random.default_rng(seed), SAMPLES))
    offsets *= feigned * np.sqrt(NOISE * misfit)
    return tuple(
        replace(spline, coefficients_mm=spline.coefficients_mm + offsets[..., number]) for number in range(SAMPLES)
    )
