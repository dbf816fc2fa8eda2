"""The liver without a click: phantoms with exact truth, and images that hold none."""

from __future__ import annotations

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


@pytest.mark.parametrize("hu", [-1000.0, -3024.0, 0.0, 5000.0])
def test_an_image_of_one_value_holds_no_liver_and_says_so(hu):
    found = WALKER.segment(even(hu))
    assert found.mask.is_empty
    assert "No liver" in found.doubts[0]


def test_all_points_outside_of_the_image_are_told_together(pair):
    with pytest.raises(InputError) as refused:
        WALKER.segment(pair.pre, Prompt(point_mm=(9e3, 0, 0), outside_mm=((0, 9e3, 0),)))
    assert [fault.code for fault in refused.value.faults] == ["PROMPT_OUTSIDE"] * 2
