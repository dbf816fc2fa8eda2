from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientations import grid_around

from ablmargin.errors import GeometryMismatchError
from ablmargin.geometry import Geometry
from ablmargin.metrics.margin import MarginResult, measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.volume import Structure

CENTER = np.array([12.0, -30.0, 55.0])
RADIUS, ZONE = 9.0, 15.0
OFFSET = np.array([2.0, -1.0, 2.5])


def share_below_truth(t: float) -> float:
    d = np.linalg.norm(OFFSET)
    u = ((ZONE - t) ** 2 - RADIUS**2 - d**2) / (2 * RADIUS * d)
    return float((1 - np.clip(u, -1, 1)) / 2)


def two_spheres(mask_of, ball, grid):
    tumor = mask_of(ball(CENTER, RADIUS), grid)
    zone = mask_of(ball(CENTER + OFFSET, ZONE), grid, Structure.ABLATION_ZONE)
    return tumor, zone


@pytest.fixture(scope="module")
def fine(mask_of, ball):
    grid = grid_around(tuple(CENTER), shape=(50, 60, 66), spacing_mm=(1.0, 0.8, 0.7))
    tumor, zone = two_spheres(mask_of, ball, grid)
    return measure_margin(surface_of(tumor), surface_of(zone))


def test_two_spheres_in_every_orientation_with_thick_slices(mask_of, ball, orientation):
    tumor, zone = two_spheres(mask_of, ball, grid_around(tuple(CENTER), orientation=orientation))
    result = measure_margin(surface_of(tumor), surface_of(zone))
    d = np.linalg.norm(OFFSET)
    assert result.minimum_mm == pytest.approx(ZONE - RADIUS - d, abs=0.5)  # half of what is promised for 5 mm
    assert result.margin_mm.max() == pytest.approx(ZONE - abs(RADIUS - d), abs=0.7)
    for threshold in (4.0, 5.0, 6.0, 8.0):
        assert result.share_below(threshold) == pytest.approx(share_below_truth(threshold), abs=0.06)


def test_two_spheres_finely_sampled(fine):
    d = np.linalg.norm(OFFSET)
    assert fine.minimum_mm == pytest.approx(ZONE - RADIUS - d, abs=0.1)
    assert np.linalg.norm(fine.location_mm - (CENTER - OFFSET / d * RADIUS)) < 2.0
    for threshold in (4.0, 5.0, 6.0, 8.0):
        assert fine.share_below(threshold) == pytest.approx(share_below_truth(threshold), abs=0.01)
    assert fine.percentile_mm(0) == fine.minimum_mm
    assert share_below_truth(fine.percentile_mm(25)) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("slices_mm", "promised_mm"), [(1.0, 0.3), (5.0, 1.0)])
def test_the_promised_accuracy_holds_on_random_spheres(sphere_errors_mm, slices_mm, promised_mm):
    errors = sphere_errors_mm(slices_mm, pairs=5, seed=11)
    assert np.abs(errors[:, 0]).max() <= promised_mm
    assert np.abs(errors[:, 0]).mean() < np.abs(errors[:, 1]).mean()  # and better than plain voxel distances


def test_a_tumor_outside_the_zone_has_a_negative_margin(mask_of, ball):
    grid = grid_around((0.0, 0.0, 0.0), shape=(60, 60, 110), spacing_mm=(1.0, 0.8, 0.7))
    tumor, zone = (surface_of(mask_of(ball((x, 0, 0), 8.0), grid)) for x in (-14, 14))
    assert measure_margin(tumor, zone).minimum_mm == pytest.approx(-28, abs=0.1)
    assert measure_margin(tumor, zone).surface_shares()["below_0"] == 1.0


def test_identical_masks_have_no_margin(mask_of, ball):
    surface = surface_of(mask_of(ball(CENTER, 9.0), grid_around(tuple(CENTER))))
    assert np.abs(measure_margin(surface, surface).margin_mm).max() < 1e-9


def test_moving_both_changes_nothing(fine, mask_of, ball):
    grid = grid_around(tuple(CENTER + 300), shape=(50, 60, 66), spacing_mm=(1.0, 0.8, 0.7))
    tumor = surface_of(mask_of(ball(CENTER + 300, RADIUS), grid))
    zone = surface_of(mask_of(ball(CENTER + 300 + OFFSET, ZONE), grid))
    assert measure_margin(tumor, zone).minimum_mm == pytest.approx(fine.minimum_mm, abs=1e-6)


def test_a_larger_zone_never_lowers_the_margin(mask_of, ball):
    grid = grid_around(tuple(CENTER))
    tumor = surface_of(mask_of(ball(CENTER, RADIUS), grid))
    minima = [
        measure_margin(tumor, surface_of(mask_of(ball(CENTER, radius), grid))).minimum_mm
        for radius in (11.0, 12.5, 14.0, 15.5)
    ]
    assert (np.diff(minima) > 1.0).all()  # 1.5 mm each in truth


def test_different_frames_are_refused(mask_of, ball):
    surfaces = [
        surface_of(mask_of(ball(CENTER, 9.0), grid_around(tuple(CENTER), frame_uid=uid))) for uid in ("1.2", "1.3")
    ]
    with pytest.raises(GeometryMismatchError, match="FRAME_MISMATCH"):
        measure_margin(*surfaces)


margins = st.lists(
    st.tuples(st.floats(-30, 30, allow_subnormal=False), st.floats(0.01, 10)), min_size=1, max_size=40
).map(lambda rows: MarginResult.from_distances([m for m, _ in rows], area_mm2=[a for _, a in rows]))


@given(margins, st.floats(-40, 40))
@settings(deadline=None)
def test_laws_of_a_result(result, threshold):
    shares = result.surface_shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["below_0"] == pytest.approx(result.share_below(0.0))
    assert shares["below_0"] + shares["0_to_5"] == pytest.approx(result.share_below(5.0))
    assert 1 - shares["from_10"] == pytest.approx(result.share_below(10.0))
    assert result.share_below(threshold) <= result.share_below(threshold + 1)
    cuts = [result.percentile_mm(q) for q in (0, 1, 5, 25, 50, 75, 95, 100)]
    assert cuts == sorted(cuts)
    assert cuts[0] == result.minimum_mm <= result.mean_mm + 1e-9


def test_the_threshold_is_compared_strictly():
    result = MarginResult.from_distances([5.0, 10.0], area_mm2=[1, 3])
    assert (result.share_below(5.0), result.share_below(5.0 + 1e-9)) == (0.0, 0.25)
    assert result.surface_shares() == {"below_0": 0.0, "0_to_5": 0.0, "5_to_10": 0.25, "from_10": 0.75}


@pytest.mark.parametrize(
    ("margins", "areas"), [([], []), ([1.0, np.nan], [1, 1]), ([1.0], [-1]), ([1.0], [0]), ([1.0], [1, 2])]
)
def test_half_valid_results_are_refused(margins, areas):
    with pytest.raises(ValueError, match=r"margin|area"):
        MarginResult.from_distances(margins, area_mm2=areas)


def test_percentiles_outside_the_scale_are_refused(fine):
    with pytest.raises(ValueError, match="between 0 and 100"):
        fine.percentile_mm(101)


class TestRaw:
    grid = Geometry(shape=(9, 12, 30), spacing_mm=(5.0, 0.8, 0.7), origin_mm=(0, 0, 0))

    def box(self, mask_of, columns):
        return mask_of(lambda points: columns[1] - np.abs(points[..., 0] / 0.7 - columns[0]) + 1e-6, self.grid)

    def test_counts_voxel_to_voxel(self, mask_of):
        tumor, zone = self.box(mask_of, (15, 3)), self.box(mask_of, (15, 10))
        # both reach the first and last slice and row, where tumor and zone borders coincide
        assert raw_minimum_mm(tumor, zone) == 0.0
        assert raw_minimum_mm(zone, zone) == 0.0

    def test_is_negative_outside(self, mask_of):
        tumor, zone = self.box(mask_of, (5, 2)), self.box(mask_of, (20, 4))
        # the farthest tumor voxel is column 3, the nearest zone voxel column 16
        assert raw_minimum_mm(tumor, zone) == pytest.approx(-13 * 0.7)

    def test_is_biased_low_on_spheres(self, sphere_errors_mm):
        errors = sphere_errors_mm(5.0, pairs=4, seed=3)
        assert errors[:, 1].mean() < -0.5

    def test_refuses_different_grids(self, mask_of, ball):
        masks = [mask_of(ball(CENTER, 9.0), grid_around(tuple(CENTER), orientation=name)) for name in ("LPS", "RAS")]
        with pytest.raises(GeometryMismatchError, match="GRID_MISMATCH"):
            raw_minimum_mm(*masks)
