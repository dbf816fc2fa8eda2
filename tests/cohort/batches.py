"""Tables of results as a batch writes them, made up."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from cohort_simulated import Simulated, simulate

VERDICTS = ("adequate", "inadequate", "indeterminate")


def measured_row(case_id: str, lesion_id: str = "1", *, margin_mm: float = 6.0, **more: Any) -> dict[str, Any]:
    """A lesion with a margin, bounds of 1 mm each way and everything else plausible."""
    lower, upper = margin_mm - 1.0, margin_mm + 1.0
    ras = more.get("ras_mutation", "wildtype")
    required = 5.0 if ras == "wildtype" else 10.0
    shares = [0.0, 0.2, 0.5, 0.3] if margin_mm >= 0 else [0.1, 0.2, 0.5, 0.2]
    row = {
        "case_id": case_id,
        "lesion_id": lesion_id,
        "status": "complete",
        "ras_mutation": ras,
        "verdict": verdict(lower, upper, required),
        "required_margin_mm": required,
        "mam_mm": margin_mm,
        "mam_lower_mm": lower,
        "mam_upper_mm": upper,
        "bounds_of": "mam_mm",
        "mam_constrained_mm": "",
        "subcapsular": False,
        "verdicts_by_threshold_5": verdict(lower, upper, 5.0),
        "verdicts_by_threshold_10": verdict(lower, upper, 10.0),
        "tumor_volume_ml": 2.0,
        **dict(
            zip(
                ("surface_share_below_0", "surface_share_0_to_5", "surface_share_5_to_10", "surface_share_from_10"),
                shares,
                strict=True,
            )
        ),
        "coverage_0": 1.0,
        "coverage_5": 0.9,
        "coverage_10": 0.6,
        "liver_segments": "",
        "registration_quality": "good",
        "registration_sd_mm": 0.6,
        "tumor_reviewed": True,
        "ablation_reviewed": True,
        "error_code": "",
        "error": "",
    }
    return row | more


def failed_row(case_id: str, lesion_id: str = "1", *, code: str = "GEOM_GAP", **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(measured_row("x"), "")
    return row | {"case_id": case_id, "lesion_id": lesion_id, "error_code": code, "error": "A slice is missing."} | more


def withheld_row(case_id: str, lesion_id: str = "1", **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(measured_row("x"), "")
    told = {"status": "withheld", "verdict": "indeterminate", "registration_quality": "failed", "tumor_volume_ml": 2.0}
    return row | {"case_id": case_id, "lesion_id": lesion_id} | told | more


def verdict(lower: float, upper: float, required: float) -> str:
    return "adequate" if lower >= required else "inadequate" if upper < required else "indeterminate"


def simulated_rows(seed: int = 1, *, lesions: int = 200, cohort: Simulated | None = None) -> list[dict[str, Any]]:
    """A simulated cohort with follow-up, of which a few lesions failed, were withheld or not reviewed."""
    cohort = cohort or simulate(seed, lesions=lesions)
    random = np.random.default_rng(seed + 1000)
    rows = []
    for place in range(len(cohort.patient)):
        case_id, lesion_id = f"p{cohort.patient[place]:03d}", f"{place}"
        followup = {
            "patient_id": f"P{cohort.patient[place]:03d}",
            "ltp": int(cohort.event[place] == 1),
            "months": round(float(cohort.months[place]), 2),
            "death": int(cohort.event[place] == 2),
        }
        ras = {"ras_mutation": "mutant" if cohort.mutant[place] else "wildtype"}
        chance = random.random()
        if chance < 0.05:
            code = str(random.choice(["GEOM_GAP", "FOV_CUT", "MASK_EMPTY"]))
            rows.append(failed_row(case_id, lesion_id, code=code, **ras, **followup))
        elif chance < 0.08:
            rows.append(withheld_row(case_id, lesion_id, **ras, **followup))
        else:
            sd_mm = float(random.gamma(4.0, 0.2))
            quality = {"registration_quality": "good" if sd_mm < 1.3 else "doubtful", "registration_sd_mm": sd_mm}
            margin_mm = float(cohort.margin_mm[place])
            half = 1.645 * sd_mm
            low, high = margin_mm - half, margin_mm + half
            below = float(np.clip(-margin_mm / 20, 0, 1))
            unreviewed = random.random() < 0.04
            row = measured_row(
                case_id,
                lesion_id,
                margin_mm=margin_mm,
                mam_lower_mm=low,
                mam_upper_mm=high,
                subcapsular=bool(random.random() < 0.3),
                tumor_volume_ml=float(random.lognormal(0.7, 1.0)),
                tumor_reviewed=not unreviewed,
                surface_share_below_0=below,
                surface_share_0_to_5=(1 - below) * 0.3,
                surface_share_5_to_10=(1 - below) * 0.4,
                surface_share_from_10=(1 - below) * 0.3,
                coverage_0=1 - below / 2,
                liver_segments=str(random.choice(["II 1", "IVa 0.7, VIII 0.3", "VI 0.62, VII 0.38", "VIII 1"])),
                **quality,
                **ras,
                **followup,
            )
            row |= {f"verdicts_by_threshold_{mm}": verdict(low, high, mm) for mm in (5, 10)}
            row |= {"verdict": verdict(low, high, row["required_margin_mm"])}
            if unreviewed:
                row |= {name: "indeterminate" for name in row if name.startswith("verdict")}
            rows.append(row)
    return rows


def save(rows: list[dict[str, Any]], folder: Path) -> Path:
    """``results.csv`` in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder
