"""Which pictures a cohort gets, with what is said below them."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.flowchart import draw_flow
from ablmargin.cohort.page import Drawing
from ablmargin.cohort.pictures import draw_errors, draw_groups, draw_surfaces, draw_waterfall


def drawings_of(cohort: Cohort) -> dict[str, Drawing]:
    """The pictures by the names of their files, as far as there is something to show."""
    return dict(_drawings(cohort))


def _drawings(cohort: Cohort) -> Iterator[tuple[str, Drawing]]:
    flow = draw_flow(cohort.flow, with_followup=False)
    yield "flow", Drawing(svg=flow, alternative="Flow of lesions from the manifest to the verdict.", caption=_FLOW)
    if not cohort.measured:
        return
    yield (
        "margins",
        Drawing(
            svg=draw_waterfall(cohort.measured),
            alternative="Bars of all minimum margins with their bounds, lowest first.",
            caption=_WATERFALL,
        ),
    )
    yield (
        "groups",
        Drawing(
            svg=draw_groups(cohort.measured),
            alternative="Minimum margins by size, RAS status and position at the capsule.",
            caption=_GROUPS,
        ),
    )
    if cohort.surface:
        yield (
            "surfaces",
            Drawing(
                svg=draw_surfaces(cohort.measured),
                alternative="Shares of each tumor’s surface by margin.",
                caption=_SURFACES,
            ),
        )
    errors = draw_errors(cohort.measured)
    if errors is not None:
        yield (
            "registration",
            Drawing(svg=errors, alternative="Local error of the registration against the margin.", caption=_ERRORS),
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
