from __future__ import annotations

import numpy as np
import pytest

from ablmargin.validation.shapes import Ball, Ellipsoid
from ablmargin.validation.truth import truth_of
from ablmargin.validation.unions import FusedBalls

STRAIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def ball(radius: float, x: float = 0.0) -> Ball:
    return Ball(center_mm=(x, 0.0, 0.0), radius_mm=radius)


def volume(radius: float) -> float:
    return 4 / 3 * np.pi * radius**3


def shared(r: float, s: float, apart: float) -> float:
    """Volume that two balls share: the smaller one, nothing, or a lens."""
    if apart <= abs(r - s):
        return volume(min(r, s))
    if apart >= r + s:
        return 0.0
    return np.pi * (r + s - apart) ** 2 * (apart**2 + 2 * apart * (r + s) - 3 * (r - s) ** 2) / (12 * apart)


def share_below(r: float, zone: float, apart: float, t: float) -> float:
    if t > zone:  # no point lies that deep in the zone
        return 1.0
    u = ((zone - t) ** 2 - r**2 - apart**2) / (2 * r * apart)
    return float(np.clip((1 - u) / 2, 0, 1))


def mean_margin(r: float, zone: float, apart: float) -> float:
    """Zone's radius less the mean distance of a sphere's points to a point inside it or outside."""
    far, near = max(r, apart), min(r, apart)
    return zone - far - near**2 / (3 * far)


@pytest.mark.parametrize(
    ("r", "zone", "apart"), [(6.0, 14.0, 3.0), (10.0, 12.0, 5.0), (13.0, 14.0, 0.5), (5.0, 9.0, 6.0), (8.0, 5.0, 7.0)]
)
def test_spheres_in_closed_form(r, zone, apart):
    truth = truth_of(ball(r), ball(zone, apart))
    assert truth.mam_mm == pytest.approx(zone - r - apart, abs=1e-4)
    assert truth.margin.mean_mm == pytest.approx(mean_margin(r, zone, apart), abs=1e-3)
    for t in (0.0, 3.0, 5.0, 10.0):
        assert truth.margin.share_below(t) == pytest.approx(share_below(r, zone, apart, t), abs=2e-3)
    for k, share in truth.coverage.items():
        assert share == pytest.approx(shared(r + k, zone, apart) / volume(r + k), abs=1e-3)
    residual = (volume(r) - shared(r, zone, apart)) / 1000
    assert truth.tumor_volume_ml == pytest.approx(volume(r) / 1000, rel=1e-4)
    assert truth.residual_tumor_ml == pytest.approx(residual, abs=1e-3 * volume(r) / 1000)


def test_no_truth_is_taken_for_another():
    """The negative: a shift of the zone by 0.05 mm shows in every figure."""
    one, other = (truth_of(ball(10.0), ball(12.0, apart)) for apart in (5.0, 5.05))
    assert other.mam_mm == pytest.approx(one.mam_mm - 0.05, abs=1e-3)
    assert other.margin.mean_mm != pytest.approx(one.margin.mean_mm, abs=1e-3)
    assert other.residual_tumor_ml > one.residual_tumor_ml


def test_a_grown_spheroid_covered_whole_has_full_coverage():
    tumor = Ellipsoid(center_mm=(0, 0, 0), radii_mm=(6.0, 8.0, 11.0), axes=STRAIGHT)
    assert all(share == pytest.approx(1.0) for share in truth_of(tumor, ball(40.0)).coverage.values())
    none = truth_of(tumor, ball(5.0, 60.0))
    assert set(none.coverage.values()) == {0.0}
    assert none.residual_tumor_ml == pytest.approx(volume((6 * 8 * 11) ** (1 / 3)) / 1000, rel=1e-3)
    assert none.mam_mm == pytest.approx(-(66 - 5), abs=1e-3)  # the tumor's farthest point, by semi-axis 6


def test_a_grown_ellipsoid_follows_steiner():
    """Volume grown by k: V + S k + M k² + 4π/3 k³, for a spheroid with S and M in closed form."""
    a, c = 7.0, 10.0
    e = np.sqrt(1 - a**2 / c**2)
    surface = 2 * np.pi * a**2 * (1 + c / (a * e) * np.arcsin(e))
    mean_curvature = 2 * np.pi * (c + a / np.sqrt(c**2 / a**2 - 1) * np.log(c / a + np.sqrt(c**2 / a**2 - 1)))
    tumor = Ellipsoid(center_mm=(0, 0, 0), radii_mm=(a, a, c), axes=STRAIGHT)
    zone = ball(6.0)
    for k, share in truth_of(tumor, zone).coverage.items():
        grown = 4 / 3 * np.pi * a * a * c + surface * k + mean_curvature * k**2 + 4 / 3 * np.pi * k**3
        assert share * grown == pytest.approx(volume(6.0), rel=2e-3)  # the zone lies wholly in the tumor


def test_a_tumor_that_pokes_through_the_crease():
    # two balls of 10 mm, 12 mm apart, meet on a circle of radius 8 around the origin
    zone = FusedBalls(first=ball(10.0, -6.0), second=ball(10.0, 6.0))
    truth = truth_of(ball(9.0), zone)
    # at x = 0 the tumor's points are sqrt(36 + 81) from either center: the notch is the thinnest place
    assert truth.mam_mm == pytest.approx(10 - np.sqrt(117), abs=2e-3)
    inside = truth_of(ball(5.0), zone)
    assert inside.mam_mm == pytest.approx(3.0, abs=2e-3)  # to the crease
