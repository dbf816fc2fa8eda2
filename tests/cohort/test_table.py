"""A table of results, read as lesions; what is wrong with it is told by row and column."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd
import pytest
from batches import failed_row, measured_row, save, withheld_row

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import Verdict
from ablmargin.cohort.lesion import Event, State
from ablmargin.cohort.table import read_results
from ablmargin.errors import InputError
from ablmargin.results.origin import Origin


def faults_of(rows, tmp_path):
    with pytest.raises(InputError) as told:
        read_results(save(rows, tmp_path))
    return told.value.faults


def test_what_became_of_each_lesion(tmp_path):
    rows = [measured_row("a", margin_mm=-1.5), withheld_row("b"), failed_row("c", code="FOV_CUT")]
    lesions = read_results(save(rows, tmp_path)).lesions
    assert [lesion.state for lesion in lesions] == [State.MEASURED, State.WITHHELD, State.FAILED]
    assert [lesion.code for lesion in lesions] == ["", "", "FOV_CUT"]
    assert lesions[0].measured.margin_mm == -1.5
    assert lesions[0].measured.band.key == "below_0"
    assert lesions[1].findings is None


@pytest.mark.parametrize(
    ("margin_mm", "key"), [(-0.01, "below_0"), (0, "0_to_5"), (4.99, "0_to_5"), (5, "5_to_10"), (10, "from_10")]
)
def test_a_margin_on_an_edge_belongs_to_the_band_above(tmp_path, margin_mm, key):
    (lesion,) = read_results(save([measured_row("a", margin_mm=margin_mm)], tmp_path)).lesions
    assert lesion.measured.band.key == key


def test_the_margin_is_the_one_that_the_verdict_is_about(tmp_path):
    rows = [
        measured_row("a", margin_mm=1.0, mam_constrained_mm=8.0, bounds_of="mam_constrained_mm", subcapsular=True),
        measured_row("b", margin_mm=1.0, mam_constrained_mm=8.0, bounds_of="mam_mm"),
    ]
    within, plain = read_results(save(rows, tmp_path)).lesions
    assert (within.measured.margin_mm, within.measured.plain_mm) == (8.0, 1.0)
    assert plain.measured.margin_mm == 1.0


def test_parquet_tells_the_same_as_csv(tmp_path):
    rows = [measured_row("a", ltp=1, months=7.5), measured_row("b"), failed_row("c")]
    folder = save(rows, tmp_path / "csv")
    frame = pd.DataFrame(rows).replace("", None)
    (tmp_path / "parquet").mkdir()
    frame["mam_mm"] = frame["mam_mm"].astype(float)
    frame.to_parquet(tmp_path / "parquet" / "results.parquet")
    one, two = read_results(tmp_path / "parquet"), read_results(folder)
    assert replace(one, origin=two.origin) == two


def test_what_is_known_of_a_lesion(tmp_path):
    row = measured_row(
        "a", ras_mutation="mutant", margin_mm=7, liver_segments="VI 0.62, VII 0.38", tumor_volume_ml=4.18879
    )
    (lesion,) = read_results(save([row], tmp_path)).lesions
    findings = lesion.measured
    assert (lesion.ras, findings.required_mm) == (RasMutation.MUTANT, 10.0)
    assert findings.by_threshold == {5.0: Verdict.ADEQUATE, 10.0: Verdict.INADEQUATE}
    assert findings.segment == "VI"
    assert findings.diameter_mm == pytest.approx(20.0, abs=1e-3)  # 4/3 π 10³ mm³


def test_a_case_counts_as_a_patient_where_none_is_named(tmp_path):
    results = read_results(save([measured_row("a"), measured_row("b", patient_id="P")], tmp_path))
    assert [lesion.patient_id for lesion in results.lesions] == ["(case a)", "P"]
    assert (results.has_patients, results.unnamed) == (True, 1)


def test_a_case_without_a_patient_isn_t_the_patient_of_that_name(tmp_path):
    rows = [measured_row("7", patient_id=""), measured_row("8", patient_id="7")]
    assert len({lesion.patient_id for lesion in read_results(save(rows, tmp_path)).lesions}) == 2


def test_ids_stay_what_they_are(tmp_path):
    """1.1 isn't 1.10, and long numbers have no digits to lose."""
    names = ["1.1", "1.10", "123456789012345515", "123456789012345516"]
    rows = [measured_row(f"c{number}", patient_id=name) for number, name in enumerate(names)]
    assert [lesion.patient_id for lesion in read_results(save(rows, tmp_path)).lesions] == names


def test_own_columns_come_along(tmp_path):
    (lesion,) = read_results(save([measured_row("a", site="north", ltp=0, months=3)], tmp_path)).lesions
    assert lesion.own == {"site": "north"}


def test_the_file_that_was_read_can_be_traced(tmp_path):
    folder = save([measured_row("a")], tmp_path)
    digest = hashlib.sha256((folder / "results.csv").read_bytes()).hexdigest()
    for place in (folder, folder / "results.csv"):
        assert read_results(place).origin == Origin(name="results.csv", files=1, sha256=digest)


def test_several_files_have_one_digest(tmp_path):
    """As ``sha256sum`` would tell of both, one behind the other."""
    for name in "ab":
        (tmp_path / name).write_text(name, encoding="ascii")
    origin = Origin.of(tmp_path, [tmp_path / "a", tmp_path / "b"])
    digests = "".join(hashlib.sha256(name.encode()).hexdigest() for name in "ab")
    assert origin == Origin(name=tmp_path.name, files=2, sha256=hashlib.sha256(digests.encode()).hexdigest())


def test_columns_that_have_shifted_are_refused(tmp_path):
    """A comma too many, and a column that stands twice."""
    (tmp_path / "results.csv").write_text("case_id,lesion_id,mam_mm,verdict\nc,1,2.5,adequate,\n", encoding="utf-8")
    with pytest.raises(InputError, match="RESULTS_ROW"):
        read_results(tmp_path)
    (tmp_path / "results.csv").write_text("case_id,lesion_id,mam_mm,mam_mm,verdict\nc,1,2,3,\n", encoding="utf-8")
    with pytest.raises(InputError, match="RESULTS_COLUMN"):
        read_results(tmp_path)


def test_words_and_flags_as_people_write_them(tmp_path):
    row = measured_row("a", verdict="Adequate", status="Complete", registration_quality="Good", subcapsular="yes")
    (lesion,) = read_results(save([row | {"tumor_reviewed": "1", "mam_lower_mm": "NA"}], tmp_path)).lesions
    findings = lesion.measured
    assert (findings.verdict, findings.quality, findings.subcapsular) == (Verdict.ADEQUATE, "good", True)
    assert (findings.reviewed, findings.lower_mm) == (True, None)


@pytest.mark.parametrize("cells", [{"status": "Withheld"}, {"registration_quality": "Failed"}])
def test_a_withheld_lesion_is_one_however_it_is_spelled(tmp_path, cells):
    (lesion,) = read_results(save([measured_row("a", **cells)], tmp_path)).lesions
    assert lesion.state is State.WITHHELD


def test_within_the_liver_where_nobody_tells_which_minimum_was_judged(tmp_path):
    more = {"bounds_of": "", "mam_constrained_mm": 9.0}
    rows = [measured_row("a", margin_mm=0.0, subcapsular=True, **more)]
    rows.append(measured_row("b", margin_mm=0.0, subcapsular=False, **more))
    assert [lesion.measured.margin_mm for lesion in read_results(save(rows, tmp_path)).lesions] == [9.0, 0.0]


def test_a_margin_without_a_verdict_is_refused(tmp_path):
    (fault,) = faults_of([measured_row("a", verdict="")], tmp_path)
    assert (fault.code, fault.attribute) == ("COHORT_CELL", "verdict")


def test_thresholds_that_nobody_judged_aren_t_judged(tmp_path):
    row = measured_row("a") | {"verdicts_by_threshold_5": "", "verdicts_by_threshold_10": ""}
    (lesion,) = read_results(save([row], tmp_path)).lesions
    assert lesion.measured.by_threshold == {}


def test_every_cell_at_fault_is_told_by_row_and_column(tmp_path):
    rows = [
        measured_row("a", mam_lower_mm="two"),
        measured_row("b", subcapsular="perhaps", tumor_volume_ml=-1),
        measured_row("c", surface_share_below_0=1.5, ras_mutation="KRAS"),
    ]
    assert {fault.source for fault in faults_of(rows, tmp_path)} == {
        "results.csv, row 2, column mam_lower_mm",
        "results.csv, row 3, column subcapsular",
        "results.csv, row 3, column tumor_volume_ml",
        "results.csv, row 4, column surface_share_below_0",
        "results.csv, row 4, column ras_mutation",
    }


def test_a_lesion_counts_once(tmp_path):
    (fault,) = faults_of([measured_row("a"), measured_row("b"), measured_row("a")], tmp_path)
    assert fault.code == "RESULTS_DUPLICATE"
    assert fault.source.endswith("results.csv, row 4")


def test_a_table_of_something_else_is_refused(tmp_path):
    assert {fault.code for fault in faults_of([{"name": "x"}], tmp_path)} == {"RESULTS_COLUMN"}
    assert {fault.code for fault in faults_of([{"case_id": "x", "lesion_id": "1"}], tmp_path)} == {"COHORT_COLUMN"}


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("case_id,lesion_id,mam_mm,verdict\n", encoding="utf-8")
    with pytest.raises(InputError, match="RESULTS_EMPTY"):
        read_results(tmp_path)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="RESULTS_MISSING"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("cells", "event", "months"),
    [
        ({"ltp": "1", "months": "7.5"}, Event.LTP, 7.5),
        ({"ltp": "yes", "months": "7.5", "death": "yes", "months_death": "20"}, Event.LTP, 7.5),
        ({"ltp": "No", "months": "24"}, Event.NONE, 24.0),
        ({"ltp": "0", "months": "24", "death": "1", "months_death": "30"}, Event.DEATH, 24.0),
        ({"ltp": "0", "months": "24", "death": "1"}, Event.DEATH, 24.0),
        ({"ltp": "false", "months": "24", "death": "false", "months_death": "40"}, Event.NONE, 24.0),
        ({"event": "LTP", "months": "3"}, Event.LTP, 3.0),
        ({"event": "death", "months": "3"}, Event.DEATH, 3.0),
        ({"event": "none", "months": "3"}, Event.NONE, 3.0),
    ],
)
def test_follow_up(tmp_path, cells, event, months):
    (lesion,) = read_results(save([measured_row("a", **cells)], tmp_path)).lesions
    assert (lesion.followed.event, lesion.followed.months) == (event, months)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"ltp": "1", "months": ""}, "months"),
        ({"ltp": "", "months": "5"}, "ltp"),
        ({"ltp": "maybe", "months": "5"}, "ltp"),
        ({"ltp": "1", "months": "-5"}, "months"),
        ({"ltp": "1", "months": "0"}, "months"),
        ({"ltp": "0", "months": "12", "death": "1", "months_death": "11"}, "months_death"),
        ({"event": "dead", "months": "5"}, "event"),
    ],
)
def test_follow_up_that_contradicts_itself_is_refused(tmp_path, cells, column):
    (fault,) = faults_of([measured_row("a", **cells)], tmp_path)
    assert (fault.code, fault.attribute, fault.source) == ("COHORT_FOLLOWUP", column, "results.csv, row 2")


def test_two_ways_to_tell_of_follow_up_are_refused(tmp_path):
    (fault,) = faults_of([measured_row("a", ltp="1", event="ltp", months=3)], tmp_path)
    assert fault.code == "COHORT_COLUMN"


def test_no_follow_up_is_none(tmp_path):
    (lesion,) = read_results(save([measured_row("a", ltp="", months="")], tmp_path)).lesions
    assert lesion.followup is None


def test_progression_without_any_time_is_no_follow_up(tmp_path):
    results = read_results(save([measured_row("a", ltp="1"), measured_row("b", ltp="0")], tmp_path))
    assert [lesion.followup for lesion in results.lesions] == [None, None]
    assert results.followup_columns == ("ltp",)


def test_whole_numbers_are_names_like_any_other(tmp_path):
    frame = pd.DataFrame([measured_row("a")]).assign(patient_id=1234567.0)
    frame.to_parquet(tmp_path / "results.parquet")
    assert read_results(tmp_path).lesions[0].patient_id == "1234567"
