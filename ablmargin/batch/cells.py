"""What the cells of a manifest mean, and what is wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ablmargin.batch.rows import FLAGS, Row
from ablmargin.case import RasMutation, require_plain_name
from ablmargin.errors import Fault, UsageError, printable
from ablmargin.hazards import require_acceptable
from ablmargin.intake import CaseRequest, mask_path
from ablmargin.segmentation.prompts import axis_from, point_from
from ablmargin.segmentation.protocol import Prompt

TUMOR_WAYS = ("tumor", "tumor_point", "tumor_axis")
ABLATION_WAYS = ("ablation", "ablation_point", "ablation_axis")
MASK_COLUMNS = ("liver_pre", "liver_post", "segments", "vessels")
PATH_COLUMNS = ("pre", "post", "landmarks", *MASK_COLUMNS)
CASE_COLUMNS = (*PATH_COLUMNS, "pre_series", "post_series", "ras_mutation", "accept", "reviewed")
"""What all rows of a case share; a blank cell takes what its other rows say."""
COLUMNS = ("case_id", "lesion_id", *TUMOR_WAYS, *ABLATION_WAYS, *CASE_COLUMNS)

_TAKEN = re.compile(r"logs|results\..*|.*\.previous-\d+", re.IGNORECASE)
"""Names in the output folder that can't be a case's."""

Meaning = TypeVar("Meaning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for cases whose rows don't say otherwise; ``accepted`` holds for all."""

    ras_mutation: RasMutation = RasMutation.UNKNOWN
    accepted: frozenset[str] = field(default_factory=frozenset)
    reviewed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRows:
    """The rows of one case, in the order of its lesions' names. Paths in them are relative to ``base``."""

    table: str
    base: Path
    case_id: str
    rows: tuple[Row, ...]

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong with the rows, each with its row and column."""
        if not self.case_id:
            yield from (self._fault(row, "case_id", "nothing", "the name of a case", "Name it.") for row in self.rows)
            return
        yield from self._name_faults()
        for row in self.rows:
            yield from self._way_faults(row, TUMOR_WAYS)
            yield from self._way_faults(row, ABLATION_WAYS)
            yield from self._path_faults(row)
        for column in CASE_COLUMNS:
            yield from self._disagreement(column)
        for column in ("pre", "post"):
            if not self._shared(column):
                yield self._fault(
                    self.rows[0], column, "nothing", "an image", "Name a folder of DICOM, or a volume file."
                )
        for row in self.rows:
            for column, read in _READERS.items():
                yield from self._value_fault(row, column, read)
        yield from self._twice()

    def request(self, defaults: Defaults) -> CaseRequest:
        """What the analysis needs, of rows without faults."""
        own = _accepted(self._shared("accept"))
        ras, reviewed = self._shared("ras_mutation"), self._shared("reviewed")
        landmarks = self._located(self._shared("landmarks"))
        return CaseRequest(
            pre=Path(self._located(self._shared("pre")) or ""),
            post=Path(self._located(self._shared("post")) or ""),
            pre_series=self._shared("pre_series") or None,
            post_series=self._shared("post_series") or None,
            tumors=self._masks("tumor"),
            ablations=tuple(dict.fromkeys(self._masks("ablation"))),
            tumor_prompts=tuple(self._prompts("tumor")),
            ablation_prompts=tuple(dict.fromkeys(self._prompts("ablation"))),
            ras_mutation=_ras(ras) if ras else defaults.ras_mutation,
            accepted=own | defaults.accepted,
            reviewed=FLAGS[reviewed.lower()] if reviewed else defaults.reviewed,
            landmarks=None if landmarks is None else Path(landmarks),
            case_id=self.case_id,
            liver_pre=self._located(self._shared("liver_pre")),
            liver_post=self._located(self._shared("liver_post")),
            segments=self._located(self._shared("segments")),
            vessels=self._located(self._shared("vessels")),
        )

    @property
    def lesion_ids(self) -> tuple[str, ...]:
        """The names of the rows' lesions; that of a single one may be left out."""
        return tuple(row.cells.get("lesion_id") or "1" for row in self.rows)

    @property
    def lesion_ids_of_result(self) -> tuple[str, ...]:
        """The same in the order that an analysis has its lesions in: first those with a mask."""
        pairs = sorted(zip(self.rows, self.lesion_ids, strict=True), key=lambda pair: not pair[0].cells.get("tumor"))
        return tuple(name for _, name in pairs)

    def _shared(self, column: str) -> str:
        return next((cell for row in self.rows if (cell := row.cells.get(column, ""))), "")

    def _located(self, text: str) -> str | None:
        return str(self.base / text) if text else None

    def _masks(self, column: str) -> tuple[str, ...]:
        return tuple(str(self.base / cell) for row in self.rows if (cell := row.cells.get(column)))

    def _prompts(self, structure: str) -> Iterator[Prompt]:
        for row in self.rows:
            if point := row.cells.get(f"{structure}_point"):
                yield Prompt(point_mm=point_from(point, ""))
            if axis := row.cells.get(f"{structure}_axis"):
                yield Prompt(axis_mm=axis_from(axis, ""))

    def _name_faults(self) -> Iterator[Fault]:
        first, lesion_ids = self.rows[0], self.lesion_ids
        for column, name in (("case_id", self.case_id), *(("lesion_id", name) for name in lesion_ids)):
            try:
                require_plain_name(name, "a name")
            except ValueError:
                expected = "letters, digits, '.', '_' and '-', 64 at most, the first a letter or digit"
                yield self._fault(first, column, _quoted(name), expected, "It becomes part of file names; rename it.")
        if _TAKEN.fullmatch(self.case_id):
            yield self._fault(
                first, "case_id", _quoted(self.case_id), "a name that the output folder has free", "Rename it."
            )
        seen: set[str] = set()
        for row, name in zip(self.rows, lesion_ids, strict=True):
            if len(self.rows) > 1 and not row.cells.get("lesion_id"):
                expected = f"a name for each of the {len(self.rows)} lesions of the case"
                yield self._fault(row, "lesion_id", "nothing", expected, "Name it.")
            elif name.lower() in seen:
                found = f"{_quoted(name)} a second time"
                yield self._fault(
                    row, "lesion_id", found, "each lesion of a case once", "Rename it, or remove the row."
                )
            seen.add(name.lower())

    def _way_faults(self, row: Row, ways: Sequence[str]) -> Iterator[Fault]:
        given = [column for column in ways if row.cells.get(column)]
        if len(given) != 1:
            remedy = "Give its mask, the two ends of its long axis, or a point in it."
            found = " and ".join(given) or "nothing"
            yield self._fault(row, "/".join(given or ways), found, f"one of {', '.join(ways)}", remedy)

    def _path_faults(self, row: Row) -> Iterator[Fault]:
        for column in (*PATH_COLUMNS, "tumor", "ablation"):
            cell = row.cells.get(column)
            if not cell:
                continue
            path = self.base / cell if column in {"pre", "post", "landmarks"} else mask_path(str(self.base / cell))
            if not _is_there(path):
                remedy = "Check how it is spelled; relative paths start at the manifest's folder."
                yield self._fault(row, column, f"{_quoted(cell)}, where there is nothing", "a file or a folder", remedy)

    def _disagreement(self, column: str) -> Iterator[Fault]:
        shared = self._shared(column)
        for row in self.rows:
            cell = row.cells.get(column)
            if cell and cell != shared:
                found = f"{_quoted(cell)} beside {_quoted(shared)}"
                remedy = "A case is one pair of images; give the lesions of another pair another case_id."
                yield self._fault(row, column, found, f"one {column} in all rows of a case", remedy)

    def _value_fault(self, row: Row, column: str, read: Callable[[str], object]) -> Iterator[Fault]:
        cell = row.cells.get(column, "")
        try:
            if cell:
                read(cell)
        except (UsageError, ValueError, KeyError):
            yield self._fault(row, column, _quoted(cell), _EXPECTED[column], "Correct it.")

    def _twice(self) -> Iterator[Fault]:
        """Lesions of the case that are the same one, however it was named."""
        seen: set[str] = set()
        for row in self.rows:
            for column in TUMOR_WAYS:
                cell = row.cells.get(column)
                named = cell and (os.path.normpath(self.base / cell) if column == "tumor" else _numbers(cell))
                if named and named in seen:
                    remedy = "Correct it, or remove the row; several tumors in one file are named after a hash."
                    yield self._fault(row, column, f"{_quoted(cell or '')} a second time", "a tumor of its own", remedy)
                seen.add(named or "")

    def _fault(self, row: Row, column: str, found: str, expected: str, remedy: str) -> Fault:
        return cell_fault(self.table, row.number, column, found=found, expected=expected, remedy=remedy)


def cell_fault(table: str, row: int, column: str, *, found: str, expected: str, remedy: str) -> Fault:
    """A fault of one cell, told with its row and column."""
    source = f"{table}, row {row}, column {column}"
    return Fault(code="MANIFEST_CELL", source=source, found=found, expected=expected, remedy=remedy)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or a null character in it
        return False


def _numbers(text: str) -> str:
    """A point or an axis, however it is spaced."""
    try:
        return repr([float(part) for part in text.split(",")])
    except ValueError:
        return text


def _quoted(text: str) -> str:
    return f"'{printable(text[:120])}'"


def _ras(text: str) -> RasMutation:
    return RasMutation(text.lower())


def _accepted(text: str) -> frozenset[str]:
    return require_acceptable(re.findall(r"[^\s,;]+", text))


_READERS: Mapping[str, Callable[[str], object]] = {
    "ras_mutation": _ras,
    "accept": _accepted,
    "reviewed": lambda text: FLAGS[text.lower()],
    "tumor_point": lambda text: point_from(text, ""),
    "ablation_point": lambda text: point_from(text, ""),
    "tumor_axis": lambda text: axis_from(text, ""),
    "ablation_axis": lambda text: axis_from(text, ""),
}
_EXPECTED = {
    "ras_mutation": "wildtype, mutant or unknown",
    "accept": "codes of hazards that can be accepted, with blanks between them",
    "reviewed": "yes or no",
    "tumor_point": "X,Y,Z in LPS mm",
    "ablation_point": "X,Y,Z in LPS mm",
    "tumor_axis": "X,Y,Z,X,Y,Z in LPS mm, two different points",
    "ablation_axis": "X,Y,Z,X,Y,Z in LPS mm, two different points",
}
