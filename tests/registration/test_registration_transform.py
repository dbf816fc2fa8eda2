"""Maps of points: analytic truth, there-and-back, composition with a rigid part."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientations import grid_around, rotation

from ablmargin.errors import RegistrationError
from ablmargin.geometry import Geometry
from ablmargin.registration.transform import (
    ComposedTransform,
    InverseTransform,
    RigidTransform,
    SplineTransform,
    displacement_on,
    inverse_points,
    jacobian_determinants,
)

IDENTITY = RigidTransform(rotation=np.eye(3))
angles = st.floats(-180, 180)
lengths = st.floats(-500, 500)


def wavy(amplitude_mm: float = 3.0, *, rigid: RigidTransform = IDENTITY, seed: int = 0) -> SplineTransform:
    coefficients = amplitude_mm * np.random.default_rng(seed).uniform(-1, 1, (9, 8, 10, 3))
    return SplineTransform(rigid=rigid, origin_mm=(-50.0, -40.0, -60.0), knot_mm=18.0, coefficients_mm=coefficients)


def cloud(count: int = 50, reach_mm: float = 40.0) -> np.ndarray:
    return np.random.default_rng(3).uniform(-reach_mm, reach_mm, (count, 3))


def cubic(t: float) -> float:
    """The cubic B-spline around 0, by its two polynomials."""
    t = abs(t)
    return 2 / 3 - t**2 + t**3 / 2 if t < 1 else max(2 - t, 0.0) ** 3 / 6


def test_a_rigid_map_turns_about_its_center_then_shifts():
    turn = RigidTransform(rotation=rotation(0, 0, 90), center_mm=(10, 0, 0), translation_mm=(0, 0, 7))
    np.testing.assert_allclose(turn.map_points(np.array([[10.0, 0, 0], [12.0, 0, 1]])), [[10, 0, 7], [10, 2, 8]])


@settings(deadline=None, max_examples=50)
@given(st.tuples(angles, angles, angles), st.tuples(lengths, lengths, lengths))
def test_a_rigid_map_there_and_back_is_the_identity_and_keeps_distances(turn, place):
    rigid = RigidTransform(rotation=rotation(*turn), center_mm=place, translation_mm=place[::-1])
    points = cloud()
    mapped = rigid.map_points(points)
    np.testing.assert_allclose(rigid.inverse().map_points(mapped), points, atol=1e-9)
    np.testing.assert_allclose(inverse_points(rigid, mapped), points, atol=1e-3)
    assert np.linalg.norm(mapped[0] - mapped[1]) == pytest.approx(np.linalg.norm(points[0] - points[1]))


def test_a_reflection_is_no_rotation():
    with pytest.raises(ValueError, match="proper orthonormal"):
        RigidTransform(rotation=np.diag([1.0, 1.0, -1.0]))


def test_a_spline_is_the_sum_of_its_basis_functions():
    spline = wavy()
    for point in cloud(5):
        position = (point - np.array(spline.origin_mm)) / spline.knot_mm
        shift = sum(
            np.prod([cubic(p - (n - 1)) for p, n in zip(position, index, strict=True)]) * spline.coefficients_mm[index]
            for index in np.ndindex(*spline.counts)
        )
        np.testing.assert_allclose(spline.map_points(point[None])[0] - point, shift, atol=1e-9)


def test_equal_control_vectors_are_a_shift_everywhere():
    vectors = np.broadcast_to([1.0, -2.0, 3.0], (5, 6, 7, 3))
    spline = SplineTransform(rigid=IDENTITY, origin_mm=(0, 0, 0), knot_mm=10.0, coefficients_mm=vectors)
    points = 5 * cloud()
    np.testing.assert_allclose(spline.map_points(points) - points, np.broadcast_to([1.0, -2.0, 3.0], points.shape))


def test_the_displacement_stays_what_it_is_at_the_border_of_its_region():
    spline = wavy()
    inside, outside = np.array([[58.0, 3.0, 4.0]]), np.array([[900.0, 3.0, 4.0]])
    np.testing.assert_allclose(spline.map_points(outside) - outside, spline.map_points(inside) - inside, atol=1e-9)


def test_the_displacement_comes_on_top_of_the_rigid_part():
    rigid = RigidTransform(rotation=rotation(5, 8, -3), translation_mm=(100, -50, 200))
    points = cloud()
    both, alone = wavy(rigid=rigid).map_points(points), wavy().map_points(points)
    np.testing.assert_allclose(both - rigid.map_points(points), alone - points, atol=1e-9)


def test_a_spline_there_and_back_is_the_identity():
    spline = wavy(rigid=RigidTransform(rotation=rotation(20, -10, 30), translation_mm=(100, -50, 200)))
    points = cloud(reach_mm=80)
    np.testing.assert_allclose(inverse_points(spline, spline.map_points(points), 1e-6), points, atol=1e-5)
    np.testing.assert_allclose(
        InverseTransform(forward=spline).map_points(spline.map_points(points)), points, atol=2e-3
    )


def test_composed_maps_follow_each_other_and_undo_each_other():
    turn = RigidTransform(rotation=rotation(20, -10, 30), center_mm=(3, 4, 5), translation_mm=(7, -2, 9))
    both = ComposedTransform(first=wavy(), then=turn)
    np.testing.assert_array_equal(both.map_points(cloud()), turn.map_points(wavy().map_points(cloud())))
    other_order = ComposedTransform(first=turn, then=wavy())
    assert np.abs(both.map_points(cloud()) - other_order.map_points(cloud())).max() > 1.0
    undone = ComposedTransform(first=both, then=InverseTransform(forward=both))
    np.testing.assert_allclose(undone.map_points(cloud()), cloud(), atol=2e-3)  # the inverse stops at 0.001 mm


def test_no_points_have_no_inverse_to_find():
    assert inverse_points(wavy(), np.zeros((0, 3))).shape == (0, 3)


def test_a_map_that_folds_cannot_be_inverted_everywhere():
    with pytest.raises(RegistrationError, match="can't be inverted"):
        inverse_points(wavy(60.0), cloud(200), 1e-4)


def test_the_vector_image_leads_from_each_voxel_to_its_target(orientation):
    grid = grid_around((0, 0, 0), orientation=orientation, shape=(4, 5, 6), spacing_mm=(5.0, 3.0, 2.0))
    spline = wavy()
    field = displacement_on(spline, grid)
    assert field.shape == (4, 5, 6, 3)
    assert field.dtype == np.float32
    start = grid.points_at([(2, 3, 1)])
    np.testing.assert_allclose(start + field[2, 3, 1], spline.map_points(start), atol=1e-5)


TURNED = RigidTransform(rotation=rotation(5, 8, -3), center_mm=(10, 20, -30), translation_mm=(100, -50, 200))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_a_grid_along_the_splines_axes_asks_for_no_single_point(monkeypatch, order, signs):
    """In any order and direction of its axes, inside of the spline's region and far outside."""
    axes = tuple(tuple(row) for row in np.diag(signs)[list(order)].tolist())
    for origin_mm in [(-20.0, -30.0, -40.0), (90.0, -70.0, 900.0)]:
        grid = Geometry(shape=(5, 9, 13), spacing_mm=(7.0, 4.0, 3.0), origin_mm=origin_mm, directions=axes)
        spline = wavy(rigid=TURNED)
        points = grid.points_at(np.stack(np.indices(grid.shape), axis=-1))
        arrived = spline.map_points(points.reshape(-1, 3)).reshape(points.shape)
        with monkeypatch.context() as patch:
            patch.setattr(SplineTransform, "map_points", None)
            field = displacement_on(spline, grid)
        np.testing.assert_allclose(field, arrived - points, atol=2e-4)  # single precision, at displacements of 300 mm


@pytest.mark.parametrize("tilt_degrees", [0.001, 20.0])
def test_a_grid_that_is_turned_ever_so_little_is_mapped_as_it_lies(tilt_degrees):
    axes = tuple(tuple(row) for row in (np.eye(3)[::-1] @ rotation(0, tilt_degrees, 0).T).tolist())
    grid = Geometry(shape=(5, 4, 200), spacing_mm=(7.0, 4.0, 3.0), origin_mm=(-300.0, 0.0, 0.0), directions=axes)
    points = grid.points_at([(4, 3, 0), (4, 3, 199)])
    field = displacement_on(wavy(20.0, rigid=TURNED), grid)
    np.testing.assert_allclose(points + field[4, 3, [0, 199]], wavy(20.0, rigid=TURNED).map_points(points), atol=2e-4)


def test_a_vector_image_needs_more_than_one_chunk(monkeypatch):
    grid = grid_around((0, 0, 0), shape=(4, 5, 6), orientation="oblique")
    whole = displacement_on(wavy(), grid)
    monkeypatch.setattr("ablmargin.registration.transform._CHUNK", 7)
    np.testing.assert_array_equal(displacement_on(wavy(), grid), whole)


class Stretch:
    def map_points(self, points_mm):
        return points_mm * np.array([1.1, 0.5, -2.0])


def test_jacobian_determinants_are_products_of_stretches():
    np.testing.assert_allclose(jacobian_determinants(Stretch(), cloud(4)), -1.1)
    np.testing.assert_allclose(jacobian_determinants(IDENTITY, cloud(4)), 1.0)


@pytest.mark.parametrize("shape", [(3, 4, 4, 3), (4, 4, 4, 2), (4, 4, 4)])
def test_too_few_control_points_are_refused(shape):
    with pytest.raises(ValueError, match="coefficients must have shape"):
        SplineTransform(rigid=IDENTITY, origin_mm=(0, 0, 0), knot_mm=10.0, coefficients_mm=np.zeros(shape))


def test_a_transform_keeps_its_own_copy():
    vectors = np.zeros((4, 4, 4, 3))
    spline = SplineTransform(rigid=IDENTITY, origin_mm=(0, 0, 0), knot_mm=10.0, coefficients_mm=vectors)
    vectors += 5.0
    np.testing.assert_array_equal(spline.map_points(np.zeros((1, 3))), [[0, 0, 0]])
    with pytest.raises(ValueError, match="read-only"):
        spline.coefficients_mm[0, 0, 0] = 1.0
