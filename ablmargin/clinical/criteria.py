"""How wide a margin has to be, who says so, and the verdict that follows.

The rule: 5 mm for RAS wild type, 10 mm for RAS mutant or unknown. It rests on margins that were mostly measured by
hand in two dimensions on CT weeks after ablation; a 3-D minimum is by construction no larger than those. The later
3-D study didn't find RAS independent any more. Both facts are part of :data:`EVIDENCE` and of every report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from ablmargin.case import RasMutation
from ablmargin.reasons import Reason, ReasonCode

COARSE_SLICES_MM = 4.0
"""From this slice spacing on no verdict rests on a margin: a vessel's groove through an ablation zone, 1.5 to 3 mm in radius,
can run between two slices. In 70 simulated zones with such a groove, 3 tumors with less than 5 mm were called adequate at
4 mm, none of 140 at 2.5 to 3 mm."""

REQUIRED_MARGIN_MM: Mapping[RasMutation, float] = MappingProxyType(
    {RasMutation.WILD_TYPE: 5.0, RasMutation.MUTANT: 10.0, RasMutation.UNKNOWN: 10.0}
)

THRESHOLDS_MM = (5.0, 10.0)
"""Always both shown, whatever the patient's RAS status."""


class Verdict(StrEnum):
    """Whether a margin is wide enough, as far as it can be known."""

    ADEQUATE = "adequate"
    INADEQUATE = "inadequate"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A published finding behind the rule, or against it."""

    reference: str
    doi: str
    finding: str


EVIDENCE = (
    Evidence(
        reference="Odisio et al., Br J Surg 2017;104:760",
        doi="10.1002/bjs.10490",
        finding="A minimum margin under 5 mm (hazard ratio 2.48) and mutant RAS (3.01) each went with more local "
        "tumor progression, independently.",
    ),
    Evidence(
        reference="Maki et al., Ann Gastroenterol Surg 2023 (review)",
        doi="10.1002/ags3.12689",
        finding="Derives from it: at least 5 mm for RAS wild type, at least 10 mm for RAS mutant or unknown.",
    ),
    Evidence(
        reference="Lin et al., Radiology 2023;307:e221373",
        doi="10.1148/radiol.221373",
        finding="With margins measured in 3-D after deformable registration, no progression was seen at 5 mm or more, "
        "and RAS was no longer an independent factor: the 10 mm rule may be stricter than needed.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a verdict looks at: a minimum margin with its one-sided 95 % bounds, mm; None where not known."""

    minimum_mm: float
    lower_mm: float | None
    upper_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one lesion and why: what hinders it, if anything does, and at last what the numbers say."""

    required_margin_mm: float
    point_verdict: Verdict
    verdict: Verdict
    reasons: tuple[Reason, ...]
    by_threshold: Mapping[float, Verdict]


def judge(
    measured: Mapping[float, Measured], ras_mutation: RasMutation, *, hindrances: Sequence[Reason] = ()
) -> Judgement:
    """Compare a minimum margin with what the patient's RAS status requires, and with the other threshold.

    Parameters
    ----------
    measured : mapping of threshold to Measured
        For each of :data:`THRESHOLDS_MM` the minimum that it is compared with: which tissue can be asked for below the
        capsule depends on how much is required.
    ras_mutation : RasMutation
    hindrances : sequence of Reason
        Why these images or masks can't carry a verdict; any of them makes it indeterminate.

    Returns
    -------
    Judgement
        ``point_verdict`` ignores bounds and hindrances: it is what a plain threshold would say.

    Examples
    --------
    >>> measured = dict.fromkeys(THRESHOLDS_MM, Measured(minimum_mm=7.1, lower_mm=5.6, upper_mm=9.0))
    >>> judgement = judge(measured, RasMutation.WILD_TYPE)
    >>> judgement.verdict.value, str(judgement.reasons[0])
    ('adequate', 'The lower 95 % bound of the margin, 5.6 mm, reaches the required 5 mm.')
    >>> judge(measured, RasMutation.UNKNOWN).verdict.value
    'inadequate'

    References
    ----------
    See :data:`EVIDENCE`.
    """
    required = REQUIRED_MARGIN_MM[ras_mutation]
    told = _compare(measured[required], required)[1]
    by_threshold = {
        threshold: Verdict.INDETERMINATE if hindrances else _compare(measured[threshold], threshold)[0]
        for threshold in THRESHOLDS_MM
    }
    return Judgement(
        required_margin_mm=required,
        point_verdict=Verdict.ADEQUATE if measured[required].minimum_mm >= required else Verdict.INADEQUATE,
        verdict=by_threshold[required],
        reasons=(*hindrances, _by_numbers_alone(told) if hindrances else told),
        by_threshold=by_threshold,
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a case: that of its worst lesion.

    >>> worst([Verdict.ADEQUATE, Verdict.INDETERMINATE]).value
    'indeterminate'
    """
    order = (Verdict.INADEQUATE, Verdict.INDETERMINATE, Verdict.ADEQUATE)
    return min(verdicts, key=order.index)


def _compare(measured: Measured, required_mm: float) -> tuple[Verdict, Reason]:
    lower, upper = measured.lower_mm, measured.upper_mm
    if lower is None or upper is None:
        sentence = "The error of the registration isn't known, so the margin has no bounds."
        return Verdict.INDETERMINATE, Reason(code=ReasonCode.BOUNDS_UNKNOWN, sentence=sentence)
    low, high, required = told_beside(lower, required_mm), told_beside(upper, required_mm), f"{required_mm:.0f}"
    if lower >= required_mm:
        sentence = f"The lower 95 % bound of the margin, {low} mm, reaches the required {required} mm."
        return Verdict.ADEQUATE, Reason(code=ReasonCode.LOWER_BOUND_REACHES, sentence=sentence)
    if upper < required_mm:
        sentence = f"The upper 95 % bound of the margin, {high} mm, stays below the required {required} mm."
        return Verdict.INADEQUATE, Reason(code=ReasonCode.UPPER_BOUND_BELOW, sentence=sentence)
    sentence = f"The required {required} mm lies between the margin's 95 % bounds, {low} and {high} mm."
    return Verdict.INDETERMINATE, Reason(code=ReasonCode.REQUIRED_BETWEEN_BOUNDS, sentence=sentence)


def _by_numbers_alone(reason: Reason) -> Reason:
    """What the numbers say where something keeps them from deciding."""
    return replace(reason, sentence=f"By the numbers alone: {reason.sentence[0].lower()}{reason.sentence[1:]}")


def told_beside(value_mm: float, threshold_mm: float) -> str:
    """A value to a tenth of a millimeter, or as far as it takes to see that it isn't the threshold.

    >>> told_beside(6.94, 5.0), told_beside(4.99, 5.0), told_beside(5.0, 5.0), told_beside(4.9999, 5.0)
    ('6.9', '4.99', '5.0', 'just below 5')
    """
    for decimals in (1, 2, 3):
        if value_mm == threshold_mm or round(value_mm, decimals) != threshold_mm:
            return f"{round(value_mm, decimals) + 0.0:.{decimals}f}"
    return f"{'just below' if value_mm < threshold_mm else 'just above'} {threshold_mm:.0f}"
