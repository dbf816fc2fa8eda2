"""What can go wrong, and how it is told.

::

    AblMarginError
    ├── UsageError             the call itself is wrong (exit 2)
    │   └── MissingExtraError  it asks for a package or for weights that aren't installed
    ├── InputError             an input is refused (exit 3), with every fault found in it
    │   ├── DicomError
    │   ├── GeometryMismatchError
    │   └── EmptyMaskError
    └── RegistrationError      no alignment could be computed at all

Libraries raise; only ``cli.main`` catches. Messages name files and DICOM attributes, never patients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHOWN_FAULTS = 50
"""Of a table's cells: a disk that isn't there makes every cell of a column one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with an input, told so that the reader can mend it.

    Parameters
    ----------
    code : str
        Stable upper-case name, for scripts: ``GEOM_GAP``.
    source : str
        The file, folder or option, as the user named it.
    found, expected : str
        What is there, and what should be.
    remedy : str
        What the reader can do about it, as a sentence.
    attribute : str, optional
        The DICOM attribute that is at fault: ``ImagePositionPatient (0020,0032)``.
    """

    code: str
    source: str
    found: str
    expected: str
    remedy: str
    attribute: str | None = None

    def __str__(self) -> str:
        where = self.source if self.attribute is None else f"{self.source}, {self.attribute}"
        return f"{self.code}: {where}: found {self.found}; expected {self.expected}. {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """Something that doesn't stop the work but that whoever reads the result must know."""

    code: str
    message: str


class AblMarginError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(AblMarginError, ValueError):
    """The call is wrong: an option is missing, contradicts another or names a place that can't be used."""


class MissingExtraError(UsageError, ImportError):
    """What was asked for needs an optional package, or files that the user has to place."""


class InputError(AblMarginError, ValueError):
    """An input is refused; ``faults`` holds everything that is wrong with it, in the order found."""

    def __init__(self, *faults: Fault) -> None:
        if not faults:
            raise TypeError("an InputError needs at least one Fault")
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class DicomError(InputError):
    """A DICOM series can't be read as one regular CT volume."""


class GeometryMismatchError(InputError):
    """Two inputs that must share a frame or overlap don't."""


class EmptyMaskError(InputError):
    """A mask has no voxel in it."""


class RegistrationError(AblMarginError, RuntimeError):
    """No alignment of the two images could be computed."""


def shortened(table: str, faults: Sequence[Fault]) -> Iterator[Fault]:
    """The first faults of a table, and how many more each of its columns has.

    A fault's column is its ``attribute``, or stands at the end of its ``source``: ``m.csv, row 3, column tumor``.
    """
    yield from faults[:SHOWN_FAULTS]
    others = faults[SHOWN_FAULTS:]
    if others:
        columns = Counter(fault.attribute or fault.source.partition(", column ")[2] for fault in others)
        told = ", ".join(f"{count} in {column}" for column, count in columns.most_common() if column)
        yield Fault(
            code=others[0].code,
            source=table,
            found=f"{len(others)} more faults" + (f" ({told})" if told else ""),
            expected="none",
            remedy="Mend those above first.",
        )


def printable(text: str) -> str:
    r"""Text with everything that isn't printable escaped, so that a name can't forge a line or color a terminal.

    Examples
    --------
    >>> printable("a\nb")
    'a\\nb'
    """
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
