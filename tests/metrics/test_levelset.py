"""Level sets in parts: a crease between overlapping balls stays sharp, and nothing smooth is taken apart."""

import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.metrics.balls import fit_balls
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.edt import averaged_signed_edt_mm
from ablmargin.metrics.ellipsoids import fit_ellipsoids
from ablmargin.metrics.levelcandidates import fit_level_set
from ablmargin.metrics.surface import surface_of
from ablmargin.validation.shapes import Ball, Ellipsoid
from ablmargin.validation.unions import FusedBalls, Union
from ablmargin.volume import LabelMask, Structure

GRIDS = {
    spacing: Geometry(
        shape=(round(84 / spacing), 96, 96), spacing_mm=(spacing, 0.7, 0.7), origin_mm=(-33.1, -33.3, -41.8)
    )
    for spacing in (1.0, 5.0)
}
TWO = FusedBalls(
    first=Ball(center_mm=(-7.0, 1.0, 2.0), radius_mm=14.0), second=Ball(center_mm=(8.0, 2.0, -1.0), radius_mm=12.0)
)


STRAIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def balls_of(*balls: Ball):
    """Implicit function of a union of balls."""
    return lambda points: np.max(
        [ball.radius_mm - np.linalg.norm(points - np.array(ball.center_mm), axis=-1) for ball in balls], axis=0
    )


def preferred(mask: LabelMask):
    start, stop = mask.bounding_box()
    voxels = np.pad(mask.cropped(start, stop).voxels, 3)
    spacing = mask.geometry.spacing_mm
    distance = averaged_signed_edt_mm(voxels, spacing)
    return next(fit_level_set(voxels, distance, spacing, smoothness=100.0 if spacing[0] <= 1.25 else 1000.0))


@pytest.mark.parametrize(("spacing", "tolerance"), [(1.0, 0.2), (5.0, 0.7)])
def test_the_notch_between_two_balls_is_not_filled(spacing, tolerance):
    """One smooth field lies 0.4 mm beyond the crease at 1 mm slices and 1 mm at 5 mm; the voxels know better."""
    surface = surface_of(TWO.mask_on(GRIDS[spacing], Structure.ABLATION_ZONE))
    assert np.abs(TWO.signed_distance_mm(surface.vertices_mm)).max() < tolerance
    beyond = TWO.signed_distance_mm(surface.centroids_mm)
    assert beyond.min() > -tolerance


def test_points_on_the_crease_itself_are_vertices():
    """The circle where both balls end: the nearest vertex lies closer than half of the mesh's step of 1.2 mm."""
    first, second = (np.array(ball.center_mm) for ball in (TWO.first, TWO.second))
    apart = np.linalg.norm(second - first)
    along = (apart**2 + 14.0**2 - 12.0**2) / (2 * apart)
    axis = (second - first) / apart
    across = np.linalg.svd(axis[None])[2][1:]
    angles = np.linspace(0, 2 * np.pi, 60)
    circle = (
        first
        + along * axis
        + np.sqrt(14.0**2 - along**2) * (np.cos(angles)[:, None] * across[0] + np.sin(angles)[:, None] * across[1])
    )
    surface = surface_of(TWO.mask_on(GRIDS[1.0], Structure.ABLATION_ZONE))
    nearest = np.linalg.norm(circle[:, None] - surface.vertices_mm[None], axis=2).min(axis=1)
    assert nearest.max() < 0.6
    assert np.abs(signed_distances_mm(surface, circle)).max() < 0.2


@pytest.mark.parametrize("spacing", GRIDS)
def test_three_overlapping_balls_are_three_parts(mask_of, spacing):
    balls = (
        Ball(center_mm=(-9.0, -5.0, 0.0), radius_mm=13.0),
        Ball(center_mm=(9.0, -5.0, 1.0), radius_mm=12.0),
        Ball(center_mm=(0.0, 10.0, -1.0), radius_mm=12.5),
    )
    level_set = preferred(mask_of(balls_of(*balls), GRIDS[spacing]))
    assert level_set.parts == 3


@pytest.mark.parametrize(("spacing", "tolerance"), [(1.0, 0.3), (5.0, 0.7)])
def test_overlapping_ellipsoids_are_told_apart(spacing, tolerance):
    """Balls are a poor fit to either. One smooth field lies up to 0.5 mm and 1 mm off at the crease."""
    first = Ellipsoid(center_mm=(-6.0, 0.0, 1.0), radii_mm=(11.0, 15.0, 18.0), axes=STRAIGHT)
    second = Ellipsoid(center_mm=(9.0, 2.0, 0.0), radii_mm=(14.0, 10.0, 12.0), axes=STRAIGHT)
    shape = Union(parts=(first, second))
    mask = shape.mask_on(GRIDS[spacing], Structure.ABLATION_ZONE)
    assert preferred(mask).parts == 2
    assert np.abs(shape.signed_distance_mm(surface_of(mask).vertices_mm)).max() < tolerance


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize(
    "shape",
    [
        Ball(center_mm=(0.3, -0.2, 0.1), radius_mm=12.0),
        Ellipsoid(center_mm=(0.0, 0.0, 0.0), radii_mm=(22.0, 13.0, 11.0), axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))),
        Ellipsoid(center_mm=(0.0, 0.0, 0.0), radii_mm=(10.0, 17.0, 24.0), axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    ],
    ids=["ball", "long", "tall"],
)
def test_what_is_smooth_stays_whole(shape, spacing):
    assert preferred(shape.mask_on(GRIDS[spacing], Structure.ABLATION_ZONE)).parts == 1


def test_no_point_is_told_on_the_wrong_side_of_a_creased_surface():
    """Triangles that turn over at the crease would give whole regions the wrong sign."""
    rng = np.random.default_rng(3)
    for _ in range(6):
        radii, direction = rng.uniform(9, 15, 2), rng.normal(size=3)
        half = direction / np.linalg.norm(direction) * rng.uniform(0.9, 1.6) * radii.mean() / 2
        shape = FusedBalls(
            first=Ball(center_mm=tuple(-half), radius_mm=radii[0]),
            second=Ball(center_mm=tuple(half), radius_mm=radii[1]),
        )
        surface = surface_of(shape.mask_on(GRIDS[1.0], Structure.ABLATION_ZONE))
        points = rng.uniform(-24, 24, (3000, 3))
        truth, told = shape.signed_distance_mm(points), signed_distances_mm(surface, points)
        far = np.abs(truth) > 0.7
        assert np.array_equal(np.sign(told[far]), np.sign(truth[far]))


def test_balls_are_found_again():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    first, second = 14.0 * directions[:2000] + (-7.0, 1.0, 2.0), 12.0 * directions[2000:] + (8.0, 2.0, -1.0)
    points = np.concatenate([first, second])
    points = points[np.abs(TWO.signed_distance_mm(points)) < 1e-6]
    unions = list(zip(range(2), fit_balls(points, np.ones(len(points))), strict=False))
    found = unions[1][1]
    order = np.argsort(-found.radii_mm)
    assert found.radii_mm[order] == pytest.approx([14.0, 12.0], abs=1e-6)
    assert found.centers_mm[order] == pytest.approx(np.array([(-7.0, 1.0, 2.0), (8.0, 2.0, -1.0)]), abs=1e-6)
    assert found.misfit_mm2(points).max() < 1e-10


def test_balls_run_out_of_points():
    assert list(fit_balls(np.random.default_rng(1).normal(size=(20, 3)), np.ones(20))) == []


def test_ellipsoids_are_found_again():
    """From a rough first guess, a plane between them; what an ellipsoid shows is enough."""
    first = Ellipsoid(center_mm=(-6.0, 0.0, 1.0), radii_mm=(11.0, 15.0, 18.0), axes=STRAIGHT)
    second = Ellipsoid(center_mm=(9.0, 2.0, 0.0), radii_mm=(14.0, 10.0, 12.0), axes=STRAIGHT)
    points = Union(parts=(first, second)).surface_points(2000)[0]
    found = fit_ellipsoids(points, np.ones(len(points)), (points[:, 0] > 4.0).astype(int))
    assert found is not None
    assert found.centers_mm == pytest.approx(np.array([first.center_mm, second.center_mm]), abs=0.3)
    assert np.sqrt(found.misfit_mm2(points)).max() < 0.1  # the pull toward balls is all that is left
    labels = found.nearest(points)
    assert (first.level_mm(points)[labels == 0] > -1e-6).mean() > 0.99


def test_ellipsoids_run_out_of_points_or_are_none():
    rng = np.random.default_rng(1)
    assert fit_ellipsoids(rng.normal(size=(20, 3)), np.ones(20), np.zeros(20, int)) is None
    sheets = rng.uniform(-3, 3, (500, 3))
    sheets[:, 2] = np.sqrt(1.0 + sheets[:, 0] ** 2 + sheets[:, 1] ** 2) * np.sign(sheets[:, 2])  # a hyperboloid's two
    assert fit_ellipsoids(sheets, np.ones(500), np.zeros(500, int)) is None


def test_points_on_two_slices_do_not_stop_the_fit():
    """How far an ellipsoid reaches beyond them can't be told from them: any answer will do, or none."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = 10.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([np.column_stack([ring, np.full(60, height)]) for height in (0.0, 5.0)])
    found = fit_ellipsoids(points, np.ones(120), np.zeros(120, int))
    assert found is None or np.sqrt(found.misfit_mm2(points)).max() < 0.5
