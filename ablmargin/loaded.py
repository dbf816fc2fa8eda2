"""An image as it came out of its files: voxels, what is known of their origin, and what to beware of."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablmargin.case import SeriesRecord
from ablmargin.errors import Caution, Fault, InputError
from ablmargin.geometry import Array
from ablmargin.hazards import sifted
from ablmargin.volume import Volume

AIR_HU = -1024.0
"""What voxels outside the scanned circle are set to."""

_SALT = secrets.token_bytes(16)  # lives as long as the process: digests of two runs can't be compared
_PLAUSIBLE_HU = (-4000.0, 20000.0)
_FEWEST_VALUES = 8
_AIR_BELOW_HU, _FAT_HU, _TISSUE_HU, _BONE_HU = -500.0, -140.0, (-200.0, 300.0), (850.0, 1350.0)
_AIRY_BELOW_HU, _LUNG_HU, _ONE_LEVEL_HU = -300.0, (-850.0, -650.0), 25.0
_PADDING_APART_HU = 100.0
_AIR_HU = (-1050.0, -950.0)
_FAT_AT_MOST_HU, _ORGAN_HU = -60.0, (30.0, 250.0)
_FEW = 1e-3
_NOBODY = {
    *("a", "anon", "anonym", "anonymised", "anonymized", "anonymous", "available", "de", "deidentified", "dummy", "id"),
    *("identified", "n", "na", "name", "no", "noid", "none", "noname", "not", "null", "patient", "removed", "test"),
    *("unknown", "xxx"),
}
"""Text of nothing but these words names nobody: ``not available``, ``Anonymous^Patient``."""
_COUNTED = {"0123456789"[:end] for end in range(7, 11)} | {"1234567890"[:end] for end in range(6, 11)}
_FEWEST_REPEATED = 4
_BETWEEN_WORDS = re.compile(r"[\s^=_\-./,]+")
_PLACEHOLDER_SIGNS = set("0x-._*#^ ")
_PLACEHOLDER_DATES = {"19000101", "00010101"}
_ATTRIBUTES = ("patient_id", "birth_date", "sex", "name", "issuer")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDigest:
    """Who was scanned, as salted hashes: good for telling two patients apart, useless for naming one.

    None stands for an attribute that is absent, empty or filled with a word, a number or a date that de-identification puts
    there (``ANONYMOUS``, ``0000``, ``123456``, ``19000101``, sex ``O``): it would make one patient of all. Nothing of it stands in
    ``repr``. ``issuer`` is whose numbers ``patient_id`` is one of. ``plain_id`` is the ID itself, folded, for :meth:`keyed` alone.
    """

    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    name: str | None = None
    issuer: str | None = None
    plain_id: str = ""

    @classmethod
    def of(cls, *, patient_id: str, birth_date: str, sex: str, name: str = "", issuer: str = "") -> PatientDigest:
        """Hash the attributes; empty text becomes None. The order of a name's parts, their case and accents don't count.

        Examples
        --------
        >>> one = PatientDigest.of(patient_id="A1", birth_date="", sex="F")
        >>> one.differences(PatientDigest.of(patient_id="A2", birth_date="19500101", sex="F"))
        ('PatientID',)
        """
        plain_id, day = _folded(patient_id), birth_date.strip().replace(".", "").replace("-", "")
        return cls(
            patient_id=_digest(plain_id),
            plain_id=plain_id,
            birth_date=_digest("" if day in _PLACEHOLDER_DATES else day),
            sex=_digest(sex if sex.strip().upper() in {"M", "F"} else ""),
            name=_digest(" ".join(sorted(_words(_without_accents(_folded(name)))))),
            issuer=_digest(issuer),
        )

    @classmethod
    def joined(cls, patients: Iterable[PatientDigest]) -> PatientDigest:
        """What is known of one patient from several files: of each attribute the first that isn't None."""
        known = [*patients]
        values = {name: next((value for one in known if (value := getattr(one, name))), None) for name in _ATTRIBUTES}
        return cls(**values, plain_id=next((one.plain_id for one in known if one.plain_id), ""))

    @property
    def is_unknown(self) -> bool:
        """Whether there is no PatientID, so that nothing can be verified."""
        return self.patient_id is None

    def keyed(self, key: bytes) -> str | None:
        """The PatientID hashed with a secret key, the same in every run; None if it isn't known."""
        if not self.plain_id:
            return None
        return hmac.digest(key, self.plain_id.encode("utf-8", "surrogateescape"), "sha256").hex()

    def differences(self, other: PatientDigest) -> tuple[str, ...]:
        """Names of the DICOM attributes that both know, that differ, and that no misspelling explains."""
        compared = {"patient_id": "PatientID", "birth_date": "PatientBirthDate", "sex": "PatientSex"}
        return tuple(keyword for name, keyword in compared.items() if self._differs(other, name))

    def has_other_name(self, other: PatientDigest) -> bool:
        """Whether both names are known and differ: another patient, or one who was misspelled or married."""
        return self._differs(other, "name")

    def has_other_issuer(self, other: PatientDigest) -> bool:
        """Whether the IDs come from two institutions, so that the same one may be two patients'."""
        return self._differs(other, "issuer")

    def _differs(self, other: PatientDigest, name: str) -> bool:
        mine, yours = getattr(self, name), getattr(other, name)
        return bool(mine and yours and mine != yours)

    def __repr__(self) -> str:
        return "PatientDigest(...)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedImage:
    """A CT volume with its record, the cautions of loading it, whose it is and how the patient lay (None where files don't say).

    ``patient_position`` as in DICOM: HFS is head first, supine. ``source`` is the folder or file that was named.
    """

    volume: Volume
    record: SeriesRecord
    cautions: tuple[Caution, ...] = ()
    identity: PatientDigest | None = None
    patient_position: str | None = None
    source: Path | None = None


def loaded_volume(volume: Volume, *, name: str, accepted: Collection[str] = ()) -> LoadedImage:
    """A volume as if it came from a file that tells nothing else. ``accepted`` may hold HU_IMPLAUSIBLE.

    Raises
    ------
    InputError
        If its values can't be HU.
    """
    faults, taken = sifted(hu_faults(volume.voxels_hu, name), accepted)
    if faults:
        raise InputError(*faults)
    digest = hashlib.sha256(repr(volume.geometry).encode())
    digest.update(np.ascontiguousarray(volume.voxels_hu).data)
    record = SeriesRecord(slices=volume.geometry.shape[0], sha256=digest.hexdigest(), name=name)
    return LoadedImage(volume=volume, record=record, cautions=tuple(taken))


def hu_faults(
    voxels_hu: Array, source: str, *, without_hu: float | None = None, told_by: str | None = None
) -> tuple[Fault, ...]:
    """Faults of values that can't be Hounsfield units of a body, by every fourth voxel along each axis.

    Parameters
    ----------
    without_hu : float, optional
        A value that stands for what wasn't scanned and says nothing.
    told_by : str, optional
        The DICOM attribute that is to blame.
    """
    sample = voxels_hu[:: min(4, voxels_hu.shape[0]), ::4, ::4]
    sample = sample if without_hu is None else sample[sample != without_hu]
    found = _oddity(sample) if sample.size else "nothing that was scanned"
    return () if found is None else (_implausible(source, found, told_by),)


def _oddity(sample: Array) -> str | None:
    """Why values can't be those of a body with or without air around it, in words."""
    low, high = np.percentile(sample, (0.5, 99.5))
    lowest = sample.min()
    if low < _PLAUSIBLE_HU[0] or high > _PLAUSIBLE_HU[1]:
        return f"values from {low:.0f} to {high:.0f} (0.5th and 99.5th percentile)"
    if lowest >= 0 and len(np.unique(sample)) < _FEWEST_VALUES:
        return f"only {len(np.unique(sample))} different values and no air, as in a mask"
    has_air = np.mean(sample < _AIR_BELOW_HU) > _FEW
    if np.mean((sample > _BONE_HU[0]) & (sample < _BONE_HU[1])) > 0.1:
        return "a tenth of all values or more near 1000, where only bone lies: values look offset by about 1024, or inverted"
    if np.mean((sample > _TISSUE_HU[0]) & (sample < _TISSUE_HU[1])) < 0.01:
        return "nothing near 0, where soft tissue and fat lie: values look offset or scaled"
    if not has_air and lowest > _FAT_HU and np.mean(sample == lowest) > 0.05:
        return f"values cut off at {lowest:.4g}, without air and fat: a windowed or normalized picture"
    return _scaling(sample)


def _scaling(sample: Array) -> str | None:
    """Whether values look like Hounsfield units times a factor below 1, in words.

    Lung may be all the air there is, and a phantom may be of water alone; neither lies where scaled air and tissue do.
    """
    filled = sample[sample > _AIR_BELOW_HU]
    if np.mean((filled > _TISSUE_HU[0]) & (filled < _TISSUE_HU[1])) < 0.5:
        return "most of what isn't air far from 0, where soft tissue and fat lie: values look offset or scaled"
    airy = _without_padding(sample[sample < _AIRY_BELOW_HU])
    if airy.size < _FEW * sample.size and _lacks_soft_tissue(sample):
        return "much near -100, where fat lies, and hardly any soft tissue: values look scaled"
    if airy.size < 0.02 * sample.size:
        return None
    level = float(np.median(airy))
    is_one_level = np.mean(np.abs(airy - level) < _ONE_LEVEL_HU) > 0.6
    if level > _LUNG_HU[1] and is_one_level and np.mean(airy < _LUNG_HU[0]) < 0.01:
        return f"air near {level:.0f}: values look scaled"
    return None


def _without_padding(values: Array) -> Array:
    """Values but the lowest one, if it lies far below all others and isn't air itself, as in a picture without noise."""
    lowest = values.min(initial=0)
    if _AIR_HU[0] < lowest < _AIR_HU[1]:
        return values
    others = values[values > lowest]
    return others if others.min(initial=0) > lowest + _PADDING_APART_HU else values


def _lacks_soft_tissue(sample: Array) -> bool:
    """Whether a tenth lies where fat does, or lower, and hardly anything where organs and muscle do."""
    organs = np.mean((sample > _ORGAN_HU[0]) & (sample < _ORGAN_HU[1]))
    return bool(np.mean(sample < _FAT_AT_MOST_HU) > 0.1 and organs < 0.05)


def _implausible(source: str, found: str, told_by: str | None) -> Fault:
    return Fault(
        code="HU_IMPLAUSIBLE",
        source=source,
        found=found,
        expected="Hounsfield units: air near -1000, water near 0",
        remedy="Export the series again from the scanner or PACS, with its original pixel values and rescale.",
        attribute=told_by,
    )


def _folded(text: str) -> str:
    """Text without case and outer spaces; "" if it only fills a place."""
    plain = text.strip().casefold()
    is_repeated = plain.isdigit() and len(set(plain)) == 1 and len(plain) >= _FEWEST_REPEATED
    is_filler = set(plain) <= _PLACEHOLDER_SIGNS or is_repeated or plain in _COUNTED or set(_words(plain)) <= _NOBODY
    return "" if is_filler else plain


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text) if word]


def _without_accents(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _digest(text: str) -> str | None:
    plain = _folded(text)
    if not plain:
        return None
    return hashlib.blake2b(plain.encode("utf-8", "surrogateescape"), key=_SALT, digest_size=16).hexdigest()
