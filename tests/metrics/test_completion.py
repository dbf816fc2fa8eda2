"""The ball that completes a margin, on spheres whose missing tissue is known, and by measuring again with it added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from orientations import grid_around

from ablmargin.metrics.capsule import measure_capsule
from ablmargin.metrics.completion import TOLERATED_MM, Completion, _liver_around, propose_completion
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.enclosing import smallest_ball
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import Surface, surface_of
from ablmargin.volume import LabelMask, Structure

GRID = grid_around((0.0, 0.0, 0.0), shape=(72, 90, 90), spacing_mm=(1.0, 0.8, 0.8))
REACHED_MM = 0.3
"""What a margin measured again may lack: the tolerated sliver and the rounded crease between zone and ball."""


def capsule_at_0(points):
    """A liver above the plane z = 0."""
    return points[..., 2]


def any_of(*shapes):
    return lambda points: np.max([shape(points) for shape in shapes], axis=0)


def all_of(*shapes):
    return lambda points: np.min([shape(points) for shape in shapes], axis=0)


@dataclass(frozen=True)
class Scene:
    """A tumor, a zone and a liver as masks, with the ball proposed for them."""

    mask_of: Callable[..., LabelMask]
    ball: Callable[..., Callable]
    tumor: Surface
    zone_shape: Callable
    zone: Surface
    liver: LabelMask | None
    required_mm: float

    @property
    def before_mm(self) -> float:
        return self.judged(self.zone)[0].min()

    def completion(self) -> Completion | None:
        margin, constrained = self.judged(self.zone)
        return propose_completion(
            self.tumor,
            self.zone,
            margin,
            required_mm=self.required_mm,
            liver=self.liver,
            depth=None if self.liver is None else LiverDepth.around(self.liver, self.tumor, self.zone),
            subcapsular=constrained,
        )

    def after_mm(self, completion: Completion) -> float:
        added = any_of(self.zone_shape, self.ball(completion.center_mm, completion.radius_mm))
        return self.judged(surface_of(self.mask_of(added, GRID)))[0].min()

    def judged(self, zone: Surface):
        """The judged margins, and whether they are those within the liver; endless if the zone ends nowhere in it."""
        margin = measure_margin(self.tumor, zone, liver=self.liver)
        if self.liver is None or not measure_capsule(margin, required_mm=self.required_mm).subcapsular:
            return margin.margin_mm, False
        return (np.array([np.inf]) if margin.constrained_mm is None else margin.constrained_mm), True


@pytest.fixture
def scene(mask_of, ball):
    def build(tumor, zone, required_mm, *, liver=None) -> Scene:
        return Scene(
            mask_of=mask_of,
            ball=ball,
            tumor=surface_of(mask_of(tumor, GRID)),
            zone_shape=zone,
            zone=surface_of(mask_of(zone, GRID)),
            liver=None if liver is None else mask_of(liver, GRID, Structure.LIVER),
            required_mm=required_mm,
        )

    return build


def coarse_sphere(radius_mm: float) -> Surface:
    """512 triangles: an octahedron, each of its triangles split in four three times."""
    points = [np.array(p, float) for p in [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(3):
        middles: dict[tuple[int, int], int] = {}

        def middle(a, b, middles=middles):
            if (key := (min(a, b), max(a, b))) not in middles:
                points.append((points[a] + points[b]) / np.linalg.norm(points[a] + points[b]))
                middles[key] = len(points) - 1
            return middles[key]

        split = [((a, b, c), (middle(a, b), middle(b, c), middle(c, a))) for a, b, c in faces]
        faces = [
            face for (a, b, c), (ab, bc, ca) in split for face in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        ]
    return Surface(vertices_mm=radius_mm * np.array(points), triangles=faces)


def half_space(toward, distance_mm: float) -> Surface:
    """All that lies no farther than so many mm in a direction: a tetrahedron of 400 mm."""
    across = np.cross(toward, [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    along = np.cross(toward, across)
    turns = np.radians([0, 120, 240])[:, None]
    base = distance_mm * toward + 400 * (np.cos(turns) * across + np.sin(turns) * along)
    return Surface(vertices_mm=np.vstack([base, -400 * toward]), triangles=[(0, 1, 2), (1, 0, 3), (2, 1, 3), (0, 2, 3)])


def ball_ml(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


class TestSmallestBall:
    @given(arrays(float, st.tuples(st.integers(1, 7), st.just(3)), elements=st.integers(-9, 9).map(float)))
    def test_it_is_the_smallest_of_all_that_hold_the_points(self, points):
        center, radius = smallest_ball(points)
        assert np.linalg.norm(points - center, axis=1).max() <= radius + 1e-5
        assert radius == pytest.approx(self.smallest_by_trying_all(points), abs=1e-5)

    @staticmethod
    def smallest_by_trying_all(points) -> float:
        """The smallest ball is carried by at most four of the points."""
        radii = []
        for count in range(1, 5):
            for chosen in combinations(points, min(count, len(points))):
                sides = np.array(chosen) - chosen[0]
                found = np.linalg.lstsq(sides, (sides**2).sum(axis=1) / 2)[0]
                distances = np.linalg.norm(points - chosen[0] - found, axis=1)
                radii.append(distances.max())
        return min(radii)

    def test_many_points_on_a_sphere(self):
        rays = np.random.default_rng(3).normal(size=(5000, 3))
        points = [4.0, -7.0, 30.0] + 12 * rays / np.linalg.norm(rays, axis=1, keepdims=True)
        center, radius = smallest_ball(points)
        assert radius == pytest.approx(12, abs=0.01)  # 5000 points leave gaps of some 0.2 mm
        assert center == pytest.approx([4, -7, 30], abs=0.05)


class TestWithoutALiver:
    def test_the_rim_of_what_is_missing_is_found_between_the_points_of_a_coarse_mesh(self):
        """Ablated: a half space 7 mm from the center. Missing: a cap whose rim is a circle with a radius of 11 mm."""
        toward = np.array([0.36, 0.48, 0.8])
        tumor, zone = coarse_sphere(8.0), half_space(toward, 7.0)
        margin = 7.0 - tumor.vertices_mm @ toward
        completion = propose_completion(tumor, zone, margin, required_mm=5.0 + TOLERATED_MM)
        # edges are up to 3 mm long: their middles lie 0.08 mm too deep
        assert completion.radius_mm == pytest.approx(np.sqrt(13**2 - 7**2) + TOLERATED_MM, abs=0.1)
        assert completion.center_mm == pytest.approx(7 * toward, abs=0.1)

    def test_missing_cap(self, scene, ball):
        """Tissue wanted: radius 13 around 0. Ablated: 22 around x = 12. Missing: a cap with its rim at x = -7.1."""
        case = scene(ball((0, 0, 0), 8), ball((12, 0, 0), 22), 5)
        completion = case.completion()
        rim = (13**2 + 12**2 - 22**2) / (2 * 12)
        assert case.before_mm == pytest.approx(2, abs=0.2)
        assert completion.center_mm == pytest.approx((rim, 0, 0), abs=0.4)
        # the rim turns steeply with the tolerated 0.15 mm: R = 13 ± 0.15 gives 10.6 to 11.1 mm
        assert completion.radius_mm == pytest.approx(np.sqrt(13**2 - rim**2), abs=0.3)
        assert completion.capsule_distance_mm is None
        assert not completion.leaves_liver
        assert case.after_mm(completion) >= 5 - REACHED_MM

    def test_nothing_ablated_near_takes_the_whole_tumor_and_its_margin(self, scene, ball):
        case = scene(ball((-15, 0, 0), 9), ball((20, 0, 0), 12), 5)
        completion = case.completion()
        assert completion.center_mm == pytest.approx((-15, 0, 0), abs=0.1)
        assert completion.radius_mm == pytest.approx(14, abs=0.1)
        assert completion.added_volume_ml == pytest.approx(ball_ml(14), rel=0.02)
        assert case.after_mm(completion) >= 5 - REACHED_MM

    def test_too_thin_all_around_has_no_smaller_ball(self, scene, ball):
        case = scene(ball((0, 0, 0), 9), ball((0, 0, 0), 13), 10)
        completion = case.completion()
        assert case.before_mm == pytest.approx(4, abs=0.1)
        assert completion.radius_mm == pytest.approx(19, abs=0.1)
        assert completion.added_volume_ml == pytest.approx(ball_ml(19) - ball_ml(13), rel=0.02)
        assert case.after_mm(completion) >= 10 - REACHED_MM

    def test_a_pocket_left_in_the_zone_takes_a_small_ball(self, scene, ball):
        pocket = ball((0, 0, 11), 3)
        case = scene(ball((0, 0, 0), 7), all_of(ball((0, 0, 0), 20), lambda p: -pocket(p)), 5)
        completion = case.completion()
        assert case.before_mm == pytest.approx(1, abs=0.2)
        # of the pocket only what lies within 5 mm of the tumor: below its middle at z = 11, up to radius 12
        assert completion.radius_mm <= 3 + TOLERATED_MM + 0.2
        assert np.linalg.norm(np.array(completion.center_mm) - (0, 0, 11)) <= 0.6
        assert case.after_mm(completion) >= 5 - REACHED_MM

    def test_the_uncovered_part_of_a_tumor_in_two_parts(self, scene, ball):
        tumor = any_of(ball((-12, 0, 0), 6), ball((14, 0, 0), 6))
        completion = scene(tumor, ball((-12, 0, 0), 13), 5).completion()
        assert completion.center_mm == pytest.approx((14, 0, 0), abs=0.1)
        assert completion.radius_mm == pytest.approx(11, abs=0.1)

    def test_the_ball_is_the_same_in_every_orientation(self, mask_of, ball, orientation):
        """Slices of 5 mm: the spheres themselves are told to some tenths of a millimeter."""
        grid = grid_around((3.0, 0.0, 0.0), orientation=orientation, shape=(14, 76, 90), spacing_mm=(5.0, 0.8, 0.7))
        tumor, zone = (surface_of(mask_of(shape, grid)) for shape in (ball((0, 0, 0), 8), ball((9, 3, 0), 19)))
        margin = measure_margin(tumor, zone).margin_mm
        completion = propose_completion(tumor, zone, margin, required_mm=5.0)
        offset = np.hypot(9, 3)
        rim = (13**2 + offset**2 - 19**2) / (2 * offset)
        assert completion.center_mm == pytest.approx(rim * np.array([9, 3, 0]) / offset, abs=0.8)
        assert completion.radius_mm == pytest.approx(np.sqrt(13**2 - rim**2), abs=0.8)

    @pytest.mark.parametrize("radius", [16.0, 14.95, 14.88])
    def test_nothing_is_proposed_where_nothing_worth_a_needle_is_missing(self, radius, ball, mask_of):
        tumor, zone = (surface_of(mask_of(ball((0, 0, 0), size), GRID)) for size in (10, radius))
        margin = np.full(len(tumor.vertices_mm), radius - 10)  # as exact masks would give it
        assert propose_completion(tumor, zone, margin, required_mm=5.0) is None


class TestInTheLiver:
    def test_tissue_beyond_the_capsule_is_not_asked_for(self, scene, ball):
        """Tumor 8 mm around z = 9; the zone, 1 mm larger than asked for, stands 5 mm too deep and ends at the capsule."""
        tumor, zone = ball((0, 0, 9), 8), all_of(ball((0, 0, 14), 14), capsule_at_0)
        free = scene(tumor, zone, 5).completion()
        case = scene(tumor, zone, 5, liver=capsule_at_0)
        completion = case.completion()
        assert case.before_mm == pytest.approx(1, abs=1)
        assert case.after_mm(completion) >= 5 - REACHED_MM
        assert completion.radius_mm <= free.radius_mm + 1e-6
        assert completion.added_volume_ml < 0.8 * free.added_volume_ml
        assert completion.leaves_liver
        assert completion.capsule_distance_mm == pytest.approx(completion.center_mm[2], abs=0.1)
        assert completion.added_volume_ml < ball_ml(completion.radius_mm) / 2

    def test_only_volume_in_the_liver_counts(self, scene, ball):
        completion = scene(ball((-15, 0, 4), 8), ball((22, 0, 12), 9), 5, liver=capsule_at_0).completion()
        z, radius = completion.center_mm[2], completion.radius_mm
        below_ml = np.pi * (radius - z) ** 2 * (2 * radius + z) / 3 / 1000  # spherical cap beyond the capsule
        # half a slice, 0.5 mm, of the capsule's position makes 3 % of the volume
        assert completion.added_volume_ml == pytest.approx(ball_ml(radius) - below_ml, rel=0.05)

    def test_a_tumor_that_sticks_out_is_completed_from_inside(self, scene, ball):
        """Unablated tumor always counts, but the center stays in the liver."""
        tumor, zone = ball((0, 0, -4), 9), all_of(ball((0, 0, 10), 14), capsule_at_0)
        free = scene(tumor, zone, 5).completion()
        case = scene(tumor, zone, 5, liver=capsule_at_0)
        completion = case.completion()
        assert case.before_mm < -5
        assert free.center_mm[2] < -1
        assert completion.center_mm[2] >= -0.5  # the lowest slice of the liver begins there
        # the tumor's lowest point is 13 mm below the capsule; its rim at z = -4 is 9 mm wide
        assert completion.radius_mm == pytest.approx(13 - 0.5, abs=1.0)
        assert case.after_mm(completion) >= 5 - REACHED_MM - 0.2  # zone and ball meet the capsule at a sharp edge

    def test_deep_tumors_are_as_without_a_liver(self, scene, ball):
        def low(points):
            return points[..., 2] + 34

        tumor, zone = ball((0, 0, 6), 8), ball((12, 0, 6), 22)
        free, deep = scene(tumor, zone, 5).completion(), scene(tumor, zone, 5, liver=low).completion()
        assert deep.center_mm == pytest.approx(free.center_mm, abs=1e-6)
        assert deep.radius_mm == pytest.approx(free.radius_mm, abs=1e-6)
        assert deep.capsule_distance_mm == 25.0
        assert not deep.leaves_liver

    def test_a_liver_smaller_than_the_margin_is_taken_whole(self, scene, ball):
        """A tip of liver, 12 mm around the tumor's center, where 15 mm are wanted: its own border ends what is missing."""
        case = scene(ball((0, 0, 0), 5), ball((0, 0, -16), 9), 10, liver=ball((0, 0, 0), 12))
        completion = case.completion()
        assert completion.center_mm == pytest.approx((0, 0, 0), abs=1.0)
        # what lies within 1 mm of the capsule isn't told apart from it
        assert 11 - 0.3 <= completion.radius_mm <= 12 + 0.3
        assert case.after_mm(completion) >= 10 - REACHED_MM

    def test_the_liver_is_the_one_that_the_verdict_knows(self, mask_of, ball):
        """A mask that leaves zone and tumor out, a vessel beside, and a zone drawn across the capsule."""
        tumor, zone = (surface_of(mask_of(ball((0, 0, 9), size), GRID)) for size in (8, 12))
        vessel = ball((15, 0, 25), 3)
        drawn = all_of(capsule_at_0, lambda p: -ball((0, 0, 9), 12)(p), lambda p: -vessel(p))
        liver = mask_of(drawn, GRID, Structure.LIVER)
        depth = LiverDepth.around(liver, tumor, zone)
        around = _liver_around(liver, depth, np.array([0.0, 0.0, 9.0]), 30.0)
        centers = around.geometry.points_at(np.moveaxis(np.indices(around.geometry.shape), 0, -1))
        assert around.geometry.shape != depth.mended.geometry.shape
        clear = np.abs(ball((0, 0, 9), 12)(centers)) > 0.2  # the zone's surface is known that well
        assert np.array_equal(around.voxels[clear], capsule_at_0(centers)[clear] > 0)
        known = depth.geometry.contains(centers.reshape(-1, 3)).reshape(around.geometry.shape)
        deep = np.abs(capsule_at_0(centers)) > 1.0
        assert ((depth.at(centers[known & deep]) > 0) == around.voxels[known & deep]).all()

    def test_where_no_depth_is_known_the_mask_stands(self, mask_of, ball):
        tumor, zone = (surface_of(mask_of(ball((0, 0, 0), size), GRID)) for size in (4, 5))
        pocket = ball((0, 0, -27), 2)
        liver = mask_of(all_of(lambda p: p[..., 2] + 30, lambda p: -pocket(p)), GRID, Structure.LIVER)
        depth = LiverDepth.around(liver, tumor, zone)
        beside = _liver_around(liver, depth, np.array([0.0, 0.0, -28.0]), 7.0)
        assert beside.geometry.points_at([(0, 0, 0)])[0, 2] < depth.mended.geometry.points_at([(0, 0, 0)])[0, 2]
        centers = beside.geometry.points_at(np.moveaxis(np.indices(beside.geometry.shape), 0, -1))
        assert np.array_equal(beside.voxels, centers[..., 2] + 30 > 0)  # cavities are no capsule

    def test_as_much_as_the_liver_allows_needs_nothing(self, scene, ball):
        tumor, zone = ball((0, 0, 9), 8), all_of(ball((0, 0, 9), 14), capsule_at_0)
        assert scene(tumor, zone, 5, liver=capsule_at_0).completion() is None
        assert scene(tumor, zone, 10, liver=capsule_at_0).completion() is not None
