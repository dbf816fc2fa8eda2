"""``cohort.html``: the flow of lesions first, then their margins, then how margins go with local progression.

One file without scripts and without anything fetched: it opens offline and prints on A4. Whatever the data say is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from ablmargin.clinical.criteria import EVIDENCE, THRESHOLDS_MM, Verdict
from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.cautions import cautions
from ablmargin.cohort.cox import CoxModel
from ablmargin.cohort.flow import counted
from ablmargin.cohort.groups import Group, Spread, thresholds_told
from ablmargin.cohort.lesion import Lesion
from ablmargin.cohort.outcome import Outcome, Unfit
from ablmargin.cohort.roc import RESAMPLES
from ablmargin.cohort.wording import bare_mm, p_value_text, p_value_told, ranged, ranged_percent, share_text
from ablmargin.report import DISCLAIMER
from ablmargin.report.numbers import percent
from ablmargin.report.palette import BANDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture as SVG, what it shows in words, and a caption."""

    svg: bytes
    alternative: str
    caption: str

    @property
    def uri(self) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode('ascii')}"


def cohort_html(cohort: Cohort, drawings: Mapping[str, Drawing]) -> str:
    """The page of a cohort, pictures included."""
    page = _environment().get_template("cohort.html.j2")
    return page.render(
        cohort=cohort,
        flow=cohort.flow,
        drawings=drawings,
        disclaimer=DISCLAIMER,
        headline=_headline(cohort),
        cautions=cautions(cohort),
        thresholds=THRESHOLDS_MM,
        judged=_judged(cohort.measured),
        verdicts=list(Verdict),
        bands=BANDS,
        topics=_by_topic(cohort.groups),
        evidence=EVIDENCE,
        resamples=RESAMPLES,
        **_outcome_parts(cohort.outcome),
    )


def _outcome_parts(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"outcome": None}
    ratios = [model for model in outcome.models if isinstance(model, CoxModel)]
    bent = [term.name for model in ratios for term in model.terms if term.proportional_p < 0.05]
    return {
        "outcome": outcome,
        "never_at_risk": [BANDS[place].label for place in outcome.logrank.never_at_risk] if outcome.logrank else [],
        "horizon": f"{outcome.horizon_months:g}",
        "ratios": ratios,
        "not_proportional": list(dict.fromkeys(bent)),
        "unfit": [model for model in outcome.models if isinstance(model, Unfit)],
    }


def _by_topic(groups: Sequence[Group]) -> dict[str, list[Group]]:
    topics: dict[str, list[Group]] = {}
    for group in groups:
        topics.setdefault(group.topic, []).append(group)
    return topics


def _judged(measured: Sequence[Lesion]) -> dict[float, int]:
    """Against which thresholds there are verdicts, and of how many lesions there is none."""
    return {mm: sum(mm not in lesion.measured.by_threshold for lesion in measured) for mm in thresholds_told(measured)}


def _headline(cohort: Cohort) -> str:
    flow = cohort.flow
    if not flow.listed.lesions:
        return "No lesions."
    if not flow.measured.lesions:
        return f"None of {counted(flow.listed.lesions, 'lesion')} could be measured."
    return (
        f"{flow.measured.lesions:,} of {counted(flow.listed.lesions, 'lesion')} measured, in "
        f"{counted(flow.measured.patients, 'patient')}: {flow.verdicts[Verdict.ADEQUATE]:,} with a margin wide enough, "
        f"{flow.verdicts[Verdict.INADEQUATE]:,} not, {flow.verdicts[Verdict.INDETERMINATE]:,} undecided."
    )


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("ablmargin.cohort"), PackageLoader("ablmargin.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        pct=percent,
        bare=bare_mm,
        spread_mm=_spread_mm,
        spread_pct=_spread_pct,
        lesions=partial(counted, noun="lesion"),
        patients=partial(counted, noun="patient"),
        p_value=p_value_text,
        p_told=p_value_told,
        ranged=ranged,
        ranged_pct=ranged_percent,
        share=share_text,
    )
    return environment


def _spread_mm(spread: Spread) -> str:
    low, middle, high = spread.quartiles
    return f"{bare_mm(middle)} mm ({bare_mm(low)} to {bare_mm(high)})"


def _spread_pct(spread: Spread) -> str:
    low, middle, high = spread.quartiles
    return f"{percent(middle)} ({percent(low)} to {percent(high)})"
