"""The spline algebra that the solver stands on."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.registration.bspline import Bending, basis, evaluate, fit_on_lattice, separable


@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_basis_functions_sum_to_one_and_their_derivatives_to_zero(derivative):
    values = basis(np.linspace(0, 5, 31), 8, derivative=derivative)
    np.testing.assert_allclose(values.sum(axis=1), 1.0 if derivative == 0 else 0.0, atol=1e-12)


def test_derivatives_agree_with_differences():
    at, step = np.linspace(0.1, 4.9, 20), 1e-5
    for derivative in (1, 2):
        below, above = (basis(at + sign * step, 8, derivative=derivative - 1) for sign in (-1, 1))
        np.testing.assert_allclose(basis(at, 8, derivative=derivative), (above - below) / (2 * step), atol=1e-6)


def test_the_lattice_and_the_single_point_agree():
    coefficients = np.random.default_rng(0).standard_normal((6, 7, 8, 3))
    axes = [np.linspace(0, n - 3, 5) for n in (6, 7, 8)]
    lattice = separable([basis(axis, n) for axis, n in zip(axes, (6, 7, 8), strict=True)], coefficients)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(evaluate(coefficients, points), lattice.reshape(-1, 3), atol=1e-12)


def test_fitting_recovers_the_spline_it_was_sampled_from():
    coefficients = np.random.default_rng(1).standard_normal((5, 6, 5, 3))
    matrices = [basis(np.linspace(0, n - 3, 30), n) for n in (5, 6, 5)]
    np.testing.assert_allclose(fit_on_lattice(separable(matrices, coefficients), matrices), coefficients, atol=1e-8)


def test_affine_displacements_cost_no_bending():
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (6, 5, 7)], indexing="ij"), axis=-1).astype(float)
    affine = index @ np.random.default_rng(2).standard_normal((3, 3)) + 4.0
    assert Bending(counts=(6, 5, 7), knot_mm=12.0).energy(affine) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("knot_mm", [6.0, 18.0])
def test_bending_of_a_parabola_is_its_second_derivative_squared(knot_mm):
    # u_x = x²/100 has the second derivative 1/50; its control values are t² - 1/3 in knot units, t the control point.
    t = np.arange(-1, 6)
    along = ((t**2 - 1 / 3) * knot_mm**2 / 100)[:, None, None]
    coefficients = np.zeros((7, 6, 5, 3))
    coefficients[..., 0] = along
    volume = (4 * knot_mm) * (3 * knot_mm) * (2 * knot_mm)
    assert Bending(counts=(7, 6, 5), knot_mm=knot_mm).energy(coefficients) == pytest.approx(0.5 * volume / 50**2)


def test_the_mixed_derivatives_count_twice():
    # u_x = x y / 100: only the mixed derivative, 1/100, which stands twice in the sum over all pairs.
    t = np.arange(-1, 4, dtype=float)
    coefficients = np.zeros((5, 5, 5, 3))
    coefficients[..., 0] = (t[:, None, None] * t[None, :, None]) * 10.0**2 / 100
    volume = (2 * 10.0) ** 3
    assert Bending(counts=(5, 5, 5), knot_mm=10.0).energy(coefficients) == pytest.approx(0.5 * volume * 2 / 100**2)


def test_the_diagonal_is_the_diagonal():
    bending = Bending(counts=(5, 4, 6), knot_mm=9.0)
    single = np.zeros((5, 4, 6, 3))
    single[2, 1, 3, 0] = 1.0
    assert bending.gradient(single)[2, 1, 3, 0] == pytest.approx(bending.diagonal()[2, 1, 3, 0])


def test_scattered_arrays_have_the_gradient_as_their_covariance():
    bending = Bending(counts=(5, 4, 6), knot_mm=9.0)
    random = np.random.default_rng(2)
    drawn = bending.scattered(random, 20_000)
    one, other = random.standard_normal((2, 5, 4, 6, 1))
    along = [np.tensordot(drawn, v[..., 0], axes=((0, 1, 2), (0, 1, 2))) for v in (one, other)]
    expected = [[(v * bending.gradient(w)).sum() for w in (one, other)] for v in (one, other)]
    np.testing.assert_allclose(np.cov(along), expected, rtol=0.05, atol=0.03 * expected[0][0])
