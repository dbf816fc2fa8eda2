from itertools import pairwise

import numpy as np
import pytest

from ablmargin.simulation.fields import cone_level
from ablmargin.simulation.liver import LiverShape
from ablmargin.simulation.vessels import (
    FIELD_REACH_MM,
    HEPATIC_ROOTS,
    PORTAL_ROOTS,
    Segment,
    VesselTree,
    grow_tree,
)


@pytest.fixture(scope="module")
def liver():
    return LiverShape.random(np.random.default_rng(4))


@pytest.mark.parametrize("roots", [PORTAL_ROOTS, HEPATIC_ROOTS])
def test_trees_branch_within_the_liver(liver, roots):
    tree = grow_tree(np.random.default_rng(5), roots, liver.smooth_level)
    assert len(tree.segments) > 100
    assert len(tree.bifurcations_mm) > 10
    thin = np.array([s.stop_mm for s in tree.segments if s.first_radius_mm < 3])
    assert (liver.smooth_level(thin) < 0).mean() > 0.98
    assert all(s.last_radius_mm < s.first_radius_mm for s in tree.segments)


def test_the_field_is_the_distance_to_the_nearest_vessel():
    ends = np.array([[0.0, 0.0, 0.0], [12.0, 5.0, -3.0], [20.0, -4.0, 8.0]])
    segments = tuple(Segment(start_mm=a, stop_mm=b, first_radius_mm=3.0, last_radius_mm=2.0) for a, b in pairwise(ends))
    field = VesselTree(segments=segments, bifurcations_mm=ends[1:2]).field(step_mm=0.5)
    points = np.random.default_rng(0).uniform(-6, 22, (400, 3))
    exact = np.min([cone_level(points, s.start_mm, s.stop_mm, 3.0, 2.0) for s in segments], axis=0)
    off_axis = exact > -1.5
    assert np.abs(field(points) - np.minimum(exact, FIELD_REACH_MM))[off_axis].max() < 0.1


def test_thin_vessels_can_be_left_out():
    thin = Segment(start_mm=np.zeros(3), stop_mm=np.ones(3), first_radius_mm=1.0, last_radius_mm=1.0)
    field = VesselTree(segments=(thin,), bifurcations_mm=np.empty((0, 3))).field(above_radius_mm=2.0)
    assert (field.values == FIELD_REACH_MM).all()
