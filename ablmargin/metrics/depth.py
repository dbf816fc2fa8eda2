"""How deep points lie below the liver capsule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.special import ndtri

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, Triple, triple
from ablmargin.metrics.capsulefit import smooth_feet
from ablmargin.metrics.crossings import some
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.edt import UNBOUNDED_MM, border_voxels
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

DEEPEST_MM = 15.0
"""Depths are told up to here: no margin of interest is larger."""
MIN_SLACK_MM = 1.0
"""Two masks of the same capsule, drawn by hand, don't agree better than this."""
BLUR_MM = 1.5
"""Standard deviation of the blur that takes the voxels' steps off the capsule; at least one voxel along each axis."""
PATCH_MM = 20.0
"""A capsule is taken to be shifted as one piece over so much around a place, where nothing else is asked for."""
MAX_BESIDE = 6000
PERPENDICULARS = 2
"""How often a place looks for a nearer foot of the capsule. In slices of 5 mm the first time changes depths by 1.5 mm, the third
by less than 0.01."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiverDepth:
    """The signed distance to the capsule on a grid around a tumor and its zone, positive inside, mm.

    ``mended`` is what was taken for the liver, on the grid of its own mask; the grid of distances may be coarser along the
    same axes. ``inner_mm`` and ``outer_mm`` are the centers of its voxels on either side of the capsule, shapes (n, 3) and
    (m, 3), LPS mm.
    """

    distance_mm: FloatArray
    geometry: Geometry
    mended: LabelMask
    inner_mm: FloatArray
    outer_mm: FloatArray

    @classmethod
    def around(cls, liver: LabelMask, tumor: Surface, zone: Surface) -> LiverDepth:
        """Depth near a tumor and its ablation zone, below a smooth capsule (see :mod:`ablmargin.metrics.capsulefit`).

        The liver's mask should lie on the grid that the zone was drawn on. It is mended first. Tumor and zone belong to the liver where an automatic segmentation left them out, but not
        where they go beyond its convex hull: a zone drawn across the capsule doesn't move the capsule. Cavities enclosed
        in the liver are no capsule. Nor is the edge of the image: beyond it the liver is taken to go on as it is there.
        """
        part = liver.cropped(*_box(liver.geometry, tumor, zone))
        targets = voxelize(zone, part.geometry) | voxelize(tumor, part.geometry)
        mended = _mended(part.voxels, targets)
        distance, steps = _smooth_distance_mm(mended, np.array(part.geometry.spacing_mm))
        coarse = replace(
            part.geometry, shape=distance.shape, spacing_mm=triple(np.array(part.geometry.spacing_mm) * steps)
        )
        inner, outer = (part.geometry.points_at(np.argwhere(side)) for side in border_voxels(mended))
        return cls(
            distance_mm=distance,
            geometry=coarse,
            mended=LabelMask(voxels=mended, geometry=part.geometry, structure=liver.structure),
            inner_mm=inner[some(len(inner), MAX_BESIDE)],
            outer_mm=outer[some(len(outer), MAX_BESIDE)],
        )

    @property
    def voxel_mm(self) -> Triple:
        """Spacing of the liver's own mask."""
        return self.mended.geometry.spacing_mm

    def shifted(self, deeper_mm: float) -> LiverDepth:
        """With a capsule that lies farther out, so that all is so much deeper; farther in if that is negative."""
        return replace(self, distance_mm=self.distance_mm + deeper_mm)

    def mended_in(self, part: LabelMask) -> BoolArray:
        """Voxels of a cut-out of the liver's mask, mended where depths are known and without cavities beyond."""
        first = np.round(part.geometry.indices_at([self.mended.geometry.origin_mm])[0]).astype(int)
        low, high = np.maximum(first, 0), np.minimum(first + self.mended.geometry.shape, part.geometry.shape)
        voxels = _without_cavities(part.voxels)
        if (low < high).all():
            voxels[_slices(low, high)] = self.mended.voxels[_slices(low - first, high - first)]
        return voxels

    def at(self, points_mm: FloatArray) -> FloatArray:
        """Depth of points, shape (n, 3) LPS mm to (n,); ``DEEPEST_MM`` stands for that or more."""
        index = self.geometry.indices_at(points_mm)
        values = ndimage.map_coordinates(self.distance_mm, index.T, order=1, mode="nearest")
        return np.asarray(np.minimum(values, DEEPEST_MM))

    def sampling_at(self, points_mm: FloatArray) -> FloatArray:
        """Half a voxel of the liver's mask along the capsule's normal, shape (n,): what sampling alone can shift it by."""
        index = self.geometry.indices_at(points_mm).T
        normal = np.stack([self._difference(index, axis) for axis in range(3)], axis=1) / self.geometry.spacing_mm
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        return np.asarray(np.linalg.norm(normal * self.voxel_mm, axis=1) / 2)

    def doubt_at(self, points_mm: FloatArray, *, within_mm: float = PATCH_MM) -> FloatArray:
        """How little the voxels tell where the capsule near points is: half the gap between both sides' voxels; shape (n,).

        Half a slice where it runs along the slices, little where it crosses many voxels at different heights. Where a
        jagged mask's two sides overlap, it is half the overlap; half a voxel along the normal at most. Voxels count up to
        a distance from the points.
        """
        outward = _least_near(self.inner_mm, self.at(self.inner_mm), points_mm, within_mm)
        inward = _least_near(self.outer_mm, -self.at(self.outer_mm), points_mm, within_mm)
        return np.asarray(np.minimum(np.abs(outward + inward) / 2, self.sampling_at(points_mm)))

    def slack_at(self, points_mm: FloatArray) -> FloatArray:
        """How far two masks of the capsule may disagree: half a voxel, ``MIN_SLACK_MM`` at least; shape (n,)."""
        if max(self.voxel_mm) / 2 <= MIN_SLACK_MM:
            return np.full(len(points_mm), MIN_SLACK_MM)
        return np.maximum(self.sampling_at(points_mm), MIN_SLACK_MM)

    def _difference(self, index: FloatArray, axis: int) -> FloatArray:
        step = np.eye(3)[axis][:, None]
        ahead, behind = (
            ndimage.map_coordinates(self.distance_mm, index + sign * step, order=1, mode="nearest") for sign in (1, -1)
        )
        return np.asarray((ahead - behind) / 2)


def _least_near(places_mm: FloatArray, values: FloatArray, points_mm: FloatArray, within_mm: float) -> FloatArray:
    """The smallest value at places, shape (m, 3), near points, shape (n, 3); infinite if none is."""
    if not len(places_mm):
        return np.full(len(points_mm), np.inf)
    around = cKDTree(places_mm).query_ball_point(points_mm, within_mm)
    return np.array([values[near].min(initial=np.inf) for near in around])


def _box(geometry: Geometry, tumor: Surface, zone: Surface) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First and one past the last (k, j, i) index that matters, cut at the image's border."""
    spacing = np.array(geometry.spacing_mm)
    near = np.maximum(3.0 * spacing, 2 * _blur_mm(spacing))
    starts, stops = zip(
        geometry.box_around(tumor.vertices_mm, pad_mm=DEEPEST_MM),
        geometry.box_around(zone.vertices_mm, pad_mm=near),
        strict=True,
    )
    start, stop = np.min(starts, axis=0).tolist(), np.max(stops, axis=0).tolist()
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _slices(start: Array, stop: Array) -> tuple[slice, ...]:
    return tuple(slice(first, last) for first, last in zip(start, stop, strict=True))


def _mended(liver: BoolArray, targets: BoolArray) -> BoolArray:
    """The liver with the targets inside its hull, and without cavities."""
    mended, left_out = liver.copy(), np.argwhere(targets & ~liver)
    if len(left_out):
        mended[tuple(left_out[_in_hull(liver, left_out)].T)] = True
    return _without_cavities(mended)


def _without_cavities(liver: BoolArray) -> BoolArray:
    holes, count = ndimage.label(~liver)
    faces = [np.take(holes, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    solid = np.ones(count + 1, dtype=bool)
    solid[np.concatenate(faces)] = False
    solid[0] = True  # the liver itself
    return np.asarray(solid[holes])


def _in_hull(liver: BoolArray, indices: Array) -> BoolArray:
    """Which voxels, shape (n, 3), lie in the convex hull of the liver; all of them where it has none."""
    rows = liver.any(axis=2)
    first, last = liver.argmax(axis=2)[rows], liver.shape[2] - 1 - liver[:, :, ::-1].argmax(axis=2)[rows]
    ends = np.concatenate([np.column_stack([np.argwhere(rows), column]) for column in (first, last)])
    try:
        planes = np.unique(ConvexHull(ends).equations.round(9), axis=0)
    except (QhullError, ValueError):  # no liver here, or all of it in one plane
        return np.ones(len(indices), dtype=bool)
    inside = np.ones(len(indices), dtype=bool)
    for plane in planes:
        inside[inside] = indices[inside] @ plane[:3] + plane[3] <= 1e-6
    return inside


def _blur_mm(spacing: FloatArray) -> FloatArray:
    return np.maximum(BLUR_MM, spacing)


def _smooth_distance_mm(voxels: BoolArray, spacing: FloatArray) -> tuple[FloatArray, Array]:
    """Signed distance to a mask's blurred border, on every so many voxels along each axis, and these steps.

    The blurred mask tells, at the voxels beside the border, how far it is and which way: a foot on the border each, and
    the plane through it. All voxels take the plane of the nearest foot.
    """
    blur = _blur_mm(spacing)
    steps = np.maximum(np.floor(BLUR_MM / spacing), 1).astype(int)
    shares = ndimage.gaussian_filter(voxels.astype(np.float32), blur / spacing, mode="nearest", truncate=3.0)
    shares = shares[:: steps[0], :: steps[1], :: steps[2]]
    inside = shares > 0.5
    border = np.logical_or(*border_voxels(inside))
    if not border.any():
        return np.where(inside, UNBOUNDED_MM, -UNBOUNDED_MM), steps
    feet, inward = _feet(shares, border, spacing * steps, blur)
    feet, inward = smooth_feet(voxels, spacing, feet, inward)
    return _to_planes_mm(inside, border, spacing * steps, feet, inward), steps


def _feet(shares: Array, border: BoolArray, spacing: FloatArray, blur: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where the border is beside each border voxel, and its inward normal there; shapes (n, 3), mm along the axes."""
    places = np.argwhere(border)
    padded = np.pad(shares, 1, mode="edge").astype(np.float64)
    slope = [
        padded[tuple((places + 1 + step).T)] - padded[tuple((places + 1 - step).T)] for step in np.eye(3, dtype=int)
    ]
    normals = np.stack(slope, axis=1) / spacing
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    depth = np.linalg.norm(normals * blur, axis=1) * ndtri(np.clip(shares[border].astype(np.float64), 1e-3, 1 - 1e-3))
    return places * spacing - depth[:, None] * normals, normals


def _to_planes_mm(
    inside: BoolArray, border: BoolArray, spacing: FloatArray, feet: FloatArray, normals: FloatArray
) -> FloatArray:
    places = np.moveaxis(np.indices(border.shape), 0, -1) * spacing
    nearest = _nearest_feet(places, border, spacing, feet, normals)
    away = places - feet[nearest]
    to_plane = (away * normals[nearest]).sum(axis=-1)
    to_foot = np.sqrt(np.maximum((away**2).sum(axis=-1) - float(spacing @ spacing) / 4, 0.0))
    sign = np.where(border, np.sign(to_plane), np.where(inside, 1.0, -1.0))
    return np.asarray(sign * np.maximum(np.abs(to_plane), to_foot))


def _nearest_feet(
    places: FloatArray, border: BoolArray, spacing: FloatArray, feet: FloatArray, normals: FloatArray
) -> Array:
    """Number of the foot nearest to each place of a grid, shape (k, j, i, 3) to (k, j, i).

    The nearest border voxel's own foot isn't, where the voxels stand in steps: each place drops a perpendicular onto the
    plane it knows and takes the foot there, if that is nearer.
    """
    number = np.zeros(border.shape, np.int32)
    number[border] = np.arange(len(feet))
    edges = ndimage.distance_transform_edt(~border, sampling=spacing, return_distances=False, return_indices=True)
    beside = nearest = number[tuple(edges)]
    for _ in range(PERPENDICULARS):
        away = places - feet[nearest]
        landing = places - (away * normals[nearest]).sum(axis=-1, keepdims=True) * normals[nearest]
        index = np.clip(np.round(landing / spacing), 0, np.array(border.shape) - 1).astype(int)
        other = beside[tuple(np.moveaxis(index, -1, 0))]
        nearer = ((places - feet[other]) ** 2).sum(axis=-1) < (away**2).sum(axis=-1)
        nearest = np.where(nearer, other, nearest)
    return np.asarray(nearest)


def is_inside_liver(depth: LiverDepth, points_mm: FloatArray) -> BoolArray:
    """Which points, shape (n, 3), lie farther below the capsule than its sampling could feign; shape (n,)."""
    return np.asarray(depth.at(points_mm) > depth.slack_at(points_mm))
