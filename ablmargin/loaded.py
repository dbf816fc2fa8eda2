"""An image as it came out of its files: voxels, what is known of their origin, and what to beware of."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np

from ablmargin.case import SeriesRecord
from ablmargin.errors import Caution, Fault
from ablmargin.geometry import Array
from ablmargin.volume import Volume

AIR_HU = -1024.0
"""What voxels outside the scanned circle are set to."""

_SALT = secrets.token_bytes(16)  # lives as long as the process: digests of two runs can't be compared
_PLAUSIBLE_HU = (-4000.0, 20000.0)
_FEWEST_VALUES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDigest:
    """Who was scanned, as salted hashes: good for telling two patients apart, useless for naming one.

    None stands for an attribute that is absent or empty. The hashes stay out of ``repr``.
    """

    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None

    @classmethod
    def of(cls, *, patient_id: str, birth_date: str, sex: str) -> PatientDigest:
        """Hash the three attributes; empty text becomes None.

        Examples
        --------
        >>> one = PatientDigest.of(patient_id="A1", birth_date="", sex="F")
        >>> one.differences(PatientDigest.of(patient_id="A2", birth_date="19500101", sex="F"))
        ('PatientID',)
        """
        return cls(patient_id=_digest(patient_id), birth_date=_digest(birth_date), sex=_digest(sex))

    @property
    def is_unknown(self) -> bool:
        """Whether there is no PatientID, so that nothing can be verified."""
        return self.patient_id is None

    def differences(self, other: PatientDigest) -> tuple[str, ...]:
        """Names of the DICOM attributes that both know and that differ."""
        pairs = (
            ("PatientID", self.patient_id, other.patient_id),
            ("PatientBirthDate", self.birth_date, other.birth_date),
            ("PatientSex", self.sex, other.sex),
        )
        return tuple(name for name, mine, yours in pairs if mine and yours and mine != yours)

    def __repr__(self) -> str:
        return "PatientDigest(...)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedImage:
    """A CT volume with its record, the cautions of loading it, and whose it is (None where files don't say)."""

    volume: Volume
    record: SeriesRecord
    cautions: tuple[Caution, ...] = ()
    identity: PatientDigest | None = None


def hu_faults(voxels_hu: Array, source: str) -> tuple[Fault, ...]:
    """Faults of values that can't be Hounsfield units of a body.

    Three rules on every fourth voxel along each axis: 99 % of the values within -4000..20000 HU; no mask, which has a
    few values and none below 0; and not the histogram of a CT whose offset of 1024 was lost, where air lies at 0, water
    at 1000 and nothing below -500.
    """
    sample = voxels_hu[:: min(4, voxels_hu.shape[0]), ::4, ::4]
    low, high = np.percentile(sample, (0.5, 99.5))
    if low < _PLAUSIBLE_HU[0] or high > _PLAUSIBLE_HU[1]:
        return (_implausible(source, f"values from {low:.0f} to {high:.0f} (0.5th and 99.5th percentile)"),)
    if sample.min() >= 0 and len(np.unique(sample)) < _FEWEST_VALUES:
        return (_implausible(source, f"only {len(np.unique(sample))} different values and no air, as in a mask"),)
    if sample.min() > -500 and np.mean((sample > 850) & (sample < 1350)) > 0.1:
        return (_implausible(source, "soft tissue near 1000 and no air near -1000: values look offset by about 1024"),)
    return ()


def _implausible(source: str, found: str) -> Fault:
    return Fault(
        code="HU_IMPLAUSIBLE",
        source=source,
        found=found,
        expected="Hounsfield units: air near -1000, water near 0",
        remedy="Export the series again from the scanner or PACS, with its original pixel values and rescale.",
        attribute=None,
    )


def _digest(text: str) -> str | None:
    plain = text.strip().casefold()
    return (
        hashlib.blake2b(plain.encode("utf-8", "surrogateescape"), key=_SALT, digest_size=16).hexdigest()
        if plain
        else None
    )
