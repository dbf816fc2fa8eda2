"""The one bridge to SimpleITK: images with their geometry, resampling in world space.

ITK's world is LPS mm as well; its arrays, taken as numpy, are (k, j, i) too; only its size, spacing and direction
matrix count (i, j, k).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ablmargin.errors import Fault, InputError
from ablmargin.geometry import Array, FloatArray, Geometry, triples


def itk_path(path: Path) -> str:
    """A path as ITK takes it: text in UTF-8. With anything else SimpleITK ends the whole process.

    Raises
    ------
    InputError
        PATH_ENCODING if a name in it is no such text.
    """
    text = os.fspath(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(_unreadable_name(text)) from None
    return text


def image_of(voxels: Array, geometry: Geometry) -> sitk.Image:
    """A SimpleITK image of an array of shape ``geometry.shape`` (bool becomes uint8)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels, np.uint8 if voxels.dtype == np.bool_ else None))
    return _placed(image, geometry)


def geometry_of(image: sitk.Image, *, frame_uid: str | None = None) -> Geometry:
    """The geometry of a 3-D SimpleITK image; ValueError if it isn't 3-D."""
    if image.GetDimension() != 3:
        raise ValueError(f"expected a 3-D image, not {image.GetDimension()}-D")
    columns = np.array(image.GetDirection()).reshape(3, 3).T[::-1]
    i, j, k = image.GetSize()
    return Geometry(
        shape=(k, j, i),
        spacing_mm=image.GetSpacing()[::-1],
        origin_mm=image.GetOrigin(),
        directions=triples(columns),
        frame_uid=frame_uid,
    )


def resample(voxels: Array, source: Geometry, target: Geometry, *, fill: float = 0.0) -> FloatArray:
    """Linear interpolation of an array on one grid at the voxel centers of another, both in one frame.

    Returns float32, shape ``target.shape``; voxels outside the source become ``fill``.
    """
    moving = sitk.Cast(image_of(voxels, source), sitk.sitkFloat32)
    reference = _empty_image(target)
    return np.asarray(
        sitk.GetArrayFromImage(sitk.Resample(moving, reference, sitk.Transform(), sitk.sitkLinear, float(fill)))
    )


def _unreadable_name(text: str) -> Fault:
    return Fault(
        code="PATH_ENCODING",
        source=text,
        found="a name that is no text in UTF-8, as of another system",
        expected="names of files and folders in UTF-8",
        remedy="Give it another name.",
    )


def _empty_image(geometry: Geometry) -> sitk.Image:
    k, j, i = geometry.shape
    return _placed(sitk.Image([i, j, k], sitk.sitkUInt8), geometry)


def _placed(image: sitk.Image, geometry: Geometry) -> sitk.Image:
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(np.array(geometry.directions)[::-1].T.ravel().tolist())
    return image
