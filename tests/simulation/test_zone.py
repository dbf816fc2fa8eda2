import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial import KDTree

from ablmargin.simulation.lesions import LesionPlan, random_axes, tumor_shape, zone_shape
from ablmargin.simulation.star import Lobe, StarShape
from ablmargin.simulation.zone import ZoneSurface

CENTER = np.array([-50.0, 10.0, -130.0])
RADII = np.array([14.0, 17.0, 22.0])


def everywhere(points):
    return np.full(len(points), -1.0)


def ball(radius, center=CENTER):
    return StarShape(center_mm=tuple(center), lobes=(Lobe(radii_mm=(radius,) * 3, axes=np.eye(3)),))


def distance_to_ellipsoid(point, radii):
    """Signed distance, positive inside, of a point in the ellipsoid's own axes (Eberly's root)."""
    y = np.abs(point)

    def excess(t):
        return float(((radii * y / (t + radii**2)) ** 2).sum() - 1)

    t = brentq(excess, -(radii.min() ** 2) + 1e-9, 1e5, xtol=1e-12)
    foot = radii**2 * y / (t + radii**2)
    return float(np.linalg.norm(foot - y)) * (1 if ((y / radii) ** 2).sum() < 1 else -1)


def test_the_distance_to_an_ellipsoid_is_exact_to_two_hundredths():
    rng = np.random.default_rng(0)
    axes = random_axes(rng)
    shape = StarShape(center_mm=tuple(CENTER), lobes=(Lobe(radii_mm=tuple(RADII), axes=axes),))
    offsets = rng.uniform(-22, 22, (300, 3))
    expected = [distance_to_ellipsoid(axes @ offset, RADII) for offset in offsets]
    found = ZoneSurface.of(shape, everywhere).signed_distances_mm(CENTER + offsets)
    assert np.abs(found - expected).max() < 0.02


def test_the_distance_to_a_double_zone_agrees_with_a_far_denser_surface():
    rng = np.random.default_rng(1)
    shape = zone_shape(rng, LesionPlan(tumor_radius_mm=9.0, nominal_mam_mm=5.0))
    points = rng.uniform(-16, 16, (200, 3))
    brute = KDTree(shape.surface(600_000)).query(points)[0]
    found = np.abs(ZoneSurface.of(shape, everywhere).signed_distances_mm(points))
    assert np.abs(found - brute)[brute > 0.5].max() < 0.02  # nearer, the brute force's own sampling shows


def test_an_offset_lobe_is_where_it_says():
    rng = np.random.default_rng(2)
    axes, offset = random_axes(rng), np.array([3.0, -4.0, 2.0])
    lobe = Lobe(radii_mm=tuple(RADII), offset_mm=tuple(offset), axes=axes)
    surface = StarShape(center_mm=tuple(CENTER), lobes=(lobe,)).surface(500)
    scaled = (surface - CENTER - offset) @ axes.T / RADII
    assert np.linalg.norm(scaled, axis=1) == pytest.approx(1.0, abs=1e-9)


def test_a_lobe_that_misses_the_center_is_refused():
    with pytest.raises(ValueError, match="center"):
        Lobe(radii_mm=(5.0, 5.0, 5.0), offset_mm=(0.0, 0.0, 6.0), axes=np.eye(3))


def test_volume_and_normals_of_a_ball():
    shape = ball(10.0)
    assert shape.volume_ml == pytest.approx(4 / 3 * np.pi, rel=1e-6)
    surface = shape.surface(200)
    assert shape.normals(surface) == pytest.approx((surface - CENTER) / 10, abs=1e-6)


def test_a_lumpy_tumor_has_the_volume_of_its_voxels():
    shape = tumor_shape(np.random.default_rng(3), 9.0)
    axis = np.arange(-14, 14, 0.4)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    assert shape.holds(points).sum() * 0.4**3 / 1000 == pytest.approx(shape.volume_ml, rel=0.005)


def test_a_zone_cut_by_a_flat_capsule_has_known_distances():
    capsule_x = CENTER[0] - 6.0

    def liver(points):
        return capsule_x - points[:, 0]  # the liver is where x is greater

    zone = ZoneSurface.of(ball(15.0), liver)
    depth = np.array([1.0, 3.0, 8.0])
    points = np.column_stack([capsule_x + depth, np.full(3, CENTER[1]), np.full(3, CENTER[2])])
    distance_to_center = np.abs(points[:, 0] - CENTER[0])
    assert zone.signed_distances_mm(points) == pytest.approx(np.minimum(depth, 15 - distance_to_center), abs=0.02)
    # the free part of the surface ends at the rim, where the plane cuts the ball
    rim = np.hypot(np.sqrt(15**2 - 6**2), depth)
    pole = 15 - np.maximum(points[:, 0] - CENTER[0], -6)
    assert zone.constrained_distances_mm(points) == pytest.approx(np.minimum(rim, pole), abs=0.3)
    outside = points - [20.0, 0.0, 0.0]
    assert (zone.signed_distances_mm(outside) < 0).all()


def test_a_zone_within_the_liver_knows_no_capsule():
    zone = ZoneSurface.of(ball(15.0), everywhere)
    assert not zone.on_capsule.any()
    assert zone.signed_distances_mm(CENTER[None] + [0.0, 0.0, 4.0]) == pytest.approx([11.0], abs=0.005)
