"""Inside or outside, voxel by voxel: what tissues look like, weighed against where the lesion is expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from ablmargin.geometry import Array, FloatArray
from ablmargin.segmentation.lesion_patch import HIGHEST_HU, LOWEST_HU, SOFT_TISSUE_HU, Patch
from ablmargin.segmentation.lesion_prior import ellipsoid_log_odds

BIN_HU = 4.0
BINS = int((HIGHEST_HU - LOWEST_HU) / BIN_HU) + 1
FLOOR = 0.02
"""Share of voxels that may look like anything."""
INDEPENDENT_MM3 = 8.0
"""Voxels closer than about 2 mm share their noise."""
KERNEL_SHARE, NARROWEST_HU, MOST_KERNEL_HU = 0.4, 2.0, 25.0
"""Limits of the width by which histograms are smoothed; the first as a share of the contrast."""
SURE_LOG_ODDS = 1.0
"""Histograms are learned where the answer is surer than this: the border's voxels hold both tissues."""
MOST_EVIDENCE = 2.5
ROUNDS, FREE_ROUNDS = 6, 2
EVIDENCE = 4.0
PRIOR_BESIDE_SHAPE = 0.5
"""Weight of the prior once the shape found in the image stands beside it."""
LIVER_RAMP_MM, LIVER_LOG_ODDS = 3.0, 1.5
NEIGHBORHOOD_SHARE, NEIGHBORHOOD_MM = 0.06, (0.7, 1.9)
NEVER = -30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much the parts of an answer count.

    Parameters
    ----------
    coupling : float
        Log odds that a neighborhood adds where it is sure of itself.
    outside_reach_mm : float
        How far around the lesion the histogram of the outside is learned.
    """

    coupling: float = 2.0
    outside_reach_mm: float = 9.0


SIZE_UNSURE = Weights()


def solve(
    patch: Patch,
    prior: Array,
    size_mm: float,
    *,
    weights: Weights = SIZE_UNSURE,
    marks: Array | float = 0.0,
) -> Array:
    """Learn how inside and outside look, and where they are, in turn.

    Histograms of inside and outside are learned from the present answer, whatever their form, so that darker, brighter
    and mottled lesions need no case of their own. Their log ratio, averaged over a small neighborhood, is weighed
    against the prior, against the ellipsoid that fits the present answer and against the neighborhood's own answer.

    Parameters
    ----------
    patch : Patch
    prior : ndarray of float32, shape ``patch.geometry.shape``
        Log odds of lying inside before the image is looked at.
    size_mm : float
        Expected diameter; larger lesions bear wider neighborhoods.
    weights : Weights
        How much the parts of the answer count.
    marks : ndarray of float32, optional
        Log odds that count in full to the end: what the reader knows for certain.

    Returns
    -------
    ndarray of float32, shape ``patch.geometry.shape``
        Log odds of lying inside.
    """
    bins = hu_bins(patch)
    prior = np.where(patch.is_image, prior + _liver_log_odds(patch), NEVER).astype(np.float32)
    width = neighborhood_mm(size_mm) / patch.spacing_mm
    log_odds = prior + marks
    for at in range(ROUNDS):
        inside = special.expit(log_odds)
        looks = _evidence(patch, bins, log_odds, weights.outside_reach_mm)
        image = EVIDENCE * looks + weights.coupling * (2 * inside - 1)
        expected = prior if at < FREE_ROUNDS else PRIOR_BESIDE_SHAPE * prior + ellipsoid_log_odds(patch, inside)
        log_odds = expected + _mean(image, width) + marks
    return log_odds


def neighborhood_mm(size_mm: float) -> float:
    """Width of the Gaussian over which voxels are asked together; larger lesions bear more."""
    return float(np.clip(NEIGHBORHOOD_SHARE * size_mm, *NEIGHBORHOOD_MM))


def _evidence(patch: Patch, bins: Array, log_odds: Array, reach_mm: float) -> Array:
    """Log ratio of how often an HU occurs inside and how often outside, near by."""
    inside, outside = (special.expit(sign * log_odds - SURE_LOG_ODDS) for sign in (1, -1))
    near = _mean(inside, reach_mm / 2 / patch.spacing_mm) + np.float32(1e-4)
    outside = outside * near * patch.is_image
    width_hu = _kernel_hu(patch, inside, outside)
    ratio = np.log(density(bins, inside, width_hu) / density(bins, outside, width_hu))
    return np.clip(ratio, -MOST_EVIDENCE, MOST_EVIDENCE).astype(np.float32)[bins].reshape(inside.shape)


def _kernel_hu(patch: Patch, inside: Array, outside: Array) -> float:
    """Silverman's width for a histogram of as many independent values as the inside holds, within limits.

    No narrower than a share of the contrast: else the few HU between both tissues, which the border's voxels have, count
    as a tissue of their own, and the surface creeps.
    """
    tissue = (patch.hu > SOFT_TISSUE_HU[0]) & (patch.hu < SOFT_TISSUE_HU[1])
    mean, sd = _mean_and_sd(patch.hu, inside)
    contrast = abs(mean - _mean_and_sd(patch.hu, outside * tissue)[0])
    count = max(float(inside.sum()) * patch.spacing_mm**3 / INDEPENDENT_MM3, 1.0)
    silverman = min(1.06 * sd * count**-0.2, 2 * patch.noise_sd_hu)
    return float(max(silverman, min(KERNEL_SHARE * contrast, MOST_KERNEL_HU), NARROWEST_HU))


def _mean_and_sd(hu: Array, weights: Array) -> tuple[float, float]:
    total = float(weights.sum()) + 1e-9
    mean = float((weights * hu).sum()) / total
    return mean, float(np.sqrt((weights * (hu - np.float32(mean)) ** 2).sum() / total))


def hu_bins(patch: Patch) -> Array:
    """The histogram's bin of each voxel, flat."""
    return np.asarray((patch.hu - LOWEST_HU) / BIN_HU, np.intp).ravel()


def density(bins: Array, weights: Array, width_hu: float) -> FloatArray:
    """How often an HU occurs, shape (BINS,): a smoothed histogram of weighted voxels, zero nowhere."""
    counts = np.bincount(bins, weights.ravel(), BINS)
    smooth = ndimage.gaussian_filter1d(counts, width_hu / BIN_HU, mode="nearest")
    return np.asarray((1 - FLOOR) * smooth / max(smooth.sum(), 1e-9) + FLOOR / BINS)


def _liver_log_odds(patch: Patch) -> Array | float:
    """Less likely outside the liver's mask, but never excluded: the mask may be wrong right here."""
    if patch.liver_mm is None:
        return 0.0
    return np.asarray(LIVER_LOG_ODDS * np.clip(patch.liver_mm / LIVER_RAMP_MM, -1, 0), np.float32)


def _mean(values: Array, width: float) -> Array:
    return np.asarray(ndimage.gaussian_filter(values, width, truncate=2.5, mode="nearest"), np.float32)
