"""The equations behind level sets: roughness and least squares, against polynomials and dense algebra."""

import math

import numpy as np
import pytest

from ablmargin.metrics.bspline import axis_basis, roughness_matrix
from ablmargin.metrics.levelfit import normal_equations, solved

SIZES, CELL_MM = (6, 5, 7), 2.5


def basis_at(scaled):
    """All splines at points counted in cells, shape (points, coefficients)."""
    rows = [axis_basis(scaled[:, axis], size) for axis, size in enumerate(SIZES)]
    return np.einsum("na,nb,nc->nabc", *rows).reshape(len(scaled), -1)


def coefficients_of(function_of_mm):
    """Of the cubic polynomial that a function is; fitted to more points than there are coefficients."""
    scaled = np.random.default_rng(1).uniform(0, np.array(SIZES) - 3, (900, 3))
    return np.linalg.lstsq(basis_at(scaled), function_of_mm(*(scaled * CELL_MM).T), rcond=None)[0]


@pytest.mark.parametrize(
    ("function", "squared_derivatives"),
    [
        (lambda x, y, z: x**3, 36.0),  # f_xxx = 6
        (lambda x, y, z: x**2 * z, 3 * 4.0),  # f_xxz = 2, met in three orders
        (lambda x, y, z: x * y * z, 6 * 1.0),  # f_xyz = 1, in six
        (lambda x, y, z: x**2 * y - y**3, 3 * 4.0 + 36.0),
        (lambda x, y, z: x**2 + 3 * y * z - z + 2, 0.0),
    ],
)
def test_roughness_is_the_integral_of_squared_third_derivatives(function, squared_derivatives):
    """They are constant for cubic polynomials, so the integral is the box's volume times their sum."""
    volume = math.prod(size - 3 for size in SIZES) * CELL_MM**3
    found = coefficients_of(function)
    roughness = found @ roughness_matrix(SIZES, CELL_MM) @ found
    assert roughness == pytest.approx(squared_derivatives * volume, rel=1e-6, abs=1e-6)


def test_normal_equations_are_those_of_all_points_at_once():
    """Negative weights take away what was counted before."""
    rng = np.random.default_rng(2)
    scaled, values = rng.uniform(0, np.array(SIZES) - 3, (300, 3)), rng.normal(size=300)
    weights = rng.uniform(-0.5, 2.0, 300)
    basis = basis_at(scaled)
    matrix, side = normal_equations(scaled, values, weights, SIZES)
    assert matrix == pytest.approx(basis.T @ (weights[:, None] * basis), abs=1e-12)
    assert side == pytest.approx(basis.T @ (weights * values), abs=1e-12)


def test_the_banded_solution_is_the_dense_one():
    rng = np.random.default_rng(3)
    scaled, values = rng.uniform(0, np.array(SIZES) - 3, (2000, 3)), rng.normal(size=2000)
    matrix, side = normal_equations(scaled, values, np.ones(2000), SIZES)
    matrix += roughness_matrix(SIZES, CELL_MM) + 0.01 * np.eye(len(matrix))
    found = solved(matrix, side, SIZES)
    assert found.shape == SIZES
    assert found.ravel() == pytest.approx(np.linalg.solve(matrix, side), abs=1e-9)
