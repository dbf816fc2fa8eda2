"""The tables of a cohort: what other programs take on."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from batches import failed_row, measured_row, save

from ablmargin.cohort.analysis import analyze_cohort
from ablmargin.cohort.sheets import LESION_COLUMNS, sheets_of
from ablmargin.cohort.table import read_results


def sheet_of(rows, folder, *, own=None):
    results = read_results(save(rows, folder))
    if own is not None:
        lesions = tuple(replace(one, own=cells) for one, cells in zip(results.lesions, own, strict=True))
        results = replace(results, lesions=lesions)
    return list(csv.DictReader(io.StringIO(sheets_of(analyze_cohort(results))["lesions"])))


def test_no_margin_is_rounded_across_a_threshold(tmp_path):
    (row,) = sheet_of([measured_row("a", margin_mm=4.9996)], tmp_path)
    assert (float(row["margin_mm"]), row["band"]) == (4.9996, "0_to_5")


def test_every_digit_comes_through(tmp_path):
    row = measured_row("a", margin_mm=1 / 3, registration_sd_mm=0.1 + 0.2, coverage_5=2 / 3, ltp=0, months=100 / 7)
    (found,) = sheet_of([row], tmp_path)
    assert (float(found["margin_mm"]), float(found["registration_sd_mm"])) == (1 / 3, 0.1 + 0.2)
    assert (float(found["coverage_5"]), float(found["months"])) == (2 / 3, 100 / 7)


def test_what_other_covariates_take(tmp_path):
    row = measured_row(
        "a",
        margin_mm=8,
        mam_mm=1,
        mam_constrained_mm=8,
        bounds_of="mam_constrained_mm",
        liver_segments="VI 0.62, VII 0.38",
    )
    (found,) = sheet_of([row | {"tumor_reviewed": False}], tmp_path)
    told = (found["segment"], found["reviewed"], found["margin_mm"], found["plain_margin_mm"])
    assert told == ("VI", "False", "8.0", "1.0")


def test_follow_up_has_the_columns_of_a_manifest(tmp_path):
    told = {"ltp": "0", "months": "3", "death": "1", "months_death": "40"}
    rows = sheet_of([measured_row("a", **told), measured_row("b"), failed_row("c", **told)], tmp_path)
    assert [row["ltp"] + row["death"] for row in rows] == ["01", "", "01"]
    assert [row["months"] and float(row["months"]) for row in rows] == [3, "", 3]
    assert [row["months_death"] and float(row["months_death"]) for row in rows] == [40, "", 40]


def test_the_manifests_own_columns_come_behind(tmp_path):
    own = [{"center": "Ulm", "band": "II"}, {}, {"age": "=61"}]
    rows = sheet_of([measured_row("a"), measured_row("b"), failed_row("c")], tmp_path, own=own)
    assert list(rows[0]) == [*LESION_COLUMNS, "center", "manifest_band", "age"]
    assert [row["center"] for row in rows] == ["Ulm", "", ""]
    assert (rows[0]["band"], rows[0]["manifest_band"], rows[2]["age"]) == ("5_to_10", "II", "'=61")
