"""The followed lesions side by side, as arrays: what the statistics take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ablmargin.case import RasMutation
from ablmargin.cohort.lesion import Event, Lesion
from ablmargin.geometry import FloatArray
from ablmargin.report.palette import BAND_EDGES_MM

Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
CENSORED, PROGRESSED, DEAD = 0, 1, 2
_EVENT_CODES = {Event.NONE: CENSORED, Event.LTP: PROGRESSED, Event.DEATH: DEAD}
_RAS_CODES = {RasMutation.WILD_TYPE: 0, RasMutation.MUTANT: 1, RasMutation.UNKNOWN: -1}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histories:
    """Lesions with margin and follow-up, shape (n,) each.

    Parameters
    ----------
    months : ndarray of float
        From ablation to the progression, or to the last imaging without one.
    event : ndarray of int
        0 none, 1 local tumor progression, 2 death without one seen before.
    lived_months : ndarray of float
        From ablation to the death, or until when the patient is known to have lived; not below ``months``.
    margin_mm : ndarray of float
    mutant : ndarray of int
        1 mutant, 0 wild type, -1 not known.
    patient : ndarray of int
        The same number for the lesions of one patient.
    """

    months: FloatArray
    event: Codes
    lived_months: FloatArray
    margin_mm: FloatArray
    mutant: Codes
    patient: Codes

    @classmethod
    def of(cls, lesions: Sequence[Lesion]) -> Self:
        """Of lesions that all have findings and follow-up."""
        names = [lesion.patient_id for lesion in lesions]
        return cls(
            months=np.array([lesion.followed.months for lesion in lesions], dtype=np.float64),
            event=np.array([_EVENT_CODES[lesion.followed.event] for lesion in lesions], dtype=np.int64),
            lived_months=np.array([lesion.followed.lived_months for lesion in lesions], dtype=np.float64),
            margin_mm=np.array([lesion.measured.margin_mm for lesion in lesions], dtype=np.float64),
            mutant=np.array([_RAS_CODES[lesion.ras] for lesion in lesions], dtype=np.int64),
            patient=np.unique(names, return_inverse=True)[1].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.months)

    def only(self, chosen: Flags | Codes) -> Histories:
        """Some of the lesions: by a flag each, or by their indices, repeatedly if asked for."""
        return Histories(
            months=self.months[chosen],
            event=self.event[chosen],
            lived_months=self.lived_months[chosen],
            margin_mm=self.margin_mm[chosen],
            mutant=self.mutant[chosen],
            patient=self.patient[chosen],
        )

    @property
    def progressed(self) -> Flags:
        return np.asarray(self.event == PROGRESSED)

    @property
    def died(self) -> Flags:
        """Whose patients died without a progression seen before."""
        return np.asarray(self.event == DEAD)

    @property
    def unseen_months(self) -> FloatArray:
        """How long nobody looked before such a death; 0 for the others."""
        return np.where(self.died, self.lived_months - self.months, 0.0)

    @property
    def band(self) -> Codes:
        """The index of each lesion's band in ``palette.BANDS``."""
        return np.searchsorted(BAND_EDGES_MM, self.margin_mm, side="right").astype(np.int64)

    @property
    def patients(self) -> int:
        return len(np.unique(self.patient))

    @property
    def progressions(self) -> int:
        return int(self.progressed.sum())
