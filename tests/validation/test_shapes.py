from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around
from scipy.optimize import brentq

from ablmargin.validation.shapes import Ball, Ellipsoid, Lumpy
from ablmargin.validation.unions import FusedBalls
from ablmargin.volume import Structure

CENTER = (12.0, -30.0, 55.0)
TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
BALL = Ball(center_mm=CENTER, radius_mm=11.0)
ELLIPSOID = Ellipsoid(center_mm=CENTER, radii_mm=(9.0, 12.0, 15.0), axes=TURNED)
LUMPY = Lumpy(base=ELLIPSOID, bumps=(((1.0, 0.0, 0.0), 0.12, 6.0), ((0.0, 0.6, 0.8), -0.1, 8.0)))
FUSED = FusedBalls(first=BALL, second=Ball(center_mm=(24.0, -30.0, 55.0), radius_mm=9.0))
SHAPES = {"ball": BALL, "ellipsoid": ELLIPSOID, "lumpy": LUMPY, "fused": FUSED}
BALL_MM3 = 4 / 3 * np.pi * 11**3

shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def points_around(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-22, 22, (count, 3)) + CENTER


def lens_mm3(r: float, s: float, apart: float) -> float:
    """What two balls share, in closed form."""
    return np.pi * (r + s - apart) ** 2 * (apart**2 + 2 * apart * (r + s) - 3 * (r - s) ** 2) / (12 * apart)


def distance_to_ellipsoid(point: np.ndarray, radii: np.ndarray) -> float:
    """Eberly's closed form up to one root: the foot is r² p / (t + r²), along the semi-axes."""
    p = np.abs(point)

    def residual(t: float) -> float:
        return float(((radii * p / (t + radii**2)) ** 2).sum() - 1)

    low = float((-(radii**2) + radii * p).max())
    root = brentq(residual, low + 1e-12, np.linalg.norm(radii) * np.linalg.norm(p) + 1, xtol=1e-12)
    return float(np.linalg.norm(p - radii**2 * p / (root + radii**2)))


@shapes
def test_sign_and_surface_agree(shape):
    points = points_around(400)
    distance = shape.signed_distance_mm(points)
    assert ((distance > 0) == shape.contains(points)).all()
    assert ((shape.level_mm(points) > 0) == shape.contains(points)).all()
    assert (
        np.abs(shape.signed_distance_mm(shape.surface_points(500)[0])).max() < 5e-3
    )  # as promised; far less elsewhere
    assert shape.contains(points).any()
    assert not shape.contains(points).all()


@shapes
def test_no_point_of_the_surface_is_nearer_and_one_is_as_near(shape):
    """Against a search over 400 000 points of the surface, 0.08 mm apart: no estimate, only a bound from above."""
    points = points_around(60, seed=1)
    surface, _ = shape.surface_points(400_000)
    nearest = np.array([np.sqrt(((surface - point) ** 2).sum(axis=1).min()) for point in points])
    distance = np.abs(shape.signed_distance_mm(points))
    far = nearest > 0.5
    assert (distance < nearest + 1e-3).all()
    assert np.abs(distance - nearest)[far].max() < 0.01  # 0.06²/2 · (1/0.5 + curvature)


def test_an_ellipsoid_agrees_with_its_closed_form():
    points = points_around(200, seed=2)
    local = (points - np.array(CENTER)) @ np.array(TURNED).T
    exact = [distance_to_ellipsoid(point, np.array(ELLIPSOID.radii_mm)) for point in local]
    assert np.abs(ELLIPSOID.signed_distance_mm(points)) == pytest.approx(exact, abs=0.002)


def test_the_crease_counts_for_fused_balls():
    # balls of 11 and 9 mm, 12 mm apart: they meet on a circle (144 + 121 - 81) / 24 from the first center
    along = 184 / 24
    crease_radius = np.sqrt(121 - along**2)
    inside = np.array([CENTER[0] + along, *CENTER[1:]])
    assert FUSED.signed_distance_mm(inside[None])[0] == pytest.approx(crease_radius)
    outside = inside + np.array([0.0, crease_radius + 3.0, 0.0])  # over the crease, nearer to both spheres than to it
    assert -3.0 < FUSED.signed_distance_mm(outside[None])[0] < -1.5
    assert FUSED.signed_distance_mm(np.array([CENTER]))[0] == pytest.approx(11.0)  # its other side isn't covered


def test_areas_and_volumes():
    for radius in (5.0, 14.0):
        ball = Ball(center_mm=CENTER, radius_mm=radius)
        assert ball.surface_points()[1].sum() == pytest.approx(4 * np.pi * radius**2)
    along = 184 / 24
    caps = 2 * np.pi * 11 * (11 - along) + 2 * np.pi * 9 * (9 - (12 - along))  # hidden in the other ball
    exposed = 4 * np.pi * (121 + 81) - caps
    assert FUSED.surface_points(40_000)[1].sum() == pytest.approx(exposed, rel=2e-3)
    # a spheroid of 8, 8, 12 mm: 2π a² (1 + c / (a e) asin e)
    e = np.sqrt(1 - 64 / 144)
    spheroid = Ellipsoid(center_mm=CENTER, radii_mm=(8.0, 8.0, 12.0), axes=TURNED)
    assert spheroid.surface_points()[1].sum() == pytest.approx(
        128 * np.pi * (1 + 12 / (8 * e) * np.arcsin(e)), rel=1e-4
    )


def test_masks_hold_what_the_shape_holds(orientation):
    grid = grid_around(CENTER, orientation=orientation, shape=(40, 60, 62), spacing_mm=(1.0, 0.8, 0.7))
    mask = BALL.mask_on(grid, Structure.TUMOR)
    centers = mask.voxel_centers_mm()
    assert np.linalg.norm(centers - CENTER, axis=1).max() <= 11.0
    assert mask.volume_ml == pytest.approx(BALL_MM3 / 1000, rel=0.01)
    assert mask.structure is Structure.TUMOR
    shares = BALL.fractions_on(grid)
    # 0.2 mm subsamples of a sphere: errors of single voxels average out
    assert shares.sum() * grid.voxel_volume_ml == pytest.approx(BALL_MM3 / 1000, rel=5e-4)
    assert ((shares >= 0.5) == mask.voxels).mean() > 0.99
    assert set(np.unique(shares[mask.voxels == False])) - {0.0}  # noqa: E712  partial voxels whose center is outside


def test_fused_volume_is_both_less_the_lens():
    grid = grid_around((16.0, -30.0, 55.0), shape=(60, 70, 90), spacing_mm=(0.5, 0.5, 0.5))
    exact = BALL_MM3 + 4 / 3 * np.pi * 9**3 - lens_mm3(11, 9, 12)
    assert FUSED.mask_on(grid, Structure.ABLATION_ZONE).volume_ml == pytest.approx(exact / 1000, rel=2e-3)


def test_balls_that_do_not_cut_each_other_are_refused():
    for center, radius in (((40.0, -30.0, 55.0), 9.0), ((13.0, -30.0, 55.0), 2.0)):
        with pytest.raises(ValueError, match="cut each other"):
            FusedBalls(first=BALL, second=Ball(center_mm=center, radius_mm=radius))
