"""Agreement of verdicts beyond chance: Cohen's and Fleiss' kappa, Gwet's AC1.

Each is (observed - chance) / (1 - chance); they differ in what chance is. Kappa calls agreement poor where nearly all
lesions have one verdict, however often readers agree; AC1 doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from ablmargin.agreement.estimate import CONFIDENCE, NO_INTERVAL
from ablmargin.geometry import FloatArray

Chance = Callable[[FloatArray], FloatArray]
"""From votes to the chance agreement that each lesion's votes stand for, shape (n,); its mean is that of all."""


def votes_of(readings: Sequence[Sequence[str]], categories: Sequence[str]) -> FloatArray:
    """Who said what: 1 where a reader put a lesion into a category.

    Parameters
    ----------
    readings : sequences of str
        For each reader the categories of all lesions, in one order.
    categories : sequence of str
        All that a reader could choose, two or more, whether anybody used them or not: AC1 depends on how many there are.

    Returns
    -------
    ndarray of float, shape (lesions, readers, categories)
    """
    table = np.array([list(words) for words in readings], dtype=object).T
    return np.asarray(table[:, :, None] == np.array([*categories], dtype=object), float)


def somebody_always_says_the_same(votes: FloatArray) -> bool:
    """Whether a reader used one category alone. Cohen's kappa is 0 then whatever the other says, and tells nothing."""
    return bool((votes.mean(axis=0) == 1).any())


def cohen_chance(votes: FloatArray) -> FloatArray:
    """For two readers: each keeps to how often it uses a category (Cohen 1960, doi:10.1177/001316446002000104)."""
    how_often = votes.mean(axis=0)
    return np.asarray((votes * how_often[::-1]).sum(axis=(1, 2)) / 2)


def fleiss_chance(votes: FloatArray) -> FloatArray:
    """All readers use a category equally often (Fleiss 1971, doi:10.1037/h0031619)."""
    shares = votes.mean(axis=1)
    return np.asarray(shares @ shares.mean(axis=0))


def gwet_chance(votes: FloatArray) -> FloatArray:
    """Readers guess only at some lesions (Gwet 2008, doi:10.1348/000711006X126600)."""
    shares = votes.mean(axis=1)
    return np.asarray(shares @ (1 - shares.mean(axis=0)) / (votes.shape[2] - 1))


def observed_agreement(votes: FloatArray) -> FloatArray:
    """Share of pairs of readers who agree, for each lesion."""
    readers = votes.shape[1]
    counts = votes.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1)))


def coefficient(votes: FloatArray, chance: Chance) -> float:
    """Agreement beyond chance, at most 1; NaN where chance alone explains everything."""
    expected = float(chance(votes).mean())
    return (float(observed_agreement(votes).mean()) - expected) / (1 - expected) if expected < 1 else float("nan")


def coefficient_interval(votes: FloatArray, chance: Chance) -> tuple[float, float]:
    """Of a coefficient, for independent lesions: Gwet's linearized variance and Student's t.

    References
    ----------
    Gwet, Br J Math Stat Psychol 2008;61:29, doi:10.1348/000711006X126600
    """
    lesions = len(votes)
    value = coefficient(votes, chance)
    if lesions < 2 or not np.isfinite(value):
        return NO_INTERVAL
    expected = chance(votes)
    left = 1 - expected.mean()
    of_lesion = (observed_agreement(votes) - expected.mean()) / left
    of_lesion -= 2 * (1 - value) * (expected - expected.mean()) / left
    error = np.sqrt(np.square(of_lesion - value).sum() / (lesions * (lesions - 1)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, lesions - 1) * error)
    return max(value - reach, -1.0), min(value + reach, 1.0)
