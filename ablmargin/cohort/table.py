"""The table of a batch's results, read as lesions: the one place that knows its columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, THRESHOLDS_MM, Verdict
from ablmargin.cohort.cells import flag, nonnegative, number, share
from ablmargin.cohort.followup import FOLLOWUP_COLUMNS, followup_of
from ablmargin.cohort.lesion import Findings, Lesion, State, ball_diameter_mm
from ablmargin.errors import Fault, InputError, printable
from ablmargin.report.palette import BANDS

FILES = ("results.parquet", "results.csv")
NEEDED = ("case_id", "lesion_id", "mam_mm", "verdict")
COVERED_MM = (0, 5, 10)
SHOWN_FAULTS = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All lesions of a batch in the table's order, and which columns of follow-up it has."""

    lesions: tuple[Lesion, ...]
    followup_columns: tuple[str, ...]
    has_patients: bool


def read_results(folder: Path) -> Results:
    """Read ``results.parquet`` or ``results.csv`` of a batch's folder, or such a file itself.

    Raises
    ------
    InputError
        COHORT_FILE, COHORT_COLUMN, COHORT_EMPTY, or everything that is wrong with its cells by row and column: COHORT_CELL,
        COHORT_FOLLOWUP, COHORT_LESION.
    """
    path = _table_in(folder)
    columns, rows = _read(path)
    faults = list(_column_faults(path, columns)) or list(_emptiness(path, rows))
    if faults:
        raise InputError(*faults)
    lesions: list[Lesion] = []
    for place, cells in enumerate(rows, start=2):
        row = _Row(cells=cells, source=f"{path.name}, row {place}")
        lesions.append(_lesion(row))
        faults += row.faults
    faults += _repeated(path, lesions)
    if faults:
        raise InputError(*_shortened(path, faults))
    return Results(
        lesions=tuple(lesions),
        followup_columns=tuple(name for name in FOLLOWUP_COLUMNS if name in columns),
        has_patients="patient_id" in columns,
    )


def _table_in(folder: Path) -> Path:
    if folder.is_file():
        return folder
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        Fault(
            code="COHORT_FILE",
            source=str(folder),
            found="no table of results",
            expected=f"{' or '.join(FILES)}, as ablmargin batch writes them",
            remedy="Name the folder that was --out of the batch.",
        )
    )


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        fault = Fault(
            code="COHORT_FILE",
            source=path.name,
            found=f"no table: {printable(str(error))[:200]}",
            expected="CSV in UTF-8, or Parquet",
            remedy="Run the batch again; it writes the table anew.",
        )
        raise InputError(fault) from None
    names = [str(name) for name in frame.columns]
    rows = [
        {name: _text(cell) for name, cell in zip(names, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]
    return names, rows


def _text(cell: Any) -> str:
    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _column_faults(path: Path, columns: Sequence[str]) -> Iterator[Fault]:
    for name in NEEDED:
        if name not in columns:
            yield Fault(
                code="COHORT_COLUMN",
                source=path.name,
                found=f"no column {name}",
                expected=f"the columns {', '.join(NEEDED)}",
                remedy="Name the results of ablmargin batch.",
            )
    if "ltp" in columns and "event" in columns:
        yield Fault(
            code="COHORT_COLUMN",
            source=path.name,
            found="both columns ltp and event",
            expected="one of them",
            remedy="Keep ltp (with death, months_death), or event: none, ltp or death.",
        )


def _emptiness(path: Path, rows: Sequence[Mapping[str, str]]) -> Iterator[Fault]:
    if not rows:
        yield Fault(
            code="COHORT_EMPTY",
            source=path.name,
            found="no row below the header",
            expected="a row a lesion",
            remedy="Name the results of a batch that ran.",
        )


def _repeated(path: Path, lesions: Sequence[Lesion]) -> Iterator[Fault]:
    seen: dict[tuple[str, str], int] = {}
    for place, lesion in enumerate(lesions, start=2):
        first = seen.setdefault((lesion.case_id, lesion.lesion_id), place)
        if first != place:
            yield Fault(
                code="COHORT_LESION",
                source=f"{path.name}, row {place}",
                found=f"the lesion of row {first} again",
                expected="a row a lesion",
                remedy="Remove one of the two rows: a lesion may count once.",
            )


def _shortened(path: Path, faults: Sequence[Fault]) -> Iterator[Fault]:
    """The first faults, and how many more there are."""
    yield from faults[:SHOWN_FAULTS]
    if len(faults) > SHOWN_FAULTS:
        yield Fault(
            code="COHORT_CELL",
            source=path.name,
            found=f"{len(faults) - SHOWN_FAULTS} more faults",
            expected="none",
            remedy="Mend those above first.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row; ``faults`` collects what is wrong with its cells."""

    cells: Mapping[str, str]
    source: str
    faults: list[Fault] = field(default_factory=list)

    def __call__(self, column: str, parse: Callable[[str], T]) -> T | None:
        """A cell as something else; None if it is blank, not there or at fault."""
        text = self.cells.get(column, "")
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            fault = Fault(
                code="COHORT_CELL",
                source=self.source,
                attribute=column,
                found=repr(printable(text)[:40]),
                expected=str(error),
                remedy="Correct the cell.",
            )
            self.faults.append(fault)
            return None


def _lesion(row: _Row) -> Lesion:
    code = row.cells.get("error_code", "")
    state = _state(row, code)
    followup, faults = followup_of(row.cells, row.source)
    row.faults.extend(faults)
    case_id = row.cells["case_id"]
    return Lesion(
        case_id=case_id,
        lesion_id=row.cells["lesion_id"],
        patient_id=row.cells.get("patient_id", "") or case_id,
        state=state,
        code=code or ("NO_RESULT" if state is State.FAILED else ""),
        ras=row("ras_mutation", _ras) or RasMutation.UNKNOWN,
        findings=_findings(row) if state is State.MEASURED else None,
        followup=followup,
    )


def _state(row: _Row, code: str) -> State:
    if code or not (row.cells["mam_mm"] or row.cells.get("status") == "withheld"):
        return State.FAILED
    failed = row.cells.get("registration_quality") == "failed"
    return State.WITHHELD if failed or row.cells.get("status") == "withheld" else State.MEASURED


def _ras(text: str) -> RasMutation:
    try:
        return RasMutation(text)
    except ValueError:
        raise ValueError("wildtype, mutant or unknown") from None


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        raise ValueError("adequate, inadequate or indeterminate") from None


def _findings(row: _Row) -> Findings:
    plain_mm = row("mam_mm", number)
    within_mm = row("mam_constrained_mm", number)
    judges_within = row.cells.get("bounds_of") == "mam_constrained_mm" and within_mm is not None
    judged_mm = within_mm if judges_within else plain_mm
    ras = row("ras_mutation", _ras) or RasMutation.UNKNOWN
    thresholds = {mm: row(f"verdicts_by_threshold_{mm:g}", _verdict) for mm in THRESHOLDS_MM}
    shares = [row(f"surface_share_{band.key}", share) for band in BANDS]
    coverage = {mm: row(f"coverage_{mm}", share) for mm in COVERED_MM}
    volume_ml = row("tumor_volume_ml", nonnegative)
    return Findings(
        margin_mm=math.nan if judged_mm is None else judged_mm,
        lower_mm=row("mam_lower_mm", number),
        upper_mm=row("mam_upper_mm", number),
        plain_mm=math.nan if plain_mm is None else plain_mm,
        required_mm=row("required_margin_mm", nonnegative) or REQUIRED_MARGIN_MM[ras],
        verdict=row("verdict", _verdict) or Verdict.INDETERMINATE,
        by_threshold={mm: verdict or Verdict.INDETERMINATE for mm, verdict in thresholds.items()},
        subcapsular=row("subcapsular", flag),
        segment=_largest_segment(row.cells.get("liver_segments", "")),
        diameter_mm=ball_diameter_mm(volume_ml) if volume_ml else None,
        surface_share=_all_known(shares),
        coverage={mm: covered for mm, covered in coverage.items() if covered is not None},
        quality=row.cells.get("registration_quality") or None,
        sd_mm=row("registration_sd_mm", nonnegative),
        reviewed=_all_true([row("tumor_reviewed", flag), row("ablation_reviewed", flag)]),
    )


def _all_known(shares: Sequence[float | None]) -> tuple[float, ...] | None:
    known = tuple(value for value in shares if value is not None)
    return known if len(known) == len(shares) else None


def _all_true(flags: Sequence[bool | None]) -> bool | None:
    """False if one is, None if none is known."""
    known = [value for value in flags if value is not None]
    return all(known) if known else None


def _largest_segment(text: str) -> str | None:
    """The first of ``VI 0.62, VII 0.38``, which is in the order of shares."""
    return text.partition(",")[0].split(" ")[0] or None
