"""How often the intervals of a comparison hold the true value where patients have several lesions.

``python benchmarks/agreement.py [--runs 400]`` prints a row for each number of patients and exits with 1 if a limit isn't met.
Patients have one to four lesions with margins of 6 mm, SD 4; each reader errs by 0.6 mm SD a lesion, and the second also by 0.6 mm SD a patient, with
a bias of 0.4 mm. Verdicts are whether the margin is 5 mm or more; the true AC1 and kappa are those of a million such lesions.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ablmargin.agreement.categories import coefficient, cohen_chance, gwet_chance, votes_of
from ablmargin.agreement.comparison import compare_readings
from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.readings import Reading, Readings
from ablmargin.geometry import FloatArray

PATIENTS = (12, 20, 40, 80)
BETWEEN_LESIONS_SD, READER_SD, PATIENT_SD, BIAS_MM, THRESHOLD_MM = 4.0, 0.6, 0.6, 0.4, 5.0
LIMITS = (0.90, 0.99)
MANY = 1_000_000
FIGURES = ("bias", "lower limit", "upper limit", "ICC(A,1)", "ICC(C,1)", "kappa", "AC1")


def readings(rng: np.random.Generator, patient_of_row: FloatArray) -> FloatArray:
    """Margins by two readers, shape (n, 2)."""
    n = len(patient_of_row)
    truth = rng.normal(6.0, BETWEEN_LESIONS_SD, n)
    shared = rng.normal(0.0, PATIENT_SD, int(patient_of_row.max()) + 1)[patient_of_row]
    first, second = rng.normal(0.0, READER_SD, (2, n))
    return np.column_stack([truth + first, truth + BIAS_MM + shared + second])


def true_values(rng: np.random.Generator) -> FloatArray:
    """What the intervals are about, in the order of :data:`FIGURES`; kappa and AC1 by a large sample."""
    sd = np.sqrt(2 * READER_SD**2 + PATIENT_SD**2)
    error, shift = sd**2 / 2, BIAS_MM**2 / 2
    lesions = BETWEEN_LESIONS_SD**2
    wide = np.where(readings(rng, np.arange(MANY)) >= THRESHOLD_MM, "yes", "no")
    votes = votes_of([*wide.T], ("yes", "no"))
    return np.array(
        [
            BIAS_MM,
            BIAS_MM - 1.96 * sd,
            BIAS_MM + 1.96 * sd,
            lesions / (lesions + error + shift),
            lesions / (lesions + error),
            coefficient(votes, cohen_chance),
            coefficient(votes, gwet_chance),
        ]
    )


def estimates(rng: np.random.Generator, patients: int, seed: int) -> list[Estimate]:
    """The figures of one simulated comparison."""
    patient_of_row = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    keys = [(f"{patient}", f"{number}") for number, patient in enumerate(patient_of_row)]
    both = [
        Readings(name=name, lesions={key: Reading(margin_mm=float(mm)) for key, mm in zip(keys, margins, strict=True)})
        for name, margins in zip("AB", readings(rng, patient_of_row).T, strict=True)
    ]
    (pair,) = compare_readings(both, seed=seed).pairs
    margins, (wide, _) = pair.margins, pair.verdicts
    assert margins is not None
    limits = (margins.bias_mm, margins.lower_limit_mm, margins.upper_limit_mm)
    return [*limits, margins.icc_agreement, margins.icc_consistency, wide.kappa, wide.ac1]


def coverage(rng: np.random.Generator, patients: int, runs: int, truth: FloatArray) -> FloatArray:
    """Share of intervals that hold the true value; one that isn't told holds nothing."""
    held = np.zeros(len(truth))
    for run in range(runs):
        told = [(one.lower, one.upper) for one in estimates(rng, patients, seed=run)]
        held += [None not in ends and ends[0] <= true <= ends[1] for ends, true in zip(told, truth, strict=True)]
    return held / runs


def main() -> int:
    """Print the table; 1 if a limit isn't met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(20261123)
    truth = true_values(rng)
    print("true values: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(FIGURES, truth, strict=True)))
    print("patients  " + "  ".join(f"{name:>11}" for name in FIGURES))
    met = True
    for patients in PATIENTS:
        shares = coverage(rng, patients, runs, truth)
        met &= bool(((shares >= LIMITS[0]) & (shares <= LIMITS[1])).all())
        print(f"{patients:8}  " + "  ".join(f"{100 * share:9.1f} %" for share in shares), flush=True)
    print(f"limit: {100 * LIMITS[0]:.0f} to {100 * LIMITS[1]:.0f} %: {'met' if met else 'NOT MET'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
