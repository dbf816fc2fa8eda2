"""One lesion of a cohort: what became of it, what was measured, and what follow-up told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import Verdict
from ablmargin.report.palette import BAND_EDGES_MM, BANDS, Band


class State(StrEnum):
    """What became of a lesion of the manifest."""

    MEASURED = "measured"
    WITHHELD = "withheld"
    FAILED = "failed"


class Event(StrEnum):
    """How a lesion's follow-up ended."""

    NONE = "none"
    LTP = "ltp"
    DEATH = "death"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The measurement of one lesion. Lengths in mm, shares 0..1; None where not known.

    Parameters
    ----------
    margin_mm : float
        The minimum margin that the verdict is about: within the liver for a subcapsular tumor, else the plain minimum.
    lower_mm, upper_mm : float, optional
        Its one-sided 95 % bounds.
    plain_mm : float
        The minimum with nothing excluded.
    required_mm : float
        What the patient's RAS status asks for.
    by_threshold : mapping of mm to Verdict
    diameter_mm : float
        Of the ball with the tumor's volume.
    surface_share : tuple of float
        Of the tumor's surface in each of ``palette.BANDS``.
    coverage : mapping of mm to float
        Share of the tumor, grown by so many mm, that was ablated.
    quality : str, optional
        Of the registration: good, doubtful, failed.
    sd_mm : float, optional
        The registration's local error at the tumor.
    reviewed : bool, optional
        Whether a reader made or reviewed the tumor's and the zone's outlines.
    reason_codes : tuple of str
        Why the verdict is what it is, see :mod:`ablmargin.reasons`; none in tables from before codes.
    """

    margin_mm: float
    lower_mm: float | None
    upper_mm: float | None
    plain_mm: float
    required_mm: float
    verdict: Verdict
    by_threshold: Mapping[float, Verdict]
    subcapsular: bool | None
    segment: str | None
    diameter_mm: float | None
    surface_share: tuple[float, ...] | None
    coverage: Mapping[int, float]
    quality: str | None
    sd_mm: float | None
    reviewed: bool | None
    reason_codes: tuple[str, ...]

    @property
    def band(self) -> Band:
        return BANDS[sum(self.margin_mm >= edge for edge in BAND_EDGES_MM)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What is known of a lesion's site, and of the patient, after ablation.

    Parameters
    ----------
    months : float
        From ablation to the progression, or to the last imaging without one. Behind it, nobody looked.
    event : Event
        LTP, else DEATH if the patient died without a progression seen before, else NONE.
    died : bool, optional
        Whether the patient died, progression or not; None if not told.
    lived_months : float
        From ablation to the death, or until when the patient is known to have lived; not below ``months``.
    """

    months: float
    event: Event
    died: bool | None
    lived_months: float

    @property
    def died_months(self) -> float | None:
        """When the patient died; None if that isn't told, as beside a progression without a time of death."""
        is_told = self.died and (self.event is Event.DEATH or self.lived_months > self.months)
        return self.lived_months if is_told else None

    @property
    def unseen_months(self) -> float:
        """How long nobody looked before a patient died without progression; 0 if that isn't how it ended."""
        return self.lived_months - self.months if self.event is Event.DEATH else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One row of a batch's results; ``code`` is that of a failure, ``findings`` None unless measured.

    ``own`` are the manifest's columns that this software doesn't know, as text.
    """

    case_id: str
    lesion_id: str
    patient_id: str
    state: State
    code: str
    ras: RasMutation
    findings: Findings | None
    followup: FollowUp | None
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> Findings:
        """The findings of a lesion that is known to have them."""
        if self.findings is None:
            raise ValueError(f"lesion {self.lesion_id} of {self.case_id} wasn't measured")
        return self.findings

    @property
    def followed(self) -> FollowUp:
        """The follow-up of a lesion that is known to have one."""
        if self.followup is None:
            raise ValueError(f"lesion {self.lesion_id} of {self.case_id} has no follow-up")
        return self.followup


def ball_diameter_mm(volume_ml: float) -> float:
    """Diameter of the ball with a volume.

    >>> round(ball_diameter_mm(0.5236), 2)
    10.0
    """
    return math.cbrt(6000.0 * volume_ml / math.pi)
