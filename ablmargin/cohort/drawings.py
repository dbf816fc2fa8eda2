"""Which pictures a cohort gets, with what is said below them."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.cox import CoxModel
from ablmargin.cohort.curves import draw_calibration, draw_progression, draw_ratios, draw_roc
from ablmargin.cohort.flowchart import draw_flow
from ablmargin.cohort.outcome import Outcome
from ablmargin.cohort.page import Drawing
from ablmargin.cohort.pictures import draw_errors, draw_groups, draw_surfaces, draw_waterfall


def drawings_of(cohort: Cohort) -> dict[str, Drawing]:
    """The pictures by the names of their files, as far as there is something to show."""
    drawings = dict(_drawings(cohort))
    return drawings if cohort.outcome is None else drawings | dict(_of_outcome(cohort.outcome))


def _drawings(cohort: Cohort) -> Iterator[tuple[str, Drawing]]:
    flow = draw_flow(cohort.flow, with_followup=cohort.has_followup)
    yield "flow", Drawing(svg=flow, alternative="Flow of lesions from the manifest to the verdict.", caption=_FLOW)
    if cohort.measured:
        yield from _of_margins(cohort)


def _of_margins(cohort: Cohort) -> Iterator[tuple[str, Drawing]]:
    waterfall, bars = draw_waterfall(cohort.measured), "Bars of all minimum margins with their bounds, lowest first."
    yield "margins", Drawing(svg=waterfall, alternative=bars, caption=_WATERFALL)
    groups, strips = draw_groups(cohort.measured), "Minimum margins by size, RAS status and position at the capsule."
    if groups is not None:
        yield "groups", Drawing(svg=groups, alternative=strips, caption=_GROUPS)
    if cohort.surface:
        surfaces = draw_surfaces(cohort.measured)
        yield (
            "surfaces",
            Drawing(svg=surfaces, alternative="Shares of each tumor’s surface by margin.", caption=_SURFACES),
        )
    errors = draw_errors(cohort.measured)
    if errors is not None:
        clouds = "Local error of the registration against the margin."
        yield "registration", Drawing(svg=errors, alternative=clouds, caption=_ERRORS)


def _of_outcome(outcome: Outcome) -> Iterator[tuple[str, Drawing]]:
    yield (
        "progression",
        Drawing(
            svg=draw_progression(outcome),
            alternative="Curves of local tumor progression by margin, with the numbers at risk.",
            caption=_PROGRESSION,
        ),
    )
    models = [model for model in outcome.models if isinstance(model, CoxModel)]
    if models:
        yield (
            "hazard_ratios",
            Drawing(svg=draw_ratios(models), alternative="Hazard ratios with their intervals.", caption=_RATIOS),
        )
    if outcome.roc is not None:
        yield (
            "roc",
            Drawing(svg=draw_roc(outcome.roc), alternative="ROC curve of the minimum margin.", caption=_ROC),
        )
    if outcome.calibration is not None:
        yield (
            "calibration",
            Drawing(
                svg=draw_calibration(outcome.calibration),
                alternative="Predicted against observed progression.",
                caption=_CALIBRATION,
            ),
        )


_FLOW = "Each row of the manifest is a lesion. Left: what goes on; right: what is left out, and why."
_WATERFALL = (
    "The minimum margin that each verdict is about, lowest first, in the colors of the bands; the thin lines are its one-sided "
    "95 % bounds, the dashed ones 5 and 10 mm. What lies beyond −25 or 30 mm is drawn at the end of the scale."
)
_GROUPS = "A point is a lesion, the thick line the median. Diameter is that of the ball with the tumor’s volume."
_SURFACES = "A column is a tumor, the worst covered first: how its surface divides by margin, nothing excluded."
_ERRORS = (
    "The larger the local error, the wider the bounds, and the more the minimum is biased downward. A margin next to a "
    "dashed line isn’t decided where the error is large."
)
_PROGRESSION = (
    "The share of lesions with local tumor progression, with 95 % intervals that allow for several lesions of one patient. "
    "In brackets: progressions of lesions. Few at risk means that a curve may be far off there."
)
_RATIOS = "Each covariate alone, then the margin together with RAS status (adjusted for each other)."
_ROC = "Telling progression by a margin below a cut-off; the marks are rates as counted. The diagonal is a coin’s."
_CALIBRATION = "Groups of lesions by predicted risk, with 95 % intervals. On the diagonal, predictions come true."
