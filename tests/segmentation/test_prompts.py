"""Prompts as a user types them."""

from __future__ import annotations

import pytest
from orientations import grid_around

from ablmargin.errors import InputError, UsageError
from ablmargin.segmentation.prompts import axis_from, point_from, require_imaged, require_prompt
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import Structure


def test_an_axis_has_two_ends():
    assert axis_from("1,2,3, 4,5,-6.5", "--tumor-axis") == ((1, 2, 3), (4, 5, -6.5))


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "1;2;3", "1,2,x", "nan,0,0", "1,2,inf"])
def test_what_is_no_point_is_refused_with_the_option_and_the_form(text):
    with pytest.raises(UsageError, match=r"--tumor-point .*X,Y,Z, in LPS mm"):
        point_from(text, "--tumor-point")


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7"])
def test_what_is_no_axis_is_refused(text):
    with pytest.raises(UsageError, match="--ablation-axis"):
        axis_from(text, "--ablation-axis")


def test_an_axis_without_length_is_refused():
    with pytest.raises(UsageError, match="same point"):
        axis_from("1,2,3,1,2,3", "--tumor-axis")


def test_points_in_and_outside_of_an_image(orientation):
    grid = grid_around((10, 20, 30), orientation=orientation)
    require_imaged(Prompt(point_mm=(10, 20, 30), outside_mm=((12, 20, 30),)), grid, source="--tumor-point")
    with pytest.raises(InputError) as caught:
        require_imaged(Prompt(point_mm=(-400, 20, 30), outside_mm=((10, 20, 300),)), grid, source="--tumor-point")
    assert [fault.code for fault in caught.value.faults] == ["PROMPT_OUTSIDE", "PROMPT_OUTSIDE"]
    assert any("-400, 20, 30" in fault.found for fault in caught.value.faults)
    assert "RAS" in caught.value.faults[0].remedy


@pytest.mark.parametrize(
    ("prompt", "codes"),
    [
        (Prompt(axis_mm=((0, 0, 0), (20, 0, 0)), outside_mm=((0, 0, 30),)), []),
        (Prompt(outside_mm=((0, 0, 0),)), ["PROMPT_MISSING"]),
        (Prompt(axis_mm=((0, 0, 0), (1, 0, 0))), ["PROMPT_TOO_SHORT"]),
        (Prompt(axis_mm=((-100, 0, 0), (100, 0, 0))), ["PROMPT_TOO_LONG"]),
        (Prompt(point_mm=(1, 2, 3), outside_mm=((1, 2, 3),)), ["PROMPT_CONTRADICTORY"]),
        (Prompt(axis_mm=((-100, 0, 0), (900, 0, 0))), ["PROMPT_OUTSIDE", "PROMPT_TOO_LONG"]),
    ],
)
def test_what_points_at_no_lesion_is_refused_with_everything_wrong(prompt, codes):
    grid = grid_around((0, 0, 0), shape=(60, 120, 120), spacing_mm=(4.0, 4.0, 4.0))
    if not codes:
        require_prompt(prompt, grid, Structure.TUMOR)
        return
    with pytest.raises(InputError) as caught:
        require_prompt(prompt, grid, Structure.TUMOR)
    assert [fault.code for fault in caught.value.faults] == codes
