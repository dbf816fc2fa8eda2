"""Between masks and closed planar contours, as a DICOM structure set holds them.

A contour is an array of points, shape (n, 3), LPS mm; the last one is joined to the first. Points are places in the
patient: a voxel belongs to a contour if its center lies inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.measure import approximate_polygon, find_contours, grid_points_in_poly

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, triple, triples
from ablmargin.volume import INSIDE_SHARE, LabelMask

PLANAR_TOLERANCE_MM = 0.1
"""How far points may lie beside their contour's plane or slice: some programs round to 0.1 mm."""

OWN_SPACING_MM = 0.5
"""Along rows and columns, where contours are drawn on a grid of their own."""

MOST_VOXELS = 2**30

_ROOM_VOXELS = (1, 4, 4)
"""Around contours on a grid of their own."""

_STRAIGHT_PIXELS = 1e-3
"""Points that lie this close to the line between their neighbors say nothing."""

_DECIMALS = 4
"""Of points as fractions of a voxel: so that rounding doesn't move a contour that runs through voxel centers off them."""

_INSIDE = 1
"""scikit-image's label of points inside a polygon; those on its vertices and edges have others, outside is 0."""


class ContourError(Exception):
    """Contours that can't be drawn on a grid; ``code`` is the fault's. Never leaves this package."""

    def __init__(self, code: str, found: str, expected: str) -> None:
        super().__init__(f"{code}: found {found}; expected {expected}")
        self.code, self.found, self.expected = code, found, expected


def on_slices(contours: Sequence[FloatArray], grid: Geometry) -> bool:
    """Whether each contour lies in one of the grid's slices, or would if the grid went on."""
    for contour in contours:
        slices = grid.indices_at(contour)[:, 0]
        if np.abs(slices - np.rint(slices.mean())).max() * grid.spacing_mm[0] > PLANAR_TOLERANCE_MM:
            return False
    return True


def rasterized(contours: Sequence[FloatArray], grid: Geometry) -> BoolArray:
    """Voxels whose centers lie inside, or on, an odd number of the contours of their slice.

    So a contour within another one is a hole, and one that a keyhole joins to the rim is as well (PS3.3 C.8.8.6.3).

    Raises
    ------
    ContourError
        MASK_OUTSIDE_IMAGE if a point lies beside the grid; MASK_CONTOURS_CROSS if two contours of one slice overlap, but
        neither lies within the other, or they are the same: nobody can tell what is meant.
    """
    slices: dict[int, list[FloatArray]] = {}
    for contour in contours:
        indices = np.round(grid.indices_at(contour), _DECIMALS)
        if (np.abs(indices - (np.array(grid.shape) - 1) / 2) > np.array(grid.shape) / 2 + 1e-3).any():
            raise ContourError("MASK_OUTSIDE_IMAGE", "a contour outside the image", "the whole mask inside its image")
        slices.setdefault(int(np.rint(indices[:, 0].mean())), []).append(indices[:, 1:])
    voxels = np.zeros(grid.shape, np.bool_)
    for number, polygons in slices.items():
        _draw(polygons, voxels[number])
    return voxels


def _draw(polygons: Sequence[FloatArray], pixels: BoolArray) -> None:
    """Draw polygons, vertices (row, column), into a slice."""
    smallest_around = np.zeros(pixels.shape, np.int32)
    sizes = {0: -1}
    filled = sorted(
        (_filled(polygon, pixels.shape) for polygon in polygons), key=lambda part: -np.count_nonzero(part[1])
    )
    for number, (box, labels) in enumerate(filled, start=1):
        inside = labels == _INSIDE
        around = smallest_around[box][inside]
        sizes[number] = around.size
        if around.size and ((around != around[0]).any() or sizes[int(around[0])] == around.size):
            found, expected = "contours of one slice that cross or are the same", "contours beside or within each other"
            raise ContourError("MASK_CONTOURS_CROSS", found, expected)
        smallest_around[box][inside] = number
        pixels[box] ^= labels > 0


def _filled(polygon: FloatArray, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Array]:
    """The box around a polygon, and in it 0 for pixels whose center lies outside."""
    low = np.maximum(np.ceil(polygon.min(axis=0)).astype(int), 0)
    high = np.maximum(np.minimum(np.floor(polygon.max(axis=0)).astype(int) + 1, shape), low)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    return box, np.asarray(grid_points_in_poly(tuple(high - low), polygon - low, binarize=False))


def grid_of(contours: Sequence[FloatArray], *, like: Geometry | None, frame_uid: str | None) -> Geometry:
    """A grid whose slices are the contours' planes, with a slice and some voxels of room around.

    Parameters
    ----------
    like : Geometry, optional
        Its axes are taken if its slices are parallel to the contours.

    Raises
    ------
    ContourError
        MASK_CONTOUR_NOT_PLANAR; MASK_CONTOURS_UNEVEN if the planes aren't parallel, at uneven distances, or only one;
        RESOURCE_LIMIT.
    """
    axes = _axes(contours, like)
    heights_mm = [_height_mm(contour, axes[0]) for contour in contours]
    step_mm = _step_mm(heights_mm)
    spacing = np.array([step_mm, OWN_SPACING_MM, OWN_SPACING_MM])
    points = np.concatenate(contours) @ axes.T
    low, high = points.min(axis=0), points.max(axis=0)
    low[0], high[0] = min(heights_mm) - step_mm / 2, max(heights_mm) + step_mm / 2
    # As many voxels as the contours are long and wide, rounded, in the middle: so none of their sides is preferred.
    shape = np.rint((high - low) / spacing) + 2 * np.array(_ROOM_VOXELS)
    if not shape.prod() <= MOST_VOXELS:
        raise ContourError("RESOURCE_LIMIT", f"contours over {shape.prod():.1e} voxels", f"at most {MOST_VOXELS}")
    return Geometry(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=triple(spacing),
        origin_mm=triple(((low + high) / 2 - (shape - 1) / 2 * spacing) @ axes),
        directions=triples(axes),
        frame_uid=frame_uid,
    )


def _axes(contours: Sequence[FloatArray], like: Geometry | None) -> FloatArray:
    """Directions of slices, rows and columns, as rows."""
    areas = [_area(contour) for contour in contours]
    for contour, area in zip(contours, areas, strict=True):
        normal = area / max(float(np.linalg.norm(area)), 1e-9)
        if np.ptp(contour @ normal) > 2 * PLANAR_TOLERANCE_MM:
            raise ContourError("MASK_CONTOUR_NOT_PLANAR", "a contour whose points lie in no plane", "planar contours")
    if like is not None and all(_is_flat(contour, np.array(like.directions[0])) for contour in contours):
        return np.array(like.directions)
    normal = max(areas, key=lambda area: float(np.linalg.norm(area)))
    normal = normal / np.linalg.norm(normal) * np.sign(normal[np.abs(normal).argmax()])
    columns = np.eye(3)[np.abs(normal).argmin() if abs(normal[0]) > 0.9 else 0]
    columns = columns - (columns @ normal) * normal
    columns /= np.linalg.norm(columns)
    return np.array([normal, np.cross(normal, columns), columns])


def _area(contour: FloatArray) -> FloatArray:
    """The vector along the contour's normal whose length is its area."""
    around = contour - contour.mean(axis=0)
    return np.asarray(np.cross(around, np.roll(around, -1, axis=0)).sum(axis=0) / 2)


def _is_flat(contour: FloatArray, normal: FloatArray) -> bool:
    return bool(np.ptp(contour @ normal) <= 2 * PLANAR_TOLERANCE_MM)


def _height_mm(contour: FloatArray, normal: FloatArray) -> float:
    if not _is_flat(contour, normal):
        raise ContourError("MASK_CONTOURS_UNEVEN", "contours in planes that aren't parallel", "parallel planes")
    return float((contour @ normal).mean())


def _step_mm(heights_mm: Sequence[float]) -> float:
    """The distance of neighboring planes, of which some may be missing."""
    ordered = np.sort(heights_mm)
    gaps = np.diff(ordered)
    gaps = gaps[gaps > 2 * PLANAR_TOLERANCE_MM]
    if not len(gaps):
        raise ContourError("MASK_CONTOURS_UNEVEN", "contours in one plane only", "contours in two planes or more")
    steps = np.rint(gaps / gaps.min())
    step_mm = float(gaps.sum() / steps.sum())
    places = (ordered - ordered[0]) / step_mm
    if np.abs(places - np.rint(places)).max() * step_mm > PLANAR_TOLERANCE_MM + 1e-6:
        found = f"planes {gaps.min():.2f} to {gaps.max():.2f} mm apart"
        raise ContourError("MASK_CONTOURS_UNEVEN", found, "planes at even distances, or in the image's slices")
    return step_mm


def empty_between(voxels: BoolArray) -> int:
    """How many slices between the first and the last one of a mask are empty."""
    used = np.flatnonzero(voxels.any(axis=(1, 2)))
    return int(np.ptp(used)) + 1 - len(used) if len(used) else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outline:
    """A closed contour, shape (n, 3), LPS mm, in one slice of a grid; ``beside_holes`` where a contour of it is a hole."""

    slice_index: int
    points_mm: FloatArray
    beside_holes: bool


def outlines(mask: LabelMask) -> list[Outline]:
    """Closed contours where the share of a voxel that lies inside passes half, slice by slice.

    They run halfway between voxel centers inside and outside; those around holes are contours like the others.
    """
    inside = mask.voxels if mask.fractions is None else mask.fractions
    found = []
    for number in np.flatnonzero(mask.voxels.any(axis=(1, 2))).tolist():
        rings = find_contours(np.pad(np.asarray(inside[number], np.float32), 1), INSIDE_SHARE)
        turns = {_signed_area(ring) > 0 for ring in rings}
        for ring in rings:
            corners = approximate_polygon(ring, _STRAIGHT_PIXELS)[:-1] - 1.0
            points = mask.geometry.points_at(np.column_stack([np.full(len(corners), number), corners]))
            found.append(Outline(slice_index=number, points_mm=points, beside_holes=len(turns) > 1))
    return found


def _signed_area(ring: FloatArray) -> float:
    """Of a closed polygon, shape (n, 2); positive or negative by the sense of rotation, which is the other one for holes."""
    (y, x), (next_y, next_x) = ring[:-1].T, ring[1:].T
    return float((y * next_x - x * next_y).sum() / 2)
