"""The ITK file says what the map says."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ablmargin.geometry import Geometry
from ablmargin.itk import geometry_of, image_of
from ablmargin.registration.itk_transform import save_itk_transform
from ablmargin.registration.transform import RigidTransform, SplineTransform, displacement_on

ORIGIN_MM, KNOT_MM = np.array([-70.0, 40.0, -310.0]), 18.0
CELLS = np.array([5, 6, 4])


@pytest.fixture(scope="module")
def spline() -> SplineTransform:
    """A turn by half a radian, so that a displacement that isn't turned back shows, and bends of some millimeters."""
    vectors = np.random.default_rng(3).normal(0.0, 6.0, (*(CELLS + 3), 3))
    rotation = Rotation.from_rotvec([0.3, -0.2, 0.4]).as_matrix()
    rigid = RigidTransform(rotation=rotation, center_mm=(-20, 90, -270), translation_mm=(30, -12, 150))
    return SplineTransform(rigid=rigid, origin_mm=tuple(ORIGIN_MM), knot_mm=KNOT_MM, coefficients_mm=vectors)


@pytest.fixture(scope="module")
def path(spline, tmp_path_factory):
    path = tmp_path_factory.mktemp("transforms") / "pre_to_post.tfm"
    save_itk_transform(spline, path)
    return path


@pytest.fixture(scope="module")
def read(path) -> sitk.Transform:
    return sitk.ReadTransform(str(path))


def mapped(transform: sitk.Transform, points_mm: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(point) for point in points_mm.tolist()])


def inside(count: int, *, room_mm: float = 0.0) -> np.ndarray:
    """Random points of the spline's region."""
    shares = np.random.default_rng(4).uniform(0.0, 1.0, (count, 3))
    return ORIGIN_MM + room_mm + shares * (CELLS * KNOT_MM - 2 * room_mm)


def test_it_maps_points_of_the_region_as_the_map_does(spline, read):
    points = inside(500, room_mm=0.1)
    np.testing.assert_allclose(mapped(read, points), spline.map_points(points), atol=1e-6)  # numbers are kept in full
    bend = spline.map_points(points) - spline.rigid.map_points(points)
    assert np.linalg.norm(bend, axis=1).mean() > 3.0


def test_it_is_one_composite_of_kinds_that_3d_slicer_knows(path):
    kinds = [line.split()[1] for line in path.read_text().splitlines() if line.startswith("Transform:")]
    assert kinds == ["CompositeTransform_double_3_3", "AffineTransform_double_3_3", "BSplineTransform_double_3_3"]


def test_outside_of_the_region_it_is_rigid_and_the_map_is_not(spline, read):
    far = ORIGIN_MM - [[40.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    np.testing.assert_allclose(mapped(read, far), spline.rigid.map_points(far), atol=1e-6)
    assert np.abs(spline.map_points(far) - spline.rigid.map_points(far)).max() > 0.5


def test_it_resamples_post_onto_pre_as_the_displacement_field_does(spline, read):
    size = (30, 34, 32)
    pre = Geometry(shape=size, spacing_mm=(1.5, 2.0, 1.8), origin_mm=tuple(ORIGIN_MM + 8.0))
    vectors = displacement_on(spline, pre)
    field = sitk.GetImageFromArray(vectors.astype(float), isVector=True)
    reference = image_of(np.zeros(size, np.float32), pre)
    field.CopyInformation(reference)
    post = _smooth_post(spline.map_points(inside(500)))
    through_file = sitk.Resample(post, reference, read, sitk.sitkLinear, -1000.0)
    through_field = sitk.Resample(post, reference, sitk.DisplacementFieldTransform(field), sitk.sitkLinear, -1000.0)
    a, b = (sitk.GetArrayFromImage(image) for image in (through_file, through_field))
    assert (a > -1000.0).all()
    assert a.std() > 20.0
    np.testing.assert_allclose(a, b, atol=0.02)  # the field is float32; 15 HU a millimeter at most


def _smooth_post(points_mm: np.ndarray) -> sitk.Image:
    low, high = points_mm.min(axis=0) - 20.0, points_mm.max(axis=0) + 20.0
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / 2.0))
    grid = Geometry(shape=shape, spacing_mm=(2.0, 2.0, 2.0), origin_mm=tuple(low))
    x, y, z = grid.points_at(np.stack(np.indices(shape), axis=-1).reshape(-1, 3)).T
    values = 50.0 * (np.sin(x / 10.0) + np.sin(y / 12.0) + np.sin(z / 15.0))
    image = image_of(values.reshape(shape).astype(np.float32), grid)
    assert geometry_of(image).shape == shape
    return image
