"""elastix as an engine: the one place that knows the optional package itk-elastix.

It sees what our own engine sees at its finest level: the picture on the 2 mm working grid, carried on beyond where it
counts, and where it counts in both exams. The rigid start is written into the moving picture's axes, so that nothing is
resampled. The liver's surface is only in the start and in the masks.

References
----------
S. Klein et al., elastix: a toolbox for intensity-based medical image registration, IEEE Trans. Med. Imaging 29 (2010)
196-205, https://doi.org/10.1109/TMI.2009.2035616
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ablmargin.errors import MissingExtraError, RegistrationError
from ablmargin.geometry import Array, BoolArray, FloatArray, triple
from ablmargin.registration.pyramid import Level
from ablmargin.registration.sampling import Table
from ablmargin.registration.symmetric import PyramidPair
from ablmargin.registration.transform import RigidTransform, SplineTransform

Parameters = Mapping[str, tuple[str, ...]]

PARAMETERS: Parameters = {
    "Registration": ("MultiMetricMultiResolutionRegistration",),
    "Metric": ("AdvancedNormalizedCorrelation", "TransformBendingEnergyPenalty"),
    "Metric0Weight": ("1",),
    "Metric1Weight": ("300",),
    "Optimizer": ("AdaptiveStochasticGradientDescent",),
    "Transform": ("BSplineTransform",),
    "FinalGridSpacingInPhysicalUnits": ("18",),
    "NumberOfResolutions": ("3",),
    "MaximumNumberOfIterations": ("300",),
    "ImageSampler": ("RandomSparseMask",),  # the other samplers may crash on masks like these
    "ErodeFixedMask": ("false",),
    "ErodeMovingMask": ("false",),
    "NewSamplesEveryIteration": ("true",),
    "NumberOfSpatialSamples": ("2000",),
    "Interpolator": ("LinearInterpolator",),
    "ResampleInterpolator": ("FinalLinearInterpolator",),
    "Resampler": ("DefaultResampler",),
    "FixedImagePyramid": ("FixedSmoothingImagePyramid",),
    "MovingImagePyramid": ("MovingSmoothingImagePyramid",),
    "AutomaticTransformInitialization": ("false",),
    "RandomSeed": ("1",),
    "WriteResultImage": ("false",),
}
"""In elastix's own words, lengths in mm; the weights and the samples were chosen by ``benchmarks/registration_tuning.py``."""


class Elastix:
    """B-splines driven by normalized correlation and bending energy, by stochastic gradient descent."""

    packages = ("itk-elastix",)
    needs_one_phase = True

    def require_installed(self) -> None:
        """Raise MissingExtraError unless the extra is installed."""
        try:
            for package in self.packages:
                version(package)
        except PackageNotFoundError as error:
            raise MissingExtraError(
                f'the engine elastix needs the package {error.name}: pip install "ablmargin[elastix]"'
            ) from None

    def deform_both_ways(
        self,
        pair: PyramidPair,
        *,
        threads: int,  # noqa: ARG002 - one, so that the numbers are the same on every run
    ) -> tuple[SplineTransform, SplineTransform]:
        """One run after the other."""
        pre, post = pair.pre[-1], pair.post[-1]
        return deform(pre, post, pair.rigid), deform(post, pre, pair.rigid.inverse())

    def method(self, texture: str) -> str:
        return f"free-form deformation on {texture} texture in the liver, elastix"


def deform(fixed: Level, moving: Level, start: RigidTransform, parameters: Parameters = PARAMETERS) -> SplineTransform:
    """The map from the fixed to the moving frame that elastix finds from a rigid start.

    Raises
    ------
    RegistrationError
        If elastix gives up.
    """
    itk: Any = importlib.import_module("itk")
    chosen = itk.ParameterObject.New()
    chosen.AddParameterMap(dict(parameters))
    back = start.inverse()
    try:
        _, found = itk.elastix_registration_method(
            _placed(itk, fixed.picture, fixed, None),
            _placed(itk, moving.picture, moving, back),
            parameter_object=chosen,
            fixed_mask=_placed(itk, shared_mask(fixed, moving, start).astype(np.uint8), fixed, None),
            moving_mask=_placed(itk, (moving.counts > 0).astype(np.uint8), moving, back),
            number_of_threads=1,
            log_to_console=False,
        )
        return spline_of(found.GetParameterMap(0), start)
    except (RuntimeError, ValueError) as error:  # ValueError: parameters that aren't finite
        raise RegistrationError("elastix found no alignment of the two exams") from error


def spline_of(parameters: dict[str, tuple[str, ...]], start: RigidTransform) -> SplineTransform:
    """The B-spline of elastix after a rigid start, exactly: both have the same basis functions on the same knots.

    Parameters
    ----------
    parameters : mapping
        elastix's transform parameters; control points along x, y and z, the components one after the other.
    start : RigidTransform
        Follows elastix's map p + v(p), so that the whole is start(p) + R v(p), with its rotation R.
    """
    counts = [int(number) for number in parameters["GridSize"]]
    knot_mm = float(parameters["GridSpacing"][0])
    first_mm = np.array(parameters["GridOrigin"], float)
    vectors: FloatArray = np.array(parameters["TransformParameters"], float).reshape(3, *counts[::-1]).transpose()
    return SplineTransform(
        rigid=start,
        origin_mm=triple(first_mm + knot_mm),
        knot_mm=knot_mm,
        coefficients_mm=vectors @ start.rotation.T,
    )


def shared_mask(fixed: Level, moving: Level, start: RigidTransform) -> BoolArray:
    """Where the fixed picture counts and, at the rigid start, the moving one too: on the fixed grid."""
    mask = fixed.counts > 0
    inside = np.argwhere(mask)
    moved = start.map_points(fixed.grid.points_at(inside)).astype(np.float32)
    mask[tuple(inside.T)] = Table.of_columns(moving.grid, moving.counts).at(moved)[:, 0] > 0.5
    return np.asarray(mask)


def _placed(itk: Any, values: Array, level: Level, rigid: RigidTransform | None) -> Any:
    """An ITK image of an array (x, y, z) on a level's grid, moved as a whole by a rigid map."""
    image = itk.image_from_array(np.ascontiguousarray(values.transpose()))
    origin = np.array([level.grid.origin_mm])
    image.SetSpacing(level.grid.spacing_mm)
    image.SetOrigin((origin if rigid is None else rigid.map_points(origin))[0].tolist())
    image.SetDirection(np.eye(3) if rigid is None else np.array(rigid.rotation))
    return image
