"""Whether an alignment may carry a verdict, and why not.

Thresholds are of three kinds: what a map must not do (fold), what two livers must look like once they are aligned, and
how far the tumor may be off. The last one decides most often; the others are necessary and never enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ablmargin.geometry import Triple
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.agreement import LEAST_CORRELATION, LiverAgreement, TextureAgreement

Grade = Literal["good", "doubtful", "failed"]
Finding = tuple[Grade, Reason]
_GRADES: tuple[Grade, ...] = ("good", "doubtful", "failed")

LEAST_DICE = 0.85
DOUBTFUL_DICE = 0.92
DOUBTFUL_ASD_MM = 2.5
FAILED_ASD_MM = 5.0
FAILED_FOLDED_SHARE = 0.01
DOUBTFUL_SD_MM = 1.5
FAILED_SD_MM = 3.0
LARGEST_VOLUME_CHANGE = 0.2
LEAST_CORRELATION_NEAR = 0.4
LARGEST_SHIFT_NEAR_MM = 1.5
LARGEST_INCONSISTENCY_MM = 2.0
"""Good alignments of 38 simulated pairs come back to 0.1 to 0.8 mm, with an arterial exam to 1.9 mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationQuality:
    """How good an alignment is, measured, and the judgment that follows; lengths in mm, shares 0..1.

    ``inverse_consistency_mm`` is how far the points come back from themselves after a run in either direction;
    ``sd_mm`` the estimated error by component there; ``engine_distance_mm`` how far, on average, a second engine brings
    them from where the first does. None where it wasn't or couldn't be computed. ``unquantified`` are
    those of the ``reasons`` that ``sd_mm`` doesn't speak for, or not in full: bounds made from it don't cover them.
    """

    method: str
    liver_dice: float
    liver_hd95_mm: float
    liver_asd_mm: float
    jacobian_min: float
    folded_share: float
    inverse_consistency_mm: float | None
    sd_mm: float | None
    quality: Grade
    reasons: tuple[Reason, ...]
    unquantified: tuple[Reason, ...] = ()
    engine_distance_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """The outcome of :func:`grade`; fields as in :class:`RegistrationQuality`."""

    quality: Grade
    reasons: tuple[Reason, ...]
    unquantified: tuple[Reason, ...]


def worst_of(qualities: Sequence[RegistrationQuality]) -> RegistrationQuality:
    """Of one alignment assessed at several tumors: the worst grade and errors, with every tumor's reasons."""
    worst = max(qualities, key=lambda quality: (_GRADES.index(quality.quality), quality.sd_mm or 0.0))
    return replace(
        worst,
        inverse_consistency_mm=_largest(quality.inverse_consistency_mm for quality in qualities),
        engine_distance_mm=_largest(quality.engine_distance_mm for quality in qualities),
        sd_mm=_largest(quality.sd_mm for quality in qualities),
        reasons=tuple(dict.fromkeys(reason for quality in qualities for reason in quality.reasons)),
        unquantified=tuple(dict.fromkeys(reason for quality in qualities for reason in quality.unquantified)),
    )


def _largest(values_mm: Iterable[float | None]) -> float | None:
    return max((value for value in values_mm if value is not None), default=None)


def grade(
    *,
    livers: LiverAgreement,
    textures: TextureAgreement,
    better_shift_mm: Triple,
    phases_match: bool,
    both_ways: bool,
    inverse_consistency_mm: float,
    sd_mm: float | None,
    volume_change: float,
) -> Grading:
    """The worst grade that any finding asks for, and all findings as reasons.

    Where the phases don't match, an uncertain place of the tumor is enough to fail: nothing else vouches for it.

    Parameters
    ----------
    textures : TextureAgreement
        Under the final alignment.
    better_shift_mm : (float, float, float)
        By how much the textures near the tumor would agree better elsewhere.
    inverse_consistency_mm : float
        How far the tumor comes back from itself after a run in either direction.
    sd_mm : float or None
        Local error at the tumor; None if it wasn't estimated.
    volume_change : float
        Of the tumor by the map: 0.1 if it grows by 10 %.
    """
    unquantified = [
        *_liver_findings(livers),
        *_texture_findings(textures, better_shift_mm, phases_match=phases_match),
        *_map_findings(volume_change, inverse_consistency_mm, both_ways=both_ways),
    ]
    findings = [*unquantified, *_error_findings(sd_mm, FAILED_SD_MM if phases_match else DOUBTFUL_SD_MM)]
    return Grading(
        quality=max((level for level, _ in findings), key=_GRADES.index, default="good"),
        reasons=tuple(reason for _, reason in findings),
        unquantified=tuple(reason for _, reason in unquantified),
    )


def _finding(level: Grade, code: ReasonCode, sentence: str) -> Finding:
    return level, Reason(code=code, sentence=sentence)


def _liver_findings(livers: LiverAgreement) -> Iterator[Finding]:
    if livers.folded_share > 0:
        level: Grade = "failed" if livers.folded_share > FAILED_FOLDED_SHARE else "doubtful"
        sentence = f"The map folds in {livers.folded_share:.2%} of the liver."
        yield _finding(level, ReasonCode.REGISTRATION_FOLDS, sentence)
    if livers.dice < DOUBTFUL_DICE:
        level = "failed" if livers.dice < LEAST_DICE else "doubtful"
        sentence = f"The aligned livers overlap with a Dice of only {livers.dice:.2f} (expected: {DOUBTFUL_DICE})."
        yield _finding(level, ReasonCode.LIVERS_OVERLAP_LITTLE, sentence)
    if not livers.asd_mm <= DOUBTFUL_ASD_MM:
        level = "failed" if not livers.asd_mm <= FAILED_ASD_MM else "doubtful"
        sentence = f"The aligned livers' surfaces are {livers.asd_mm:.1f} mm apart on average."
        yield _finding(level, ReasonCode.LIVERS_APART, sentence)


def _texture_findings(textures: TextureAgreement, better_shift_mm: Triple, *, phases_match: bool) -> Iterator[Finding]:
    if not phases_match:
        told = "The two CTs seem to be in different contrast phases, or they show little in common"
        sentence = f"{told} (correlation {textures.correlation:.2f})."
        yield _finding("doubtful", ReasonCode.PHASES_SEEM_TO_DIFFER, sentence)
    elif textures.correlation < LEAST_CORRELATION:
        sentence = f"The aligned livers look different inside (correlation {textures.correlation:.2f})."
        yield _finding("doubtful", ReasonCode.TEXTURES_DIFFER, sentence)
    if phases_match and textures.correlation_near < LEAST_CORRELATION_NEAR:
        told = "The ablation zone's mask may be misplaced: around it the two CTs look different"
        sentence = f"{told} (correlation {textures.correlation_near:.2f})."
        yield _finding("doubtful", ReasonCode.TEXTURES_DIFFER_NEAR_ZONE, sentence)
    shift_mm = math.hypot(*better_shift_mm)
    if phases_match and shift_mm > LARGEST_SHIFT_NEAR_MM:
        sentence = f"Around the tumor the two CTs would agree better {shift_mm:.1f} mm away."
        yield _finding("doubtful", ReasonCode.TEXTURES_SHIFTED, sentence)


def _error_findings(sd_mm: float | None, failed_sd_mm: float) -> Iterator[Finding]:
    if sd_mm is not None and not sd_mm <= DOUBTFUL_SD_MM:
        level: Grade = "failed" if not sd_mm <= failed_sd_mm else "doubtful"
        sentence = f"The tumor's place after alignment is uncertain by {sd_mm:.1f} mm (sd by component)."
        yield _finding(level, ReasonCode.TUMOR_PLACE_UNCERTAIN, sentence)


def _map_findings(volume_change: float, inverse_consistency_mm: float, *, both_ways: bool) -> Iterator[Finding]:
    if not both_ways:
        sentence = "The alignment from post to pre folds near the liver, so only the opposite one was used."
        yield _finding("doubtful", ReasonCode.REGISTRATION_ONE_WAY, sentence)
    if not inverse_consistency_mm <= LARGEST_INCONSISTENCY_MM:
        told = "From pre to post and back, the tumor ends"
        sentence = f"{told} {inverse_consistency_mm:.1f} mm from where it was: a mask may be misplaced."
        yield _finding("doubtful", ReasonCode.REGISTRATION_INCONSISTENT, sentence)
    if abs(volume_change) > LARGEST_VOLUME_CHANGE:
        sentence = f"The alignment changes the tumor's volume by {volume_change:+.0%}."
        yield _finding("doubtful", ReasonCode.TUMOR_VOLUME_CHANGED, sentence)
