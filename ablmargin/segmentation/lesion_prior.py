"""Where a lesion is expected before the image is looked at: log odds of lying inside, from a drawn axis or a size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage, special

from ablmargin.geometry import Array, FloatArray
from ablmargin.segmentation.lesion_patch import Patch

END_SD_MM = 1.4
"""How far readers' ends of an axis stray along it."""
LUMPINESS = 0.12
"""Standard deviation of a lesion's radius about an ellipsoid, as a share."""
WIDTH_SD = 0.17
"""Of the half width across the axis, as a share of the half length."""
MOST_LOG_ODDS = 30.0
_TABLE, _REACH = 96, 3.0
_NODES = (-1.65, -0.92, -0.39, 0.0, 0.39, 0.92, 1.65)
"""Seven equally likely values of a standard normal variable."""


def axis_log_odds(patch: Patch, ends_mm: FloatArray, *, width: float) -> Array:
    """Prior log odds of an ellipsoid whose one long axis ends at two points, shape (2, 3), its width uncertain.

    ``width`` is the half width expected across the axis, as a share of the half length.
    """
    half = float(np.linalg.norm(ends_mm[1] - ends_mm[0])) / 2
    offset = patch.offsets_mm(ends_mm.mean(axis=0))
    along = np.tensordot(((ends_mm[1] - ends_mm[0]) / (2 * half**2))[::-1].astype(np.float32), offset, 1)
    across = np.sqrt(np.maximum(_squares(offset) / half**2 - along**2, 0))
    table = _axis_table(round(min(END_SD_MM / half, 0.5), 2), width)
    index = np.stack([np.abs(along), across]) * np.float32((_TABLE - 1) / _REACH)
    return np.asarray(ndimage.map_coordinates(table, index, order=1, mode="nearest"), np.float32)


@lru_cache(maxsize=64)
def _axis_table(end_sd: float, width: float) -> Array:
    """Log odds over (along, across) in half lengths, averaged over ellipsoids of random width and length."""
    steps = np.linspace(0, _REACH, _TABLE)
    along, across = steps[:, None], steps[None]
    spread = np.hypot(LUMPINESS, end_sd / 2)
    depth = [
        (1 - np.hypot(along / (1 + 0.6 * end_sd * a), across / (width + WIDTH_SD * b))) / spread
        for a in _NODES
        for b in _NODES
    ]
    inside, outside = (special.logsumexp(special.log_ndtr(sign * np.array(depth)), axis=0) for sign in (1, -1))
    return np.asarray(inside - outside, np.float32)


def ball_log_odds(patch: Patch, center_mm: FloatArray, radius_mm: float, *, spread: float) -> Array:
    """Prior log odds of a ball whose surface lies at a radius known to a relative standard deviation."""
    distance = np.sqrt(_squares(patch.offsets_mm(center_mm))) / radius_mm
    return _log_odds((1 - distance) / spread)


def ellipsoid_log_odds(patch: Patch, inside: Array) -> Array:
    """Log odds of the ellipsoid with the center and the covariance of what is inside, its surface known to a tenth.

    A lesion that the image shows to be wide on one side is then expected to be wide on the other side too.
    """
    offset = patch.offsets_mm(patch.geometry.center_mm).reshape(3, -1)
    weight = (inside / inside.sum()).ravel()
    offset = offset - (offset @ weight)[:, None]
    covariance = (offset * weight) @ offset.T + LEAST_VARIANCE_MM2 * np.eye(3)
    root = np.linalg.cholesky(np.linalg.inv(5 * covariance)).astype(np.float32)  # a solid ellipsoid's is a²/5
    distance = np.sqrt(_squares(root.T @ offset)).reshape(inside.shape)
    return _log_odds((1 - distance) / LUMPINESS)


LEAST_VARIANCE_MM2 = 0.2


def _squares(vectors: Array) -> Array:
    return np.asarray(np.einsum("d...,d...->...", vectors, vectors))


def _log_odds(depth: Array) -> Array:
    """Of a normal variable being less than a depth; its tail without underflow."""
    table = _normal_table()
    return np.interp(depth, np.linspace(-8, 8, len(table)), table).astype(np.float32)


@lru_cache(maxsize=1)
def _normal_table() -> FloatArray:
    depth = np.linspace(-8, 8, 801)
    log_odds = special.log_ndtr(depth) - special.log_ndtr(-depth)
    return np.asarray(np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS))
