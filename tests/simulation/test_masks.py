import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.simulation.fields import ellipsoid_level
from ablmargin.simulation.masks import draw_masks
from ablmargin.simulation.motion import Motion, RigidMap, random_bending
from ablmargin.simulation.star import Lobe, StarShape
from ablmargin.simulation.zone import ZoneSurface

SHIFT = np.array([6.0, -3.0, 40.0])
MOTION = Motion(
    frame=RigidMap.from_degrees((0.0, 0.0, 0.0), tuple(SHIFT)),
    breathing=RigidMap.from_degrees((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    bending=random_bending(np.random.default_rng(0), rms_mm=0.0),
)
PRE = Geometry(shape=(40, 60, 60), spacing_mm=(2.0, 1.5, 1.5), origin_mm=(-45.0, -45.0, -40.0))
POST = Geometry(
    shape=(30, 60, 60),
    spacing_mm=(3.0, 1.5, 1.5),
    origin_mm=(45.0 - SHIFT[0], -45.0 - SHIFT[1], 45.0 - SHIFT[2]),
    directions=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
)


def liver(points):
    return ellipsoid_level(points, (0.0, 0.0, 0.0), (30.0, 30.0, 30.0))


def ball(center, radius):
    return StarShape(center_mm=tuple(center), lobes=(Lobe(radii_mm=(radius,) * 3, axes=np.eye(3)),))


def drawn(error_mm=0.0):
    def liver_post(points):
        return liver(points + SHIFT.astype(points.dtype))

    zone = ZoneSurface.of(ball(np.array([20.0, 0.0, 0.0]) - SHIFT, 15.0), liver_post, count=500)
    return draw_masks(
        liver,
        (np.full(3, -32.0), np.full(3, 32.0)),
        motion=MOTION,
        tumors=[ball((20.0, 0.0, 0.0), 8.0)],
        zones=[zone],
        grids=(PRE, POST),
        error_mm=error_mm,
        rng=np.random.default_rng(1),
    )


def test_a_voxel_is_set_if_its_center_is_inside():
    masks = drawn()
    for mask, center, radius in (
        (masks.liver_pre, np.zeros(3), 30.0),
        (masks.liver_post, -SHIFT, 30.0),
        (masks.tumors[0], np.array([20.0, 0.0, 0.0]), 8.0),
    ):
        grid = mask.geometry
        centers = grid.points_at(np.argwhere(np.ones(grid.shape, bool)))
        inside = np.linalg.norm(centers - center, axis=1)
        certain = np.abs(inside - radius) > 1e-3
        assert (mask.voxels.ravel() == (inside < radius))[certain].all()


def test_a_zone_ends_at_the_capsule():
    masks = drawn()
    assert (masks.zones[0].voxels <= masks.liver_post.voxels).all()
    ball_ml = 4 / 3 * np.pi * 15**3 / 1000
    assert 0.5 * ball_ml < masks.zones[0].volume_ml < 0.95 * ball_ml


def test_an_error_moves_borders_by_its_size():
    exact, erring = drawn(), drawn(error_mm=1.5)
    changed = exact.liver_pre.voxels ^ erring.liver_pre.voxels
    mean_shift = changed.sum() * PRE.voxel_volume_ml * 1000 / (4 * np.pi * 30**2)
    assert mean_shift == pytest.approx(1.5 * np.sqrt(2 / np.pi), rel=0.4)  # one draw of a smooth field
    distance = np.linalg.norm(PRE.points_at(np.argwhere(changed)), axis=1)
    assert np.abs(distance - 30).max() < 1.5 * 5
