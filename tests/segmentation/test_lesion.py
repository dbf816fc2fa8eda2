"""Tumors and zones from prompts, on balls whose truth is exact."""

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.segmentation.lesion import LesionSegmenter
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import Structure, Volume

CENTER = (12.0, -30.0, 55.0)
RADIUS = 9.0
LIVER_HU, NOISE_HU = 110.0, 12.0


def ball_ct(grid: Geometry, contrast_hu: float, *, radius_mm: float = RADIUS, seed: int = 1) -> Volume:
    """A ball in liver, its border as soft as a scanner's, in noise."""
    points = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))
    depth = radius_mm - np.linalg.norm(points - np.array(CENTER), axis=-1)
    noise = np.random.default_rng(seed).normal(0, NOISE_HU, grid.shape)
    hu = LIVER_HU + contrast_hu * np.clip(0.5 + depth / 1.6, 0, 1) + noise
    return Volume(voxels_hu=hu, geometry=grid)


def grid() -> Geometry:
    return grid_around(CENTER, shape=(60, 80, 90), spacing_mm=(1.0, 0.8, 0.7))


def axis(radius_mm: float = RADIUS) -> Prompt:
    x, y, z = CENTER
    return Prompt(axis_mm=((x - radius_mm, y, z), (x + radius_mm, y, z)))


@pytest.mark.parametrize("contrast_hu", [-35.0, 35.0])
@pytest.mark.parametrize("prompt", [axis(), Prompt(point_mm=(14.0, -31.0, 53.0))], ids=["axis", "click"])
def test_a_ball_is_found_whether_it_is_darker_or_brighter(contrast_hu, prompt):
    found = LesionSegmenter().segment(ball_ct(grid(), contrast_hu), prompt).mask
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * RADIUS**3 / 1000, rel=0.10)
    assert found.origin.source == "point"
    assert not found.origin.reviewed
    assert found.structure is Structure.TUMOR


def test_all_points_beside_the_image_are_told_together():
    prompt = Prompt(axis_mm=((500.0, 0.0, 0.0), CENTER), inside_mm=((0.0, 0.0, 900.0),))
    with pytest.raises(InputError) as refused:
        LesionSegmenter().segment(ball_ct(grid(), -35.0), prompt)
    assert [fault.code for fault in refused.value.faults] == ["PROMPT_OUTSIDE", "PROMPT_OUTSIDE"]


def test_without_a_point_there_is_nothing_to_do():
    with pytest.raises(InputError, match="PROMPT_MISSING"):
        LesionSegmenter().segment(ball_ct(grid(), -35.0))
