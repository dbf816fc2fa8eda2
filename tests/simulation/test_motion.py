import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablmargin.simulation.fields import sphere_directions
from ablmargin.simulation.motion import Contraction, Motion, PostFromPre, PreFromPost, RigidMap, random_bending
from ablmargin.simulation.plan import random_motion
from ablmargin.simulation.scenarios import SCENARIOS

STILL = RigidMap.from_degrees((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def motion(seed=0, breathing_mm=26.0, bending_mm=5.0):
    return random_motion(np.random.default_rng(seed), breathing_mm=breathing_mm, bending_mm=bending_mm)


def body_points(count=2000):
    return np.random.default_rng(5).uniform((-165, -115, -115), (165, 110, 115), (count, 3))


@pytest.mark.parametrize("seed", range(4))
def test_there_and_back_is_the_identity(seed):
    known = motion(seed).with_contractions(Contraction(center_mm=(-40.0, 10.0, -140.0), share=0.15, width_mm=15.0))
    points = body_points()
    there = PostFromPre(motion=known).map_points(points)
    assert np.abs(there - points).max() > 10  # it does move
    assert np.abs(PreFromPost(motion=known).map_points(there) - points).max() < 1e-5


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_no_scenario_folds_the_body(scenario):
    for seed in range(12):
        known = motion(seed, scenario.breathing_mm, scenario.bending_mm)
        post = known.frame.inverse_points(body_points(4000))
        if scenario.contraction:
            center = tuple(post[0])
            known = known.with_contractions(Contraction(center_mm=center, share=scenario.contraction, width_mm=12.0))
            post = np.vstack([post, center + 12 * sphere_directions(200)])
        assert known.jacobian_determinants(post).min() > 0.3


def test_contraction_is_known_at_its_center():
    shrunk = Contraction(center_mm=(1.0, 2.0, 3.0), share=0.2, width_mm=10.0)
    known = Motion(
        frame=STILL,
        breathing=STILL,
        bending=random_bending(np.random.default_rng(0), rms_mm=0.0),
        contractions=(shrunk,),
    )
    determinants = known.jacobian_determinants(np.array([[1.0, 2.0, 3.0], [200.0, 0.0, 0.0]]))
    assert determinants == pytest.approx([1.2**3, 1.0], abs=1e-3)


def test_bending_has_the_size_asked_for():
    sizes = []
    for seed in range(30):
        field = random_bending(np.random.default_rng(seed), rms_mm=3.0)
        sizes.append((field(body_points(500)) ** 2).sum(axis=1).mean())
    assert np.sqrt(np.mean(sizes)) == pytest.approx(3.0, rel=0.1)


def test_a_folding_map_is_told():
    wild = Motion(frame=STILL, breathing=STILL, bending=random_bending(np.random.default_rng(0), rms_mm=200.0))
    with pytest.raises(ArithmeticError, match="can't be inverted"):
        wild.inverse_organ_points(body_points(50))


def test_a_contraction_of_everything_is_refused():
    with pytest.raises(ValueError, match="share"):
        Contraction(center_mm=(0.0, 0.0, 0.0), share=1.0, width_mm=5.0)


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_a_rigid_map_keeps_distances_and_comes_back(degrees, shift, center):
    rigid = RigidMap.from_degrees(degrees, shift, center_mm=center)
    points = np.array([[0.0, 0.0, 0.0], [30.0, -20.0, 10.0]])
    moved = rigid.map_points(points)
    assert np.linalg.norm(moved[1] - moved[0]) == pytest.approx(np.linalg.norm(points[1]))
    assert rigid.inverse_points(moved) == pytest.approx(points, abs=1e-9)


def test_the_description_is_enough_to_compute_the_map():
    known = motion(3).with_contractions(Contraction(center_mm=(-40.0, 10.0, -140.0), share=0.15, width_mm=15.0))
    record, points = known.describe(), known.frame.inverse_points(body_points(100))

    def rigid(part, at):
        rotation, center, shift = (np.array(part[name]) for name in ("rotation", "center_mm", "shift_mm"))
        return (at - center) @ rotation.T + center + shift

    def bend(at):
        b = record["bending"]
        return np.sin(at @ np.array(b["waves_rad_per_mm"]).T + b["phases_rad"]) @ np.array(b["weights_mm"])

    c = record["contractions"][0]
    offset = points - c["center_mm"]
    gain = c["share"] * np.exp(-(offset**2).sum(axis=1) / (2 * c["width_mm"] ** 2))
    framed = rigid(record["frame"], points + gain[:, None] * offset)
    middle = np.array(record["breathing"]["center_mm"])
    expected = rigid(record["breathing"], framed) + bend(framed) - bend(middle[None])
    assert known.organ_points(points) == pytest.approx(expected, abs=1e-9)
