"""Prompts as a user types them."""

from __future__ import annotations

import pytest
from orientations import grid_around

from ablmargin.errors import InputError, UsageError
from ablmargin.segmentation.prompts import axis_from, point_from, require_imaged
from ablmargin.segmentation.protocol import Prompt


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
