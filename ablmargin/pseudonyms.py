"""What stands for a patient, a UID, a date and a hash where a result mustn't identify anybody.

Everything is derived from a secret key: with the same key the same input gets the same stand-in, so that the exams and the
results of a project still fit together; without the key nobody can tell from a UID whether a stand-in is its own. A plain
hash wouldn't do: whoever holds a list of UIDs or patient IDs finds the one that it was made from.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from ablmargin.errors import UsageError

KEY_BYTES = (16, 4096)
"""At least, so that nobody can guess it; at most, so that nobody names an image."""

MOST_DAYS_BACK = 1825
"""Five years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Stand-ins for one patient.

    Parameters
    ----------
    key : bytes
        The project's secret, see :func:`read_key`.
    subject : str
        What tells the patient from others, such as the patient ID: two exams with the same subject stay one patient's and
        keep their interval.

    Examples
    --------
    >>> one = Pseudonyms(key=b"sixteen bytes ..", subject="4711")
    >>> one.uid("1.2.3") == one.uid("1.2.3"), one.uid("1.2.3") == one.uid("1.2.4")
    (True, False)
    >>> one
    Pseudonyms(...)
    """

    key: bytes = field(repr=False)
    subject: str = field(repr=False)

    @property
    def name(self) -> str:
        """Stands for the patient's name and ID: ``ANON-`` and twelve hexadecimal digits."""
        return f"ANON-{self._mac('patient', self.subject).hex()[:12].upper()}"

    @property
    def days_back(self) -> int:
        """By how many whole days all dates of the patient move into the past: 1 to 1825. Times of day stay."""
        return int.from_bytes(self._mac("days", self.subject)[:8], "big") % MOST_DAYS_BACK + 1

    def uid(self, uid: str) -> str:
        """The UID that stands for a study's, series', image's or frame of reference's: ``2.25.`` and a UUID as a number (PS3.5 B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._mac('uid', uid)[:16], version=4).int}"

    def digest(self, sha256: str) -> str:
        """Stands for a hash: who holds the file can't tell any more that it was this one. 64 hexadecimal digits."""
        return self._mac("sha256", sha256).hex()

    def moment(self, iso: str) -> str | None:
        """A date, or date and time, in ISO 8601, moved by ``days_back``; None if it is no date."""
        try:
            return (date.fromisoformat(iso[:10]) - timedelta(days=self.days_back)).isoformat() + iso[10:]
        except (ValueError, OverflowError):
            return None

    def dicom_date(self, text: str) -> str:
        """A DICOM date, ``20260110``, moved by ``days_back``; "" if it is none."""
        moved = self.moment(f"{text[:4]}-{text[4:6]}-{text[6:]}") if len(text) == 8 else None
        return "" if moved is None else moved.replace("-", "")

    def _mac(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{text}".encode("utf-8", "surrogateescape"), "sha256")

    def __repr__(self) -> str:
        return "Pseudonyms(...)"


def read_key(path: Path | None) -> bytes:
    """A project's key from its file, or without one a new key that is forgotten after use.

    Raises
    ------
    UsageError
        If the file can't be read, or is shorter than 16 or longer than 4096 bytes.
    """
    if path is None:
        return secrets.token_bytes(32)
    try:
        with path.open("rb") as file:
            key = file.read(KEY_BYTES[1] + 1)
    except OSError as error:
        raise UsageError(f"--deidentify-key {path}: it can't be read ({error.strerror})") from error
    if not KEY_BYTES[0] <= len(key) <= KEY_BYTES[1]:
        raise UsageError(
            f"--deidentify-key {path}: expected {KEY_BYTES[0]} to {KEY_BYTES[1]} random bytes, such as those of "
            "head -c 32 /dev/urandom"
        )
    return key
