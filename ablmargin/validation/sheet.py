"""The accuracy sheet: errors over many random pairs, and whether they keep within their limits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.progress import Progress, silent
from ablmargin.validation.measure import PairErrors, measure_pair
from ablmargin.validation.pairs import KINDS, SMOOTH_KINDS, Kind, random_pair

SLICE_SPACINGS_MM = (1.0, 2.0, 3.0, 5.0)
DEFAULT_PAIRS = 40
"""A slice spacing: ten of each kind, about half of them on oblique grids."""
GROUPS: dict[str, tuple[Kind, ...]] = {"smooth": SMOOTH_KINDS, "fused": ("fused",), "all": KINDS}

MAM_P95_LIMITS_MM = {
    "smooth": {1.0: 0.15, 2.0: 0.20, 3.0: 0.25, 5.0: 0.40},
    "all": {1.0: 0.30, 2.0: 0.50, 3.0: 0.60, 5.0: 0.75},
}
MAM_BIAS_LIMIT_MM = 0.1
MAM_MAX_LIMITS_MM = {5.0: 1.5}
MEAN_P95_LIMITS_MM = {1.0: 0.06}
SURFACE_SHARE_P95_LIMITS = {1.0: 0.02}
COVERAGE_MAX_LIMITS = {1.0: 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Signed errors in three figures: of their sizes the 95th percentile and the largest, and their mean."""

    p95: float
    largest: float
    bias: float

    @classmethod
    def of(cls, errors: Sequence[float]) -> Spread:
        """Sum up errors.

        Examples
        --------
        >>> Spread.of([-1.0, 0.5, 0.5])
        Spread(p95=0.95, largest=1.0, bias=0.0)
        """
        values = np.asarray(errors, float)
        sizes = np.abs(values)
        return cls(
            p95=round(float(np.quantile(sizes, 0.95)), 4),
            largest=round(float(sizes.max()), 4),
            bias=round(float(values.mean()), 4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure beside its limit. Figures count by their size, in mm or as a share."""

    name: str
    slice_spacing_mm: float
    measured: float
    limit: float

    @property
    def met(self) -> bool:
        return abs(self.measured) <= self.limit

    def __str__(self) -> str:
        return f"{self.name}, slices of {self.slice_spacing_mm:g} mm: {self.measured:.3f} (limit {self.limit:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracySheet:
    """What was measured, a row a pair and slice spacing."""

    rows: tuple[PairErrors, ...]
    seed: int
    elapsed_s: float

    @property
    def slice_spacings_mm(self) -> tuple[float, ...]:
        return tuple(sorted({row.slice_spacing_mm for row in self.rows}))

    def errors(self, name: str, slice_spacing_mm: float, group: str = "all") -> list[float]:
        """Errors of one estimate, named as in ``PairErrors``, for one slice spacing and group of shapes."""
        return [
            getattr(row, name)
            for row in self.rows
            if row.slice_spacing_mm == slice_spacing_mm and row.kind in GROUPS[group]
        ]

    def spread(self, name: str, slice_spacing_mm: float, group: str = "all") -> Spread:
        """The same errors in three figures."""
        return Spread.of(self.errors(name, slice_spacing_mm, group))

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every figure that has a limit."""
        return tuple(check for spacing in self.slice_spacings_mm for check in self._checks_at(spacing))

    @property
    def is_within_limits(self) -> bool:
        return all(check.met for check in self.checks)

    def _checks_at(self, spacing: float) -> Iterator[Check]:
        mam = self.spread("mam_mm", spacing)
        figures: list[tuple[str, float, float | None]] = [
            *(
                (f"minimum margin, {group} shapes, p95, mm", self.spread("mam_mm", spacing, group).p95, limits[spacing])
                for group, limits in MAM_P95_LIMITS_MM.items()
            ),
            ("minimum margin, all shapes, bias, mm", mam.bias, MAM_BIAS_LIMIT_MM),
            ("minimum margin, all shapes, largest error, mm", mam.largest, MAM_MAX_LIMITS_MM.get(spacing)),
            ("mean margin, p95, mm", self.spread("mean_mm", spacing).p95, MEAN_P95_LIMITS_MM.get(spacing)),
            (
                "shares of the surface, p95",
                self.spread("surface_share", spacing).p95,
                SURFACE_SHARE_P95_LIMITS.get(spacing),
            ),
            ("coverage, largest error", self.spread("coverage", spacing).largest, COVERAGE_MAX_LIMITS.get(spacing)),
        ]
        for name, measured, limit in figures:
            if limit is not None:
                yield Check(name=name, slice_spacing_mm=spacing, measured=measured, limit=limit)


def measure_accuracy(*, pairs: int = DEFAULT_PAIRS, seed: int = 0, progress: Progress = silent) -> AccuracySheet:
    """Measure random pairs of shapes at every slice spacing.

    Parameters
    ----------
    pairs : int
        A slice spacing. The kinds take turns, so 4 at least; every second four lie on oblique grids.
    seed : int
        A pair depends on it and on the pair's number alone, so more pairs only add to those of a smaller number.
    progress : Progress

    Returns
    -------
    AccuracySheet

    Raises
    ------
    ValueError
        If there are less pairs than kinds.
    """
    if pairs < len(KINDS):
        raise ValueError(f"at least {len(KINDS)} pairs are needed, one of each kind, not {pairs}")
    started, rows = time.perf_counter(), []
    for number in range(pairs):
        progress("measuring", number / pairs)
        rows += _rows(number, np.random.default_rng([seed, number]))
    progress("measuring", 1.0)
    return AccuracySheet(rows=tuple(rows), seed=seed, elapsed_s=time.perf_counter() - started)


def _rows(number: int, rng: np.random.Generator) -> list[PairErrors]:
    """One pair of shapes at every slice spacing, each time on another grid."""
    kind, oblique = KINDS[number % len(KINDS)], number // len(KINDS) % 2 == 1
    pair = random_pair(kind, rng, SLICE_SPACINGS_MM[0], oblique=oblique)
    grids = [pair.on_another_grid(rng, spacing, oblique=oblique) for spacing in SLICE_SPACINGS_MM]
    return [measure_pair(sampled, number=number, oblique=oblique) for sampled in grids]
