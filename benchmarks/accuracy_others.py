"""The minimum margin on more unions than an installation is checked on, and on outlines drawn unevenly slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablmargin.cautions import too_small
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import Method, surface_of
from ablmargin.validation.jitter import MANNERS, Manner, jittered_mask
from ablmargin.validation.pairs import ALL_KINDS, KINDS, Kind, ShapePair, random_pair
from ablmargin.validation.sheet import (
    MAM_BIAS_LIMIT_MM,
    MAM_MAX_LIMITS_MM,
    MAM_P95_LIMITS_MM,
    SLICE_SPACINGS_MM,
    Spread,
)
from ablmargin.volume import LabelMask, Structure

OTHER_KINDS = tuple(kind for kind in ALL_KINDS if kind not in KINDS)
JITTER_SD_MM = 0.5
JITTER_SEED, OTHERS_SEED = 9, 7
WELL_BELOW = {1.0: 0.75, 2.0: 0.75}
"""Root mean square of the smooth surface's error, as a share of the voxels' own, that jittered outlines must keep."""

Masks = tuple[LabelMask, LabelMask]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Errors of one pair's minimum margin, estimate minus truth, mm; ``voxels_mm`` from the voxels' own surface."""

    kind: Kind
    manner: Manner | None
    slice_spacing_mm: float
    mam_mm: float
    voxels_mm: float


def other_rows(pairs: int) -> Iterator[Row]:
    """Of each kind of union, so many pairs at each slice spacing but for those with too few voxels there to be judged."""
    for number in range(pairs * len(OTHER_KINDS)):
        for pair, _ in _sampled(OTHER_KINDS[number % len(OTHER_KINDS)], number, OTHERS_SEED):
            masks = pair.tumor_mask, pair.zone_mask
            if not any(map(too_small, masks)):
                yield _row(pair, masks)


def jittered_rows(pairs: int) -> Iterator[Row]:
    """Of both manners of jitter, so many pairs at each slice spacing but for those with too few voxels; the kinds take turns.

    Truth is the even shape.
    """
    for number in range(pairs * len(MANNERS)):
        manner = MANNERS[number % len(MANNERS)]
        for pair, rng in _sampled(KINDS[number // len(MANNERS) % len(KINDS)], number, JITTER_SEED):
            tumor = jittered_mask(pair.tumor, pair.grid, Structure.TUMOR, rng, manner=manner, sd_mm=JITTER_SD_MM)
            zone = jittered_mask(pair.zone, pair.grid, Structure.ABLATION_ZONE, rng, manner=manner, sd_mm=JITTER_SD_MM)
            if not any(map(too_small, (tumor, zone))):
                yield _row(pair, (tumor, zone), manner=manner)


def print_others(rows: list[Row]) -> int:
    """Print a table; how many limits aren't met."""
    print("\nMore pairs of unions, error of the minimum margin, mm: p95 / largest / bias\n")
    print("| slices | " + " | ".join(OTHER_KINDS) + " | limits |\n" + "| --- " * (len(OTHER_KINDS) + 2) + "|")
    missed = 0
    for spacing in SLICE_SPACINGS_MM:
        spreads = [Spread.of([row.mam_mm for row in _at(rows, spacing) if row.kind == kind]) for kind in OTHER_KINDS]
        limits = (MAM_P95_LIMITS_MM["all"][spacing], MAM_MAX_LIMITS_MM.get(spacing, np.inf), MAM_BIAS_LIMIT_MM)
        missed += sum(one.p95 > limits[0] or one.largest > limits[1] or abs(one.bias) > limits[2] for one in spreads)
        print(f"| {spacing:g} mm | {' | '.join(map(_told, spreads))} | {' / '.join(f'{x:g}' for x in limits)} |")
    return missed


def print_jittered(rows: list[Row]) -> int:
    """Print a table; at how many slice spacings the smooth surface isn't well below the voxels' own."""
    print(f"\nEvery slice off by {JITTER_SD_MM:g} mm sd, error of the minimum margin, mm: root mean square / bias\n")
    print("| slices | manner | smooth surface | voxels' own surface |\n| --- | --- | --- | --- |")
    missed = 0
    for spacing in SLICE_SPACINGS_MM:
        for manner in MANNERS:
            own = [row for row in _at(rows, spacing) if row.manner == manner]
            print(f"| {spacing:g} mm | {manner} | {_square(own, 'mam_mm')} | {_square(own, 'voxels_mm')} |")
        smooth, voxels = (_rms([getattr(row, name) for row in _at(rows, spacing)]) for name in ("mam_mm", "voxels_mm"))
        missed += smooth > WELL_BELOW.get(spacing, np.inf) * voxels
    return missed


def _sampled(kind: Kind, number: int, seed: int) -> Iterator[tuple[ShapePair, np.random.Generator]]:
    """One pair of shapes on a grid of each slice spacing."""
    rng, oblique = np.random.default_rng([seed, number]), number // 4 % 2 == 1
    pair = random_pair(kind, rng, SLICE_SPACINGS_MM[0], oblique=oblique)
    for spacing in SLICE_SPACINGS_MM:
        yield pair.on_another_grid(rng, spacing, oblique=oblique), rng


def _row(pair: ShapePair, masks: Masks, *, manner: Manner | None = None) -> Row:
    return Row(
        kind=pair.kind,
        manner=manner,
        slice_spacing_mm=pair.grid.spacing_mm[0],
        mam_mm=_minimum_mm(masks, "spline") - pair.truth.mam_mm,
        voxels_mm=_minimum_mm(masks, "fast") - pair.truth.mam_mm,
    )


def _minimum_mm(masks: Masks, method: Method) -> float:
    tumor, zone = (surface_of(mask, method=method) for mask in masks)
    return measure_margin(tumor, zone).minimum_mm


def _at(rows: list[Row], spacing: float) -> list[Row]:
    return [row for row in rows if row.slice_spacing_mm == spacing]


def _told(spread: Spread) -> str:
    return f"{spread.p95:.2f} / {spread.largest:.2f} / {spread.bias:+.2f}"


def _rms(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _square(rows: list[Row], name: str) -> str:
    errors = [getattr(row, name) for row in rows]
    return f"{_rms(errors):.2f} / {np.mean(errors):+.2f}"
