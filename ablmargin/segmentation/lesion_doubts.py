"""What is told of a proposal that can't be trusted: sentences with their figures, and what to do.

The thresholds were set on simulated lesions (benchmarks/lesions.py), so that nearly all results with a Dice below 0.6 are
doubted and few of those above 0.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ablmargin.segmentation.lesion_trust import Trust
from ablmargin.volume import Structure

NOTHING_FOUND = "Nothing that stands out was found there. Draw the long axis, or draw the contour."
LEAST_RIM = 0.35
"""A rim brighter than what lies beyond it by this share of the noise is told; only a reader knows whether it belongs."""
SMALLEST_RADIUS_MM = 3.8
LARGEST_SHARE = 1.1
MOST_RIVAL, LEAST_AGREEMENT = 0.6, 0.9
MOST_OFF_CENTER = 0.7
"""Readers click well inside; a click near the border of what was found points at something larger."""
MOST_SD_MM = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Border:
    """What the border must show at least."""

    contrast_to_noise: float
    edge_share: float
    distinction: float
    remedy: str


_WITH_AXIS = _Border(contrast_to_noise=0.7, edge_share=0.66, distinction=1.15, remedy="Mend the contour.")
_WITH_CLICK = _Border(
    contrast_to_noise=0.7, edge_share=0.66, distinction=0.9, remedy="Draw the long axis, or mend the contour."
)


def doubts_about_axis(trust: Trust) -> tuple[str, ...]:
    """Why what was found along a drawn axis can't be trusted; nothing if it can."""
    doubts = [*_border(trust, _WITH_AXIS)]
    if trust.sd_mm > MOST_SD_MM:
        doubts.append(
            f"The surface moves by {trust.sd_mm:.1f} mm where the axis is drawn a little differently; up to "
            f"{MOST_SD_MM} mm is usual. {_WITH_AXIS.remedy}"
        )
    return tuple(doubts)


def doubts_about_click(trust: Trust, structure: Structure, *, largest_mm: float) -> tuple[str, ...]:
    """Why what was found at a click can't be trusted; nothing if it can.

    Parameters
    ----------
    trust : Trust
    structure : Structure
        Around a zone a bright rim is no part of it.
    largest_mm : float
        The largest radius that was tried.
    """
    doubts = [*_border(trust, _WITH_CLICK), *_stability(trust), *_size(trust, largest_mm)]
    rim = trust.rim_hu / trust.noise_hu
    if structure is Structure.TUMOR and rim > LEAST_RIM:
        doubts.append(
            f"A rim lies around that differs by {abs(trust.rim_hu):.0f} HU from the tissue beyond it; whether it belongs to "
            "the tumor the image doesn't tell. Draw the long axis."
        )
    return tuple(doubts)


def _border(trust: Trust, least: _Border) -> Iterator[str]:
    if trust.contrast_to_noise < least.contrast_to_noise:
        yield (
            f"There is hardly any contrast: {abs(trust.contrast_hu):.0f} HU across the border in noise of {trust.noise_hu:.0f} HU. "
            f"{least.remedy}"
        )
    if trust.edge_share < least.edge_share:
        yield f"Only {100 * trust.edge_share:.0f} % of the border has an edge. {least.remedy}"
    if trust.distinction < least.distinction:
        yield (
            f"Inside and outside look alike: a log ratio of {trust.distinction:.1f} between their histograms, {least.distinction} "
            f"or more is usual. {least.remedy}"
        )


def _stability(trust: Trust) -> Iterator[str]:
    if trust.agreement < LEAST_AGREEMENT:
        yield (
            f"Clicks beside this one find something else: a mean Dice of {trust.agreement:.2f} with it. {_WITH_CLICK.remedy}"
        )
    if trust.rival > MOST_RIVAL:
        yield (
            f"Another size fits as well: it stands out {100 * trust.rival:.0f} % as much as the one chosen. "
            f"{_WITH_CLICK.remedy}"
        )


def _size(trust: Trust, largest_mm: float) -> Iterator[str]:
    if trust.radius_mm > LARGEST_SHARE * largest_mm:
        yield f"It is {2 * trust.radius_mm:.0f} mm wide, as large as anything that was tried. {_WITH_CLICK.remedy}"
    if trust.radius_mm < SMALLEST_RADIUS_MM:
        yield (
            f"It is only {2 * trust.radius_mm:.0f} mm wide and may be a part of something larger. {_WITH_CLICK.remedy}"
        )
    if trust.off_center > MOST_OFF_CENTER:
        yield (
            f"The click lies {100 * trust.off_center:.0f} % of the radius away from the center of what was found, which may be "
            f"a part of something larger. {_WITH_CLICK.remedy}"
        )
