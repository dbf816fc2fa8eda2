"""``report.html``: the answer first, then the pictures, then the numbers and where they come from.

One file without scripts and without anything fetched: it opens offline and prints on A4.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ablmargin.case import UNNAMED_CASE, Exam, RasMutation, SeriesRecord
from ablmargin.clinical.criteria import EVIDENCE, THRESHOLDS_MM, Verdict
from ablmargin.errors import printable
from ablmargin.report import DISCLAIMER
from ablmargin.report.mending import mending_sentences
from ablmargin.report.numbers import UNKNOWN, lesion_numbers, registration_numbers, signed_mm
from ablmargin.report.place import place_numbers, place_sentences
from ablmargin.report.planes import views_at_thinnest
from ablmargin.report.ruler import draw_ruler
from ablmargin.report.slices import draw_slices
from ablmargin.report.surface_view import draw_surface
from ablmargin.result import CaseResult, LesionResult, MaskRecord
from ablmargin.volume import Structure

RULES = {
    RasMutation.WILD_TYPE: "RAS wild type: at least 5 mm",
    RasMutation.MUTANT: "RAS mutant: at least 10 mm",
    RasMutation.UNKNOWN: "RAS status not known, so the stricter rule applies: at least 10 mm",
}

STRUCTURES = {
    Structure.LIVER: "liver",
    Structure.TUMOR: "tumor",
    Structure.ABLATION_ZONE: "ablation zone",
    Structure.LIVER_SEGMENT: "segments of the liver",
    Structure.VESSELS: "vessels",
}
EXAMS = {"pre": ", before ablation", "post": ", after ablation", None: ""}
SOURCES = {"reader": "a reader", "point": "the software, from where a reader pointed", "automatic": "the software"}

HEADLINES = {
    Verdict.ADEQUATE: "The margin is wide enough",
    Verdict.INADEQUATE: "The margin is not wide enough",
    Verdict.INDETERMINATE: "It can’t be decided from these data whether the margin is wide enough",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG as a data URI, what it shows in words, and a caption."""

    uri: str
    alternative: str
    caption: str

    @classmethod
    def of(cls, png: bytes, alternative: str, caption: str) -> Picture:
        return cls(
            uri=f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}",
            alternative=alternative,
            caption=caption,
        )


def report_html(result: CaseResult) -> str:
    """The whole report of one case as an HTML page, pictures included.

    A withheld case gets its reasons and the images, but no margin.
    """
    series = [] if result.case is None else [_series("before", result.case.pre), _series("after", result.case.post)]
    page = _environment().get_template("report.html.j2")
    return page.render(
        case_id="" if result.case_id == UNNAMED_CASE else result.case_id,
        disclaimer=DISCLAIMER,
        state=_state(result),
        headline=_headline(result),
        rule=RULES[result.ras_mutation],
        thresholds=THRESHOLDS_MM,
        frame="the masks’ frame" if result.case is None else "the CT after ablation",
        lesions=[_lesion(result, lesion) for lesion in result.lesions],
        cautions=result.cautions,
        quality=result.quality,
        registration=result.quality and registration_numbers(result.quality, result.landmark_errors_mm),
        series=series,
        any_acquired=any(exam["acquired"] for exam in series),
        masks=[_mask(mask) for mask in result.masks],
        evidence=EVIDENCE,
        software=result.provenance.software,
        settings=dict(_flat(result.provenance.settings)),
        started=_to_the_second(result.provenance.started),
        finished=_to_the_second(result.provenance.finished),
    )


def place_in_letters(point_mm: Any) -> str:
    """A point the way viewers show it: each coordinate with the direction it counts toward.

    >>> place_in_letters([-12.34, 40.1, 102.0])
    'R 12.3 · P 40.1 · S 102.0'
    """
    letters = (("R", "L"), ("A", "P"), ("I", "S"))
    return " · ".join(
        f"{pair[int(value >= 0)]} {abs(value):.1f}" for pair, value in zip(letters, point_mm, strict=True)
    )


def with_minus_signs(text: str) -> str:
    """A sentence with a minus sign before each negative number, as the numbers of the report have it.

    >>> with_minus_signs("bounds, -3.0 and 8.5 mm; tumor-2.nii, 5-10")
    'bounds, −3.0 and 8.5 mm; tumor-2.nii, 5-10'
    """
    return re.sub(r"(?<![\w.)-])-(?=\d)", "−", text)


def _pictures(result: CaseResult, lesion: LesionResult) -> Iterator[Picture]:
    withheld = _is_withheld(result)
    within = _WITHIN if lesion.margin.minimum_mm < lesion.judged_minimum_mm else ""
    if not withheld:
        yield Picture.of(
            draw_ruler(lesion), "The minimum with its bounds, and the share of surface by margin.", _RULER + within
        )
    if result.case is not None or not withheld:
        views = views_at_thinnest(result, lesion)
        png = draw_slices(views, required_mm=lesion.judgement.required_margin_mm, measured=not withheld)
        caption = _SLICES_FAILED if withheld else _slices_caption(result, lesion)
        yield Picture.of(png, "Axial, coronal and sagittal planes through the thinnest place of the margin.", caption)
    if not withheld:
        caption = _SURFACE.format(place=_thinnest_place(lesion))
        yield Picture.of(draw_surface(lesion), "The tumor's surface colored by its margin.", caption)


def _slices_caption(result: CaseResult, lesion: LesionResult) -> str:
    ball = "" if lesion.completion is None else _BALL
    if result.case is not None:
        return _SLICES.format(place=_thinnest_place(lesion)) + ball
    liver = "" if result.outlines is None or result.outlines.liver is None else _RING_ENDS
    return _MASKS.format(place=_thinnest_place(lesion), ends=liver) + ball


def _thinnest_place(lesion: LesionResult) -> str:
    return "thinnest place within the liver" if lesion.judges_constrained else "thinnest place"


_RULER = (
    "Above: the minimum (diamond) with its 95 % bounds (bar) against the required margin (thick line). "
    "Below: how much of the tumor’s surface has less than a given margin."
)
_WITHIN = " The hollow diamond is the minimum with nothing excluded; the verdict is about the margin within the liver."
_SLICES = (
    "The three planes through the {place} (cross), in the CT before ablation and in the CT after it, brought onto "
    "the first by the registration. The ablation zone should reach the dotted line, which ends where the liver ends. Soft-tissue window "
    "(level 60 HU, width 320 HU); the patient’s right is on the left."
)
_BALL = " Dashed: the smallest further ablation that would complete the margin, by geometry alone."
_SLICES_FAILED = (
    "Both exams as the failed registration laid them over each other, with the tumor’s outline from before ablation. "
    "What doesn’t match here is why no margin is given."
)
_MASKS = "The three planes through the {place} (cross). The ablation zone should reach the dotted line{ends}."
_RING_ENDS = ", which ends where the liver (brown) ends"
_SURFACE = (
    "The tumor’s surface, colored by how much ablated tissue lies beyond it, nothing excluded. Right: the whole surface unrolled like a map "
    "of the globe, with the front (anterior) in its middle. The circle marks the {place}. "
    "R right, L left, A anterior, P posterior, S superior, I inferior."
)


def _is_withheld(result: CaseResult) -> bool:
    return result.status == "withheld"


def _state(result: CaseResult) -> str:
    if _is_withheld(result):
        return "withheld"
    return "registered" if result.verdict is None else result.verdict.value


def _headline(result: CaseResult) -> str:
    if _is_withheld(result):
        return "No margin is given: the registration failed."
    if result.verdict is None:
        return "The two exams were registered; no margin was measured."
    among = f" (the worst of {len(result.lesions)} tumors)" if len(result.lesions) > 1 else ""
    return f"{HEADLINES[result.verdict]}{among}."


def _lesion(result: CaseResult, lesion: LesionResult) -> dict[str, Any]:
    judgement = lesion.judgement
    return {
        "id": lesion.lesion_id,
        "verdict": judgement.verdict.value,
        "reasons": judgement.reasons,
        "by_threshold": {mm: verdict.value for mm, verdict in judgement.by_threshold.items()},
        "required_mm": judgement.required_margin_mm,
        "minimum_mm": lesion.judged_minimum_mm,
        "unconstrained_mm": lesion.margin.minimum_mm,
        "judges_constrained": lesion.judges_constrained,
        "bounds": lesion.bounds,
        "direction": lesion.direction_at(lesion.judged_index),
        "place_mm": lesion.margin.points_mm[lesion.judged_index],
        "where": place_sentences(lesion, measured=not _is_withheld(result)),
        "missing": () if _is_withheld(result) else mending_sentences(lesion),
        "pictures": list(_pictures(result, lesion)),
        "numbers": {} if _is_withheld(result) else lesion_numbers(lesion) | place_numbers(lesion),
    }


def _series(name: str, exam: Exam) -> dict[str, Any]:
    slice_mm, row_mm, column_mm = exam.volume.geometry.spacing_mm
    thickness_mm = exam.record.slice_thickness_mm
    return {
        "name": f"CT {name} ablation",
        "slices": exam.volume.geometry.shape[0],
        "distance": f"{slice_mm:.2f} mm",
        "thickness": UNKNOWN if thickness_mm is None else f"{thickness_mm:.2f} mm",
        "pixel": f"{row_mm:.2f} × {column_mm:.2f} mm",
        "phase": _phase(exam.record),
        "acquired": exam.record.acquired or "",
    }


def _phase(record: SeriesRecord) -> str:
    told = record.phase or UNKNOWN
    return f"{told} (from HU)" if record.phase_source == "HU" else told


def _mask(mask: MaskRecord) -> dict[str, Any]:
    return {
        "structure": STRUCTURES[mask.structure] + EXAMS[mask.exam],
        "lesion": mask.lesion or "",
        "source": SOURCES[mask.origin.source],
        "method": mask.origin.method + (", then edited" if mask.origin.edited else ""),
        "reviewed": "yes" if mask.origin.reviewed else "no",
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ablmargin.report", "templates"),
        autoescape=True,
        finalize=_printable_lines,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(mm=signed_mm, letters=place_in_letters, minus=with_minus_signs)
    return environment


def _printable_lines(value: Any) -> Any:
    """Texts, which may hold names of files, without what could turn or hide the text around them."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _to_the_second(moment: str | None) -> str:
    return (moment or "")[:19].replace("T", " ")
