"""Bring a mask onto another grid in the same frame, by its place in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np
from scipy import ndimage

from ablmargin.errors import Caution, Fault, GeometryMismatchError
from ablmargin.geometry import SAME_GRID_TOLERANCE_MM, Array, BoolArray, FloatArray, Geometry, triple
from ablmargin.itk import resample
from ablmargin.volume import INSIDE_SHARE, LabelMask

RESAMPLED_VOLUME_TOLERANCE = 0.1
"""A mask whose volume changes by a larger share when it is resampled gets a caution."""

MOST_SAMPLES = 8
"""Along each axis of a voxel, when shares are averaged over it."""


def moved_onto(mask: LabelMask, onto: Geometry, *, name: str, cautions: list[Caution]) -> LabelMask:
    """Bring a mask onto a grid by its place in the patient: voxel by voxel where centers meet, else interpolated.

    Parameters
    ----------
    name : str
        What to call the mask in errors, as the user named it.
    cautions : list of Caution
        Gets MASK_RESAMPLED and MASK_VOLUME_CHANGED.

    Raises
    ------
    GeometryMismatchError
        If a voxel of the mask lies outside the grid, or the mask in another frame of reference (FRAME_MISMATCH).
    EmptyMaskError
        If the mask is empty, or the grid is too coarse for it.
    """
    if mask.geometry.same_grid_as(onto):
        return replace(mask, geometry=onto)
    require_one_frame(mask, onto, source=name)
    mask.require_not_empty()
    require_inside(mask, onto, source=name)
    same = transferred(mask, onto)
    if same is not None:
        return same
    moved = resampled(mask, onto)
    moved.require_not_empty()
    cautions += resampling_cautions(mask, moved)
    return moved


def resampled(mask: LabelMask, target: Geometry) -> LabelMask:
    """The mask on another grid in the same frame; a soft one stays soft.

    Raises
    ------
    EmptyMaskError
        If no voxel is set.
    """
    return _hard(mask, target) if mask.fractions is None else _soft(mask, target)


def transferred(mask: LabelMask, target: Geometry) -> LabelMask | None:
    """The mask on a grid in the same frame that has the mask's voxels: cropped, padded, turned by right angles, mirrored.

    None if voxel centers don't meet (within 0.01 mm), or the target lacks some of the mask's voxels.
    """
    part = mask.cropped(*mask.bounding_box())
    steps = np.linalg.solve(target.affine[:3, :3], part.geometry.affine[:3, :3])
    corners = target.indices_at(part.geometry.corners_mm)
    turn, places = np.rint(steps), np.rint(corners).astype(int)
    off_mm = np.abs((corners - places) * target.spacing_mm).max()
    low, high = places.min(axis=0), places.max(axis=0) + 1
    one_to_one = np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3))
    if not one_to_one or off_mm > SAME_GRID_TOLERANCE_MM or low.min() < 0 or (high > target.shape).any():
        return None
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    voxels = np.zeros(target.shape, np.bool_)
    voxels[box] = _turned(part.voxels, turn)
    fractions = None
    if part.fractions is not None:
        fractions = np.zeros(target.shape, np.float32)
        fractions[box] = _turned(part.fractions, turn)
    return replace(mask, voxels=voxels, fractions=fractions, geometry=target)


def _turned(array: Array, turn: FloatArray) -> Array:
    """An array with its axes put where a signed permutation matrix sends them."""
    order = np.abs(turn).argmax(axis=1)
    mirrored = tuple(np.flatnonzero(turn.sum(axis=1) < 0).tolist())
    return np.asarray(np.flip(array.transpose(order), mirrored))


def _hard(mask: LabelMask, target: Geometry) -> LabelMask:
    """The mask on another grid, with its volume kept to a voxel.

    Where it lies comes from the signed distance to its border, interpolated linearly: it keeps the shape between
    slices. Cut at zero, the distance would lose the end caps of masks in thick slices, up to a third of a small tumor;
    so it is cut at the level that holds as many voxels as the mask's volume asks for.
    """
    start, stop = mask.bounding_box()
    inside = np.pad(mask.cropped(start, stop).voxels, 2)
    around = mask.geometry.cropped([a - 2 for a in start], [b + 2 for b in stop])
    spacing = mask.geometry.spacing_mm
    depth_mm = ndimage.distance_transform_edt(inside, spacing) - ndimage.distance_transform_edt(~inside, spacing)
    low, high = _box_on(around, target)
    far_mm = float(depth_mm.min()) - 1.0
    depth_mm = resample(np.asarray(depth_mm, np.float32), around, target.cropped(low, high), fill=far_mm)
    voxels = np.zeros(target.shape, np.bool_)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    voxels[box] = _largest(depth_mm, round(mask.volume_ml / target.voxel_volume_ml))
    return replace(mask, voxels=voxels, geometry=target)


def _soft(mask: LabelMask, target: Geometry) -> LabelMask:
    """The shares on another grid: interpolated linearly, and averaged over each voxel that is larger than theirs."""
    start, stop = mask.bounding_box()
    part = mask.cropped(start, stop)
    assert part.fractions is not None
    shares = np.pad(part.fractions, 1)
    around = mask.geometry.cropped([a - 1 for a in start], [b + 1 for b in stop])
    low, high = _box_on(around, target)
    box = target.cropped(low, high)
    steps = [min(ceil(spacing / min(mask.geometry.spacing_mm) - 0.01), MOST_SAMPLES) for spacing in target.spacing_mm]
    finer = resample(shares, around, _divided(box, steps))
    fractions = np.zeros(target.shape, np.float32)
    fractions[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = _block_means(finer, steps)
    return replace(mask, voxels=fractions >= INSIDE_SHARE, fractions=fractions, geometry=target)


def _divided(grid: Geometry, steps: Sequence[int]) -> Geometry:
    """The grid with each voxel cut into so many along (k, j, i)."""
    parts = np.array(steps)
    shape = np.array(grid.shape) * parts
    return replace(
        grid,
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=triple(np.array(grid.spacing_mm) / parts),
        origin_mm=triple(grid.points_at((1 / parts - 1) / 2)),
    )


def _block_means(values: FloatArray, steps: Sequence[int]) -> FloatArray:
    (k, j, i), (a, b, c) = values.shape, steps
    return np.asarray(values.reshape(k // a, a, j // b, b, i // c, c).mean(axis=(1, 3, 5)))


def _largest(values: FloatArray, count: int) -> BoolArray:
    """Where the ``count`` largest values are, and any that equal the smallest of them."""
    if count < 1:
        return np.zeros(values.shape, np.bool_)
    rank = max(values.size - count, 0)
    return np.asarray(values >= np.partition(values, rank, axis=None)[rank])


def require_inside(mask: LabelMask, onto: Geometry, *, source: str = "") -> None:
    """Raise GeometryMismatchError if a voxel of the mask lies outside a grid in the same frame.

    Only the ends of the mask's rows are looked at: between two points inside a box, all are. ``source`` names the mask
    in the error, if not its origin's name.
    """
    ends_mm = mask.geometry.points_at(_row_ends(mask.voxels))
    if not _is_outside(ends_mm, onto).any():
        return
    outside, total = _count_outside(mask, onto), np.count_nonzero(mask.voxels)
    raise GeometryMismatchError(
        Fault(
            code="MASK_OUTSIDE_IMAGE",
            source=source or mask.origin.name,
            found=f"{outside} of {total} voxels outside the image{_extent(ends_mm, onto.corners_mm)}",
            expected="the whole mask inside its image",
            remedy="Check that the mask was drawn on this image, and its orientation.",
        )
    )


def require_one_frame(mask: LabelMask, onto: Geometry, *, source: str = "") -> None:
    """Raise GeometryMismatchError if a mask and a grid are known to lie in different frames of reference.

    ``source`` names the mask in the error, if not its origin's name.
    """
    if not mask.geometry.shares_frame_with(onto):
        raise GeometryMismatchError(
            Fault(
                code="FRAME_MISMATCH",
                source=source or mask.origin.name,
                found="another frame of reference than the image's",
                expected="a mask that was drawn on this image, or on one of the same examination",
                remedy="Check that pre and post aren't exchanged; else draw or export the mask on this image.",
                attribute="FrameOfReferenceUID (0020,0052)",
            )
        )


def _row_ends(voxels: BoolArray) -> Array:
    """Indices (n, 3) of the first and the last voxel of each row that has any."""
    filled = voxels.any(axis=2)
    first, last = voxels.argmax(axis=2), voxels.shape[2] - 1 - voxels[:, :, ::-1].argmax(axis=2)
    return np.concatenate([np.column_stack([np.argwhere(filled), column[filled]]) for column in (first, last)])


def _is_outside(points_mm: FloatArray, grid: Geometry) -> BoolArray:
    index = grid.indices_at(points_mm)
    slack = 0.5 + 1e-3  # voxels reach half a spacing beyond their centers
    return np.asarray(((index < -slack) | (index > np.array(grid.shape) - 1 + slack)).any(axis=1))


def _count_outside(mask: LabelMask, grid: Geometry) -> int:
    """How many of the mask's voxels lie outside a grid, counted a slice at a time."""
    shape = mask.geometry.shape
    slices = (
        mask.cropped((k, 0, 0), (k + 1, *shape[1:])) for k in np.flatnonzero(mask.voxels.any(axis=(1, 2))).tolist()
    )
    return sum(int(np.count_nonzero(_is_outside(part.voxel_centers_mm(), grid))) for part in slices)


def _extent(points_mm: FloatArray, corners_mm: FloatArray) -> str:
    def span(points: FloatArray) -> str:
        return " × ".join(f"{low:.0f}..{high:.0f}" for low, high in zip(points.min(0), points.max(0), strict=True))

    return f" (mask {span(points_mm)}, image {span(corners_mm)} mm in x × y × z)"


def _box_on(source: Geometry, target: Geometry) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First and one past the last index of a target grid that a source grid can reach."""
    index = target.indices_at(source.corners_mm)
    low = np.clip(np.floor(index.min(axis=0)), 0, np.array(target.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, low + 1, target.shape).astype(int)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def resampling_cautions(mask: LabelMask, moved: LabelMask) -> list[Caution]:
    """What a reader must know of a mask that was brought onto another grid, ``moved``."""
    name, before, after = mask.origin.name, mask.volume_ml, moved.volume_ml
    message = f"{name} lies on another grid than its image and was resampled: {before:.2f} ml became {after:.2f} ml"
    cautions = [Caution(code="MASK_RESAMPLED", message=message)]
    if abs(after / before - 1) > RESAMPLED_VOLUME_TOLERANCE:
        message = f"{name}: the image's grid is too coarse for it, its volume changed by {after / before - 1:+.0%}"
        cautions.append(Caution(code="MASK_VOLUME_CHANGED", message=message))
    return cautions
