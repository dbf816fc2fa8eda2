"""Prompts and proposals."""

import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.volume import LabelMask, Structure

GRID = Geometry(shape=(2, 3, 4), spacing_mm=(5.0, 0.8, 0.7), origin_mm=(0, 0, 0))


def test_the_center_of_an_axis_lies_inside_and_its_ends_do_not_count():
    prompt = Prompt(
        point_mm=(1, 1, 1), axis_mm=((0, 0, 0), (10, 4, 2)), inside_mm=((7, 7, 7),), outside_mm=((9, 9, 9),)
    )
    assert prompt.all_inside_mm == ((1, 1, 1), (5, 2, 1), (7, 7, 7))


@pytest.mark.parametrize(
    ("prompt", "is_empty"),
    [(NO_PROMPT, True), (Prompt(outside_mm=((1, 1, 1),)), True), (Prompt(inside_mm=((1, 1, 1),)), False)],
)
def test_only_what_is_inside_points_at_something(prompt, is_empty):
    assert prompt.is_empty is is_empty


def test_an_empty_mask_is_never_trusted():
    voxels = np.zeros(GRID.shape, bool)
    empty = LabelMask(voxels=voxels, geometry=GRID, structure=Structure.TUMOR)
    voxels[1, 1, 1] = True
    drawn = LabelMask(voxels=voxels, geometry=GRID, structure=Structure.TUMOR)
    assert not Segmentation(mask=empty).is_trusted
    assert Segmentation(mask=drawn).is_trusted
    assert not Segmentation(mask=drawn, doubts=("The edge is weak.",)).is_trusted
