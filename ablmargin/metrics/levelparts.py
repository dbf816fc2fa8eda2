"""Telling apart the smooth parts that a shape is the union of, so that the creases between them stay sharp.

Overlapping ablations meet in a sharp crease, which one smooth field would fill in. A mask whose border is closer to a few
ellipsoids than to one is therefore tried as a union of smooth parts, each with its own field; balls are the first guess
at the ellipsoids. If together the parts need far less roughness, they are what the shape is made of.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from ablmargin.geometry import BoolArray
from ablmargin.metrics.balls import fit_balls
from ablmargin.metrics.crossings import Crossings
from ablmargin.metrics.ellipsoids import Ellipsoids, fit_ellipsoids
from ablmargin.metrics.levelfit import Fit, Problem

MAX_PARTS = 3
PROPOSAL_CROSSINGS = 1000
CLOSE_ENOUGH = 1.4
"""Mean squared distance to the border, in variances of its crossings, at which no more ellipsoids are looked for."""
WORTH_A_TRIAL = 0.6
"""Parts are tried if one more ellipsoid comes this much closer to the border, by mean squared distance."""
WORTH_PARTS, HOPELESS = 0.3, 0.7
"""Parts must need less than the first share of the roughness that one field needs; beyond the second they never get there."""
TAKEOVERS = 3
FEWEST_EDGES = 120
"""Border crossings that a part must rest on."""


def in_parts(problem: Problem, whole: Fit) -> Fit | None:
    """The union of fewest parts that explains the border with far less roughness; None if none does."""
    few = problem.edges.some(PROPOSAL_CROSSINGS)
    closest = np.inf
    for balls in islice(fit_balls(few.crossing, few.weights), MAX_PARTS):
        ellipsoids = fit_ellipsoids(few.crossing, few.weights, balls.nearest(few.crossing))
        if ellipsoids is None:
            continue
        misfit = _misfit(ellipsoids, few)
        if len(ellipsoids) > 1 and misfit < WORTH_A_TRIAL * closest:
            nearest = ellipsoids.nearest(problem.edges.crossing)
            trial = _settled(problem, whole, [nearest == number for number in range(len(ellipsoids))])
            if trial is not None:
                return trial
        closest = min(closest, misfit)
        if closest < CLOSE_ENOUGH:
            return None
    return None


def _misfit(ellipsoids: Ellipsoids, edges: Crossings) -> float:
    """Mean squared distance of crossings to the border of ellipsoids, in variances."""
    return float(np.average(ellipsoids.misfit_mm2(edges.crossing) / edges.variance_mm2, weights=edges.area_mm2))


def _settled(problem: Problem, whole: Fit, owners: list[BoolArray]) -> Fit | None:
    """Parts that took over each other's edges until they are smooth enough; None if they don't get there."""
    for _ in range(TAKEOVERS):
        if min(np.count_nonzero(own) for own in owners) < FEWEST_EDGES:
            return None
        trial = Fit(problem, owners)
        if trial.roughness < WORTH_PARTS * whole.roughness:
            return trial
        if trial.roughness > HOPELESS * whole.roughness:
            return None
        leading = trial.level_set.values_at(problem.edges.crossing).argmax(axis=1)
        owners = [leading == number for number in range(len(owners))]
    return None
