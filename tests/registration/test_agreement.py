"""Two balls of known size and distance; weights and images that can be checked with a pencil."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.geometry import PointTransform
from ablmargin.registration.agreement import better_shift_mm, compare_livers, compare_textures, phases_match
from ablmargin.registration.images import PreparedExam, prepare_exam, signed_distance_mm, working_grid
from ablmargin.registration.local_error import Doubts, block_weights, estimate_local_error
from ablmargin.registration.pyramid import Pyramids
from ablmargin.registration.terms import SurfaceTerm
from ablmargin.registration.transform import InverseTransform, RigidTransform, SplineTransform
from ablmargin.volume import LabelMask, Structure, Volume

RADIUS_MM = 30.0
CENTER = np.array([[5.0, -3.0, 2.0]])
STAY = RigidTransform(rotation=np.eye(3))


def shift(x_mm: float) -> RigidTransform:
    return RigidTransform(rotation=np.eye(3), translation_mm=(x_mm, 0, 0))


def ball(orientation: str = "LPS", radius_mm: float = RADIUS_MM, structure: Structure = Structure.LIVER) -> LabelMask:
    grid = grid_around((5, -3, 2), orientation=orientation, shape=(44, 60, 70), spacing_mm=(2.0, 1.4, 1.3))
    points = grid.points_at(np.argwhere(np.ones(grid.shape, bool))) - np.array([5, -3, 2])
    inside = np.linalg.norm(points, axis=1) < radius_mm
    return LabelMask(voxels=inside.reshape(grid.shape), geometry=grid, structure=structure)


def exam(liver: LabelMask, ignored: tuple[LabelMask, ...] = (), *, seed: int = 0, rim_mm: float = 2.0):
    noise = np.random.default_rng(seed).normal(100, 20, liver.geometry.shape)
    return prepare_exam(Volume(voxels_hu=noise, geometry=liver.geometry), liver, ignored, rim_mm=rim_mm)


def test_the_same_ball_agrees_with_itself():
    one = exam(ball())
    livers = compare_livers(one, one, STAY)
    assert livers.dice == pytest.approx(1.0, abs=1e-3)
    assert livers.asd_mm == pytest.approx(0.0, abs=1e-3)
    assert livers.jacobian_min == pytest.approx(1.0)
    assert livers.folded_share == 0.0


def test_a_shifted_ball_disagrees_by_what_geometry_says():
    one, d = exam(ball()), 8.0
    livers = compare_livers(one, one, shift(d))
    # Lens of two equal balls; mean distance of a sphere's point from the other sphere is about d/2, the largest is d.
    lens = 1 - 3 * d / (4 * RADIUS_MM) + d**3 / (16 * RADIUS_MM**3)
    assert livers.dice == pytest.approx(lens, abs=0.02)
    assert livers.asd_mm == pytest.approx(d / 2, abs=0.4)
    assert livers.hd95_mm == pytest.approx(0.95 * d, abs=0.6)


def test_a_map_that_turns_space_inside_out_folds():
    class Mirror:
        def map_points(self, points_mm):
            return points_mm * np.array([-1.0, 1.0, 1.0])

    one = exam(ball())
    assert compare_livers(one, one, Mirror()).folded_share == 1.0


def test_texture_correlates_with_itself_and_not_with_other_noise():
    one, other = exam(ball()), exam(ball(), seed=1)
    assert compare_textures(one, one, STAY).correlation == pytest.approx(1.0, abs=0.01)
    assert abs(compare_textures(one, other, STAY).correlation) < 0.2
    assert compare_textures(one, one, shift(500.0)).correlation == 0.0


@pytest.mark.parametrize("off_mm", [0.0, 2.0, 3.0])
def test_a_shift_around_the_treated_tissue_is_found(off_mm):
    zone = ball(radius_mm=10.0, structure=Structure.ABLATION_ZONE)
    one = exam(ball(), (zone,))
    found = better_shift_mm(one, one, shift(off_mm), CENTER)
    assert found == pytest.approx((-off_mm, 0.0, 0.0), abs=0.25)  # back again; half the last step


def test_a_shift_of_less_than_half_a_voxel_is_not_told():
    zone = ball(radius_mm=10.0, structure=Structure.ABLATION_ZONE)
    one = exam(ball(), (zone,))
    assert better_shift_mm(one, one, shift(0.7), CENTER) == (0.0, 0.0, 0.0)
    assert better_shift_mm(one, one, shift(1.3), CENTER) != (0.0, 0.0, 0.0)


def test_no_shift_is_told_where_nothing_can_be_compared():
    one = exam(ball())
    assert better_shift_mm(one, one, shift(500.0), CENTER) == (0.0, 0.0, 0.0)
    assert better_shift_mm(one, one, shift(3.0), CENTER) == (0.0, 0.0, 0.0)  # nothing is treated


def test_a_shift_at_one_of_two_tumors_is_found_there_and_not_at_the_other():
    """Over both together the tumor that is right would outvote the other."""
    left, right = (np.array([[5.0 + x_mm, -3.0, 2.0]]) for x_mm in (-20.0, 20.0))
    one = exam(ball(), tuple(spot(center[0]) for center in (left, right)))

    class ShiftedAtTheLeft:
        def map_points(self, points_mm):
            fading = np.exp(-((points_mm - left) ** 2).sum(axis=1) / (2 * 10.0**2))
            return points_mm + fading[:, None] * [0.0, 0.0, 6.0]

    near_left, near_right = (better_shift_mm(one, one, ShiftedAtTheLeft(), center) for center in (left, right))
    assert near_left[2] < -1.2  # the shift fades to a seventh within the 20 mm that are compared
    assert np.linalg.norm(near_right) < 1.0


def spot(center_mm: np.ndarray) -> LabelMask:
    whole = ball()
    points = whole.geometry.points_at(np.argwhere(np.ones(whole.geometry.shape, bool)))
    inside = np.linalg.norm(points - center_mm, axis=1) < 5.0
    return LabelMask(voxels=inside.reshape(whole.geometry.shape), geometry=whole.geometry, structure=Structure.TUMOR)


def test_a_zone_alone_is_enough_to_look_for_a_shift():
    zone = ball(radius_mm=10.0, structure=Structure.ABLATION_ZONE)
    found = better_shift_mm(exam(ball()), exam(ball(), (zone,)), shift(3.0), CENTER)
    assert found == pytest.approx((-3.0, 0.0, 0.0), abs=0.25)


def vessels(portal_hu: float, hepatic_hu: float, *, noise_hu: float = 5.0, seed: int = 0) -> PreparedExam:
    """A ball with two sets of straight vessels, each 3 % of it."""
    liver = ball()
    j, i = np.indices(liver.geometry.shape)[1:]
    random = np.random.default_rng(seed)
    hu = 100 + noise_hu * random.standard_normal(liver.geometry.shape)
    hu[(i % 12 < 2) & (j % 12 < 3)] += portal_hu
    hu[((i + 6) % 12 < 2) & ((j + 6) % 12 < 3)] += hepatic_hu
    return prepare_exam(Volume(voxels_hu=hu, geometry=liver.geometry), liver, (), rim_mm=2.0)


@pytest.mark.parametrize(
    ("pre", "post", "match"),
    [
        (vessels(60, 60), vessels(60, 60, seed=1), True),
        (vessels(60, 60), vessels(25, 25, seed=1), True),  # later, but alike
        (vessels(60, 60, noise_hu=30), vessels(60, 60, noise_hu=30, seed=1), True),
        (vessels(60, 60), vessels(60, 0, seed=1), False),
        (vessels(60, 0), vessels(60, 60, seed=1), False),
        (vessels(60, 60), vessels(-20, -20, seed=1), False),
        (vessels(60, 60), vessels(0, 0, seed=1), False),
    ],
    ids=["alike", "fainter", "noisy", "one set dark after", "one set dark before", "all dark after", "nothing after"],
)
def test_phases_match_where_the_same_vessels_shine(pre, post, match):
    assert phases_match(pre, post, STAY) is match


def test_treated_tissue_and_its_rim_do_not_count(orientation):
    zone = ball(orientation, 10.0, Structure.ABLATION_ZONE)
    one = exam(ball(orientation), (zone,), rim_mm=3.0)
    from_center = np.linalg.norm(one.grid.points_at(np.argwhere(one.counts > 0)) - np.array([5, -3, 2]), axis=1)
    assert 12.0 < from_center.min() < 15.0  # 10 mm and a rim of 3 mm, on voxels of 2 mm
    assert RADIUS_MM - 5.0 < from_center.max() < RADIUS_MM
    assert not one.texture[one.counts == 0].any()


def test_treated_tissue_belongs_to_the_liver_even_where_its_mask_leaves_it_out():
    whole, zone = ball(), ball(radius_mm=12.0, structure=Structure.ABLATION_ZONE)
    holed = LabelMask(voxels=whole.voxels & ~zone.voxels, geometry=whole.geometry, structure=Structure.LIVER)
    with_hole, without = exam(holed, (zone,)), exam(whole, (zone,))
    np.testing.assert_allclose(with_hole.distance_mm, without.distance_mm, atol=1.5)


def test_the_working_grid_holds_the_liver_and_runs_along_x_y_z(orientation):
    grid = working_grid(ball(orientation))
    index = grid.indices_at([(5.0, -3.0, 2.0), (6.0, -3.0, 2.0)])
    np.testing.assert_allclose(index[1] - index[0], [0.5, 0, 0], atol=1e-9)
    np.testing.assert_allclose(grid.center_mm, [5, -3, 2], atol=2.0)
    assert grid.contains(np.array([[5.0 - RADIUS_MM, -3, 2], [5, -3, 2 + RADIUS_MM]]), margin_mm=14.0).all()


def test_where_the_image_cuts_the_liver_off_is_no_surface():
    whole = ball()
    cut = whole.cropped((0, 0, 0), (24, 60, 70))  # the upper third isn't in the image: z ends at 6 mm
    one = exam(cut)
    at_cut = one.grid.indices_at([(5.0, -3.0, 4.0)]).round().astype(int)[0]
    assert one.seen[tuple(at_cut)]
    assert one.distance_mm[tuple(at_cut)] < -10.0
    assert not one.counts[~one.seen].any()
    full = prepare_level(exam(whole))
    term = SurfaceTerm.between(full, prepare_level(one))
    beyond = term.points_mm[:, 2] > 10.0
    residuals = term.residuals(term.points_mm, 1.0)
    assert beyond.any()
    assert not residuals.weight[beyond].any()
    assert residuals.weight[~beyond].any()


def prepare_level(one):
    return Pyramids(one).signed()[-1]


def test_signed_distance_is_zero_at_the_border_between_voxels():
    grid = working_grid(ball())
    inside = np.zeros(grid.shape, bool)
    inside[:10] = True
    distance = signed_distance_mm(inside, grid)
    np.testing.assert_allclose(distance[8:12, 0, 0], [-3, -1, 1, 3])


def test_block_weights_repeat_and_have_mean_one():
    points = np.random.default_rng(0).uniform(0, 400, (20000, 3)).astype(np.float32)
    weights = block_weights(3, 1)(points)
    np.testing.assert_array_equal(weights, block_weights(3, 1)(points))
    np.testing.assert_allclose(block_weights(3, 1)(points + np.float32(512)), weights)  # carried along by the patient
    assert not np.array_equal(weights, block_weights(3, 2)(points))
    assert not np.array_equal(weights, block_weights(4, 1)(points))
    assert weights.mean() == pytest.approx(1.0, abs=0.1)


def still(shift_mm: float = 0.0) -> SplineTransform:
    return SplineTransform(
        rigid=shift(shift_mm), origin_mm=(0, 0, 0), knot_mm=50.0, coefficients_mm=np.zeros((4, 4, 4, 3))
    )


def doubts(*runs: PointTransform, plausible: tuple[float, ...] = (0.0,)) -> Doubts:
    return Doubts(runs=runs or (STAY,), center=still(), plausible=tuple(still(x_mm) for x_mm in plausible))


def test_the_local_error_adds_what_is_open_what_runs_disagree_on_and_a_better_place():
    points = np.zeros((5, 3))
    runs = estimate_local_error(STAY, doubts(shift(3.0), InverseTransform(forward=shift(3.0))), points)
    assert runs.sd_mm == pytest.approx(0.7 * 3.0 / np.sqrt(3))
    left_open = estimate_local_error(STAY, doubts(plausible=(2.0, -2.0, 1.0, -1.0)), points)
    assert left_open.sd_mm == pytest.approx(np.sqrt((4 + 1) / 2 / 3))
    elsewhere = estimate_local_error(STAY, doubts(), points, shift_mm=(0.0, 0.0, 3.0))
    assert elsewhere.sd_mm == pytest.approx(3.0 / np.sqrt(3))
    everything = estimate_local_error(STAY, doubts(shift(3.0), plausible=(2.0, -1.0)), points, shift_mm=(0.0, 3.0, 0.0))
    assert 3 * everything.sd_mm**2 == pytest.approx(0.49 * 9 + 2.5 + 9)
    assert estimate_local_error(STAY, doubts(), points).sd_mm == 0.2


def test_without_a_plausible_map_the_error_has_no_limit():
    error = estimate_local_error(STAY, Doubts(runs=(STAY,), center=still(), plausible=()), np.zeros((4, 3)))
    assert (error.sd_mm, error.covariance_mm2) == (np.inf, None)


def test_plausible_maps_scatter_around_their_own_center():
    """Another engine's alignment may lie elsewhere: its distance is told by the runs, once."""
    apart = estimate_local_error(shift(5.0), doubts(shift(5.0), plausible=(2.0, -2.0)), np.zeros((5, 3)))
    assert apart.sd_mm == pytest.approx(2.0 / np.sqrt(3))


def test_the_error_around_a_point_has_a_direction():
    """Runs that disagree along x only, at one end of a row of points 200 mm long."""

    class StretchAtOneEnd:
        def map_points(self, points_mm):
            return points_mm + np.where(points_mm[:, :1] > 0, [3.0, 0.0, 0.0], 0.0)

    points = np.column_stack([np.linspace(-100, 100, 900), np.zeros(900), np.zeros(900)])
    covariance = estimate_local_error(STAY, doubts(StretchAtOneEnd()), points).covariance_mm2
    assert covariance.shape == (900, 3, 3)
    assert covariance[0] == pytest.approx(0.2**2 * np.eye(3), abs=0.01)  # four correlation lengths away
    assert covariance[-1] == pytest.approx(np.diag([(0.7 * 3) ** 2, 0.2**2, 0.2**2]), abs=0.01)
    assert (np.diff(covariance[:, 0, 0]) >= -1e-9).all()


def test_an_alignment_that_went_astray_has_no_covariance():
    class Astray:
        def map_points(self, points_mm):
            return np.full_like(points_mm, np.inf)

    error = estimate_local_error(STAY, doubts(Astray()), np.zeros((4, 3)))
    assert (error.sd_mm, error.covariance_mm2) == (np.inf, None)
