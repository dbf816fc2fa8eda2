"""The page, its tables and cohort.json, of cohorts of several kinds; and the command."""

from __future__ import annotations

import csv
import io
import json
import re
import sys

import numpy as np
import pytest
from batches import failed_row, measured_row, save, simulated_rows, withheld_row
from matplotlib.figure import Figure

from ablmargin.cohort.analysis import analyze_cohort
from ablmargin.cohort.cautions import cautions
from ablmargin.cohort.drawings import drawings_of
from ablmargin.cohort.flow import HINDERED, NOT_REVIEWED
from ablmargin.cohort.folder import cohort_json, write_cohort_folder
from ablmargin.cohort.page import cohort_html
from ablmargin.cohort.record import cohort_record
from ablmargin.cohort.sheets import sheets_of
from ablmargin.cohort.svg import svg_bytes
from ablmargin.cohort.table import read_results
from ablmargin.reasons import WORDS
from ablmargin.report import DISCLAIMER


def cohort_of(rows, folder, **options):
    return analyze_cohort(read_results(save(rows, folder)), **options)


def page_of(cohort):
    return cohort_html(cohort, drawings_of(cohort))


def words_of(cohort):
    """What a reader sees but for the pictures, in one line."""
    body = cohort_html(cohort, {}).partition("<body>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return cohort_of(simulated_rows(1), tmp_path_factory.mktemp("large"))


class TestFlow:
    def test_every_lesion_is_counted_once(self, large):
        flow = large.flow
        failed = sum(count for _, count in flow.failed)
        assert failed + flow.withheld + flow.measured.lesions == flow.listed.lesions == 200
        assert sum(flow.verdicts.values()) == flow.measured.lesions
        assert sum(count for _, count in flow.undecided) == flow.verdicts["indeterminate"]
        assert sum(count for _, count in flow.not_followed) + flow.followed.lesions == flow.measured.lesions

    def test_cases_and_patients(self, tmp_path):
        rows = [
            measured_row("a", "1", patient_id="P"),
            measured_row("a", "2", patient_id="P"),
            measured_row("b", patient_id="P"),
            failed_row("c", patient_id="Q"),
        ]
        flow = cohort_of(rows, tmp_path).flow
        assert (flow.listed.lesions, flow.listed.cases, flow.listed.patients) == (4, 3, 2)
        assert (flow.measured.lesions, flow.measured.cases, flow.measured.patients) == (3, 2, 1)

    @pytest.mark.parametrize(
        ("codes", "words"),
        [
            ("REQUIRED_BETWEEN_BOUNDS", "required margin between the bounds"),
            ("BOUNDS_UNKNOWN", "error of the registration not known"),
            ("ZONE_NOT_REVIEWED GEOM_COARSE UPPER_BOUND_BELOW", "outline of the zone that no reader reviewed"),
            ("GEOM_COARSE ZONE_NOT_REVIEWED REQUIRED_BETWEEN_BOUNDS", "slices too thick or too far apart"),
            ("MADE_UP_LATER LOWER_BOUND_REACHES", "MADE_UP_LATER"),
        ],
    )
    def test_an_undecided_lesion_counts_once_under_what_hinders_it_first(self, tmp_path, codes, words):
        row = measured_row("a", margin_mm=9, tumor_reviewed=False, verdict="indeterminate", reason_codes=codes)
        flow = cohort_of([row, measured_row("b", reason_codes="LOWER_BOUND_REACHES")], tmp_path).flow
        assert flow.undecided == ((words, 1),)

    def test_each_lesion_of_a_table_in_part_without_codes_is_told_as_far_as_it_can_be(self, tmp_path):
        rows = [
            measured_row("told", margin_mm=5.5, reason_codes="REQUIRED_BETWEEN_BOUNDS"),
            measured_row("guessed", margin_mm=5.5, reason_codes=""),
        ]
        assert cohort_of(rows, tmp_path).flow.undecided == (("required margin between the bounds", 2),)

    def test_what_keeps_a_lesion_from_a_verdict_is_guessed_where_a_table_has_no_codes(self, tmp_path):
        hindered = {"verdict": "indeterminate"}
        rows = [
            measured_row("between", margin_mm=5.5),
            measured_row("unreviewed", margin_mm=9, tumor_reviewed=False, **hindered),
            measured_row("no-bounds", margin_mm=9, mam_lower_mm="", mam_upper_mm="", **hindered),
            measured_row("phase", margin_mm=9, **hindered),
            measured_row("decided", margin_mm=9),
        ]
        told = dict(cohort_of(rows, tmp_path).flow.undecided)
        between, no_bounds = WORDS["REQUIRED_BETWEEN_BOUNDS"], WORDS["BOUNDS_UNKNOWN"]
        assert told == {between: 1, NOT_REVIEWED: 1, no_bounds: 1, HINDERED: 1}

    def test_unreviewed_lesions_have_no_part_in_the_analysis_of_follow_up(self, tmp_path):
        rows = [measured_row(str(n), ltp=0, months=12, tumor_reviewed=n > 0) for n in range(5)]
        cohort = cohort_of([*rows, measured_row("zero", ltp=0, months=0), measured_row("blank")], tmp_path)
        assert len(cohort.outcome.histories) == 4
        assert dict(cohort.flow.not_followed) == {NOT_REVIEWED: 1, "followed for no time": 1, "no follow-up given": 1}


class TestGroups:
    def test_medians_and_verdicts(self, tmp_path):
        rows = [measured_row(str(mm), margin_mm=mm, ras_mutation="mutant" if mm > 3 else "wildtype") for mm in range(8)]
        groups = {(group.topic, group.name): group for group in cohort_of(rows, tmp_path).groups}
        assert groups["All", "all measured lesions"].quartiles_mm == (1.75, 3.5, 5.25)
        assert groups["RAS status", "mutant"].quartiles_mm[1] == 5.5
        assert groups["RAS status", "wild type"].highest_mm == 3
        assert groups["RAS status", "mutant"].reaching == {5.0: 3, 10.0: 0}
        at_5 = groups["RAS status", "mutant"].by_threshold[5.0]
        assert (at_5["adequate"], at_5["indeterminate"], at_5["inadequate"]) == (2, 2, 0)

    def test_groups_of_a_topic_hold_every_lesion_once(self, large):
        topics = {group.topic for group in large.groups}
        for topic in topics:
            assert sum(group.count for group in large.groups if group.topic == topic) == len(large.measured)


class TestPage:
    def test_it_opens_offline_and_runs_nothing(self, large):
        html = page_of(large)
        assert not re.search(r"<script|<iframe|<object|<link|@import|\son\w+=", html)
        assert set(re.findall(r'(?:src|href)="([a-z+/]+[:;])', html)) == {"data:"}
        assert "default-src 'none'" in html
        assert html.count(DISCLAIMER) >= 2

    def test_what_it_tells(self, large):
        words = words_of(large)
        assert "associations in one cohort, not causes" in words
        assert "17 lesions of 200 (8 %) couldn’t be measured" in words
        assert "RAS was no longer an independent factor" in words
        assert "Calibration slope" in words
        assert "Youden" in words

    def test_names_are_escaped(self, tmp_path):
        rows = [
            measured_row("<script>alert(1)</script>", "$x$<b>", liver_segments="<i>IV</i> 1", patient_id="=1+1"),
            failed_row("<img src=x>", code="<u>BAD</u>", patient_id="x"),
        ]
        cohort = cohort_of(rows, tmp_path)
        html = page_of(cohort)
        assert "<i>" not in html
        assert "&lt;i&gt;IV&lt;/i&gt;" in html
        for drawing in drawings_of(cohort).values():
            assert not re.search(rb"<(script|img|u|b|i)\b", drawing.svg)
        assert "'=1+1" in sheets_of(cohort)["lesions"]

    def test_three_lesions_without_follow_up(self, tmp_path):
        cohort = cohort_of([measured_row(name, margin_mm=mm) for name, mm in (("a", 3), ("b", 7), ("c", -2))], tmp_path)
        words = words_of(cohort)
        assert cohort.outcome is None
        assert "3 of 3 lesions measured" in words
        assert "Hazard" not in words.partition("Where the required margin")[0]

    def test_progression_without_times_is_said_to_be_of_no_use(self, tmp_path):
        cohort = cohort_of([measured_row("a", ltp=1), measured_row("b", ltp=0)], tmp_path)
        assert cohort.outcome is None
        assert "without a column months" in words_of(cohort)

    def test_how_those_left_out_fared_is_told(self, tmp_path):
        """All 10 that failed progressed, 1 of 2 withheld; of 31 analyzed 3: the page says so, not only "if they differ"."""
        rows = [failed_row(f"f{place}", ltp=1, months=6) for place in range(10)]
        rows += [withheld_row("w0", ltp=1, months=6), withheld_row("w1", ltp=0, months=9), failed_row("unknown")]
        rows += [measured_row(f"m{place}", ltp=int(place < 3), months=12) for place in range(30)]
        rows += [measured_row(f"u{place}", ltp=place, months=12, tumor_reviewed=False) for place in range(2)]
        rows += [measured_row("untold", ltp=0, months=12, tumor_reviewed="", ablation_reviewed="")]
        cohort = cohort_of(rows, tmp_path)
        words = words_of(cohort)
        assert (
            "Of those with follow-up 11 of 12 (92 %) progressed locally, of the analyzed ones 3 of 31 (10 %)." in words
        )
        assert "Of those with follow-up 1 of 2 (50 %) progressed locally" in words
        flow = cohort_record(cohort)["flow"]
        assert flow["followup_of_left_out"] == {"lesions": 12, "progressions": 11}
        assert flow["followup_of_unreviewed"] == {"lesions": 2, "progressions": 1}

    def test_nothing_is_told_of_those_left_out_without_follow_up(self, tmp_path):
        assert "progressed locally" not in " ".join(cautions(cohort_of([failed_row("a"), measured_row("b")], tmp_path)))

    def test_lesions_without_a_patient_are_counted(self, tmp_path):
        rows = [measured_row("a", patient_id="P"), measured_row("b", patient_id=""), measured_row("c", patient_id="")]
        cohort = cohort_of(rows, tmp_path)
        assert "2 lesions without a patient_id" in words_of(cohort)
        assert cohort.flow.listed.patients == 3

    def test_margins_are_told_by_site(self, tmp_path):
        sites = {"a": "north", "b": "south", "c": "south", "d": ""}
        rows = [measured_row(name, margin_mm=ord(name) - 96, site=site) for name, site in sites.items()]
        groups = cohort_of(rows, tmp_path).groups
        told = [(group.name, group.count, group.lowest_mm) for group in groups if group.topic == "Site"]
        assert told == [("north", 1, 1.0), ("south", 2, 2.0), ("not known", 1, 4.0)]

    def test_all_failed(self, tmp_path):
        rows = [failed_row("a"), failed_row("b", code="FOV_CUT"), withheld_row("c")]
        words = words_of(cohort_of(rows, tmp_path))
        assert "None of 3 lesions could be measured." in words
        assert "If they differ from the others" not in words
        assert "Margins" not in words.partition("Where the required")[0].partition("Who is in it")[2]

    def test_nothing_is_known_but_the_margin(self, tmp_path):
        bare = {"case_id": "a", "lesion_id": "1", "mam_mm": 4.0, "verdict": "indeterminate"}
        cohort = cohort_of([bare], tmp_path)
        words = words_of(cohort)
        assert "there was none, as for masks in one frame, or the table doesn’t have it" in words
        assert "No verdict against 5 mm is told. No verdict against 10 mm is told." in words
        assert "adeq." not in words
        assert cohort_record(cohort)["groups"][0]["verdicts_by_threshold"] == {}
        assert sheets_of(cohort)["groups"].splitlines()[1].endswith(",4.0,4.0,,,,,,")

    def test_lesions_that_nobody_judged_against_a_threshold_are_counted(self, tmp_path):
        rows = [measured_row("a"), measured_row("b") | {"verdicts_by_threshold_10": ""}, measured_row("c")]
        cohort = cohort_of(rows, tmp_path)
        words = words_of(cohort)
        assert "Of 1 lesion no verdict against 10 mm is told." in words
        assert "against 5 mm is told" not in words
        assert sum(cohort.groups[0].by_threshold[10.0].values()) == 2

    def test_few_progressions_are_said_to_mean_nothing(self, tmp_path):
        rows = [measured_row(str(n), margin_mm=n % 12, ltp=int(n < 4), months=6 + n) for n in range(40)]
        cohort = cohort_of(rows, tmp_path)
        words = words_of(cohort)
        assert "Too few progressions for statistics." in words
        assert cohort.outcome.logrank is None
        assert "hazard_ratios" not in drawings_of(cohort)
        assert "Hazard ratios" not in words
        reasons = {model["reason"] for model in cohort_record(cohort)["followup"]["cox"]}
        assert "4 progressions are too few for a model: it takes 10." in reasons

    @pytest.mark.parametrize(
        ("known", "words"),
        [
            (0, "No ratio of RAS mutant: RAS status isn’t known of any lesion."),
            (5, "5 progressions are too few for a model: it takes 10. RAS status is known of 5 of 40 lesions."),
        ],
    )
    def test_that_ras_is_not_known_is_told(self, tmp_path, known, words):
        rows = [
            measured_row(
                str(n), margin_mm=n % 9, ltp=1, months=6 + n, ras_mutation="mutant" if n < known else "unknown"
            )
            for n in range(40)
        ]
        assert words in words_of(cohort_of(rows, tmp_path))

    def test_no_progression_at_five_millimeters_has_no_ratio_but_a_bound(self, tmp_path):
        rows = [
            measured_row(str(n), margin_mm=2 if n < 40 else 8, ltp=int(n < 15), months=5 + n % 11 if n < 15 else 30)
            for n in range(80)
        ]
        words = words_of(cohort_of(rows, tmp_path))
        assert "None of 40 lesions without “margin under 5 mm” progressed" in words
        assert "0 % (at most 7 %, one-sided, 40 patients)" in words  # 1 - 0.05^(1/40)

    def test_a_band_that_all_progressed_is_told(self, tmp_path):
        rows = [
            measured_row(str(n), margin_mm=2 if n < 12 else 8, ltp=int(n < 12), months=5 + n % 11 if n < 12 else 30)
            for n in range(40)
        ]
        cohort = cohort_of(rows, tmp_path)
        assert "100 % (at least 78 %, one-sided, 12 patients)" in words_of(cohort)  # 0.05^(1/12)
        band = cohort_record(cohort)["followup"]["bands"][0]
        assert (band["progression"]["value"], band["progression"]["one_sided_bound"]) == (1, 0.77908)
        assert band["progression"]["bound_patients"] == 12

    def test_a_band_left_out_of_the_log_rank_test_is_named(self, tmp_path):
        rows = [measured_row(str(n), margin_mm=(2, 8)[n % 2], ltp=int(n < 20), months=5 + n) for n in range(40)]
        rows += [measured_row("early", margin_mm=12, ltp=0, months=3)]
        words = words_of(cohort_of(rows, tmp_path))
        assert "with 1 degree of freedom, p = " in words
        assert "The band 10 mm or more is left out of it" in words


class TestFiles:
    def test_the_folder(self, large, tmp_path):
        write_cohort_folder(large, tmp_path / "out", overwrite=False)
        names = {
            path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()
        }
        assert {"cohort.html", "cohort.json", "figures/flow.svg", "figures/roc.svg", "tables/lesions.csv"} <= names
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out/tables/lesions.csv").read_text(encoding="utf-8"))))
        assert len(rows) == 200
        assert sum(row["not_followed"] == "" for row in rows) == large.flow.followed.lesions

    def test_the_record_is_plain_json(self, large):
        record = json.loads(cohort_json(large))
        assert record == json.loads(json.dumps(cohort_record(large)))
        assert record["followup"]["progressions"] == large.outcome.histories.progressions
        assert sum(band["lesions"] for band in record["followup"]["bands"]) == record["followup"]["lesions"]
        ratio = record["followup"]["cox"][3]["terms"][1]
        assert ratio["covariate"] == "RAS mutant"
        assert ratio["lower"] < 3.01 < ratio["upper"]
        assert record["followup"]["logrank"]["degrees_of_freedom"] == 3

    def test_small_p_values_are_stored_with_their_digits(self, tmp_path):
        rows = [
            measured_row(str(n), margin_mm=3 + n % 5, ltp=1, months=(5 if n % 5 < 2 else 40) + n / 50)
            for n in range(300)
        ]
        cohort = cohort_of(rows, tmp_path)
        assert 0 < cohort_record(cohort)["followup"]["logrank"]["p"] < 1e-20
        values = [row["p"] for row in csv.DictReader(io.StringIO(sheets_of(cohort)["hazard_ratios"])) if row["p"]]
        assert values
        assert 0 not in map(float, values)

    def test_the_same_table_gives_the_same_bytes(self, tmp_path):
        rows = simulated_rows(2, lesions=40)
        one, two = (cohort_of(rows, tmp_path / name) for name in "ab")
        assert page_of(one) == page_of(two)
        assert cohort_json(one) == cohort_json(two)

    def test_the_last_digits_of_a_layout_change_no_byte(self):
        files = []
        for digit in (0, 1e-9):
            figure = Figure()
            figure.add_axes((0.1 + digit, 0.1, 0.8, 0.8)).plot([0, 1], [0, 1])
            files.append(svg_bytes(figure))
        assert files[0] == files[1]

    def test_the_order_of_rows_changes_no_number(self, tmp_path):
        rows = simulated_rows(2, lesions=60)
        shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        one, two = (cohort_record(cohort_of(which, tmp_path / name)) for which, name in ((rows, "a"), (shuffled, "b")))
        one["followup"].pop("roc")
        two["followup"].pop("roc")
        assert one["flow"] == two["flow"]
        assert one["groups"] == two["groups"]
        assert one["followup"]["bands"] == two["followup"]["bands"]
        assert one["followup"]["cox"] == two["followup"]["cox"]


class TestCommand:
    @pytest.fixture
    def run(self):
        from ablmargin_cli.main import main

        return main

    def test_done(self, run, tmp_path, capsys):
        folder = save([measured_row("a")], tmp_path / "batch")
        assert run(["cohort", str(folder), "--out", str(tmp_path / "out"), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["schema"] == "ablmargin.cohort/1"
        assert (told["input"]["name"], told["input"]["files"], told["seed"]) == ("results.csv", 1, 0)
        assert told == json.loads((tmp_path / "out/cohort.json").read_text(encoding="utf-8"))

    def test_a_fault_in_follow_up_is_refused_by_row(self, run, tmp_path, capsys):
        folder = save([measured_row("a", ltp="1", months="soon")], tmp_path / "batch")
        assert run(["cohort", str(folder), "--out", str(tmp_path / "out")]) == 3
        assert "results.csv, row 2, months: found 'soon'" in capsys.readouterr().err.replace("\n", " ")
        assert not (tmp_path / "out").exists()

    def test_nothing_is_written_into_the_batch(self, run, tmp_path):
        folder = save([measured_row("a")], tmp_path / "batch")
        assert run(["cohort", str(folder), "--out", str(folder / "page")]) == 2

    def test_only_an_earlier_page_is_overwritten(self, run, tmp_path):
        folder, out = save([measured_row("a")], tmp_path / "batch"), tmp_path / "out"
        arguments = ["cohort", str(folder), "--out", str(out)]
        assert run(arguments) == 0
        assert run(arguments) == 2
        assert run([*arguments, "--overwrite"]) == 0
        assert (tmp_path / "out.previous-1" / "cohort.html").is_file()
        (out / "cohort.json").unlink()
        assert run([*arguments, "--overwrite"]) == 2

    def test_without_the_extra_it_says_what_to_install(self, run, tmp_path, monkeypatch, capsys):
        for name in [name for name in sys.modules if name.startswith("ablmargin.cohort")]:
            monkeypatch.delitem(sys.modules, name)
        for name in [name for name in sys.modules if name.startswith("statsmodels")]:
            monkeypatch.setitem(sys.modules, name, None)
        assert run(["cohort", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
        assert 'pip install "ablmargin[cohort]"' in capsys.readouterr().err
