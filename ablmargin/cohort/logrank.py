"""The log-rank test between bands of margins, by statsmodels. It takes lesions as independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from statsmodels.duration.survfunc import survdiff

from ablmargin.cohort.histories import Codes, Histories


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """The test's chi-square with its degrees of freedom and p-value.

    ``never_at_risk`` are the groups of which nobody was followed when anybody progressed: they say nothing and are left out.
    """

    chi_square: float
    freedom: int
    p_value: float
    never_at_risk: tuple[int, ...]


def logrank(histories: Histories, group: Codes) -> LogRank | None:
    """The test between groups; None if fewer than two of them were at risk when somebody progressed."""
    if not histories.progressions:
        return None
    first = histories.months[histories.progressed].min()
    compared = np.unique(group[histories.months >= first])
    inside = np.isin(group, compared)
    if len(compared) < 2:
        return None
    try:
        with np.errstate(all="ignore"):
            chi_square, _ = survdiff(
                histories.months[inside], histories.progressed[inside].astype(float), group[inside]
            )
    except np.linalg.LinAlgError:
        return None
    freedom = len(compared) - 1
    return (
        LogRank(
            chi_square=float(chi_square),
            freedom=freedom,
            p_value=float(chi2.sf(chi_square, freedom)),
            never_at_risk=tuple(int(code) for code in np.setdiff1d(group, compared)),
        )
        if np.isfinite(chi_square)
        else None
    )
