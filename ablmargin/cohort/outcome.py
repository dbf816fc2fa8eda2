"""How margins go with local tumor progression: everything that follow-up can tell, and what it can't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.cohort.calibration import LEAST_EVENTS_OF_TWO, Calibration, calibrate
from ablmargin.cohort.cox import CoxModel, NoFitError, fit_cox
from ablmargin.cohort.flow import counted
from ablmargin.cohort.histories import Histories
from ablmargin.cohort.lesion import Lesion
from ablmargin.cohort.logrank import LogRank, logrank
from ablmargin.cohort.roc import Roc, roc_of, why_no_roc
from ablmargin.cohort.shares import LONG_UNSEEN_MONTHS, Share, share_until
from ablmargin.cohort.survival import Curve, at_risk, incidence, median_followup, progression
from ablmargin.geometry import FloatArray
from ablmargin.report.palette import BANDS, Band

HORIZON_MONTHS = 24.0
NARROW, A_MILLIMETER, MUTANT = "margin under 5 mm", "each mm of margin more", "RAS mutant"
FEW_EVENTS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BandOutcome:
    """The lesions of one band of margins: progression by Kaplan and Meier, and with death competing where deaths are told.

    ``at_risk`` are the lesions still followed at the times of the grid, ``at_horizon`` those at the horizon. The shares until
    the horizon are None where they aren't known.
    """

    band: Band
    lesions: int
    progressions: int
    deaths: int
    progression: Curve
    incidence: Curve | None
    progression_share: Share | None
    incidence_share: Share | None
    at_risk: tuple[int, ...]
    at_horizon: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A model that couldn't be fitted, by its terms, and why."""

    terms: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What follow-up told of the lesions with margins.

    ``roc`` and ``calibration`` are None where ``roc_reason`` and ``calibration_reason`` say why. ``grid_months`` are the
    times of the numbers at risk.
    """

    histories: Histories
    horizon_months: float
    grid_months: tuple[float, ...]
    median_months: float | None
    bands: tuple[BandOutcome, ...]
    deaths_told: bool
    logrank: LogRank | None
    models: tuple[CoxModel | Unfit, ...]
    roc: Roc | None
    roc_reason: str
    calibration: Calibration | None
    calibration_reason: str

    @property
    def deaths(self) -> int:
        return int(self.histories.died.sum())

    @property
    def unseen_deaths(self) -> int:
        """Of how many lesions the patients died long after the last imaging."""
        return int((self.histories.unseen_months > LONG_UNSEEN_MONTHS).sum())

    @property
    def has_few_events(self) -> bool:
        return self.histories.progressions < FEW_EVENTS


def outcome_of(lesions: Sequence[Lesion], *, horizon_months: float, seed: int, deaths_told: bool) -> Outcome | None:
    """Analyze lesions that have margin and follow-up; None if there is none."""
    if not lesions:
        return None
    histories = Histories.of(lesions)
    grid = _grid(histories)
    roc = roc_of(histories, horizon_months=horizon_months, given_mm=THRESHOLDS_MM, seed=seed)
    calibration, calibration_reason = _calibration(histories, horizon_months)
    return Outcome(
        histories=histories,
        horizon_months=horizon_months,
        grid_months=tuple(float(moment) for moment in grid),
        median_months=median_followup(histories),
        bands=tuple(_bands(histories, grid, horizon_months, deaths_told=deaths_told)),
        deaths_told=deaths_told,
        logrank=logrank(histories, histories.band) if histories.progressions >= FEW_EVENTS else None,
        models=tuple(_models(histories)),
        roc=roc,
        roc_reason=why_no_roc(histories, horizon_months),
        calibration=calibration,
        calibration_reason=calibration_reason,
    )


def _grid(histories: Histories) -> FloatArray:
    """Five or so round times up to the last."""
    last = float(histories.months.max())
    step = next((step for step in (1, 2, 3, 6, 12, 24, 60, 120) if last / step <= 6), 240)
    return np.arange(0.0, last + 1e-9, step)


def _bands(histories: Histories, grid: FloatArray, horizon_months: float, *, deaths_told: bool) -> list[BandOutcome]:
    members = [(band, histories.only(histories.band == place)) for place, band in enumerate(BANDS)]
    return [
        _band(band, inside, grid, horizon_months, deaths_told=deaths_told) for band, inside in members if len(inside)
    ]


def _band(band: Band, inside: Histories, grid: FloatArray, horizon_months: float, *, deaths_told: bool) -> BandOutcome:
    free, competing = progression(inside), incidence(inside) if deaths_told else None
    return BandOutcome(
        band=band,
        lesions=len(inside),
        progressions=inside.progressions,
        deaths=int(inside.died.sum()),
        progression=free,
        incidence=competing,
        progression_share=share_until(horizon_months, free, inside, deaths_compete=False),
        incidence_share=None
        if competing is None
        else share_until(horizon_months, competing, inside, deaths_compete=True),
        at_risk=tuple(at_risk(inside, grid)),
        at_horizon=int((inside.months >= horizon_months).sum()),
    )


def covariates_of(histories: Histories, names: Sequence[str]) -> Mapping[str, FloatArray]:
    """Covariates by their names, as the models take them."""
    known = {
        NARROW: (histories.margin_mm < THRESHOLDS_MM[0]).astype(np.float64),
        A_MILLIMETER: histories.margin_mm,
        MUTANT: histories.mutant.astype(np.float64),
    }
    return {name: known[name] for name in names}


def _models(histories: Histories) -> list[CoxModel | Unfit]:
    """Each covariate alone, then the margin together with RAS; lesions without known RAS status only where it isn't asked."""
    wanted = ((NARROW,), (A_MILLIMETER,), (MUTANT,), (NARROW, MUTANT), (A_MILLIMETER, MUTANT))
    return [_model(histories, names) for names in wanted]


def _model(histories: Histories, names: tuple[str, ...]) -> CoxModel | Unfit:
    chosen = histories.only(histories.mutant >= 0) if MUTANT in names else histories
    try:
        return fit_cox(chosen, covariates_of(chosen, names))
    except NoFitError as error:
        return Unfit(terms=names, reason=_reason(error, known=len(chosen), of=len(histories)))


def _reason(error: NoFitError, *, known: int, of: int) -> str:
    """Why a model can't be fitted, and that RAS status isn't known where that is part of it."""
    if not known:
        return "RAS status isn’t known of any lesion."
    return str(error) if known == of else f"{error} RAS status is known of {known:,} of {counted(of, 'lesion')}."


def _calibration(histories: Histories, horizon_months: float) -> tuple[Calibration | None, str]:
    known = histories.only(histories.mutant >= 0)
    enough = known.progressions >= LEAST_EVENTS_OF_TWO and len(np.unique(known.mutant)) == 2
    chosen, names = (known, (A_MILLIMETER, MUTANT)) if enough else (histories, (A_MILLIMETER,))
    try:
        return calibrate(chosen, covariates_of(chosen, names), horizon_months), ""
    except NoFitError as error:
        return None, str(error)
