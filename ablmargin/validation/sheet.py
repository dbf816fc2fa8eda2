"""The accuracy sheet: errors over many random pairs, and whether they keep within their limits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ablmargin.progress import Progress, silent
from ablmargin.validation.measure import PairErrors, measure_pair
from ablmargin.validation.pairs import ALL_KINDS, CREASED_KINDS, SMOOTH_KINDS, Kind, random_pair

SLICE_SPACINGS_MM = (1.0, 2.0, 3.0, 5.0)
DEFAULT_PAIRS = 40
"""A slice spacing: six or seven of each kind, about half of them on oblique grids."""
LEAST_PAIRS = len(SMOOTH_KINDS) + 1
"""So many that a shape with a crease is among them."""
GROUPS: dict[str, tuple[Kind, ...]] = {"smooth": SMOOTH_KINDS, "creases": CREASED_KINDS, "all": ALL_KINDS}
GROUP_TITLES = {"smooth": "smooth shapes", "creases": "shapes with creases", "all": "all shapes"}

Unit = Literal["mm", "share"]

MAM_P95_LIMITS_MM = {
    "smooth": {1.0: 0.15, 2.0: 0.20, 3.0: 0.25, 5.0: 0.40},
    "all": {1.0: 0.30, 2.0: 0.50, 3.0: 0.60, 5.0: 0.75},
}
MAM_BIAS_LIMIT_MM = 0.1
MAM_MAX_LIMITS_MM = {5.0: 1.5}


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
class Limited:
    """A figure of a :class:`Spread` that has limits, by slice spacing in mm."""

    name: str
    errors: str
    figure: Literal["p95", "largest", "bias"]
    limits: Mapping[float, float]
    group: str = "all"
    unit: Unit = "mm"


LIMITED = (
    *(
        Limited(
            name=f"minimum margin, {GROUP_TITLES[group]}, p95",
            errors="mam_mm",
            figure="p95",
            limits=limits,
            group=group,
        )
        for group, limits in MAM_P95_LIMITS_MM.items()
    ),
    Limited(
        name="minimum margin, all shapes, bias",
        errors="mam_mm",
        figure="bias",
        limits=dict.fromkeys(SLICE_SPACINGS_MM, MAM_BIAS_LIMIT_MM),
    ),
    Limited(
        name="minimum margin, all shapes, largest error", errors="mam_mm", figure="largest", limits=MAM_MAX_LIMITS_MM
    ),
    Limited(name="mean margin, p95", errors="mean_mm", figure="p95", limits={1.0: 0.06}),
    Limited(name="shares of the surface, p95", errors="surface_share", figure="p95", limits={1.0: 0.02}, unit="share"),
    Limited(name="coverage, largest error", errors="coverage", figure="largest", limits={1.0: 0.01}, unit="share"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure beside its limit. Figures count by their size, in mm or as a share of 0..1."""

    name: str
    unit: Unit
    slice_spacing_mm: float
    measured: float
    limit: float

    @property
    def met(self) -> bool:
        return abs(self.measured) <= self.limit

    def __str__(self) -> str:
        where = f"slices of {self.slice_spacing_mm:g} mm"
        return f"{self.name}, {where}: {told(self.measured, self.unit)} (limit {told(self.limit, self.unit)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracySheet:
    """What was measured.

    Parameters
    ----------
    rows : tuple of PairErrors
        One a pair and slice spacing.
    seed : int
    elapsed_s : float
    left_out_mm : tuple of float
        The slice spacing of each pair that has too few voxels there to be judged, and so no row.
    """

    rows: tuple[PairErrors, ...]
    seed: int
    elapsed_s: float
    left_out_mm: tuple[float, ...] = ()

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

    def spread(self, name: str, slice_spacing_mm: float, group: str = "all") -> Spread | None:
        """The same errors in three figures; None if there are none."""
        errors = self.errors(name, slice_spacing_mm, group)
        return Spread.of(errors) if errors else None

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every figure that has a limit."""
        return tuple(check for spacing in self.slice_spacings_mm for check in self._checks_at(spacing))

    @property
    def is_within_limits(self) -> bool:
        return all(check.met for check in self.checks)

    def _checks_at(self, spacing: float) -> Iterator[Check]:
        for limited in LIMITED:
            limit, spread = limited.limits.get(spacing), self.spread(limited.errors, spacing, limited.group)
            if limit is not None and spread is not None:
                yield Check(
                    name=limited.name,
                    unit=limited.unit,
                    slice_spacing_mm=spacing,
                    measured=getattr(spread, limited.figure),
                    limit=limit,
                )


def measure_accuracy(*, pairs: int = DEFAULT_PAIRS, seed: int = 0, progress: Progress = silent) -> AccuracySheet:
    """Measure random pairs of shapes at every slice spacing.

    Parameters
    ----------
    pairs : int
        A slice spacing. The kinds take turns, so that 4 at least hold a crease; every second six lie on oblique grids.
    seed : int
        A pair depends on it and on the pair's number alone, so more pairs only add to those of a smaller number.
    progress : Progress

    Returns
    -------
    AccuracySheet

    Raises
    ------
    ValueError
        If there are less than 4 pairs.
    """
    if pairs < LEAST_PAIRS:
        raise ValueError(f"at least {LEAST_PAIRS} pairs are needed, for shapes with creases among them, not {pairs}")
    started, rows, left_out = time.perf_counter(), [], []
    for number in range(pairs):
        progress("measuring", number / pairs)
        for spacing, row in _rows(number, np.random.default_rng([seed, number])):
            if row is None:
                left_out.append(spacing)
            else:
                rows.append(row)
    progress("measuring", 1.0)
    return AccuracySheet(
        rows=tuple(rows), seed=seed, elapsed_s=time.perf_counter() - started, left_out_mm=tuple(left_out)
    )


def told(figure: float, unit: Unit) -> str:
    """A figure for people.

    Examples
    --------
    >>> told(-0.0123, "mm"), told(0.0123, "share")
    ('-0.012 mm', '1.2 %')
    """
    return f"{figure:.3f} mm" if unit == "mm" else f"{100 * figure:.1f} %"


def _rows(number: int, rng: np.random.Generator) -> Iterator[tuple[float, PairErrors | None]]:
    """One pair of shapes at every slice spacing, each time on another grid; None where it has too few voxels."""
    kind, oblique = ALL_KINDS[number % len(ALL_KINDS)], number // len(ALL_KINDS) % 2 == 1
    pair = random_pair(kind, rng, SLICE_SPACINGS_MM[0], oblique=oblique)
    for spacing in SLICE_SPACINGS_MM:
        sampled = pair.on_another_grid(rng, spacing, oblique=oblique)
        yield spacing, measure_pair(sampled, number=number, oblique=oblique)
