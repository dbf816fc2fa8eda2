"""What is made of a mask that somebody else found: pieces pointed at, doubts with their figures."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.proposal import proposed
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt
from ablmargin.volume import LabelMask, Structure

CENTER_MM = (-40.0, 25.0, 310.0)
COARSE = Geometry(shape=(30, 30, 30), spacing_mm=(10.0, 10.0, 10.0), origin_mm=(0.0, 0.0, 0.0))
"""A voxel is 1 ml."""


def balls(geometry: Geometry, *offsets_mm: tuple[float, float, float], structure=Structure.TUMOR) -> LabelMask:
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    centers = np.array(CENTER_MM) + np.array(offsets_mm)
    nearest = np.min([np.linalg.norm(points - center, axis=-1) for center in centers], axis=0)
    return LabelMask(voxels=nearest < 7.0, geometry=geometry, structure=structure)


def block(low, high, structure=Structure.LIVER) -> LabelMask:
    voxels = np.zeros(COARSE.shape, bool)
    voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return LabelMask(voxels=voxels, geometry=COARSE, structure=structure)


def at(*offset_mm: float) -> tuple[float, float, float]:
    return tuple((np.array(CENTER_MM) + offset_mm).tolist())


def test_the_lesion_that_was_pointed_at(orientation):
    """Two balls 24 mm apart: the pieces are each its ball, to the voxel."""
    geometry = grid_around(CENTER_MM, orientation=orientation)
    left, right = (12.0, 0.0, 0.0), (-12.0, 0.0, 0.0)
    both, only = balls(geometry, left, right), balls(geometry, left)
    for prompt in (
        Prompt(point_mm=at(*left)),
        Prompt(axis_mm=(at(6, 0, 0), at(18, 0, 0))),
        Prompt(outside_mm=(at(*right),)),
        Prompt(inside_mm=(at(*left),), outside_mm=(at(*right),)),
    ):
        proposal = proposed(both, prompt)
        np.testing.assert_array_equal(proposal.mask.voxels, only.voxels)
        assert proposal.is_trusted
    np.testing.assert_array_equal(proposed(both, NO_PROMPT).mask.voxels, both.voxels)


def test_a_point_beside_every_lesion_is_doubted():
    geometry = grid_around(CENTER_MM)
    proposal = proposed(balls(geometry, (12.0, 0.0, 0.0)), Prompt(point_mm=at(-12, 0, 0)))
    assert proposal.mask.is_empty
    assert proposal.doubts == ("No tumor was found where the point is, though 1.4 ml elsewhere.",)  # 4/3 π (0.7 cm)³
    empty = LabelMask(voxels=np.zeros(geometry.shape, bool), geometry=geometry, structure=Structure.TUMOR)
    assert proposed(empty, NO_PROMPT).doubts == ("No tumor was found.",)


def test_every_point_outside_of_the_image_is_told():
    geometry = grid_around(CENTER_MM)
    require_imaged(Prompt(point_mm=CENTER_MM, outside_mm=(at(5, 5, 5),)), geometry)
    prompt = Prompt(point_mm=at(0, 0, 999), axis_mm=(CENTER_MM, at(999, 0, 0)), outside_mm=(at(0, -999, 0),))
    with pytest.raises(InputError) as caught:
        require_imaged(prompt, geometry)
    assert [fault.code for fault in caught.value.faults] == ["PROMPT_OUTSIDE"] * 3


def test_a_plausible_liver_is_trusted_and_holds_its_lesions():
    liver, lesion = block((5, 5, 5), (17, 15, 15)), block((17, 8, 8), (19, 10, 10), Structure.TUMOR)
    proposal = proposed(liver, NO_PROMPT, [lesion])
    assert proposal.is_trusted
    assert proposal.cautions == ()
    np.testing.assert_array_equal(proposal.mask.voxels, liver.voxels | lesion.voxels)


@pytest.mark.parametrize(
    ("liver", "doubt"),
    [
        (block((5, 5, 5), (9, 15, 15)), "The liver found has 400 ml; a whole one has 500 to 4500 ml."),
        (block((2, 2, 2), (22, 22, 22)), "The liver found has 8000 ml; a whole one has 500 to 4500 ml."),
        (block((5, 5, 5), (17, 15, 15)).union(block((20, 5, 5), (22, 15, 15))), "14% of the liver lie apart from its"),
        (block((5, 5, 5), (5, 5, 5)), "No liver was found."),
    ],
)
def test_an_implausible_liver_is_doubted(liver, doubt):
    (told,) = proposed(liver, NO_PROMPT).doubts
    assert told.startswith(doubt)


def test_a_liver_that_is_cut_off_may_be_small():
    proposal = proposed(block((0, 5, 5), (4, 15, 15)), NO_PROMPT)
    assert proposal.is_trusted
    (caution,) = proposal.cautions
    assert caution.code == "LIVER_TRUNCATED"
    assert "100 cm² of it lie on" in caution.message
    corner = block((5, 5, 5), (17, 15, 15)).union(block((0, 5, 5), (5, 7, 12)))  # 14 cm² on the first slice
    assert proposed(corner, NO_PROMPT).cautions == ()
