"""Outlines drawn slice by slice, each a little off: a reader's hand, as rough as it gets."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ablmargin.geometry import BoolArray, FloatArray, Geometry
from ablmargin.validation.shapes import Shape
from ablmargin.volume import LabelMask, Structure

Manner = Literal["shift", "scale"]
MANNERS: tuple[Manner, ...] = get_args(Manner)


def jittered_mask(
    shape: Shape, grid: Geometry, structure: Structure, rng: np.random.Generator, *, manner: Manner, sd_mm: float
) -> LabelMask:
    """A shape's mask with every slice off at random, independently of its neighbors.

    Parameters
    ----------
    shape : Shape
    grid : Geometry
    structure : Structure
    rng : numpy.random.Generator
    manner : {"shift", "scale"}
        A slice is moved within its plane, or its outline is drawn nearer to its middle or farther from it.
    sd_mm : float
        Standard deviation of the shift along each of the two axes, or of the outline's distance from where it belongs.
    """
    shifts = rng.normal(0, sd_mm, (grid.shape[0], 2))
    voxels = np.zeros(grid.shape, bool)
    for number, shift in enumerate(shifts):
        places = np.stack(np.meshgrid(number, *map(np.arange, grid.shape[1:]), indexing="ij"), axis=-1)[0]
        points = grid.points_at(places)
        exact = shape.contains(points)
        if exact.any():
            off = shift @ np.array(grid.directions[1:]) if manner == "shift" else shift[0] * _outward(points, exact)
            voxels[number] = shape.contains(points - off)
    return LabelMask(voxels=voxels, geometry=grid, structure=structure)


def _outward(points_mm: FloatArray, inside: BoolArray) -> FloatArray:
    """Unit vectors away from the middle of what is inside, (rows, columns, 3)."""
    offset = points_mm - points_mm[inside].mean(axis=0)
    return np.asarray(offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-6))
