"""A map as an ITK transform: what 3D Slicer, SimpleITK and others of the ITK family read."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from ablmargin.itk import itk_path
from ablmargin.registration.transform import RigidTransform, SplineTransform

_ORDER = 3


def itk_transform_of(spline: SplineTransform) -> sitk.CompositeTransform:
    """The same map, LPS mm, as a B-spline followed by a rigid transform.

    ITK's composites apply one map after the other, while a spline here is added to its rigid part: R(p) + u(p) is
    R(p + v(p)) with v = u turned back by the rotation.

    Notes
    -----
    It is the same map where the spline has its region, which holds the liver and 16 mm around it. Outside of it ITK moves
    points rigidly, while ``SplineTransform`` keeps the displacement of the nearest point of the region.
    """
    composite = sitk.CompositeTransform(3)
    composite.AddTransform(_rigid(spline.rigid))
    composite.AddTransform(_bspline(spline))  # the last one added is applied first
    return composite


def save_itk_transform(spline: SplineTransform, path: Path) -> None:
    """Write :func:`itk_transform_of` as text, ``.tfm``.

    Unlike HDF5 (``.h5``) it holds no time and no operating system, so the same map always gives the same file.
    """
    sitk.WriteTransform(itk_transform_of(spline), itk_path(path))


def _rigid(rigid: RigidTransform) -> sitk.AffineTransform:
    """As an affine transform, the only linear kind that 3D Slicer itself writes."""
    transform = sitk.AffineTransform(3)
    transform.SetCenter(rigid.center_mm)
    transform.SetMatrix(rigid.rotation.ravel().tolist())
    transform.SetTranslation(rigid.translation_mm)
    return transform


def _bspline(spline: SplineTransform) -> sitk.BSplineTransform:
    mesh = [count - _ORDER for count in spline.counts]
    transform = sitk.BSplineTransform(3, _ORDER)
    transform.SetTransformDomainOrigin(spline.origin_mm)
    transform.SetTransformDomainMeshSize(mesh)
    transform.SetTransformDomainPhysicalDimensions([spline.knot_mm * cells for cells in mesh])
    vectors = spline.coefficients_mm @ spline.rigid.rotation
    transform.SetParameters(vectors.transpose(3, 2, 1, 0).ravel().tolist())
    return transform
