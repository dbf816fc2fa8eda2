"""What is odd about a mask's shape and matters for a margin: too few voxels, loose parts, cavities, parts too thin for its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.mesh import enclosed_mm3
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

FEWEST_VOXELS = 50
FEWEST_ACROSS = 3
"""A shape of fewer voxels in all, or of fewer across, has no surface that could be told to within a margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many voxels a mask has, on the grid that it was drawn on.

    Parameters
    ----------
    voxels : int
        In all.
    across : int
        Across the largest part where it is thickest, along that of its axes that leads out soonest: n for a ball or a slab
        of n voxels, however large and in whichever direction the slab.
    """

    voxels: int
    across: int

    @property
    def is_tiny(self) -> bool:
        return self.voxels < FEWEST_VOXELS or self.across < FEWEST_ACROSS


def extent_of(mask: LabelMask) -> Extent:
    """Count a mask's voxels; one that was brought onto a finer grid has no more than where it was drawn.

    Examples
    --------
    >>> from ablmargin.geometry import Geometry
    >>> from ablmargin.volume import Structure
    >>> voxels = np.zeros((9, 9, 9), bool)
    >>> voxels[4, 2:7, 2:7] = True
    >>> grid = Geometry(shape=voxels.shape, spacing_mm=(1, 1, 1), origin_mm=(0, 0, 0))
    >>> extent_of(LabelMask(voxels=voxels, geometry=grid, structure=Structure.TUMOR))
    Extent(voxels=25, across=1)
    """
    own = np.array(mask.geometry.spacing_mm)
    drawn_voxels = own / np.maximum(own, mask.origin.drawn_spacing_mm or own)
    labels, sizes = _labeled(mask)
    largest = int(sizes.argmax())
    part = labels[ndimage.find_objects(labels)[largest]] == largest + 1
    return Extent(voxels=round(float(sizes.sum() * drawn_voxels.prod())), across=round(_thickness(part, drawn_voxels)))


def part_volumes_ml(mask: LabelMask) -> tuple[float, ...]:
    """Volumes of the parts that don't touch each other, not even at a corner, the largest first."""
    sizes = np.sort(_labeled(mask)[1])[::-1]
    return tuple((sizes * mask.geometry.voxel_volume_ml).tolist())


def _labeled(mask: LabelMask) -> tuple[Array, Array]:
    """The parts in the box around a mask, numbered from 1 on, and how many voxels each has."""
    labels, count = ndimage.label(mask.cropped(*mask.bounding_box()).voxels, np.ones((3, 3, 3)))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def _thickness(part: BoolArray, steps: FloatArray) -> float:
    """Twice the longest way out along the axes, in steps of so much a voxel along each: to the faces of the voxels.

    It is found on a grid of half voxels, so that also the middle of an even number of them is a place.
    """
    halved = np.pad(part, 1)
    for axis in range(3):
        halved = np.repeat(halved, 2, axis=axis)
    way_out = np.where(halved, np.float32(np.inf), np.float32(0))
    for axis, step in enumerate(steps):
        from_low = np.moveaxis(way_out, axis, 0)  # a view
        ramp = (np.float32(step) * np.arange(len(from_low), dtype=np.float32))[:, None, None]
        for ways in (from_low, from_low[::-1]):
            np.subtract(ways, ramp, out=ways)
            np.minimum.accumulate(ways, axis=0, out=ways)
            np.add(ways, ramp, out=ways)
    return float(way_out.max())


def without_cavities(surface: Surface) -> tuple[Surface, tuple[float, ...]]:
    """A surface without its parts that face inward, and the volumes that those enclose, ml, the largest first."""
    parts = _parts(surface.triangles, len(surface.vertices_mm))
    enclosed = np.array(
        [enclosed_mm3(surface.vertices_mm, surface.triangles[parts == part]) for part in range(parts.max() + 1)]
    )
    if (enclosed >= 0).all():
        return surface, ()
    outer = _compact(surface, surface.triangles[enclosed[parts] >= 0])
    return outer, tuple((-np.sort(enclosed[enclosed < 0]) / 1000.0).tolist())


def left_out_mm(mask: LabelMask, surface: Surface) -> FloatArray:
    """Centers of the mask's voxels that its surface leaves out, shape (n, 3): a thin part that was smoothed away."""
    return _strays(mask, surface, in_mask=True)


def taken_in_mm(mask: LabelMask, surface: Surface) -> FloatArray:
    """Centers of voxels outside a mask that its surface takes in, shape (n, 3): a notch that was smoothed over."""
    return _strays(mask, surface, in_mask=False)


def _strays(mask: LabelMask, surface: Surface, *, in_mask: bool) -> FloatArray:
    """Centers of voxels that lie in a mask but not in its surface, or the other way round; shape (n, 3)."""
    part = mask.cropped(*mask.bounding_box(pad_mm=max(mask.geometry.spacing_mm)))
    enclosed = voxelize(surface, part.geometry)
    return part.geometry.points_at(np.argwhere((part.voxels == in_mask) & (enclosed != in_mask)))


def _parts(triangles: Array, vertices: int) -> Array:
    """The number of the connected part that each triangle belongs to, shape (m,)."""
    first, second = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(vertices, vertices))
    return np.asarray(
        np.unique(connected_components(graph, directed=False)[1][triangles[:, 0]], return_inverse=True)[1]
    )


def _compact(surface: Surface, triangles: Array) -> Surface:
    used, numbers = np.unique(triangles, return_inverse=True)
    vertices: FloatArray = surface.vertices_mm[used]
    return Surface(vertices_mm=vertices, triangles=numbers.reshape(-1, 3), frame_uid=surface.frame_uid)
