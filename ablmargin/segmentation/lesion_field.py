"""Inside or outside, voxel by voxel: what tissues look like, weighed against where the lesion is expected."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from ablmargin.geometry import Array, FloatArray
from ablmargin.segmentation.lesion_patch import HIGHEST_HU, LOWEST_HU, Patch
from ablmargin.segmentation.lesion_prior import ellipsoid_log_odds

BIN_HU = 4.0
BINS = int((HIGHEST_HU - LOWEST_HU) / BIN_HU) + 1
FLOOR = 0.02
"""Share of voxels that may look like anything."""
INDEPENDENT_MM3 = 8.0
"""Voxels closer than about 2 mm share their noise."""
MOST_EVIDENCE = 2.5
ROUNDS, FREE_ROUNDS = 6, 2
OUTSIDE_REACH_MM = 9.0
EVIDENCE, COUPLING = 4.0, 1.0
PRIOR_BESIDE_SHAPE = 0.5
"""Weight of the prior once the shape found in the image stands beside it."""
LIVER_RAMP_MM, LIVER_LOG_ODDS = 3.0, 1.5
NEIGHBORHOOD_SHARE, NEIGHBORHOOD_MM = 0.06, (0.7, 1.9)
NEVER = -30.0


def solve(
    patch: Patch,
    prior: Array,
    size_mm: float,
    *,
    marks: Array | float = 0.0,
    rounds: int = ROUNDS,
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
    marks : ndarray of float32, optional
        Log odds that count in full to the end: what the reader knows for certain.

    Returns
    -------
    ndarray of float32, shape ``patch.geometry.shape``
        Log odds of lying inside.
    """
    bins = hu_bins(patch)
    prior = np.where(patch.is_image, prior + _liver_log_odds(patch), NEVER).astype(np.float32)
    width = float(np.clip(NEIGHBORHOOD_SHARE * size_mm, *NEIGHBORHOOD_MM)) / patch.spacing_mm
    log_odds = prior + marks
    for at in range(rounds):
        inside = special.expit(log_odds)
        image = EVIDENCE * _evidence(patch, bins, inside) + COUPLING * (2 * inside - 1)
        expected = prior if at < FREE_ROUNDS else PRIOR_BESIDE_SHAPE * prior + ellipsoid_log_odds(patch, inside)
        log_odds = expected + _mean(image, width) + marks
    return log_odds


def _evidence(patch: Patch, bins: Array, inside: Array) -> Array:
    """Log ratio of how often an HU occurs inside and how often outside, near by."""
    near = _mean(inside, OUTSIDE_REACH_MM / 2 / patch.spacing_mm) + np.float32(1e-4)
    width_hu = _kernel_hu(patch, inside)
    outside = density(bins, (1 - inside) * near * patch.is_image, width_hu)
    ratio = np.log(density(bins, inside, width_hu) / outside)
    return np.clip(ratio, -MOST_EVIDENCE, MOST_EVIDENCE).astype(np.float32)[bins].reshape(inside.shape)


def _kernel_hu(patch: Patch, inside: Array) -> float:
    """Silverman's width for a histogram of as many independent values as the inside holds."""
    total = float(inside.sum())
    mean = float((inside * patch.hu).sum()) / total
    sd = float(np.sqrt((inside * (patch.hu - np.float32(mean)) ** 2).sum() / total))
    count = max(total * patch.spacing_mm**3 / INDEPENDENT_MM3, 1.0)
    return float(np.clip(1.06 * sd * count**-0.2, 2.0, 2 * patch.noise_sd_hu))


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
