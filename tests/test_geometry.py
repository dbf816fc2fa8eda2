from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orientations import AXES, grid_around, rotation

from ablmargin.geometry import Geometry, bounding_geometry, triples

FINITE = st.floats(-500, 500)
ANGLE = st.floats(-180, 180)


@given(
    angles=st.tuples(ANGLE, ANGLE, ANGLE),
    spacing=st.tuples(*[st.floats(0.3, 10)] * 3),
    origin=st.tuples(FINITE, FINITE, FINITE),
    index=st.tuples(*[st.floats(-5, 600)] * 3),
)
def test_there_and_back_is_identity(angles, spacing, origin, index):
    geometry = Geometry(shape=(3, 4, 5), spacing_mm=spacing, origin_mm=origin, directions=triples(rotation(*angles)))
    assert geometry.indices_at(geometry.points_at([index]))[0] == pytest.approx(index, abs=1e-6)


def test_axes_are_slice_row_column_and_points_x_y_z():
    geometry = Geometry(shape=(2, 3, 4), spacing_mm=(5, 0.8, 0.7), origin_mm=(1, 2, 3))
    assert geometry.points_at([(1, 0, 0)])[0] == pytest.approx((1, 2, 8))
    assert geometry.points_at([(0, 1, 0)])[0] == pytest.approx((1, 2.8, 3))
    assert geometry.points_at([(0, 0, 1)])[0] == pytest.approx((1.7, 2, 3))


def test_affine_round_trip(orientation):
    geometry = grid_around((10, -20, 30), orientation=orientation)
    again = Geometry.from_affine(geometry.affine, geometry.shape)
    assert again.same_grid_as(geometry, tolerance_mm=1e-9)
    assert np.allclose(again.directions, geometry.directions)


def test_grids_around_one_center_share_it(orientation):
    assert grid_around((10, -20, 30), orientation=orientation).center_mm == pytest.approx((10, -20, 30))


def test_a_crop_keeps_every_voxel_where_it_was(orientation):
    geometry = grid_around((0, 0, 0), orientation=orientation)
    crop = geometry.cropped((2, 5, 7), (6, 20, 30))
    assert crop.shape == (4, 15, 23)
    assert crop.points_at([(1, 2, 3)]) == pytest.approx(geometry.points_at([(3, 7, 10)]))


def test_same_grid_asks_for_shape_place_and_frame():
    grid = grid_around((0, 0, 0), frame_uid="1.2.3")
    assert grid.same_grid_as(grid_around((0, 0, 0.009), frame_uid="1.2.3"))
    assert not grid.same_grid_as(grid_around((0, 0, 0.02), frame_uid="1.2.3"))
    assert not grid.same_grid_as(grid_around((0, 0, 0), frame_uid="1.2.4"))
    assert not grid.same_grid_as(grid_around((0, 0, 0), shape=(14, 60, 71), frame_uid="1.2.3"))
    assert grid.same_grid_as(grid_around((0, 0, 0)))  # an unknown frame contradicts nothing
    assert grid != grid_around((0, 0, 0), frame_uid="1.2.4")


def test_same_numbers_in_another_orientation_are_another_grid():
    first, second = grid_around((0, 0, 0)), grid_around((0, 0, 0), orientation="flipped")
    assert first.shape == second.shape
    assert not first.same_grid_as(second)


def test_contains_knows_the_border(orientation):
    geometry = grid_around((0, 0, 0), orientation=orientation)
    assert geometry.contains(geometry.corners_mm).all()
    assert not geometry.contains(geometry.points_at([(-0.1, 0, 0), (0, 59.1, 0)])).any()
    assert geometry.contains(geometry.points_at([(1, 7, 8)]), margin_mm=5).all()
    assert not geometry.contains(geometry.points_at([(0.9, 7, 8)]), margin_mm=5).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (0, 3, 4)},
        {"spacing_mm": (5, 0, 0.7)},
        {"spacing_mm": (5, -0.8, 0.7)},
        {"spacing_mm": (5, float("nan"), 0.7)},
        {"origin_mm": (0, 0, float("inf"))},
        {"directions": ((0, 0, 1), (0, 1, 0), (0, 1, 0))},
        {"directions": ((0, 0, 1), (0, 1, 0), (0.9, 0, 0))},
        {"directions": ((0, 0.2, 1), (0, 1, 0), (1, 0, 0))},
        {"directions": ((0, 0, float("nan")), (0, 1, 0), (1, 0, 0))},
    ],
)
def test_no_half_valid_geometry(wrong):
    with pytest.raises(ValueError, match=r"must|needs"):
        Geometry(**({"shape": (2, 3, 4), "spacing_mm": (5, 0.8, 0.7), "origin_mm": (0, 0, 0)} | wrong))


def test_bounding_geometry_holds_the_points():
    points = np.array([[0.0, 10, -5], [7, 3, 40]])
    geometry = bounding_geometry(points, spacing_mm=0.8, pad_mm=4, frame_uid=None)
    assert geometry.contains(points, margin_mm=4).all()
    assert geometry.shape == (68, 20, 20)


class TestBoxAround:
    POINTS = ((2.2, 10.5, 20.3), (2.8, 11.6, 24.9))

    def test_it_holds_the_points_and_their_neighbors(self, orientation):
        geometry = grid_around((0, 0, 0), orientation=orientation)
        points = geometry.points_at(self.POINTS)
        assert geometry.box_around(points) == ((2, 10, 20), (4, 13, 26))

    def test_pads_are_millimeters_along_each_axis(self, orientation):
        geometry = grid_around((0, 0, 0), orientation=orientation)
        assert geometry.spacing_mm == (5.0, 0.8, 0.7)
        points = geometry.points_at(self.POINTS)
        assert geometry.box_around(points, pad_mm=4.0) == ((1, 5, 14), (5, 18, 32))
        assert geometry.box_around(points, pad_mm=np.array([0.0, 1.6, 0.0])) == ((2, 8, 20), (4, 15, 26))

    def test_it_ends_with_the_image_but_is_never_empty(self, orientation):
        geometry = grid_around((0, 0, 0), orientation=orientation)
        k, _, i = geometry.shape
        assert geometry.box_around(geometry.points_at(self.POINTS), pad_mm=999.0) == ((0, 0, 0), geometry.shape)
        assert geometry.box_around(geometry.points_at([(-9.0, 2.4, i + 7.5)])) == ((0, 2, i - 1), (1, 4, i))
        assert geometry.box_around(geometry.points_at([(k + 3.0, -0.5, 1.3)])) == ((k - 1, 0, 1), (k, 1, 3))


def test_all_axes_are_orthonormal():
    for axes in AXES.values():
        assert axes @ axes.T == pytest.approx(np.eye(3))
