"""A finished analysis for notebooks: the fields of ``result.json`` as attributes, as a table, as a folder, at a glance."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablmargin.case import UNNAMED_CASE
from ablmargin.intake import CaseInputs, mask_path
from ablmargin.loaded import LoadedImage
from ablmargin.outputplace import require_apart
from ablmargin.report import DISCLAIMER
from ablmargin.report.casefolder import write_case_folder
from ablmargin.report.numbers import signed_mm
from ablmargin.report.record import result_record
from ablmargin.result import CaseResult
from ablmargin.results.files import rows_of_record
from ablmargin.results.frame import frame_of

if TYPE_CHECKING:
    from pandas import DataFrame

_COLORS = {"adequate": "#0a6b5e", "inadequate": "#a32a17", "indeterminate": "#7a5a00"}
_CELL = 'style="text-align:left;padding:2px 14px 2px 0"'


class Findings(Mapping[str, Any]):
    """A part of ``result.json``: its fields as attributes, or by name. None is what isn't known.

    Examples
    --------
    >>> lesion = Findings({"mam_mm": 4.2, "coverage": {"5": 0.9}, "reasons": ["Because."]})
    >>> lesion.mam_mm, lesion.coverage["5"], lesion["reasons"]
    (4.2, 0.9, ('Because.',))
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def __getitem__(self, name: str) -> Any:
        return _found(self._record[name])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._record:
            raise AttributeError(f"there is no field {name!r}; there are {', '.join(self._record)}")
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._record)

    def __len__(self) -> int:
        return len(self._record)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._record if name.isidentifier())]

    def __repr__(self) -> str:
        return f"Findings({self._record!r})"

    def to_dict(self) -> dict[str, Any]:
        """A copy as plain data, as in ``result.json``."""
        return deepcopy(dict(self._record))


class Analysis(Findings):
    """All findings on one case.

    Its fields are those of ``result.json``: ``verdict``, ``lesions`` with ``mam_mm``, ``registration``, ``warnings`` and so
    on. ``result`` is the CaseResult that they come from, with images, surfaces and margins at every point; ``given`` is what
    was analyzed, among which nothing is saved.
    """

    def __init__(self, result: CaseResult, given: CaseInputs | None = None) -> None:
        super().__init__(result_record(result))
        self.result = result
        self.given = given

    def to_frame(self) -> DataFrame:
        """A row a lesion, with the columns of :func:`ablmargin.load_results`."""
        return frame_of(rows_of_record(self._record, place="the analysis"))

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the case folder, with report and all files, and return its path.

        Parameters
        ----------
        overwrite : bool
            Whether a finished case may be replaced; it is then kept beside it.

        Raises
        ------
        UsageError
            If the folder holds something, lies in an input folder, or holds an input.
        """
        out = Path(folder)
        require_apart(out, [] if self.given is None else _named_files(self.given), option="")
        write_case_folder(self.result, out, overwrite=overwrite, command=["ablmargin.analyze"])
        return out

    def __repr__(self) -> str:
        lesions = "; ".join(f"lesion {one.id}: {_judged(one)} ({_bounds(one)}), {one.verdict}" for one in self.lesions)
        return f"<Analysis {self.case_id}: {self.verdict or self.status}{'; ' * bool(lesions)}{lesions}>"

    def _repr_html_(self) -> str:
        """Verdict, margins with their bounds, disclaimer."""
        name = "" if self.case_id == UNNAMED_CASE else f"{escape(self.case_id)}: "
        verdict = "withheld" if self.status == "withheld" else str(self.verdict)
        head = "".join(f"<th {_CELL}>{text}</th>" for text in _HEAD)
        rows = "".join(_row(lesion) for lesion in self.lesions)
        more = [f"registration {self.registration.quality}"] if self.registration else []
        more += [f"warnings: {', '.join(one.code for one in self.warnings)}"] if self.warnings else []
        return (
            f"<div><b>{name}{_colored(verdict)}</b><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<small>{escape('; '.join(more))}{'. ' * bool(more)}<b>{escape(DISCLAIMER)}</b></small></div>"
        )


_HEAD = ("lesion", "verdict", "minimum margin", "95 % bounds", "required", "thinnest")


def _row(lesion: Any) -> str:
    cells = (
        escape(lesion.id),
        _colored(lesion.verdict),
        f"<b>{_judged(lesion)}</b>",
        _bounds(lesion),
        f"{lesion.required_margin_mm:g} mm",
        escape(lesion.mam_direction or ""),
    )
    return f"<tr>{''.join(f'<td {_CELL}>{cell}</td>' for cell in cells)}</tr>"


def _judged(lesion: Any) -> str:
    """The margin that the verdict is about."""
    if lesion.bounds_of == "mam_constrained_mm":
        return f"{signed_mm(lesion.mam_constrained_mm)} within the liver"
    return signed_mm(lesion.mam_mm)


def _bounds(lesion: Any) -> str:
    if lesion.mam_lower_mm is None or lesion.mam_upper_mm is None:
        return "no bounds"
    return f"{signed_mm(lesion.mam_lower_mm).removesuffix(' mm')} to {signed_mm(lesion.mam_upper_mm)}"


def _colored(verdict: str) -> str:
    return f'<span style="color:{_COLORS.get(verdict, "#43315c")}">{escape(verdict)}</span>'


def _found(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Findings(value)
    return tuple(_found(part) for part in value) if isinstance(value, list) else value


def _named_files(inputs: CaseInputs) -> Iterator[Path]:
    livers, anatomy = (inputs.liver_pre, inputs.liver_post), (inputs.segments, inputs.vessels)
    exams = (exam.source if isinstance(exam, LoadedImage) else exam for exam in (inputs.pre, inputs.post))
    yield from (path for path in (*exams, inputs.landmarks) if isinstance(path, Path))
    masks = (*livers, *inputs.tumors, *inputs.ablations, *anatomy)
    yield from (mask_path(mask) for mask in masks if isinstance(mask, str))
