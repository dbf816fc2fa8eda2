"""The liver without a click: phantoms with exact truth, and images that hold none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.segmentation.liver import LiverWalker
from ablmargin.segmentation.protocol import Prompt
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.volume import LabelMask, Volume

COARSE = 2.5
"""Voxels of 3 × 3 × 5 mm: as coarse as any clinical CT, and quick."""
WALKER = LiverWalker(spacing_mm=4.0)


def dice(a: LabelMask, b: LabelMask) -> float:
    return 2 * np.count_nonzero(a.voxels & b.voxels) / (np.count_nonzero(a.voxels) + np.count_nonzero(b.voxels))


@pytest.fixture(scope="module")
def pair() -> SimulatedPair:
    return simulate_phantom("no-contrast", seed=2, coarse=COARSE)


def even(hu: float, shape: tuple[int, int, int] = (20, 60, 70)) -> Volume:
    grid = Geometry(shape=shape, spacing_mm=(5.0, 4.0, 4.0), origin_mm=(0, 0, 0))
    return Volume(voxels_hu=np.full(shape, hu, np.float32), geometry=grid)


@pytest.mark.parametrize("when", ["pre", "post"])
def test_the_liver_of_a_phantom_is_found_with_and_without_contrast(pair, when):
    found = WALKER.segment(getattr(pair, when))
    # Voxels of 3 x 3 x 5 mm, searched at 4 mm: the border alone, half a voxel off, costs .03.
    assert dice(found.mask, getattr(pair, f"liver_{when}")) > 0.94
    assert found.is_trusted
    assert not found.cautions
    assert found.mask.origin.source == "automatic"
    assert not found.mask.origin.reviewed


def test_the_place_of_the_mask_does_not_depend_on_the_order_of_the_axes(pair):
    grid, hu = pair.pre.geometry, pair.pre.voxels_hu
    slices, rows, columns = grid.directions
    turned = replace(
        grid,
        shape=(grid.shape[2], grid.shape[0], grid.shape[1]),
        spacing_mm=(grid.spacing_mm[2], grid.spacing_mm[0], grid.spacing_mm[1]),
        origin_mm=tuple(grid.points_at([(grid.shape[0] - 1, 0, 0)])[0]),
        directions=(columns, tuple(-np.array(slices)), rows),
    )
    volume = Volume(voxels_hu=hu[::-1].transpose(2, 0, 1), geometry=turned)
    back = WALKER.segment(volume).mask.voxels.transpose(1, 2, 0)[::-1]
    straight = WALKER.segment(pair.pre).mask.voxels
    # Not to the voxel: sums run in another order.
    assert np.count_nonzero(back ^ straight) < 0.001 * np.count_nonzero(straight)


def test_a_cut_liver_is_told(pair):
    slices, rows, columns = pair.pre.geometry.shape
    upper = pair.pre.cropped((slices // 2, 0, 0), (slices, rows, columns))
    found = WALKER.segment(upper)
    assert [caution.code for caution in found.cautions] == ["LIVER_TRUNCATED"]
    true = pair.liver_pre.cropped((slices // 2, 0, 0), (slices, rows, columns))
    assert dice(found.mask, true) > 0.9


def test_a_point_in_the_spleen_gives_a_liver_that_is_doubted(pair):
    found = WALKER.segment(pair.pre, Prompt(point_mm=(100.0, 34.0, 6.0)))
    assert dice(found.mask, pair.liver_pre) < 0.5
    assert found.doubts
    assert found.mask.origin.source == "point"


def test_points_outside_are_kept_out_and_the_liver_stays(pair):
    inner = pair.liver_pre.voxel_centers_mm().mean(axis=0)
    point = (float(inner[0]), float(inner[1]), float(inner[2]))
    found = WALKER.segment(pair.pre, Prompt(outside_mm=(point,)))
    k, j, i = np.rint(pair.pre.geometry.indices_at([point])[0]).astype(int)
    assert pair.liver_pre.voxels[k, j, i]
    assert not found.mask.voxels[k, j, i]
    assert dice(found.mask, pair.liver_pre) > 0.9


def test_a_given_lesion_belongs_to_the_liver_whatever_it_looks_like(pair):
    hu = pair.pre.voxels_hu.copy()
    near = pair.pre.geometry.indices_at([(-110.0, 0.0, -10.0)])[0]
    index = np.indices(hu.shape).reshape(3, -1).T
    away_mm = np.linalg.norm((index - near) * pair.pre.geometry.spacing_mm, axis=1).reshape(hu.shape)
    lesion = (away_mm < 27) & pair.liver_pre.voxels
    hu[lesion] = 20.0
    mask = replace(pair.tumors[0], voxels=lesion)
    found = WALKER.segment(Volume(voxels_hu=hu, geometry=pair.pre.geometry), lesions=(mask,)).mask
    assert np.count_nonzero(lesion) * mask.geometry.voxel_volume_ml > 20
    assert not (lesion & ~found.voxels).any()
    assert dice(found, pair.liver_pre) > 0.92


def test_soft_tissue_all_over_is_no_liver_that_is_trusted():
    found = WALKER.segment(even(50.0))
    assert not found.is_trusted


@pytest.mark.parametrize("hu", [-1000.0, -3024.0, 0.0, 5000.0])
def test_an_image_of_one_value_holds_no_liver_and_says_so(hu):
    found = WALKER.segment(even(hu))
    assert found.mask.is_empty
    assert "No liver" in found.doubts[0]


def test_all_points_outside_of_the_image_are_told_together(pair):
    with pytest.raises(InputError) as refused:
        WALKER.segment(pair.pre, Prompt(point_mm=(9e3, 0, 0), outside_mm=((0, 9e3, 0),)))
    assert [fault.code for fault in refused.value.faults] == ["PROMPT_OUTSIDE"] * 2
