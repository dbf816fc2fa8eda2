"""Masks of implicit shapes on any grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.validation.pairs import random_pair
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
def sphere_errors_mm() -> Callable[..., np.ndarray]:
    """Errors of the minimum margin and of the raw one on random pairs of spheres, shape (pairs, 2)."""

    def errors(slice_spacing_mm: float, *, pairs: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        rows = []
        for _ in range(pairs):
            pair = random_pair("sphere", rng, slice_spacing_mm, oblique=False)
            tumor, zone, truth = pair.tumor_mask, pair.zone_mask, pair.truth.mam_mm
            minimum = measure_margin(surface_of(tumor), surface_of(zone)).minimum_mm
            rows.append((minimum - truth, raw_minimum_mm(tumor, zone) - truth))
        return np.array(rows)

    return errors
