"""A manifest: which lesions there are, where their images and masks lie, and everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ablmargin.batch.cells import ABLATION_WAYS, COLUMNS, TUMOR_WAYS, CaseRows, Defaults, cell_fault
from ablmargin.batch.columns import RESULT_COLUMNS
from ablmargin.batch.remarks import remarks_on
from ablmargin.batch.rows import Row, Table, read_table
from ablmargin.errors import Fault, InputError, printable, shortened
from ablmargin.intake import CaseRequest

TYPO_LIKENESS = 0.85
"""How alike an unknown column and a known one must be for the first to be taken for a typo."""
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    r"case(_?(no|nr|number|name))?|caseid": ("case_id",),
    r"(lesion|tumor)(_?(no|nr|number|name))|lesion|lesionid|tumor_?id": ("lesion_id",),
    r"[khn]?ras(_?(gene|mut|mutant|mutated|mutational|status|state|type|wt|wildtype|result))*": ("ras_mutation",),
    r"liver(_?(mask|seg|segmentation|outline))?": ("liver_pre", "liver_post"),
    r"(tumor|lesion|metastasis)_?(mask|seg|segmentation|outline)": ("tumor",),
    r"(ablation|zone|ablation_?zone)_?(mask|seg|segmentation|outline)|ablation_?zone": ("ablation",),
    r"pre_?(ct|image|scan|op|ablation|ablation_ct)|(ct|image|scan)_pre|before": ("pre",),
    r"post_?(ct|image|scan|op|ablation|ablation_ct)|(ct|image|scan)_post|after": ("post",),
}
"""Names that people give to columns that we know by another one, in lower case with underscores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One lesion as the manifest has it; ``carried`` are the cells of columns that mean nothing to the analysis."""

    case_id: str
    lesion_id: str
    number: int
    carried: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestCase:
    """One case: what its analysis needs, and its lesions in the order of the result."""

    request: CaseRequest
    lesion_ids: tuple[str, ...]

    @property
    def case_id(self) -> str:
        return self.request.case_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All cases in the order of their first rows, and all rows in the file's order.

    ``remarks`` are sentences about what may not be meant.
    """

    cases: tuple[ManifestCase, ...]
    rows: tuple[ManifestRow, ...]
    carried_columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def read_manifest(path: Path, defaults: Defaults | None = None) -> Manifest:
    """Read and check a manifest.

    Relative paths are relative to the manifest. Within a case, lesions are put in the order of their names, so that the
    order of rows changes no number.

    Raises
    ------
    InputError
        With everything that is wrong with it, by row and column, the first 50 faults in full; see :func:`ablmargin.batch.rows.read_table` for what
        keeps it from being read at all.
    """
    table = read_table(path)
    faults = list(_column_faults(table))
    if faults:
        raise InputError(*faults)
    base = path.absolute().parent
    groups = [
        CaseRows(table=table.name, base=base, case_id=case_id, rows=tuple(sorted(rows, key=_by_lesion)))
        for case_id, rows in _by_case(table.rows).items()
    ]
    faults = [*_twin_faults(groups), *(fault for group in groups for fault in group.faults())]
    if faults:
        raise InputError(*shortened(table.name, sorted(faults, key=_row_of)))
    settled = defaults or Defaults()
    rows = [row for group in groups for row in _manifest_rows(group)]
    cases = [ManifestCase(request=group.request(settled), lesion_ids=group.lesion_ids_of_result) for group in groups]
    return Manifest(
        cases=tuple(cases),
        rows=tuple(sorted(rows, key=lambda row: row.number)),
        carried_columns=tuple(name for name in table.columns if name not in COLUMNS),
        remarks=remarks_on([case.request for case in cases]),
    )


def _by_case(rows: Collection[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.cells["case_id"], []).append(row)
    return grouped


def _by_lesion(row: Row) -> tuple[list[tuple[int, str]], int]:
    """The order of lesions by name, numbers in names by size."""
    parts = re.findall(r"[0-9]+|[^0-9]+", row.cells.get("lesion_id", ""))
    return [_size(part) if part[0] in "0123456789" else (-1, part) for part in parts], row.number


def _size(digits: str) -> tuple[int, str]:
    """The order of whole numbers of any length: names aren't checked yet."""
    plain = digits.lstrip("0")
    return len(plain), plain


def _manifest_rows(group: CaseRows) -> Iterator[ManifestRow]:
    for row, lesion_id in zip(group.rows, group.lesion_ids, strict=True):
        carried = {column: cell for column, cell in row.cells.items() if column not in COLUMNS}
        yield ManifestRow(case_id=group.case_id, lesion_id=lesion_id, number=row.number, carried=carried)


def _row_of(fault: Fault) -> int:
    return int(fault.source.partition(", row ")[2].partition(",")[0] or 0)


def _column_faults(table: Table) -> Iterator[Fault]:
    for needed in ("case_id", "pre", "post"):
        if needed not in table.columns:
            yield _column_fault(table, f"no column {needed}", f"a column {needed}", "Add it, or correct its name.")
    for ways in (TUMOR_WAYS, ABLATION_WAYS):
        if not set(ways) & set(table.columns):
            expected = f"one of the columns {', '.join(ways)}"
            yield _column_fault(table, "none", expected, f"Add a column {ways[0]} with the masks.")
    for name in table.columns:
        if name in COLUMNS:
            continue
        if name in RESULT_COLUMNS:
            expected = "a name that isn't one of the results' columns"
            yield _column_fault(table, f"the column {name}", expected, "Rename it: the table of results has its own.")
        elif meant := _meant(name, set(COLUMNS) - set(table.columns)):
            remedy = f"Write {meant}, or give it a name that looks less like it."
            yield _column_fault(table, f"the column {printable(name)!r}", "known columns, or others", remedy)


def _meant(name: str, missing: set[str]) -> str | None:
    """The known columns that aren't there and that an unknown one means or resembles."""
    plain = re.sub(r"[\W_]+", "_", name.lower()).strip("_").replace("tumour", "tumor")
    for other_names, known in _OTHER_NAMES.items():
        if re.fullmatch(other_names, plain) and set(known) & missing:
            return " or ".join(one for one in known if one in missing)
    return next(iter(get_close_matches(plain, sorted(missing), n=1, cutoff=TYPO_LIKENESS)), None)


def _column_fault(table: Table, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code="MANIFEST_COLUMN", source=table.name, found=found, expected=expected, remedy=remedy)


def _twin_faults(groups: Collection[CaseRows]) -> Iterator[Fault]:
    """IDs that differ only in upper and lower case are one folder on some disks."""
    seen: dict[str, str] = {}
    for group in groups:
        other = seen.setdefault(group.case_id.lower(), group.case_id)
        if other != group.case_id:
            yield cell_fault(
                group.table,
                group.rows[0].number,
                "case_id",
                found=f"{group.case_id!r} beside {other!r}",
                expected="IDs that differ by more than upper and lower case",
                remedy="Rename one of them.",
            )
