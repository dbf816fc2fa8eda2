"""What surrounds the organs of the upper belly: skin and fat, ribs, spine, chest wall, lungs and where they end below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.morphology import (
    closed,
    distance_to,
    largest_part,
    opened,
    parts_touching,
    without_holes,
)

Values = NDArray[np.float32]

AIR_HU, BODY_HU, FAT_HU, BONE_HU = -500.0, -250.0, -30.0, 170.0
LUNG_ML, TOP_LUNG_ML = 500.0, 10.0
"""Gas of this volume is lung; where it reaches the top of the image, less is enough."""
GUT_GAS_HU = -930.0
"""On average, its border included; lungs hold blood and are brighter."""
SKIN_FAT_MM = 70.0
RIB_DEPTH_MM = 32.0
"""Ribs lie at most so deep below fat or air."""
THICKEST_RIB_MM = 6.0
"""A ball of this radius fits into no rib, but into contrast agent in the stomach."""
SHALLOW_MM = 10.0
"""Bone so near to the skin's fat is rib, thick or not."""
MARROW_CM2 = 16.0
"""Bone encloses no larger area of marrow in a slice."""
WALL_BALL_MM = 28.0
"""Rolls along the inside of ribs and fat without falling between two ribs."""
WALL_MM = 12.0
VERTEBRA_MM = 7.0
IN_SLICE = np.zeros((3, 3, 3), np.bool_)
IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)
NO_LUNG = 1e3
"""Index of a lung base where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trunk:
    """Masks on one isotropic grid, indices toward head, back and left.

    Parameters
    ----------
    body : ndarray of bool, shape (k, j, i)
        Without the table; holes filled.
    gas : ndarray of bool
        Lungs and bowel gas.
    lungs : ndarray of bool
    skin : ndarray of bool
        Outside and subcutaneous fat.
    bone : ndarray of bool
    vertebrae : ndarray of bool
    wall : ndarray of bool
        Skin, ribs and what lies between them.
    lung_base : ndarray of float, shape (j, i)
        Slice index at which the lungs end, continued between them; ``NO_LUNG`` beyond their common outline.
    fat_hu : float
        What is darker is fat or gas.
    """

    body: BoolArray
    gas: BoolArray
    lungs: BoolArray
    skin: BoolArray
    bone: BoolArray
    vertebrae: BoolArray
    wall: BoolArray
    lung_base: Values
    fat_hu: float


def find_trunk(hu: Values, spacing_mm: float) -> Trunk:
    """Body, bones, wall and lungs of a CT on an isotropic grid."""
    darkest = float(np.percentile(hu, 0.5))
    body = find_body(hu, _above(darkest, BODY_HU), spacing_mm)
    gas = body & (hu < _above(darkest, AIR_HU))
    lungs = _lungs(gas, hu, body, spacing_mm)
    fat_hu = _above(darkest, FAT_HU)
    skin = _skin(body, body & (hu > -160) & (hu < fat_hu), spacing_mm)
    bone = _large(body & (hu > BONE_HU), 0.8, spacing_mm)
    depth_mm = distance_to(skin, spacing_mm)
    ribs = _ribs(bone, depth_mm, spacing_mm)
    return Trunk(
        body=body,
        gas=gas,
        lungs=lungs,
        skin=skin,
        bone=bone,
        vertebrae=_vertebrae(bone, body, spacing_mm),
        wall=_wall(skin, ribs, depth_mm, spacing_mm),
        lung_base=lung_base(lungs),
        fat_hu=fat_hu,
    )


def _above(darkest_hu: float, level_hu: float) -> float:
    """A level for dark tissue, raised where the image is clipped and shows nothing as dark as that."""
    return max(level_hu, darkest_hu + 0.2 * abs(darkest_hu) + 10.0) if darkest_hu > -700 else level_hu


def find_body(hu: Values, above_hu: float, spacing_mm: float) -> BoolArray:
    """The largest thing above a level, opened so that the table and sheets go; holes in its slices filled."""
    thick = ndimage.binary_opening(hu > above_hu, iterations=max(1, round(5 / spacing_mm)))
    return without_holes(largest_part(np.asarray(thick)), axes=(0,))


def _lungs(gas: BoolArray, hu: Values, body: BoolArray, spacing_mm: float) -> BoolArray:
    """Large parts of the gas, and smaller ones at the top of the image that aren't as dark as the gas of the gut."""
    labels, count = ndimage.label(ndimage.binary_opening(gas, iterations=2))
    if count == 0:
        return np.zeros_like(gas)
    mean_hu = ndimage.mean(hu, labels, range(count + 1))
    volume_ml = np.bincount(labels.ravel()) * spacing_mm**3 / 1000
    top = int(np.flatnonzero(body.any(axis=(1, 2))).max())
    reaches_top = np.zeros(count + 1, np.bool_)
    reaches_top[np.unique(labels[max(0, top - 2) :])] = True
    tissue = np.asarray(mean_hu) > GUT_GAS_HU
    kept = (volume_ml > LUNG_ML) | (reaches_top & tissue & (volume_ml > TOP_LUNG_ML))
    kept[0] = False
    return np.asarray(kept[labels])


def _skin(body: BoolArray, fat: BoolArray, spacing_mm: float) -> BoolArray:
    """Outside and the fat that lies around the body; fat in narrow inlets, as before the liver, is none of it."""
    outside = ~body
    depth_mm = distance_to(outside, spacing_mm)
    near = (fat & (depth_mm < SKIN_FAT_MM)) | (depth_mm <= 3)
    skin = parts_touching(np.asarray(ndimage.binary_opening(near, iterations=2)), outside) | outside
    inlets = closed(body & ~skin, 15, spacing_mm) & (depth_mm > 4)
    return (skin & ~inlets) | outside


def _large(mask: BoolArray, least_ml: float, spacing_mm: float) -> BoolArray:
    labels, _ = ndimage.label(mask)
    kept = np.bincount(labels.ravel()) * spacing_mm**3 / 1000 > least_ml
    kept[0] = False
    return np.asarray(kept[labels])


def _ribs(bone: BoolArray, depth_mm: Values, spacing_mm: float) -> BoolArray:
    """Thin bone below the skin, about as deep as most of it: vessels of the spleen and bright gut lie deeper."""
    thick = opened(bone, THICKEST_RIB_MM, spacing_mm)
    thick = ndimage.binary_dilation(thick, mask=bone, iterations=round(25 / spacing_mm)) if thick.any() else thick
    thin = bone & ((~thick & (depth_mm < RIB_DEPTH_MM)) | (depth_mm < SHALLOW_MM))
    if not thin.any():
        return thin
    return np.asarray(thin & (depth_mm < max(14.0, 1.5 * float(np.median(depth_mm[thin])) + 6.0)))


def _wall(skin: BoolArray, ribs: BoolArray, depth_mm: Values, spacing_mm: float) -> BoolArray:
    """Skin, ribs, and what a large ball can't reach between them; not far from both."""
    narrow = _closed_beyond_faces(skin | ribs, WALL_BALL_MM, spacing_mm)
    near = (depth_mm <= WALL_MM) | (distance_to(ribs, spacing_mm) <= WALL_MM)
    return np.asarray(narrow & near)


def _vertebrae(bone: BoolArray, body: BoolArray, spacing_mm: float) -> BoolArray:
    """Thick bone in the middle of the body's back half: contrast in stomach and kidneys is as bright, but lies elsewhere."""
    rows, columns = (np.flatnonzero(body.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    place = np.zeros_like(bone)
    if rows.size:
        middle, quarter = (columns[0] + columns[-1]) // 2, (columns[-1] - columns[0]) // 8
        place[:, (rows[0] + rows[-1]) // 2 :, middle - quarter : middle + quarter + 1] = True
    return opened(_with_marrow(bone, spacing_mm) & place, VERTEBRA_MM, spacing_mm)


def _with_marrow(bone: BoolArray, spacing_mm: float) -> BoolArray:
    """Bone with the small areas that it encloses in its slices; a thorax that ribs enclose is none."""
    bridged = np.asarray(ndimage.binary_closing(bone, iterations=2))
    marrow = without_holes(bridged, axes=(0,)) & ~bridged
    labels, _ = ndimage.label(marrow, structure=IN_SLICE)
    small = np.bincount(labels.ravel()) * spacing_mm**2 / 100 < MARROW_CM2
    small[0] = False
    return np.asarray(bone | small[labels] | (bridged & (distance_to(bone, spacing_mm) < 3)))


def _closed_beyond_faces(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """A closing that takes the mask to go on beyond the array's faces as it ends there."""
    width = int(np.ceil(radius_mm / spacing_mm)) + 1
    padded = closed(np.pad(mask, width, mode="edge"), radius_mm, spacing_mm)
    inner = (slice(width, -width),) * 3
    return padded[inner]


def lung_base(lungs: BoolArray) -> Values:
    """Slice index of the lowest lung voxel of each column, continued harmonically to where there is none.

    Shape (j, i); ``NO_LUNG`` outside of the convex hull of the lungs' shadow, and everywhere without lungs.
    """
    shadow = np.asarray(lungs.any(axis=0))
    if shadow.sum() < 50:
        return np.full(shadow.shape, NO_LUNG, np.float32)
    lowest = lungs.argmax(axis=0).astype(np.float32)
    _, nearest = ndimage.distance_transform_edt(~shadow, return_indices=True)
    base = lowest[tuple(nearest)]
    for _ in range(400):
        base = np.where(shadow, lowest, ndimage.uniform_filter(base, 3, mode="nearest"))
    smooth = ndimage.gaussian_filter(base, 1.0)
    return np.asarray(np.where(convex_hull_image(shadow), smooth, NO_LUNG), np.float32)
