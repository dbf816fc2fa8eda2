"""The secret of a batch that identifies nobody: where it lies travels to workers, the secret itself doesn't."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from pathlib import Path

from ablmargin.batch.manifest import Manifest, ManifestRow
from ablmargin.errors import UsageError
from ablmargin.pseudonyms import Pseudonyms, read_key

PATIENT_COLUMN = "patient_id"
"""The manifest's own column that names patients: its cells get stand-ins, all others stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A project's key by its place.

    ``mark`` tells it from other keys, and is of no use for finding it out.
    """

    path: Path
    mark: str

    @classmethod
    def at(cls, path: Path) -> KeyFile:
        """The key file at a path.

        Raises
        ------
        UsageError
            As :func:`ablmargin.pseudonyms.read_key`.
        """
        return cls(path=path.absolute(), mark=_mark(read_key(path)))

    def key(self) -> bytes:
        """Read it.

        Raises
        ------
        UsageError
            If it can't be read, or isn't the key that the batch was started with.
        """
        key = read_key(self.path)
        if not hmac.compare_digest(_mark(key), self.mark):
            raise UsageError(f"--deidentify-key {self.path.name}: it isn't the key that this batch was started with")
        return key


def without_patients(manifest: Manifest, key: bytes) -> Manifest:
    """The manifest with a stand-in for each patient of its column ``patient_id``: the same one for the same text.

    Examples
    --------
    >>> row = ManifestRow(case_id="c1", lesion_id="1", number=2, carried={"patient_id": "4711", "site": "north"})
    >>> told = without_patients(Manifest(cases=(), rows=(row,), carried_columns=("patient_id", "site")), bytes(16))
    >>> told.rows[0].carried
    {'patient_id': 'ANON-...', 'site': 'north'}
    """
    return replace(manifest, rows=tuple(_without_patient(row, key) for row in manifest.rows))


def _without_patient(row: ManifestRow, key: bytes) -> ManifestRow:
    named = row.carried.get(PATIENT_COLUMN)
    if not named:
        return row
    stand_in = Pseudonyms(key=key, subject=f"{PATIENT_COLUMN}\0{named}").name
    return replace(row, carried={**row.carried, PATIENT_COLUMN: stand_in})


def _mark(key: bytes) -> str:
    return hmac.digest(key, b"batch", "sha256").hex()
