"""Why a measured lesion gets no verdict."""

from __future__ import annotations

from collections.abc import Iterator

from ablmargin.metrics.capsule import Capsule
from ablmargin.metrics.margin import MarginResult
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.target import Rule, Target

NOT_SEEN = Reason(
    code=ReasonCode.TUMOR_OUT_OF_VIEW,
    sentence="Part of the tumor lies outside of the exam after ablation, where nobody knows what was ablated.",
)
NOTABLE_EXCUSE_MM = 0.6
"""Tumor that may reach out of the zone at the capsule by more than this may be unablated, though the voxels can't tell."""
PROPOSED_LIVER = Reason(
    code=ReasonCode.LIVER_NOT_REVIEWED,
    sentence="The tumor lies below the capsule, and the liver whose border excuses a part of its margin was outlined by the "
    "software and not reviewed by a reader.",
)
NOTABLE_GAIN_MM = 0.05
"""A constrained minimum that is larger by less is the same when told to a tenth of a millimeter."""
MOST_OUTSIDE = 0.2
"""Share of a tumor's surface beyond the liver's outline; with more, the outline is wrong. A tumor of 8 mm radius that sticks
out by 3 mm has 0.11, outlines a millimeter too small add nearly nothing."""


def hindrances_of(
    rule: Rule, target: Target, margin: MarginResult, *, seen: bool, capsule: Capsule | None
) -> tuple[Reason, ...]:
    """Why this lesion can't have a verdict: the rule's own and what its margin showed.

    ``seen``: whether the whole tumor lies in the exam after ablation.
    """
    found = [*rule.hindrances]
    if not seen:
        found.append(NOT_SEEN)
    if _rests_on_proposed_liver(target, margin, capsule):
        found.append(PROPOSED_LIVER)
    return (*found, *_at_the_capsule(capsule))


def _at_the_capsule(capsule: Capsule | None) -> Iterator[Reason]:
    if capsule is not None and capsule.outside_share > MOST_OUTSIDE:
        sentence = (
            f"{capsule.outside_share:.0%} of the tumor's surface lies outside the liver's outline: what could be ablated "
            "there isn't known."
        )
        yield Reason(code=ReasonCode.TUMOR_BEYOND_LIVER, sentence=sentence)
    if capsule is not None and capsule.excused_mm > NOTABLE_EXCUSE_MM:
        sentence = (
            f"At the capsule the tumor may reach up to {capsule.excused_mm:.1f} mm out of the ablation zone; the slices "
            "can't tell whether it was ablated there."
        )
        yield Reason(code=ReasonCode.CAPSULE_UNCLEAR, sentence=sentence)


def is_constrained(margin: MarginResult, capsule: Capsule | None) -> bool:
    """Whether the minimum that is judged leaves out what lies beyond the capsule."""
    return capsule is not None and capsule.subcapsular and margin.constrained_mm is not None


def _rests_on_proposed_liver(target: Target, margin: MarginResult, capsule: Capsule | None) -> bool:
    """Whether a liver that nobody reviewed lets the judged minimum come out larger than that over the whole surface."""
    if target.liver is None or target.liver.origin.reviewed or not is_constrained(margin, capsule):
        return False
    constrained_mm = margin.constrained_minimum_mm
    return constrained_mm is not None and constrained_mm > margin.minimum_mm + NOTABLE_GAIN_MM
