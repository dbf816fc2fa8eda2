from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.metrics.surface import surface_of
from ablmargin.metrics.zones import share_of_zones_near
from ablmargin.volume import LabelMask, Structure


def balls(orientation: str, *spheres: tuple[tuple[float, float, float], float]) -> LabelMask:
    grid = grid_around((0, 0, 0), orientation=orientation, shape=(20, 110, 120), spacing_mm=(3.0, 1.0, 0.9))
    points = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))
    voxels = np.any([np.linalg.norm(points - center, axis=-1) < radius for center, radius in spheres], axis=0)
    return LabelMask(voxels=voxels, geometry=grid, structure=Structure.ABLATION_ZONE)


def test_a_far_zone_is_somebody_elses(orientation):
    tumor = surface_of(balls(orientation, ((-25, 0, 0), 6)), method="fast")
    zones = balls(orientation, ((-25, 0, 0), 12), ((25, 0, 0), 8))
    assert share_of_zones_near(zones, tumor) == pytest.approx(12**3 / (12**3 + 8**3), abs=0.03)


def test_two_near_zones_both_count():
    tumor = surface_of(balls("LPS", ((0, 0, 0), 6)), method="fast")
    assert share_of_zones_near(balls("LPS", ((-12, 0, 0), 8), ((14, 0, 0), 8)), tumor) == 1.0


def test_if_none_is_near_the_nearest_counts():
    tumor = surface_of(balls("LPS", ((0, 0, 0), 4)), method="fast")
    zones = balls("LPS", ((-30, 0, 0), 8), ((35, 0, 0), 8))
    assert share_of_zones_near(zones, tumor) == pytest.approx(0.5, abs=0.02)
