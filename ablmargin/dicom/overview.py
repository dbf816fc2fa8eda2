"""What ``inspect`` tells of the series in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablmargin.dicom.checks import check_series, largest_thickness_mm
from ablmargin.dicom.discover import SeriesFiles, discover
from ablmargin.dicom.phase import phase_in_header
from ablmargin.dicom.text import printable
from ablmargin.progress import Progress, silent


def overview(path: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """List the CT series under a path with their geometry and every problem found in their headers.

    Returns
    -------
    dict
        ``usable``: whether any series can be read as a volume. ``series``: a dict each, with number, series_uid, part (what tells it from other volumes of the same series, "" if it
        is the only one), description, slices, rows, columns, spacing_mm (slice, row, column), slice_thickness_mm, tilt_degrees,
        kernel, contrast_agent, phase (as the description says), acquired, usable, problems and cautions (code and message
        each). What isn't known is None. ``skipped``: file, code and reason of everything that is no CT slice. Ready for JSON.

    Raises
    ------
    UsageError
        If there is nothing at the path.
    """
    discovery = discover(path, progress=progress)
    series = [_series(series) for series in discovery.series]
    return {
        "usable": any(one["usable"] for one in series),
        "series": series,
        "skipped": [{"file": file.source, "code": file.code, "reason": file.reason} for file in discovery.skipped],
    }


def _series(series: SeriesFiles) -> dict[str, Any]:
    checked = check_series(series)
    first = series.headers[0]
    kept = series.headers if checked.stack is None else checked.stack.headers
    stack = checked.stack
    return {
        "number": series.number,
        "series_uid": printable(series.series_uid),
        "part": f"{series.split_by} {series.part}".strip(),
        "description": series.description,
        "slices": len(series.headers),
        "rows": first.rows,
        "columns": first.columns,
        "spacing_mm": None if stack is None else list(stack.geometry.spacing_mm),
        "slice_thickness_mm": largest_thickness_mm(kept),
        "tilt_degrees": None if stack is None else round(stack.tilt_degrees, 2),
        "kernel": printable(first.texts["ConvolutionKernel"]) or None,
        "contrast_agent": printable(first.texts["ContrastBolusAgent"]) or None,
        "phase": phase_in_header(first),
        "acquired": first.acquired,
        "usable": stack is not None,
        "problems": [{"code": fault.code, "message": str(fault)} for fault in checked.faults],
        "cautions": [{"code": caution.code, "message": caution.message} for caution in checked.cautions],
    }
