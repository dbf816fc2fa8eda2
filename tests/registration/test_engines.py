"""Engines are treated alike, and one that isn't installed says so at once."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from phantoms import Pair, liver_points_pre, make_pair, post_from_pre, tumor_points_pre
from scipy.spatial.transform import Rotation

from ablmargin.errors import RegistrationError, UsageError
from ablmargin.registration import elastix, engines
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.gauss_newton import GaussNewton
from ablmargin.registration.itk_transform import itk_transform_of
from ablmargin.registration.register import Alignment, RegistrationSettings, register
from ablmargin.registration.transform import RigidTransform, SplineTransform

BESIDE_MM = np.array([2.0, -1.0, 2.0])
"""3 mm long."""


class Beside(GaussNewton):
    """Our own engine, its answers moved by a known vector: forward by it, backward by what undoes it."""

    packages = ()
    needs_one_phase = True

    def deform_both_ways(self, pair, *, threads):
        forward, backward = super().deform_both_ways(pair, threads=threads)
        return moved(forward, BESIDE_MM), moved(backward, -BESIDE_MM @ pair.rigid.rotation)

    def method(self, texture):
        return f"beside, {texture}"


def moved(spline: SplineTransform, shift_mm: np.ndarray) -> SplineTransform:
    return replace(spline, coefficients_mm=spline.coefficients_mm + shift_mm)


def align(
    pair: Pair, engine: str = "elastix", *, ensemble: bool = True, progress=lambda _step, _share: None
) -> Alignment:
    return register(
        pair.pre,
        pair.post,
        liver_pre=pair.liver_pre,
        liver_post=pair.liver_post,
        ignore_pre=[pair.tumor],
        ignore_post=[pair.zone],
        settings=RegistrationSettings(engine=engine, ensemble=ensemble, threads=1),
        progress=progress,
    )


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair()


@pytest.fixture(scope="module")
def own(pair) -> Alignment:
    return align(pair, "gauss-newton")


@pytest.fixture(scope="module")
def beside(pair) -> Alignment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(engines._ENGINES, EngineName.ELASTIX, Beside())
        return align(pair)


def misses_mm(transform, points_mm: np.ndarray) -> np.ndarray:
    return np.linalg.norm(transform.map_points(points_mm) - post_from_pre(points_mm), axis=1)


def test_every_name_has_an_engine():
    for name in EngineName:
        assert engines.engine_named(name).method("signed")


def test_an_unknown_engine_is_refused_with_the_list():
    with pytest.raises(ValueError, match="no registration engine 'demons'; the engines are gauss-newton, elastix"):
        RegistrationSettings(engine="demons")


def test_another_engine_decides_and_our_own_stands_beside_it(own, beside):
    points = tumor_points_pre()
    np.testing.assert_array_equal(beside.doubts.center.coefficients_mm, own.post_from_pre.coefficients_mm)
    apart = beside.post_from_pre.map_points(points) - own.post_from_pre.map_points(points)
    np.testing.assert_allclose(apart, np.broadcast_to(BESIDE_MM, apart.shape), atol=0.35)  # the runs back bend by 0.1
    assert beside.method == "beside, signed, mean of both directions"


def test_the_distance_of_the_engines_is_told_and_counts_as_error(own, beside):
    told = beside.assess(tumor_points_pre())
    assert told.engine_distance_mm == pytest.approx(3.0, abs=0.2)
    # Two of the four runs lie 3 mm away, 0.7 · 3 mm · sqrt(1/2 / 3) by component, and the textures show 3 mm themselves.
    apart, shift = 0.7 * 3.0 / 6**0.5, 3.0 / 3**0.5
    assert told.sd_mm == pytest.approx((apart**2 + shift**2) ** 0.5, rel=0.1)
    assert len(beside.doubts.runs) == 4
    assert own.assess(tumor_points_pre()).engine_distance_mm is None


def test_without_an_ensemble_there_is_no_second_engine(pair, monkeypatch):
    monkeypatch.setitem(engines._ENGINES, EngineName.ELASTIX, Beside())
    alone = align(pair, ensemble=False)
    assert alone.doubts is None
    assert alone.assess(tumor_points_pre()).sd_mm is None


def test_an_engine_for_one_phase_refuses_two(monkeypatch):
    monkeypatch.setitem(engines._ENGINES, EngineName.ELASTIX, Beside())
    with pytest.raises(RegistrationError, match=r"different contrast phases.*use the engine gauss-newton"):
        align(make_pair(post_vessel_hu=-35.0))


def test_a_missing_package_is_told_before_anything_runs(pair, monkeypatch):
    def nothing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(elastix, "version", nothing)
    steps = []
    with pytest.raises(UsageError, match=r'needs the package itk-elastix: pip install "ablmargin\[elastix\]"'):
        align(pair, progress=lambda step, _share: steps.append(step))
    assert steps == []


def test_the_spline_of_elastix_is_taken_over_exactly():
    """Against SimpleITK's own reading of the same numbers: a B-spline, then the rigid map."""
    counts, knot_mm, first_mm = (6, 7, 5), 18.0, np.array([-40.0, 12.0, 300.0])
    rotation = Rotation.from_rotvec([0.2, 0.5, -0.3]).as_matrix()
    start = RigidTransform(rotation=rotation, center_mm=(0, 40, 320), translation_mm=(9, -80, 40))
    numbers = np.random.default_rng(8).normal(0.0, 5.0, 3 * 6 * 7 * 5)
    parameters = {
        "GridSize": tuple(map(str, counts)),
        "GridSpacing": ("18", "18", "18"),
        "GridOrigin": tuple(map(str, first_mm)),
        "TransformParameters": tuple(map(repr, numbers.tolist())),
    }
    spline = elastix.spline_of(parameters, start)
    itk = itk_transform_of(spline)
    np.testing.assert_allclose(itk.GetNthTransform(1).GetParameters(), numbers, atol=1e-12)
    low = first_mm + knot_mm
    points = low + np.random.default_rng(9).uniform(0.01, 0.99, (200, 3)) * (np.array(counts) - 3) * knot_mm
    mapped = np.array([itk.TransformPoint(point) for point in points.tolist()])
    np.testing.assert_allclose(spline.map_points(points), mapped, atol=1e-9)


@pytest.mark.slow
def test_elastix_finds_the_deformation_twice_the_same(pair):
    """Needs the extra; without it this fails with what to install.

    Elastix looks at texture alone, so it may be off by a voxel of 2 mm where our own engine's limit is 1 mm.
    """
    first = align(pair)
    assert first.both_ways
    assert misses_mm(first.rigid_post_from_pre, liver_points_pre()).mean() > 2.5
    assert misses_mm(first.post_from_pre, liver_points_pre()).mean() < 1.5
    assert misses_mm(first.post_from_pre, tumor_points_pre()).mean() < 2.0
    quality = first.assess(tumor_points_pre())
    assert 0.0 < quality.engine_distance_mm < 3.0
    assert "elastix" in quality.method
    again = align(pair, ensemble=False)
    np.testing.assert_array_equal(first.post_from_pre.coefficients_mm, again.post_from_pre.coefficients_mm)
