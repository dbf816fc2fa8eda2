"""What whoever reads the figures of a comparison must know, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ablmargin.agreement.comparison import Comparison, OverallAgreement, PairAgreement
from ablmargin.agreement.estimate import FEWEST_PATIENTS
from ablmargin.agreement.readings import LesionKey, Readings
from ablmargin.agreement.sheet import counted, pair_title

FEW_PATIENTS = 10
"""A bootstrap of fewer patients makes its intervals too narrow."""

Part = PairAgreement | OverallAgreement


def remarks(comparison: Comparison) -> Iterator[str]:
    """All sentences. One that isn't true of every pair begins with those that it is about."""
    parts = _parts(comparison)
    told = {name: list(_about(part, comparison)) for name, part in parts.items()}
    for sentence in dict.fromkeys(chain.from_iterable(told.values())):
        names = [name for name, sentences in told.items() if sentence in sentences]
        yield sentence if len(names) == len(parts) else f"{'; '.join(names)}: {sentence[0].lower()}{sentence[1:]}"
    if comparison.overall is None and not comparison.is_of_two:
        yield "No lesion is in all results, so there are no figures of all readers together."
    yield from _about_patients(comparison)
    yield (
        "Margins are mam_mm, nothing excluded. Verdicts are the readers' own: with bounds and reservations where a reader has them, "
        "and about the margin within the liver for tumors below its capsule."
    )


def _parts(comparison: Comparison) -> dict[str, Part]:
    """What has figures, by what it is called."""
    parts: dict[str, Part] = {pair_title(pair): pair for pair in comparison.pairs if pair.matched.common}
    return parts if comparison.overall is None else parts | {"all together": comparison.overall}


def _about(part: Part, comparison: Comparison) -> Iterator[str]:
    yield from _about_independence(part.patients, len(part.matched.common), comparison.patients.unit)
    counting = sum(_verdict_counts(comparison, key, part) for key in part.matched.without_margin)
    if counting:
        yield (
            f"Of {counted(counting, 'lesion')} without a margin of every reader the verdicts count: a withheld verdict is an answer, "
            "indeterminate. The figures of margins leave them out."
        )
    differing = sum(len(_required_mm(comparison, key, part)) > 1 for key in part.matched.common)
    if differing:
        yield f"Readers asked for different margins at {counted(differing, 'lesion')}: there verdicts differ without a difference in margin."


def _verdict_counts(comparison: Comparison, key: LesionKey, part: Part) -> bool:
    """Whether all give a verdict on a lesion, with or without a margin."""
    return all(one.lesions[key].verdict is not None for one in _readers(comparison, part))


def _about_independence(people: int, lesions: int, unit: str) -> Iterator[str]:
    if people == lesions:
        yield f"Each {unit} has one lesion, so intervals take lesions for independent; those of margins also take normal differences."
        return
    yield (
        f"Lesions of one {unit} aren't independent. Bias and limits of agreement count each {unit} once; all other intervals "
        + (
            f"need {FEWEST_PATIENTS} {unit}s."
            if people < FEWEST_PATIENTS
            else f"take {unit}s, not lesions, for independent."
        )
    )
    if FEWEST_PATIENTS <= people < FEW_PATIENTS:
        yield f"With so few {unit}s the intervals of proportional bias, shares, kappa and AC1 are rather too narrow."


def _about_patients(comparison: Comparison) -> Iterator[str]:
    unnamed = comparison.patients.unnamed(comparison.lesions)
    if comparison.patients.unit == "case":
        yield "No result has a column patient_id, so each case counts as a patient."
    elif unnamed:
        yield f"{counted(unnamed, 'case')} without a patient_id: each counts as a patient."


def _required_mm(comparison: Comparison, key: LesionKey, part: Part) -> set[float | None]:
    return {one.lesions[key].required_mm for one in _readers(comparison, part)} - {None}


def _readers(comparison: Comparison, part: Part) -> list[Readings]:
    names = {part.first, part.second} if isinstance(part, PairAgreement) else {*comparison.names}
    return [one for one in comparison.readings if one.name in names]
