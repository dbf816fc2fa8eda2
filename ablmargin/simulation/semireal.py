"""A pair made from one real CT: a tumor implanted, the liver moved by a known map, an ablation zone painted in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import FloatArray, Geometry, bounding_geometry, triple
from ablmargin.itk import resample
from ablmargin.progress import Progress, silent
from ablmargin.simulation.ct import HIGHEST_HU, LOWEST_HU, blend, ct_noise, grid_points
from ablmargin.simulation.fields import Lattice, Points, Values, inside_share
from ablmargin.simulation.lesions import LesionLook, LesionPlan, paint_tumor, paint_zone, place_tumor
from ablmargin.simulation.masks import draw_masks
from ablmargin.simulation.motion import Motion
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.plan import ablate, made_up_uid, random_motion
from ablmargin.simulation.render import THREADS, slabs
from ablmargin.simulation.star import StarShape
from ablmargin.simulation.truth import lesion_truth, pair_truth, spread_landmarks
from ablmargin.threads import one_blas_thread
from ablmargin.volume import LabelMask, Volume

LATTICE_MM = 1.5
DENOISING_MM = 1.2
FADING_MM = 45.0
"""Beyond this distance from the liver, tissue doesn't follow its movement."""
OUTLINE_SMOOTHING_MM = 1.5
DEEP_MM = 8.0
HOMOGENEOUS_HU = 14.0
UNENHANCED_BELOW_HU = 75.0
NOISE_RANGE_HU = (6.0, 18.0)
BREATHING_MM = 12.0
BENDING_MM = 2.5
BEYOND_LIVER_MM = 20.0
POST_PIXEL_FACTOR = 1.04
NAME = "from-ct"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lesion:
    """What is painted into an exam: the tumor (pre frame); after ablation the zone (post frame) and the movement."""

    tumor: StarShape
    zone: StarShape | None = None
    motion: Motion | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """The real exam: denoised, with what was measured in its liver."""

    hu: NDArray[np.float32]
    geometry: Geometry
    liver: Lattice
    texture: Lattice
    liver_hu: float
    noise_sd_hu: float

    def at(self, points_mm: Points) -> Values:
        """The denoised CT at points (n, 3), linearly interpolated; at its border the nearest voxel."""
        inverse = np.linalg.inv(self.geometry.affine).astype(np.float32)
        index = points_mm.astype(np.float32) @ inverse[:3, :3].T + inverse[:3, 3]
        return np.asarray(ndimage.map_coordinates(self.hu, index.T, output=np.float32, order=1, mode="nearest"))

    @property
    def look(self) -> LesionLook:
        """How a metastasis and an ablation zone look in a liver of this enhancement."""
        if self.liver_hu < UNENHANCED_BELOW_HU:
            return LesionLook(tumor_hu=self.liver_hu - 14.0, zone_hu=self.liver_hu - 6.0, rim_hu=0.0)
        return LesionLook(tumor_hu=self.liver_hu - 38.0, zone_hu=max(40.0, self.liver_hu - 62.0), rim_hu=15.0)


@one_blas_thread()
def simulate_from_ct(
    volume: Volume,
    liver: LabelMask,
    *,
    seed: int = 1,
    nominal_mam_mm: float = 3.0,
    tumor_radius_mm: float = 9.0,
    post_slice_mm: float | None = None,
    mask_error_mm: float = 0.0,
    progress: Progress = silent,
) -> SimulatedPair:
    """Make a pre- and a post-ablation CT with exact truth from one real CT of a liver.

    Parameters
    ----------
    volume : Volume
        Padding below -1024 HU is read as air.
    liver : LabelMask
        On the volume's grid.
    nominal_mam_mm : float
        The margin to aim for; the truth tells the exact one.
    tumor_radius_mm : float
    post_slice_mm : float, optional
        Slice spacing after ablation; by default that of the source.
    mask_error_mm : float
        Standard deviation of a smooth random error of the masks' borders; the truth is unaffected.

    Raises
    ------
    ValueError
        If the mask isn't on the volume's grid, or the liver has no room for such a lesion.
    EmptyMaskError

    Notes
    -----
    The liver follows the known map exactly; tissue around it follows less and less, up to 45 mm away. Both exams come
    from one scan, denoised and with new independent noise, so what texture is left is shared between them: registration
    finds such pairs easier than two real exams.
    """
    if not liver.geometry.same_grid_as(volume.geometry):
        raise ValueError("the liver mask must lie on the volume's grid")
    liver.require_not_empty()

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose])

    progress("read the liver", 0.0)
    source = _source(volume, liver, stream(1))
    centers = liver.voxel_centers_mm()
    box = centers.min(axis=0) - 4.0, centers.max(axis=0) + 4.0
    motion = random_motion(
        stream(2), breathing_mm=BREATHING_MM, bending_mm=BENDING_MM, center_mm=triple(centers.mean(axis=0))
    )
    plan = LesionPlan(tumor_radius_mm=tumor_radius_mm, nominal_mam_mm=nominal_mam_mm)
    tumor = place_tumor(stream(3), plan, source.liver, box, lambda center: _is_homogeneous(source, center, plan))
    zone = ablate(stream(4), plan, tumor, source.liver, motion)
    grids = volume.geometry, _post_grid(volume.geometry, centers, motion, post_slice_mm, stream(5))
    progress("paint the CT before ablation", 0.0)
    before = _exam(source, grids[0], _Lesion(tumor=tumor), stream(6))
    progress("paint the CT after ablation", 0.0)
    after = _exam(source, grids[1], _Lesion(tumor=tumor, zone=zone.shape, motion=motion), stream(7))
    progress("compute the truth", 0.0)
    masks = draw_masks(
        source.liver,
        box,
        motion=motion,
        tumors=[tumor],
        zones=[zone],
        grids=grids,
        error_mm=mask_error_mm,
        rng=stream(8),
    )
    landmarks = spread_landmarks(stream(9), source.liver, box)
    return SimulatedPair(
        pre=before,
        post=after,
        liver_pre=masks.liver_pre,
        liver_post=masks.liver_post,
        tumors=masks.tumors,
        zones=masks.zones,
        truth=pair_truth(NAME, seed, motion, (lesion_truth("1", tumor, zone, motion),), landmarks),
        phase_pre="unknown",
        phase_post="unknown",
    )


def _source(volume: Volume, liver: LabelMask, rng: np.random.Generator) -> _Source:
    raw = np.clip(volume.voxels_hu, LOWEST_HU, HIGHEST_HU)
    smooth = ndimage.gaussian_filter(raw, [DENOISING_MM / spacing for spacing in volume.geometry.spacing_mm])
    outline = _outline(liver)
    deep = outline(liver.voxel_centers_mm().astype(np.float32)) < -DEEP_MM
    k, j, i = np.argwhere(liver.voxels)[deep].T if deep.any() else np.nonzero(liver.voxels)
    noise = float(np.median(np.abs(raw[k, j, i] - smooth[k, j, i]))) * 1.4826
    low, high = outline.low_mm, outline.low_mm + outline.step_mm * np.array(outline.values.shape)
    return _Source(
        hu=smooth,
        geometry=volume.geometry,
        liver=outline,
        texture=Lattice.noise(rng, low_mm=low, high_mm=high, step_mm=2.0, correlation_mm=5.0),
        liver_hu=float(np.median(smooth[k, j, i])),
        noise_sd_hu=float(np.clip(noise, *NOISE_RANGE_HU)),
    )


def _outline(liver: LabelMask) -> Lattice:
    """The liver's level from its mask: the smoothed signed distance on an isotropic lattice."""
    start, stop = liver.bounding_box(pad_mm=3.0)
    part = liver.cropped(start, stop)
    grid = bounding_geometry(
        part.voxel_centers_mm(), spacing_mm=LATTICE_MM, pad_mm=FADING_MM + 5.0, frame_uid=part.geometry.frame_uid
    )
    inside = resample(part.voxels, part.geometry, grid) >= 0.5
    distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    level = ndimage.gaussian_filter(distance, OUTLINE_SMOOTHING_MM / LATTICE_MM) * LATTICE_MM
    return Lattice(
        values=np.ascontiguousarray(level.transpose(2, 1, 0), np.float32),
        low_mm=np.array(grid.origin_mm),
        step_mm=LATTICE_MM,
    )


def _is_homogeneous(source: _Source, center_mm: FloatArray, plan: LesionPlan) -> bool:
    """Whether the tissue around a center is plain parenchyma: no large vessel, no lesion."""
    offsets = np.random.default_rng(0).uniform(-1, 1, (600, 3)) * (plan.tumor_radius_mm + 3.0)
    values = source.at(center_mm + offsets)
    return bool(abs(np.median(values) - source.liver_hu) < HOMOGENEOUS_HU and values.std() < HOMOGENEOUS_HU)


def _post_grid(
    pre: Geometry, liver_mm: FloatArray, motion: Motion, slice_mm: float | None, rng: np.random.Generator
) -> Geometry:
    """A grid along the source's axes that holds the moved liver: other pixels, slices and frame of reference."""
    spacing = (
        slice_mm or pre.spacing_mm[0],
        pre.spacing_mm[1] * POST_PIXEL_FACTOR,
        pre.spacing_mm[2] * POST_PIXEL_FACTOR,
    )
    axes = np.array(pre.directions)
    along = motion.inverse_organ_points(liver_mm[:: max(1, len(liver_mm) // 5000)]) @ axes[0]
    bottom, top = along.min() - BEYOND_LIVER_MM, along.max() + BEYOND_LIVER_MM
    count = int(np.ceil((top - bottom) / spacing[0])) + 1
    middle = motion.frame.inverse_points(pre.center_mm[None])[0] + rng.uniform(-4.0, 4.0, 3)
    half = (np.array(pre.shape[1:]) - 1) / 2 * spacing[1:]
    origin = axes[0] * bottom + sum(axes[at + 1] * (middle @ axes[at + 1] - half[at]) for at in (0, 1))
    return Geometry(
        shape=(count, *pre.shape[1:]),
        spacing_mm=spacing,
        origin_mm=triple(np.round(origin, 3)),
        directions=pre.directions,
        frame_uid=made_up_uid(rng),
    )


def _exam(source: _Source, grid: Geometry, lesion: _Lesion, rng: np.random.Generator) -> Volume:
    voxels = np.empty(grid.shape, np.float32)

    def fill(slab: tuple[int, int]) -> None:
        hu = _point_hu(source, grid_points(grid, *slab), lesion)
        voxels[slice(*slab)] = hu.reshape(-1, *grid.shape[1:])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, slabs(grid)))
    voxels += ct_noise(rng, grid, sd_hu=source.noise_sd_hu)
    return Volume(voxels_hu=np.clip(np.round(voxels, out=voxels), LOWEST_HU, HIGHEST_HU), geometry=grid)


def _point_hu(source: _Source, points_mm: Points, lesion: _Lesion) -> Values:
    """HU at points (n, 3) of an exam, without noise."""
    motion = lesion.motion
    moving = points_mm if motion is None else motion.organ_points(points_mm)
    level = source.liver(moving)
    hu = source.at(moving if motion is None else _faded(moving, motion.static_points(points_mm), level))
    inside = np.flatnonzero(level < 1.0)
    tissue = _lesion_hu(source, hu[inside], points_mm[inside], moving[inside], lesion)
    hu[inside] = blend(hu[inside], inside_share(level[inside]), tissue)
    return hu


def _lesion_hu(source: _Source, hu: Values, points_mm: Points, moving_mm: Points, lesion: _Lesion) -> Values:
    """HU of the liver with the lesion painted in; vessels much brighter than the liver stay open in the zone."""
    look, texture = source.look, 4.0 * source.texture(moving_mm)
    patent = (source.liver_hu + 40.0 - hu) / 10.0
    painted = paint_tumor(hu.copy(), moving_mm, lesion.tumor, look.tumor_hu, texture)
    if lesion.zone is None:
        return painted
    return paint_zone(painted, points_mm, lesion.zone, look=look, texture=texture, patent=patent)


def _faded(moving_mm: Points, static_mm: Points, liver_level: Values) -> Points:
    """Where tissue came from: inside the liver by the known map, farther outside ever more by the table's shift alone."""
    share = np.clip(liver_level / np.float32(FADING_MM), 0, 1)
    share = share * share * (3 - 2 * share)
    return np.asarray(moving_mm + share[:, None] * (static_mm - moving_mm))
