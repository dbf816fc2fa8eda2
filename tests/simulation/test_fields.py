import numpy as np
import pytest

from ablmargin.simulation.fields import (
    Lattice,
    WaveField,
    cone_level,
    ellipsoid_level,
    inside_share,
    lattice_shape,
    smooth_common,
    smooth_union,
    sphere_directions,
)


def test_a_wave_field_has_unit_spread_and_its_correlation_length():
    rng = np.random.default_rng(0)
    fields = [WaveField.random(rng, correlation_mm=20.0) for _ in range(300)]
    here, there = np.zeros((1, 3)), np.array([[20.0, 0.0, 0.0]])
    first = np.array([field.scalar(here)[0] for field in fields])
    second = np.array([field.scalar(there)[0] for field in fields])
    assert first.std() == pytest.approx(1.0, abs=0.15)  # 300 draws: standard error 0.04
    assert np.mean(first * second) == pytest.approx(np.exp(-0.5), abs=0.2)  # Gaussian correlation at one length


def test_both_precisions_agree():
    points = np.random.default_rng(1).uniform(-150, 150, (500, 3))
    field = WaveField.random(np.random.default_rng(2), correlation_mm=20.0, components=3)
    assert np.abs(field(points.astype(np.float32)) - field(points)).max() < 1e-3


def test_a_lattice_reads_a_linear_function_exactly_and_holds_its_border():
    low = np.array([-3.0, 5.0, 1.0])
    shape = lattice_shape(low, low + 10, 2.0)
    x, y, z = (low[axis] + 2.0 * np.arange(shape[axis]) for axis in range(3))
    values = (x[:, None, None] + 2 * y[:, None] - 3 * z).astype(np.float32)
    lattice = Lattice(values=values, low_mm=low, step_mm=2.0)
    points = low + np.random.default_rng(0).uniform(0, 10, (50, 3))
    assert lattice(points) == pytest.approx(points @ [1, 2, -3], abs=1e-4)
    assert lattice(np.array([[-50.0, 5.0, 1.0]]))[0] == pytest.approx(values[0, 0, 0])


def test_a_sphere_has_its_distance_as_level():
    points = np.random.default_rng(0).uniform(-20, 20, (100, 3))
    level = ellipsoid_level(points, (1.0, 2.0, 3.0), (8.0, 8.0, 8.0))
    assert level == pytest.approx(np.linalg.norm(points - [1, 2, 3], axis=1) - 8, abs=1e-4)


def test_the_center_of_an_ellipsoid_is_inside_it():
    assert ellipsoid_level(np.zeros((1, 3), np.float32), (0.0, 0.0, 0.0), (8.0, 5.0, 9.0)) == pytest.approx(
        -5.0, rel=1e-4
    )


def test_a_cone_is_measured_from_its_axis_and_its_ends():
    points = np.array([[5.0, 0.0, 0.0], [0.0, 0.0, -4.0], [0.0, 3.0, 20.0]])
    level = cone_level(points, np.zeros(3), np.array([0.0, 0.0, 10.0]), 2.0, 1.0)
    assert level == pytest.approx([3.0, 2.0, np.hypot(3, 10) - 1])


def test_melting_joins_and_common_cuts():
    first, second = np.array([1.0, -5.0, 30.0]), np.array([1.0, 20.0, 40.0])
    assert (smooth_union(first, second, 4.0) <= np.minimum(first, second)).all()
    assert (smooth_common(first, second, 4.0) >= np.maximum(first, second)).all()
    assert smooth_union(first, second, 4.0)[1] == -5.0  # far apart: a plain union


def test_the_share_inside_is_one_half_at_the_border():
    assert inside_share(np.array([-5.0, 0.0, 5.0])).tolist() == [1.0, 0.5, 0.0]


def test_directions_are_even():
    directions = sphere_directions(4000)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1.0)
    assert np.abs(directions.mean(axis=0)).max() < 1e-3
    assert directions.T @ directions / 4000 == pytest.approx(np.eye(3) / 3, abs=1e-3)
