"""From results to their comparison, as notebooks and the command line have it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablmargin.agreement.comparison import Comparison, compare_readings
from ablmargin.agreement.page import pictures_of, save_comparison
from ablmargin.agreement.readings import LesionKey, Reading, Readings
from ablmargin.agreement.record import comparison_record
from ablmargin.agreement.text import comparison_text
from ablmargin.clinical.criteria import THRESHOLDS_MM
from ablmargin.errors import Fault, InputError, UsageError, printable
from ablmargin.results.files import Source, read_results
from ablmargin.results.fromframe import rows_of_frame
from ablmargin.results.origin import Origin
from ablmargin.results.rows import ResultRows, all_or_faults

if TYPE_CHECKING:
    from pandas import DataFrame

_TABLE_NAMES = {"results", "result"}
_SHOWN_LESIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Comparison):
    """A comparison that prints, shows and saves itself: ``print`` gives tables, a notebook the plots as well."""

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; see docs/compare.md."""
        return comparison_record(self)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write page, plots and tables into a new folder and return its path.

        UsageError if it holds something, unless ``overwrite``, which keeps the old one beside it as ``<folder>.previous-<n>``.
        """
        save_comparison(self, Path(folder), overwrite=overwrite)
        return Path(folder)

    def __str__(self) -> str:
        return comparison_text(self)

    def _repr_html_(self) -> str:
        """Plots, then the tables."""
        pictures = "".join(
            f'<p><img src="{picture.uri}" alt="{picture.alternative}" style="width:100%;max-width:900px;background:white"></p>'
            for picture in pictures_of(self)
        )
        return f"{pictures}<pre>{escape(str(self))}</pre>"


def compare(results: Sequence[Source | DataFrame], *, names: Sequence[str] | None = None, seed: int = 0) -> Agreement:
    """Compare readers, programs or versions over the same lesions.

    Parameters
    ----------
    results : sequence of paths or DataFrames, two or more
        One a reader: whatever :func:`ablmargin.load_results` reads, or its table. A table of another program needs the
        columns ``case_id``, ``lesion_id`` and ``mam_mm``; ``verdict`` if it gives one; ``patient_id`` if patients have several cases.
    names : sequence of str, optional
        What the readers are called, else their folders and files.
    seed : int
        Of the bootstrap where patients have several lesions.

    Raises
    ------
    InputError
        As load_results does, and COMPARE_NO_MARGIN, COMPARE_NO_COMMON_LESION and COMPARE_PATIENTS.
    UsageError
        For a single result, or names that don't fit.

    References
    ----------
    docs/compare.md
    """
    if len(results) < 2:
        raise UsageError("a comparison needs two results or more")
    called = _names(results, names)
    pairs = zip(called, results, strict=True)
    readings = all_or_faults([_Reader(name, result) for name, result in pairs])
    comparison = compare_readings(readings, seed=seed)
    if not comparison.lesions:
        raise InputError(_nothing_common(readings))
    return Agreement(**{field.name: getattr(comparison, field.name) for field in fields(Comparison)})


class _Reader:
    """A call that reads one result; it raises InputError with the name in it."""

    def __init__(self, name: str, result: Source | DataFrame) -> None:
        self.name, self.result = name, result

    def __call__(self) -> Readings:
        found = _rows(self.result, self.name)
        lesions = {_key(row): reading_of(row) for row in found.rows}
        if all(reading.margin_mm is None for reading in lesions.values()):
            raise InputError(_without_margins(self.name, len(lesions)))
        return Readings(name=self.name, lesions=lesions, origin=_origin(self.result, found))


def reading_of(row: Mapping[str, Any]) -> Reading:
    """What a row of results says about its lesion."""
    constrained = row.get("bounds_of") == "mam_constrained_mm"
    verdicts = {mm: row.get(f"verdicts_by_threshold_{mm:g}") for mm in THRESHOLDS_MM}
    return Reading(
        margin_mm=row.get("mam_mm"),
        judged_mm=row.get("mam_constrained_mm" if constrained else "mam_mm"),
        lower_mm=row.get("mam_lower_mm"),
        upper_mm=row.get("mam_upper_mm"),
        required_mm=row.get("required_margin_mm"),
        verdict=row.get("verdict"),
        by_threshold={mm: verdict for mm, verdict in verdicts.items() if verdict is not None},
        missing=row.get("error_code") or ("registration failed" if row.get("status") == "withheld" else "no margin"),
        patient_id=row.get("patient_id") or None,
    )


def _rows(result: Source | DataFrame, name: str) -> ResultRows:
    if isinstance(result, str | os.PathLike):
        return read_results(result)
    lacking = {"case_id", "lesion_id", "mam_mm"} - set(result.columns)
    if lacking:
        raise UsageError(f"a table to compare needs the columns {', '.join(sorted(lacking))}")
    return rows_of_frame(result, name=name)


def _origin(result: Source | DataFrame, found: ResultRows) -> Origin | None:
    return Origin.of(Path(result), found.files) if isinstance(result, str | os.PathLike) else None


def _key(row: Mapping[str, Any]) -> LesionKey:
    return row["case_id"], row["lesion_id"]


def _names(results: Sequence[Source | DataFrame], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        usual = tuple(_usual_name(result) for result in results)
        if all(usual) and len(set(usual)) == len(usual):
            return usual
        return tuple(f"reader {number}" for number in range(1, len(results) + 1))
    given = tuple(printable(name.strip()) for name in names)
    if len(given) != len(results):
        raise UsageError(f"{len(results)} results need as many names, not {len(given)}")
    if not all(given) or len(set(given)) < len(given):
        raise UsageError("every reader needs a name of its own")
    return given


def _usual_name(result: Source | DataFrame) -> str:
    """That of the folder or the file; of the folder for a file that is called like all of its kind."""
    if not isinstance(result, str | os.PathLike):
        return ""
    path = Path(result).absolute()
    return printable(path.parent.name if path.stem in _TABLE_NAMES else path.stem if path.suffix else path.name)


def _without_margins(name: str, count: int) -> Fault:
    return Fault(
        code="COMPARE_NO_MARGIN",
        source=name,
        found=f"{count} lesions without a value in mam_mm",
        expected="a column mam_mm with minimum margins in mm",
        remedy="Name the column of margins so; in results of a batch, look at error_code.",
    )


def _nothing_common(readings: Iterable[Readings]) -> Fault:
    found = "; ".join(f"{one.name} has {_some(list(one.lesions))}" for one in readings)
    return Fault(
        code="COMPARE_NO_COMMON_LESION",
        source="the results",
        found=f"no lesion that two of them have: {found}",
        expected="the same case_id and lesion_id for the same lesion",
        remedy="Give cases their IDs (--case-id) and lesions their order alike, or correct the tables.",
    )


def _some(keys: Sequence[LesionKey]) -> str:
    more = f" and {len(keys) - _SHOWN_LESIONS} more" if len(keys) > _SHOWN_LESIONS else ""
    return ", ".join(printable(f"{case_id}/{lesion_id}") for case_id, lesion_id in keys[:_SHOWN_LESIONS]) + more
