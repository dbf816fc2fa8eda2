"""Masks of implicit shapes on any grid."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.volume import LabelMask, Structure

Shape = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="session")
def mask_of() -> Callable[..., LabelMask]:
    """Builds a mask: voxel centers where a function of points (..., 3) in LPS mm is at least 0."""

    def build(shape: Shape, grid: Geometry, structure: Structure = Structure.TUMOR) -> LabelMask:
        centers = grid.points_at(np.stack(np.indices(grid.shape), axis=-1))
        return LabelMask(voxels=shape(centers) >= 0, geometry=grid, structure=structure)

    return build


@pytest.fixture(scope="session")
def ball() -> Callable[[object, float], Shape]:
    """Implicit function of a ball: center (x, y, z), radius in mm."""
    return lambda center, radius: lambda points: radius - np.linalg.norm(points - np.asarray(center, float), axis=-1)


@pytest.fixture(scope="session")
def spheres() -> ModuleType:
    """The benchmark's functions."""
    path = Path(__file__).parents[2] / "benchmarks" / "spheres.py"
    spec = importlib.util.spec_from_file_location("benchmark_spheres", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
