"""What the images leave open: the curvature's algebra, and whether the truth scatters as told."""

from __future__ import annotations

import numpy as np
import pytest
from phantoms import liver_points_pre, make_pair, post_from_pre, tumor_points_pre
from test_register import align

from ablmargin.geometry import Geometry
from ablmargin.registration.bspline import Bending
from ablmargin.registration.curvature import Curvature
from ablmargin.registration.images import AXES_XYZ
from ablmargin.registration.lattice import Lattice
from ablmargin.registration.register import Alignment, RegistrationSettings
from ablmargin.registration.sampling import Table
from ablmargin.registration.terms import PictureTerm

GRID = Geometry(shape=(18, 15, 21), spacing_mm=(2.0,) * 3, origin_mm=(0.0,) * 3, directions=AXES_XYZ)
BENDING = Bending(counts=(5, 5, 6), knot_mm=18.0)


def curvature_of(seed: int = 0, *, stiffness: float = 3.0) -> Curvature:
    """Random positive matrices in cells, but for a third of them, where nothing is seen."""
    cells = Lattice(GRID, BENDING, block=3)
    random = np.random.default_rng(seed)
    roots = random.standard_normal((int(np.prod(cells.shape)), 3, 3))
    matrices = roots @ roots.transpose(0, 2, 1)
    matrices[::3] = 0.0
    packed = np.stack([matrices[:, a, b] for a, b in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))], axis=1)
    return Curvature(packed.astype(np.float32), cells, BENDING, stiffness=stiffness)


def coefficients(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((*BENDING.counts, 3, count))


def test_the_curvature_is_symmetric_and_takes_its_columns_one_by_one():
    curvature, (one, other) = curvature_of(), np.moveaxis(coefficients(2), -1, 0)[..., None]
    assert (one * curvature.applied(other)).sum() == pytest.approx((other * curvature.applied(one)).sum(), rel=1e-5)
    both = curvature.applied(np.concatenate([one, other], axis=-1))
    np.testing.assert_allclose(both[..., 1:], curvature.applied(other), rtol=1e-4, atol=1e-4)


def test_what_is_solved_is_taken_back():
    curvature, wanted = curvature_of(), coefficients(3)
    right = curvature.applied(wanted)
    left = right - curvature.applied(curvature.solved(right))
    for column in range(3):
        assert (left[..., column] ** 2).sum() <= 1e-3 * (right[..., column] ** 2).sum()


def test_random_right_sides_have_the_curvature_as_their_covariance():
    curvature, (one, other) = curvature_of(), np.moveaxis(coefficients(2), -1, 0)
    random = np.random.default_rng(4)
    drawn = np.concatenate([curvature.scattered(random, 500) for _ in range(20)], axis=-1)
    along = [(drawn * v[..., None]).sum(axis=(0, 1, 2, 3)) for v in (one, other)]
    expected = [[(v * curvature.applied(w[..., None])[..., 0]).sum() for w in (one, other)] for v in (one, other)]
    np.testing.assert_allclose(np.cov(along), expected, rtol=0.05, atol=0.03 * expected[0][0])


def picture_term(fixed: np.ndarray, moving: np.ndarray, counts: np.ndarray) -> tuple[PictureTerm, np.ndarray]:
    """A term and its samples, n of each, as if the pictures lay upon each other."""
    nothing = np.zeros(len(fixed), np.float32)
    term = PictureTerm(
        voxels=np.arange(len(fixed)),
        points_mm=np.zeros((len(fixed), 3), np.float32),
        values=fixed.astype(np.float32),
        weights=np.ones(len(fixed), np.float32),
        table=Table(grid=GRID, columns=()),
    )
    return term, np.stack([moving, nothing, nothing, nothing, counts], axis=1).astype(np.float32)


def test_a_mean_that_both_pictures_have_is_no_shared_gain():
    one, other = np.random.default_rng(3).standard_normal((2, 5000))
    alike, samples = picture_term(3.0 + one, 3.0 + one, np.ones(5000))
    assert alike.shared_gain(samples) == pytest.approx(1.0, abs=1e-3)
    unlike, samples = picture_term(3.0 + one, 3.0 + other, np.ones(5000))
    assert unlike.best_gain(samples) == pytest.approx(0.9, abs=0.02)  # 9 / (9 + 1)
    assert unlike.shared_gain(samples) == 0.05  # the least
    assert unlike.misfit(samples, 1.0) == pytest.approx(2.0, rel=0.05)


def test_pictures_that_nowhere_count_together_have_no_misfit():
    term, samples = picture_term(np.ones(10), np.ones(10), np.zeros(10))
    assert term.misfit(samples, 1.0) is None
    assert np.isfinite(term.shared_gain(samples))


@pytest.fixture(scope="module", params=[8.0, 30.0], ids=["little noise", "much noise"])
def noisy(request) -> tuple[float, Alignment]:
    return request.param, align(make_pair(noise_hu=request.param), settings=RegistrationSettings())


def scatter_mm(alignment: Alignment, points_mm: np.ndarray) -> np.ndarray:
    """The plausible maps' distance to the alignment, root mean square at each point."""
    assert alignment.doubts is not None
    center = alignment.doubts.center.map_points(points_mm)
    apart = np.stack([sample.map_points(points_mm) - center for sample in alignment.doubts.plausible])
    return np.sqrt((apart**2).sum(axis=-1).mean(axis=0))


def test_the_truth_is_about_as_far_off_as_plausible_maps(noisy):
    """Within a factor of two either way: one pair has one error; over many pairs the benchmark holds it to a quarter."""
    _, alignment = noisy
    points = liver_points_pre()
    true = np.linalg.norm(alignment.post_from_pre.map_points(points) - post_from_pre(points), axis=1)
    assert 0.5 < np.sqrt((true**2).mean() / (scatter_mm(alignment, points) ** 2).mean()) < 2.0


def test_noise_leaves_more_open():
    quiet, loud = (
        align(make_pair(noise_hu=hu), settings=RegistrationSettings()).assess(tumor_points_pre()) for hu in (4.0, 40.0)
    )
    assert loud.sd_mm > 1.5 * quiet.sd_mm


def test_most_is_open_where_nothing_is_compared(noisy):
    _, alignment = noisy
    away = liver_points_pre()[np.linalg.norm(liver_points_pre() - tumor_points_pre().mean(axis=0), axis=1) > 35.0]
    assert scatter_mm(alignment, tumor_points_pre()).mean() > 1.1 * np.median(scatter_mm(alignment, away))


@pytest.mark.parametrize("noisy", [8.0], indirect=True, ids=["little noise"])
def test_plausible_maps_lie_around_the_alignment_and_repeat(noisy):
    noise_hu, alignment = noisy
    again = align(make_pair(noise_hu=noise_hu), settings=RegistrationSettings(threads=1))
    other = align(make_pair(noise_hu=noise_hu), settings=RegistrationSettings(seed=5))
    points = tumor_points_pre()
    np.testing.assert_array_equal(scatter_mm(alignment, points), scatter_mm(again, points))
    assert not np.array_equal(scatter_mm(alignment, points), scatter_mm(other, points))
    assert scatter_mm(other, points).mean() == pytest.approx(scatter_mm(alignment, points).mean(), rel=0.35)
