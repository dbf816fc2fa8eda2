"""Solids taken from log odds, and what is measured at their border."""

import numpy as np
import pytest
from scipy import ndimage

from ablmargin.geometry import Geometry
from ablmargin.segmentation.lesion_doubts import doubts_about_click
from ablmargin.segmentation.lesion_patch import Patch
from ablmargin.segmentation.lesion_prior import axis_log_odds
from ablmargin.segmentation.lesion_solid import Solid, solid_at, stretched, unshrunk
from ablmargin.segmentation.lesion_trust import trust_in
from ablmargin.volume import Structure

SPACING = 1.0
GRID = Geometry(shape=(41, 41, 41), spacing_mm=(SPACING,) * 3, origin_mm=(-20.0, -20.0, -20.0))
CENTER = np.zeros(3)
DISTANCE = np.linalg.norm(GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1)), axis=-1)


def patch(hu: np.ndarray) -> Patch:
    return Patch(
        geometry=GRID,
        hu=hu.astype(np.float32),
        is_image=np.ones(GRID.shape, bool),
        liver_mm=None,
        noise_sd_hu=5.0,
        smoothing_mm=0.8,
    )


def ball(radius_mm: float, hu: np.ndarray | None = None) -> Solid:
    return Solid(
        patch=patch(np.zeros(GRID.shape) if hu is None else hu), inside_mm=(radius_mm - DISTANCE).astype(np.float32)
    )


def test_the_surface_lies_between_voxels_where_the_log_odds_cross_zero():
    solid = solid_at(patch(DISTANCE), (8.3 - DISTANCE).astype(np.float32), CENTER)
    along = solid.inside_mm[20, 20, 20:]
    assert np.interp(0, -along, np.arange(21.0)) == pytest.approx(8.3, abs=0.05)
    assert solid.center_mm == pytest.approx(CENTER, abs=1e-6)


def test_only_the_part_at_the_point_is_kept_and_its_holes_are_filled():
    log_odds = np.where((DISTANCE < 6) & (DISTANCE > 2), 1.0, -1.0)
    log_odds[2:6, 2:6, 2:6] = 1.0
    solid = solid_at(patch(DISTANCE), log_odds, np.array([4.0, 0, 0]))
    assert solid.voxels[20, 20, 20]
    assert not solid.voxels[3, 3, 3]
    assert solid_at(patch(DISTANCE), log_odds, np.array([18.0, 18.0, 18.0])) is None


def test_what_smoothing_takes_from_a_ball_is_given_back():
    """A Gaussian of 1.5 mm takes 1.5²/6 mm = 0.37 mm from a ball of 6 mm."""
    smooth = ndimage.gaussian_filter(np.clip(6.5 - DISTANCE, 0, 1), 1.5 / SPACING) - 0.5
    solid = solid_at(patch(DISTANCE), smooth.astype(np.float32), CENTER)
    found = [np.interp(0, -one.inside_mm[20, 20, 20:], np.arange(21.0)) for one in (solid, unshrunk(solid, 1.5))]
    assert found == pytest.approx([6.0 - 0.37, 6.0], abs=0.1)


def test_an_axis_longer_than_the_solid_moves_its_surface_outward_at_that_end():
    """The reach is that of 98 % of the voxels, 1 mm short of the pole here, so each end gains up to 0.3 mm more."""
    solid = ball(8.0)
    gained = stretched(solid, np.array([[-8.0, 0, 0], [12.0, 0, 0]])).inside_mm - solid.inside_mm
    assert gained[20, 20, 32] == pytest.approx(0.3 * 4.0 + 0.15, abs=0.2)
    assert gained[20, 20, 12] == pytest.approx(0.15, abs=0.2)


def test_the_share_with_an_edge_is_that_of_the_surface_with_a_step():
    """Above a plane 3.5 mm below the center lies (8 + 3.5) / 16 of a sphere of 8 mm."""
    whole = np.where(DISTANCE < 8, 60.0, 100.0)
    part = np.where(np.indices(GRID.shape)[0] > 16, whole, 60.0)
    trust = [trust_in(ball(8.0, hu), [ball(8.0)]) for hu in (whole, part, np.full(GRID.shape, 60.0))]
    assert trust[0].contrast_hu == -40.0
    assert trust[0].edge_share == 1.0
    assert trust[0].distinction > 3.0
    assert trust[1].edge_share == pytest.approx(0.72, abs=0.06)
    assert trust[2].contrast_to_noise == 0.0
    assert trust[2].edge_share == 0.0
    assert trust[2].distinction == pytest.approx(0.0, abs=0.01)


def test_moved_answers_tell_the_surface_s_deviation():
    hu = np.where(DISTANCE < 8, 60.0, 100.0)
    same = trust_in(ball(8.0, hu), [ball(8.0)])
    apart = trust_in(ball(8.0, hu), [ball(9.0), ball(7.0)])
    lost = trust_in(ball(8.0, hu), [None])
    assert (same.sd_mm, same.agreement) == (pytest.approx(0.0, abs=0.05), pytest.approx(1.0, abs=0.01))
    assert apart.sd_mm == pytest.approx(1.0, abs=0.05)
    assert apart.agreement == pytest.approx((2 / (1 + (9 / 8) ** 3) + 2 / (1 + (8 / 7) ** 3)) / 2, abs=0.02)
    assert (lost.sd_mm, lost.agreement) == (6.0, 0.0)


def test_a_rim_differs_from_what_lies_beyond_it_away_from_the_core():
    bright = np.select([DISTANCE < 8, DISTANCE < 10.5], [60.0, 130.0], 100.0)
    dark = np.select([DISTANCE < 8, DISTANCE < 10.5], [60.0, 80.0], 100.0)
    assert trust_in(ball(8.0, bright), [ball(8.0)]).rim_hu == pytest.approx(30.0)
    assert trust_in(ball(8.0, dark), [ball(8.0)]).rim_hu == pytest.approx(-20.0)


@pytest.mark.parametrize(("off_mm", "is_doubted"), [(5.0, False), (6.0, True)])
def test_a_click_near_the_border_of_what_was_found_is_doubted(off_mm, is_doubted):
    """At 5 and 6 mm of 8 mm, which is 0.63 and 0.75 of the radius."""
    solid = ball(8.0, np.where(DISTANCE < 8, 60.0, 100.0))
    trust = trust_in(solid, [solid], clicked_mm=np.array([0.0, off_mm, 0.0]))
    assert trust.off_center == pytest.approx(off_mm / 8, abs=0.01)
    doubts = doubts_about_click(trust, Structure.TUMOR, largest_mm=20.0)
    assert any("something larger" in doubt for doubt in doubts) is is_doubted
    assert len(doubts) == is_doubted


@pytest.mark.parametrize("width", [0.72, 0.8])
def test_a_lesion_is_expected_as_wide_as_its_kind(width):
    """Halfway along the axis the odds are even where half of all expected widths end."""
    half_mm = 12.5
    log_odds = axis_log_odds(patch(DISTANCE), np.array([[-half_mm, 0, 0], [half_mm, 0, 0]]), width=width)
    across = np.interp(0, -log_odds[20:, 20, 20], np.arange(21.0))
    assert across == pytest.approx(width * half_mm, abs=0.3)
