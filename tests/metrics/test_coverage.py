"""Volumes against the closed form of spheres: the share that two balls have in common, caps cut off by a plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from ablmargin.geometry import Geometry
from ablmargin.metrics.coverage import MARGINS_MM, Coverage, measure_coverage
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.mesh import joined
from ablmargin.metrics.surface import Surface, surface_of
from ablmargin.volume import LabelMask, Structure

ASKED = 0.01
COUNTING = 0.003  # volumes of exact meshes: what counting alone may add, so that the mask's surface has the rest
TENTH_MM = 0.1


def ball_surface(radius, center=(0.0, 0.0, 0.0), *, points=3000, inward=False):
    """A sphere as a mesh with exactly the volume of the ball."""
    height = 1 - (2 * np.arange(points) + 1) / points
    angle = np.arange(points) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    vertices = np.column_stack([flat * np.cos(angle), flat * np.sin(angle), height])
    triangles = ConvexHull(vertices).simplices
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    flipped = np.einsum("ni,ni->n", np.cross(b - a, c - a), a) < 0
    triangles[flipped != inward] = triangles[flipped != inward][:, ::-1]
    unit = abs(Surface(vertices_mm=vertices, triangles=triangles).volume_ml) * 1000
    scale = radius * (4 / 3 * np.pi / unit) ** (1 / 3)
    return Surface(vertices_mm=vertices * scale + np.asarray(center, float), triangles=triangles)


def together(*surfaces):
    vertices, triangles = joined([(surface.vertices_mm, surface.triangles) for surface in surfaces])
    return Surface(vertices_mm=vertices, triangles=triangles)


def moved(surface, shift):
    return Surface(vertices_mm=surface.vertices_mm + np.asarray(shift, float), triangles=surface.triangles)


def ball_ml(radius):
    return 4 / 3 * np.pi * radius**3 / 1000


def lens_ml(first, second, apart):
    """What two balls have in common."""
    if apart >= first + second:
        return 0.0
    if apart <= abs(first - second):
        return ball_ml(min(first, second))
    height = (first + second - apart) ** 2
    return np.pi * height * (apart**2 + 2 * apart * (first + second) - 3 * (first - second) ** 2) / (12 * apart) / 1000


def cap_ml(radius, height):
    height = np.clip(height, 0, 2 * radius)
    return np.pi * height**2 * (radius - height / 3) / 1000


def residual_ml(coverage: Coverage) -> float:
    return coverage.grown_ml[0] - coverage.ablated_ml[0]


def direction(seed):
    vector = np.random.default_rng(seed).normal(size=3)
    return vector / np.linalg.norm(vector)


def assert_lenses(coverage, radius, zone_radius, apart, *, within):
    for margin_mm in MARGINS_MM:
        grown = radius + margin_mm
        assert coverage.grown_ml[margin_mm] == pytest.approx(ball_ml(grown), rel=within)
        assert coverage.ablated_ml[margin_mm] == pytest.approx(lens_ml(grown, zone_radius, apart), rel=within)


@pytest.mark.parametrize(
    ("radius", "zone_radius", "apart"),
    [
        (5, 8, 2),
        (5, 7.5, 6),
        (8, 15, 3),
        (8, 10, 2.5),
        (10, 11, 2),
        (12, 20, 1),
        (17, 15, 10),
        (25, 30, 6),
        (25, 40, 16),
    ],
)
def test_volumes_of_balls_are_those_of_their_lenses(radius, zone_radius, apart):
    shift = np.random.default_rng(radius).uniform(-1, 1, 3)
    tumor = ball_surface(radius, shift)
    zone = ball_surface(zone_radius, shift + apart * direction(int(2 * zone_radius)))
    assert_lenses(measure_coverage(tumor, zone), radius, zone_radius, apart, within=COUNTING)


@pytest.mark.parametrize(("radius", "zone_radius", "apart"), [(6, 8, 4), (8, 10, 4), (10, 17, 9)])
def test_volumes_from_masks_with_slices_of_a_millimeter(mask_of, ball, radius, zone_radius, apart):
    half = np.array([apart + zone_radius + 5] * 3)
    grid = Geometry(
        shape=tuple(np.ceil(2 * half / (1.0, 0.7, 0.7)).astype(int)),
        spacing_mm=(1.0, 0.7, 0.7),
        origin_mm=tuple(-half + np.random.default_rng(radius).uniform(0, 0.7, 3)),
    )
    tumor = surface_of(mask_of(ball((0, 0, 0), radius), grid))
    zone = surface_of(mask_of(ball(apart * direction(radius), zone_radius), grid, Structure.ABLATION_ZONE))
    # 0.03 mm between the mask's surface and the ball are 1.5 % of the volume at a radius of 6 mm
    assert_lenses(measure_coverage(tumor, zone), radius, zone_radius, apart, within=max(ASKED, 3 * 0.03 / radius))


@pytest.mark.parametrize(
    ("radius", "zone_radius", "left_mm"),
    [(8, 14, 1.5), (8, 14, 2.5), (10, 11, 1.0), (12, 20, 2.5), (12, 12.5, 1.5), (15, 30, 2.5)],
)
def test_thin_residues_are_neither_lost_nor_feigned(radius, zone_radius, left_mm):
    """A cap ``left_mm`` high that sticks out of the zone, 0.06 to 0.5 ml."""
    apart = zone_radius - radius + left_mm
    tumor = ball_surface(radius, 0.37 * direction(1))
    zone = ball_surface(zone_radius, 0.37 * direction(1) + apart * direction(int(2 * left_mm)))
    truth, found = ball_ml(radius) - lens_ml(radius, zone_radius, apart), residual_ml(measure_coverage(tumor, zone))
    assert 0.03 < truth < 0.6
    assert found == pytest.approx(truth, abs=ASKED * ball_ml(radius))
    assert found == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("margin_mm", [1, 4, 9])
def test_all_is_said_only_where_all_is_ablated(margin_mm):
    tumor = ball_surface(9)
    short, enough = (ball_surface(9 + margin_mm + spare) for spare in (-TENTH_MM, TENTH_MM))
    covered, missed = measure_coverage(tumor, enough).shares, measure_coverage(tumor, short).shares
    assert [covered[margin] for margin in range(margin_mm + 1)] == [1.0] * (margin_mm + 1)
    assert missed[margin_mm - 1] == 1.0
    rim = 3 * TENTH_MM / (9 + margin_mm)  # of the grown ball's volume
    assert missed[margin_mm] == pytest.approx(1 - rim, rel=COUNTING)
    assert max(covered[margin] for margin in range(margin_mm + 1, 11)) < 1.0


@pytest.mark.parametrize("tip_mm", [0.02, 0.05, 0.15])
@pytest.mark.parametrize("toward", [0, 1, 2, 3])
def test_a_tip_that_is_left_is_never_rounded_away(tip_mm, toward):
    """A flat tip of the tumor sticks out of the zone: 0.04 to 2.5 microliters."""
    tumor, zone = ball_surface(10), ball_surface(14, (4 + tip_mm) * direction(toward))
    share = measure_coverage(tumor, zone).shares[0]
    assert 0.999 < share < 1.0
    assert f"{share:.5f}" != f"{1:.5f}"


def test_a_zone_drawn_like_the_tumor_leaves_nothing():
    tumor = ball_surface(7, (0.3, 0.1, 0.2))
    coverage = measure_coverage(tumor, tumor)
    assert coverage.shares[0] == 1.0
    for margin_mm in range(1, 11):
        assert coverage.shares[margin_mm] == pytest.approx((7 / (7 + margin_mm)) ** 3, rel=2 * COUNTING)


def test_a_far_zone_covers_nothing_and_changes_no_volume():
    tumor = ball_surface(6)
    coverage = measure_coverage(tumor, ball_surface(15, (0, 0, 200)))
    assert set(coverage.shares.values()) == {0.0}
    assert coverage.grown_ml[5] == pytest.approx(ball_ml(11), rel=COUNTING)


def test_a_zone_beside_the_tumor_covers_only_the_rim():
    coverage = measure_coverage(ball_surface(6), ball_surface(8, (16, 0, 0)))
    assert coverage.shares[0] == 0.0
    assert coverage.shares[1] == pytest.approx(0.0, abs=0.001)  # 1 mm apart, a voxel
    for margin_mm in (5, 10):
        # sharp-edged and a few voxels thin: right to a share of the whole rather than of itself
        within = 0.0015 * ball_ml(6 + margin_mm)
        assert coverage.ablated_ml[margin_mm] == pytest.approx(lens_ml(6 + margin_mm, 8, 16), abs=within)


def test_parts_of_a_tumor_count_together():
    parts = [ball_surface(radius, center) for radius, center in ((6, (0, 0, 0)), (8, (30, 10, 40)))]
    coverage = measure_coverage(together(*parts), ball_surface(12, (1, 0, 0)))
    for margin_mm in MARGINS_MM:
        grown = ball_ml(6 + margin_mm) + ball_ml(8 + margin_mm)
        assert coverage.grown_ml[margin_mm] == pytest.approx(grown, rel=COUNTING)
        assert coverage.ablated_ml[margin_mm] == pytest.approx(lens_ml(6 + margin_mm, 12, 1), rel=ASKED)


def test_a_gap_in_the_zone_is_left_over():
    zone = together(ball_surface(20), ball_surface(3, (2, 1, 0), inward=True))
    coverage = measure_coverage(ball_surface(9), zone)
    assert residual_ml(coverage) == pytest.approx(ball_ml(3), rel=0.1)
    assert coverage.shares[9] == pytest.approx(1 - ball_ml(3) / ball_ml(18), abs=0.001)


def test_a_large_tumor():
    assert_lenses(measure_coverage(ball_surface(45), ball_surface(50, (0, 8, 0))), 45, 50, 8, within=COUNTING)


class TestLiver:
    @pytest.fixture
    def above(self):
        """Makes the depth below a flat capsule at z = 0 around two surfaces: the liver lies above it."""

        def build(tumor, zone):
            grid = Geometry(shape=(70, 60, 60), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-29.5, -29.5, -29.5))
            voxels = np.zeros(grid.shape, dtype=bool)
            voxels[30:] = True  # the capsule half-way between the centers at -0.5 and 0.5 mm
            liver = LabelMask(voxels=voxels, geometry=grid, structure=Structure.LIVER)
            return LiverDepth.around(liver, tumor, zone)

        return build

    def test_tissue_beyond_the_capsule_is_not_asked_for(self, above):
        tumor, zone = ball_surface(8, (0, 0, 10)), ball_surface(15, (0, 0, 12))
        inside = above(tumor, ball_surface(3, (0, 0, 12)))  # a mask with the zone would move the capsule
        coverage = measure_coverage(tumor, zone, depth=inside)
        for margin_mm in MARGINS_MM:
            # the grown ball reaches margin - 2 mm beyond the capsule
            truth = ball_ml(8 + margin_mm) - cap_ml(8 + margin_mm, margin_mm - 2)
            assert coverage.grown_ml[margin_mm] == pytest.approx(truth, rel=ASKED)
        plain = measure_coverage(tumor, zone)
        assert coverage.shares[2] == pytest.approx(plain.shares[2], abs=1e-4)
        assert coverage.shares[8] > plain.shares[8] + 0.01

    def test_half_of_what_is_asked_for(self, above):
        """The zone's plane goes through the tumor's center, at right angles to the capsule: half, whatever the margin."""
        tumor = ball_surface(8, (0, 0, 9.2))
        corners = np.array([(x, y, z) for x in (0, 60) for y in (-60, 60) for z in (-60, 60)], float)
        hull = ConvexHull(corners)
        outward = np.einsum("ni,ni->n", _normals(corners, hull.simplices), hull.equations[:, :3]) > 0
        faces = np.where(outward[:, None], hull.simplices, hull.simplices[:, ::-1])
        zone = Surface(vertices_mm=corners, triangles=faces)
        coverage = measure_coverage(tumor, zone, depth=above(tumor, ball_surface(3, (5, 0, 9))))
        assert list(coverage.shares.values()) == pytest.approx([0.5] * 11, abs=0.003)

    def test_all_of_a_tumor_is_asked_for_wherever_the_liver_ends(self, above):
        tumor, zone = ball_surface(6, (0, 0, -14)), ball_surface(7, (0, 3, -14))
        coverage = measure_coverage(tumor, zone, depth=above(tumor, ball_surface(3, (0, 0, 12))))
        assert coverage.grown_ml[0] == pytest.approx(ball_ml(6), rel=COUNTING)
        for margin_mm in range(1, 6):  # ends 3 voxels short of the capsule
            assert coverage.grown_ml[margin_mm] == coverage.grown_ml[0]
            assert coverage.shares[margin_mm] == coverage.shares[0]
        assert coverage.grown_ml[10] == pytest.approx(ball_ml(6) + cap_ml(16, 2), rel=ASKED)

    def test_a_liver_all_around_changes_nothing(self, above):
        tumor, zone = ball_surface(5, (0, 0, 17)), ball_surface(9, (0, 0, 20))
        assert measure_coverage(tumor, zone, depth=above(tumor, zone)) == measure_coverage(tumor, zone)


def _normals(vertices, triangles):
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    radius=st.floats(5, 14),
    zone_radius=st.floats(6, 20),
    apart=st.floats(0, 12),
    shift=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_laws(radius, zone_radius, apart, shift):
    tumor, zone = ball_surface(radius, points=900), ball_surface(zone_radius, (0, 0, apart), points=900)
    larger = ball_surface(zone_radius + 0.5, (0, 0, apart), points=900)
    plain, more = measure_coverage(tumor, zone), measure_coverage(tumor, larger)
    assert all(0.0 <= share <= 1.0 for share in plain.shares.values())
    volumes = list(plain.grown_ml.values())
    assert volumes == sorted(volumes)
    for margin_mm in MARGINS_MM:
        assert more.shares[margin_mm] >= plain.shares[margin_mm]
    shifted = measure_coverage(moved(tumor, shift), moved(zone, shift))
    assert list(shifted.shares.values()) == pytest.approx(list(plain.shares.values()), abs=1e-6)
    assert list(shifted.grown_ml.values()) == pytest.approx(volumes, rel=1e-6)
