"""Tumors and zones from prompts, on balls whose truth is exact."""

from itertools import combinations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.segmentation.lesion import LesionSegmenter, moved_axes
from ablmargin.segmentation.protocol import Prompt, Segmentation
from ablmargin.volume import LabelMask, Structure, Volume

CENTER = (12.0, -30.0, 55.0)
RADIUS = 9.0
LIVER_HU, NOISE_HU = 110.0, 12.0
CLICK = Prompt(point_mm=(14.0, -31.0, 53.0))
SUB_VOXEL_MM = 0.35
"""Half of the smallest voxel."""


def distances(grid: Geometry) -> np.ndarray:
    points = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(points - np.array(CENTER), axis=-1)


def ct(grid: Geometry, *layers: tuple[float, float], noise_hu: float = NOISE_HU) -> Volume:
    """Balls of (radius, HU) painted one over the other into liver, borders as soft as a scanner's, in noise."""
    hu, away = np.full(grid.shape, LIVER_HU), distances(grid)
    for radius_mm, level_hu in layers:
        hu += np.clip(0.5 + (radius_mm - away) / 1.6, 0, 1) * (level_hu - hu)
    return Volume(voxels_hu=hu + np.random.default_rng(1).normal(0, noise_hu, grid.shape), geometry=grid)


def fine_grid() -> Geometry:
    return grid_around(CENTER, shape=(60, 80, 90), spacing_mm=(1.0, 0.8, 0.7))


def axis(half_mm: float = RADIUS) -> Prompt:
    x, y, z = CENTER
    return Prompt(axis_mm=((x - half_mm, y, z), (x + half_mm, y, z)))


def radius_of(found: Segmentation) -> float:
    return float((found.mask.volume_ml * 3000 / 4 / np.pi) ** (1 / 3))


@pytest.mark.parametrize("level_hu", [75.0, 145.0])
@pytest.mark.parametrize("prompt", [axis(), CLICK], ids=["axis", "click"])
def test_a_ball_is_found_to_less_than_a_voxel_whether_it_is_darker_or_brighter(level_hu, prompt):
    found = LesionSegmenter().segment(ct(fine_grid(), (RADIUS, level_hu)), prompt)
    assert radius_of(found) == pytest.approx(RADIUS, abs=SUB_VOXEL_MM)
    assert found.mask.voxel_centers_mm().mean(axis=0) == pytest.approx(CENTER, abs=SUB_VOXEL_MM)
    assert found.is_trusted
    assert not found.doubts


def test_the_origin_says_where_the_mask_comes_from():
    found = LesionSegmenter(structure=Structure.ABLATION_ZONE).segment(ct(fine_grid(), (RADIUS, 60.0)), axis()).mask
    assert found.structure is Structure.ABLATION_ZONE
    assert (found.origin.source, found.origin.reviewed) == ("point", False)
    assert "version" in found.origin.method
    assert 1.1 <= found.origin.contour_sd_mm < 1.25


@pytest.mark.parametrize("prompt", [axis(), CLICK], ids=["axis", "click"])
def test_what_looks_like_liver_is_doubted_with_figures(prompt):
    found = LesionSegmenter().segment(ct(fine_grid(), (RADIUS, LIVER_HU)), prompt)
    assert not found.is_trusted
    assert any("HU" in doubt for doubt in found.doubts)


def test_a_bright_rim_is_included_as_far_as_the_axis_says_and_doubted_at_a_click():
    """The dark core has 8 mm, the rim ends at 11 mm: a click can't know which of them is the tumor."""
    volume = ct(fine_grid(), (11.0, 135.0), (8.0, 70.0))
    core, whole = (LesionSegmenter().segment(volume, prompt) for prompt in (CLICK, axis(11.0)))
    assert radius_of(core) == pytest.approx(8.0, abs=1.0)
    assert radius_of(whole) > radius_of(core) + 0.5
    assert any("rim" in doubt for doubt in core.doubts)
    assert not whole.doubts


def test_points_inside_and_outside_mend_the_mask():
    x, y, z = CENTER
    volume = ct(fine_grid(), (RADIUS, 75.0))
    beyond, within = (x, y, z + 13.0), (x, y, z + 6.0)
    plain, larger, smaller = (
        LesionSegmenter().segment(volume, prompt).mask
        for prompt in (axis(), _with(inside_mm=(beyond,)), _with(outside_mm=(within,)))
    )
    assert [_holds(mask, beyond) for mask in (plain, larger, smaller)] == [False, True, False]
    assert [_holds(mask, within) for mask in (plain, larger, smaller)] == [True, True, False]
    assert [_holds(mask, (x, y, z - 6.0)) for mask in (plain, larger, smaller)] == [True, True, True]


def _with(**points: tuple[tuple[float, float, float], ...]) -> Prompt:
    return Prompt(axis_mm=axis().axis_mm, **points)


def _holds(mask: LabelMask, point_mm: tuple[float, float, float]) -> bool:
    k, j, i = np.rint(mask.geometry.indices_at([point_mm])[0]).astype(int)
    return bool(mask.voxels[k, j, i])


def test_the_image_s_orientation_changes_nothing(orientation):
    """Thick slices, no cube. Resampling oblique slices leaves a tenth of a millimeter."""
    grid = grid_around(CENTER, orientation=orientation, shape=(16, 90, 100))
    found = LesionSegmenter().segment(ct(grid, (RADIUS, 60.0), noise_hu=0.0), axis())
    assert radius_of(found) == pytest.approx(RADIUS, abs=0.6)
    assert found.mask.voxel_centers_mm().mean(axis=0) == pytest.approx(CENTER, abs=0.5)


def test_a_liver_mask_with_a_bite_at_the_lesion_excludes_nothing():
    grid = fine_grid()
    bitten = LabelMask(voxels=distances(grid) > RADIUS + 2, geometry=grid, structure=Structure.LIVER)
    found = LesionSegmenter().segment(ct(grid, (RADIUS, 75.0)), axis(), liver=bitten)
    assert radius_of(found) == pytest.approx(RADIUS, abs=2 * SUB_VOXEL_MM)


def test_all_points_beside_the_image_are_told_together():
    prompt = Prompt(axis_mm=((500.0, 0.0, 0.0), CENTER), inside_mm=((0.0, 0.0, 900.0),))
    with pytest.raises(InputError) as refused:
        LesionSegmenter().segment(ct(fine_grid()), prompt)
    assert [fault.code for fault in refused.value.faults].count("PROMPT_OUTSIDE") == 2


@pytest.mark.parametrize(
    ("prompt", "code"), [(Prompt(), "PROMPT_MISSING"), (axis(0.3), "PROMPT_TOO_SHORT")], ids=["none", "short"]
)
def test_a_prompt_that_says_nothing_is_refused(prompt, code):
    with pytest.raises(InputError, match=code):
        LesionSegmenter().segment(ct(fine_grid()), prompt)


def test_moved_axes_differ_from_each_other_and_keep_near_to_the_drawn_one():
    ends = np.array(axis().axis_mm)
    moved = moved_axes(ends)
    assert max(np.linalg.norm(other - ends, axis=1).max() for other in moved) == pytest.approx(1.6)
    assert all(np.abs(one - other).max() > 1.0 for one, other in combinations(moved, 2))
