import numpy as np
import pytest

from ablmargin.simulation.motion import Motion, RigidMap, random_bending
from ablmargin.simulation.star import Lobe, StarShape
from ablmargin.simulation.truth import lesion_truth, spread_landmarks
from ablmargin.simulation.zone import ZoneSurface

SHIFT = np.array([6.0, -3.0, 40.0])
MOTION = Motion(
    frame=RigidMap.from_degrees((10.0, -20.0, 30.0), tuple(SHIFT)),
    breathing=RigidMap.from_degrees((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    bending=random_bending(np.random.default_rng(0), rms_mm=0.0),
)


def ball(center, radius):
    return StarShape(center_mm=tuple(center), lobes=(Lobe(radii_mm=(radius,) * 3, axes=np.eye(3)),))


def truth_of(offset_mm, *, tumor_mm=9.0, zone_mm=15.0, capsule_mm=np.inf):
    """A ball in a ball, their centers an offset apart along an odd direction; a flat capsule beyond the tumor."""
    way = np.array([0.36, -0.48, 0.8])
    center = MOTION.inverse_organ_points(np.zeros((1, 3)))[0]

    def liver(points):
        return (points - center) @ way - min(capsule_mm, 1e3)

    zone = ZoneSurface.of(ball(center + offset_mm * way, zone_mm), liver)
    return lesion_truth("one", ball(np.zeros(3), tumor_mm), zone, MOTION), center, way


@pytest.mark.parametrize("offset", [0.0, 2.5, 5.0, 8.0])
def test_the_margin_of_two_balls(offset):
    truth, center, way = truth_of(offset)
    assert truth.mam_mm == pytest.approx(15.0 - 9.0 - offset, abs=0.005)
    assert truth.mam_constrained_mm == pytest.approx(truth.mam_mm, abs=1e-3)
    assert not truth.subcapsular
    if offset:
        assert truth.mam_location_mm == pytest.approx(center - 9.0 * way, abs=0.15)


def test_the_tumor_left_is_the_ball_minus_the_lens():
    offset, small, large = 9.0, 9.0, 15.0
    truth, *_ = truth_of(offset)
    lens = (
        np.pi
        * (large + small - offset) ** 2
        * (offset**2 + 2 * offset * (large + small) - 3 * (large - small) ** 2)
        / (12 * offset)
    )
    left_ml = (4 / 3 * np.pi * small**3 - lens) / 1000
    assert truth.residual_tumor_ml == pytest.approx(left_ml, rel=0.05)  # on a grid of 0.4 mm
    assert truth.tumor_volume_ml == pytest.approx(4 / 3 * np.pi * small**3 / 1000, rel=1e-6)


def test_a_capsule_near_the_tumor_is_told_apart_from_the_zone():
    truth, center, way = truth_of(2.0, capsule_mm=10.0)
    assert truth.subcapsular
    assert truth.mam_mm == pytest.approx(1.0, abs=0.005)  # the capsule, 1 mm beyond the tumor
    assert truth.mam_location_mm == pytest.approx(center + 9.0 * way, abs=0.3)
    assert truth.mam_constrained_mm == pytest.approx(4.0, abs=0.005)  # the zone, on the far side


def test_landmarks_are_spread_and_inside():
    points = spread_landmarks(
        np.random.default_rng(0),
        lambda at: np.linalg.norm(at, axis=1) - 50.0,
        (np.full(3, -50.0), np.full(3, 50.0)),
    )
    assert points.shape == (300, 3)
    assert np.linalg.norm(points, axis=1).max() < 47
    octants = np.unique((points > 0) @ [1, 2, 4], return_counts=True)[1]
    assert octants.min() > 20
