"""``ablmargin compare`` from files to its page, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import ablmargin
from ablmargin.agreement.page import comparison_html
from ablmargin.errors import InputError, UsageError
from ablmargin.report import DISCLAIMER
from ablmargin_cli.main import main

HEAD = "case_id,lesion_id,mam_mm,mam_lower_mm,mam_upper_mm,verdict,verdicts_by_threshold_5,verdicts_by_threshold_10"
MARGINS = [1.0, 3.0, 4.5, 6.0, 8.0, 11.0, 12.5, -2.0]


def write(path, margins, *, head="case_id,lesion_id,mam_mm", case="c"):
    lines = [head, *(f"{case}{number},1,{margin}" for number, margin in enumerate(margins))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def two(tmp_path):
    return [
        write(tmp_path / "radiologist.csv", MARGINS),
        write(tmp_path / "program.csv", [mm + 0.75 for mm in MARGINS]),
    ]


def faults_of(results, **named):
    with pytest.raises(InputError) as caught:
        ablmargin.compare(results, **named)
    return caught.value.faults


def test_the_command_prints_what_it_found(two, capsys):
    assert main(["compare", *map(str, two)]) == 0
    printed = capsys.readouterr().out
    assert "Agreement of radiologist and program over 8 lesions of 8 cases" in printed
    assert re.search(r"bias +0\.75 mm +0\.75 to 0\.75 mm", printed)
    assert re.search(r"c2, lesion 1 +4\.5 mm +5\.2 mm +margin of 5 mm or more", printed)
    assert "lesions without a margin or left out: none" in printed
    assert "Not a medical device" in printed


def test_json_has_every_figure_and_the_folder_the_same(two, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compare", *map(str, two), "--names", "A,B", "--json", "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    (pair,) = record["pairs"]
    assert (pair["first"], pair["second"]) == ("A", "B")
    assert pair["margins"]["bias_mm"] == {"value": 0.75, "lower": 0.75, "upper": 0.75}
    assert pair["margins"]["share_within"] == {"1": 1.0, "2": 1.0}
    assert [one["question"] for one in pair["verdicts"]] == ["margin_5", "margin_10"]
    assert [flip["case_id"] for flip in record["flips"]] == ["c2"]
    rows = list(csv.DictReader(io.StringIO((out / "lesions.csv").read_text(encoding="utf-8"))))
    assert [row["differs_in"] for row in rows] == ["", "", "margin_5", "", "", "", "", ""]
    assert float(rows[0]["B mam_mm"]) == 1.75
    ET.parse(out / "pair-1.svg")
    assert (out / "pair-1.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in out.iterdir()} == {
        "comparison.html",
        "comparison.json",
        "lesions.csv",
        "pair-1.png",
        "pair-1.svg",
    }


def test_a_record_tells_from_what_and_how_it_was_computed(two, tmp_path):
    """Name, number of files and SHA-256 of each input, no folder, the seed and the disclaimer."""
    record = ablmargin.compare([two[0], str(two[1])], seed=7).to_dict()
    assert record["disclaimer"] == DISCLAIMER
    assert record["seed"] == 7
    assert record["inputs"] == [
        {"name": path.name, "files": 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in two
    ]
    assert str(tmp_path) not in json.dumps(record)


def test_overwrite_replaces_comparisons_alone_and_keeps_the_old_one(two, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["compare", *map(str, two), "--out", str(out)]
    assert main([*command, "--names", "A,B"]) == 0
    assert main(command) == 2
    assert "--overwrite keeps the old one beside it" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    readers = [
        json.loads((folder / "comparison.json").read_text())["readers"] for folder in (out, tmp_path / "out.previous-1")
    ]
    assert readers == [["radiologist", "program"], ["A", "B"]]
    (out / "comparison.json").unlink()
    assert main([*command, "--overwrite"]) == 2
    assert "no finished comparison" in capsys.readouterr().err
    assert (out / "comparison.html").is_file()


def test_the_same_comparison_gives_the_same_bytes(two, tmp_path):
    for name in ("one", "two"):
        assert main(["compare", *map(str, two), "--out", str(tmp_path / name)]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_pairs_use_the_lesions_that_both_have(two, tmp_path):
    third = write(tmp_path / "third.csv", MARGINS[:5])
    comparison = ablmargin.compare([*two, third])
    assert [pair.lesions for pair in comparison.pairs] == [8, 5, 5]
    assert comparison.overall.lesions == 5
    assert comparison.gaps == {(f"c{n}", "1"): {"third": "not in its results"} for n in (5, 6, 7)}
    text = str(comparison)
    assert "radiologist, program and third over 8 lesions of 8 cases" in text
    assert "lesions that a reader lacks or has no margin of: 3" in text
    assert text.count("third: not in its results") == 3


def test_what_is_true_of_one_pair_is_not_said_of_others(tmp_path):
    """A and B have three lesions in each of six cases, C one in each; A and B flip a lesion that C doesn't have."""
    tables = {"A": [], "B": [], "C": []}
    for case in range(6):
        for lesion in range(3):
            row = f"p{case},{lesion},{4 + case}"
            tables["A"].append(f"{row}.0")
            tables["B"].append(f"{row}.{3 * case + lesion:02}" if (case, lesion) != (0, 2) else f"p{case},{lesion},6")
            tables["C"] += [f"{row}.1"] if lesion == 0 else []
    for name, rows in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["case_id,lesion_id,mam_mm", *rows]), encoding="utf-8")
    comparison = ablmargin.compare([tmp_path / f"{name}.csv" for name in tables])
    text, record = str(comparison), comparison.to_dict()
    assert "over 18 lesions of 6 cases" in text
    assert "A and C; B and C; all together: each case has one lesion, so" in text
    assert "A and B: lesions of one case aren't independent." in text
    assert "A and B: with so few cases the intervals" in text
    assert [pair["intervals"] for pair in record["pairs"]] == ["by case", "by lesion", "by lesion"]
    assert [len(pair["flips"]) for pair in record["pairs"]] == [1, 0, 0]
    assert [len(pair["unmatched"]) for pair in record["pairs"]] == [0, 12, 12]
    assert re.search(r"p0, lesion 2 +4\.0 mm +6\.0 mm +– +margin of 5 mm or more", text)
    assert comparison_html(comparison).count("<td>p0, lesion 2</td>") == 2, "once as flipped, once as what C lacks"


def test_readers_who_overlap_by_pairs_alone_are_compared(tmp_path):
    cases = {"A": (0, 1, 2, 3), "B": (2, 3, 4, 5), "C": (4, 5, 0, 1)}
    for name, numbers in cases.items():
        rows = ["case_id,lesion_id,mam_mm", *(f"c{n},1,{n + len(name)}" for n in numbers)]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows), encoding="utf-8")
    comparison = ablmargin.compare([tmp_path / f"{name}.csv" for name in cases])
    assert [pair.lesions for pair in comparison.pairs] == [2, 2, 2]
    assert comparison.overall is None
    assert "No lesion is in all results" in str(comparison)
    assert comparison.to_dict()["overall"] is None
    assert "All together" not in comparison_html(comparison)
    out = comparison.save(tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO((out / "lesions.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 6
    assert (rows[0]["A mam_mm"], rows[0]["B mam_mm"], rows[0]["B missing"]) == ("1.0", "", "not in its results")


def test_a_pair_without_a_lesion_in_common_keeps_no_others_from_being_compared(tmp_path):
    results = [
        write(tmp_path / f"{name}.csv", MARGINS, case=case) for name, case in (("A", "c"), ("B", "c"), ("C", "x"))
    ]
    comparison = ablmargin.compare(results)
    assert [pair.lesions for pair in comparison.pairs] == [8, 0, 0]
    assert comparison.pairs[1].margins is None
    assert "A and C: margins\n  no lesion has a margin of both" in str(comparison)
    assert "\nEach case has one lesion" in str(comparison)


def test_verdicts_with_bounds_and_reservations_are_compared_as_given(tmp_path):
    rows = {
        "a": ["p1,1,7,6,8,adequate,adequate,inadequate", "p2,1,4,3,4.5,inadequate,inadequate,inadequate"],
        "b": ["p1,1,7,4,9,indeterminate,indeterminate,inadequate", "p2,1,4,3,4.5,inadequate,inadequate,inadequate"],
    }
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("\n".join([HEAD, *lines]), encoding="utf-8")
    comparison = ablmargin.compare([tmp_path / "a.csv", tmp_path / "b.csv"])
    ((key, questions),) = comparison.flips.items()
    assert key == ("p1", "1")
    assert [question.key for question in questions] == ["verdict", "verdict_5"]
    assert "7.0 mm (4.0 to 9.0): indeterminate" in str(comparison)


def test_refused_and_withheld_lesions_are_told(tmp_path):
    head = "case_id,lesion_id,mam_mm,status,error_code"
    (tmp_path / "a.csv").write_text(f"{head}\np,1,3,complete,\nq,1,,,GEOM_GAP\nr,1,,withheld,\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text(f"{head}\np,1,4,complete,\nq,1,2,complete,\nr,1,2,,\n", encoding="utf-8")
    text = str(ablmargin.compare([tmp_path / "a.csv", tmp_path / "b.csv"]))
    assert "a: GEOM_GAP" in text
    assert "a: registration failed" in text


def test_withheld_verdicts_count_as_indeterminate_and_the_page_says_so(tmp_path):
    """Both withhold r; A alone withholds q; only p has a margin of both."""
    head = "case_id,lesion_id,mam_mm,status,verdict"
    withheld = "1,,withheld,indeterminate"
    tables = {"a": [f"r,{withheld}", f"q,{withheld}"], "b": [f"r,{withheld}", "q,1,6,complete,adequate"]}
    for name, rows in tables.items():
        text = "\n".join([head, "p,1,3,complete,inadequate", *rows, "s,1,,,"])
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    comparison = ablmargin.compare([tmp_path / "a.csv", tmp_path / "b.csv"])
    (pair,) = comparison.pairs
    assert [(one.question.key, one.lesions, one.same.value) for one in pair.verdicts] == [
        ("verdict", 3, pytest.approx(2 / 3)),
        ("margin_5", 1, 1.0),
        ("margin_10", 1, 1.0),
    ]
    assert len(pair.margins.keys) == 1
    text = str(comparison)
    assert "Of 2 lesions without a margin of every reader the verdicts count" in text
    assert re.search(r"q, lesion 1 +registration failed: indeterminate +6\.0 mm: adequate +verdict", text)
    assert "lesions without a margin or left out: 3" in text


def test_tables_in_memory(two):
    comparison = ablmargin.compare([ablmargin.load_results(path) for path in two], names=["A", "B"])
    in_files = ablmargin.compare(two, names=["A", "B"]).to_dict()
    assert comparison.to_dict() == in_files | {"inputs": [None, None]}
    with pytest.raises(UsageError, match="mam_mm"):
        ablmargin.compare([pd.DataFrame({"case_id": ["a"], "lesion_id": ["1"]})] * 2)


def test_a_page_shows_names_and_ids_as_text(tmp_path):
    evil = '<script>alert("x")</script>'
    third = write(tmp_path / "third.csv", MARGINS, case="$x_{<i>")
    fourth = write(tmp_path / "fourth.csv", [mm + 2 for mm in MARGINS], case="$x_{<i>")
    page = comparison_html(ablmargin.compare([third, fourth], names=[evil, "$\\frac"]))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<i>" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page), "nothing is fetched"


def test_a_notebook_shows_plots_and_tables_and_saves(two, tmp_path):
    agreement = ablmargin.compare(two, names=["<b>A", "B"])
    shown = agreement._repr_html_()
    assert shown.count("<img") == 1
    assert "<b>A" not in shown
    assert "limit of agreement" in shown
    assert json.loads((agreement.save(tmp_path / "o") / "comparison.json").read_text()) == agreement.to_dict()
    with pytest.raises(UsageError, match="isn't empty"):
        agreement.save(tmp_path / "o")


def test_the_command_needs_no_extra(two, monkeypatch, capsys):
    for package in ("pandas", "pyarrow", "dask", "distributed"):
        monkeypatch.setitem(sys.modules, package, None)
    assert main(["compare", *map(str, two)]) == 0
    assert "bias" in capsys.readouterr().out


def test_a_table_for_spreadsheets_runs_no_formula(tmp_path):
    results = [write(tmp_path / f"{name}.csv", MARGINS, case="=cmd") for name in "ab"]
    out = tmp_path / "out"
    assert main(["compare", *map(str, results), "--out", str(out)]) == 0
    assert "\n'=cmd0,1," in (out / "lesions.csv").read_text(encoding="utf-8")


def test_readers_are_called_by_their_folders(tmp_path):
    paths = []
    for name in ("anna", "ben"):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name / "results.csv", MARGINS))
    assert ablmargin.compare(paths).names == ("anna", "ben")
    assert ablmargin.compare([path.parent for path in paths]).names == ("anna", "ben")
    assert ablmargin.compare([paths[0], paths[0]]).names == ("reader 1", "reader 2")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["{a}"], 2, "two results or more"),
        (["{a}", "{b}", "--names", "A"], 2, "2 results need as many names"),
        (["{a}", "{b}", "--names", "A,A"], 2, "a name of its own"),
        (["{a}", "{b}", "--out", "{a}"], 2, "is a file"),
        (["{a}", "nowhere"], 3, "RESULTS_MISSING"),
        (["{a}", "{text}"], 3, "text.csv, row 2, column mam_mm"),
        (["{a}", "{empty}"], 3, "COMPARE_NO_MARGIN: empty"),
        (["{a}", "{other}"], 3, "COMPARE_NO_COMMON_LESION"),
    ],
)
def test_wrong_calls_and_wrong_input(tmp_path, capsys, options, code, message):
    named = {
        "a": write(tmp_path / "a.csv", MARGINS),
        "b": write(tmp_path / "b.csv", MARGINS),
        "text": write(tmp_path / "text.csv", ["wide"]),
        "empty": write(tmp_path / "empty.csv", [""] * 8),
        "other": write(tmp_path / "other.csv", MARGINS, case="C"),
    }
    assert main(["compare", *(option.format(**named) for option in options)]) == code
    assert message in capsys.readouterr().err


def test_faults_of_all_results_are_told_together(tmp_path):
    results = [write(tmp_path / f"{name}.csv", ["x"]) for name in "ab"]
    assert [fault.source for fault in faults_of(results)] == [f"{n}.csv, row 2, column mam_mm" for n in "ab"]


def test_readers_who_ask_for_different_margins_are_told(tmp_path):
    for name, required in (("a", 5), ("b", 10)):
        rows = [f"c{number},1,{mm},{required}" for number, mm in enumerate(MARGINS)]
        head = "case_id,lesion_id,mam_mm,required_margin_mm"
        (tmp_path / f"{name}.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    assert "different margins at 8 lesions" in str(ablmargin.compare([tmp_path / "a.csv", tmp_path / "b.csv"]))


def test_a_large_comparison_is_quick_and_whole(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.normal(6, 4, 400)
    results = []
    for name in "ab":
        rows = [f"p{n // 2},{n % 2},{mm:.3f}" for n, mm in enumerate(truth + rng.normal(0, 1, 400))]
        (tmp_path / f"{name}.csv").write_text("\n".join(["case_id,lesion_id,mam_mm", *rows]), encoding="utf-8")
        results.append(tmp_path / f"{name}.csv")
    margins = ablmargin.compare(results).pairs[0].margins
    assert margins.sd_mm.value == pytest.approx(2**0.5, rel=0.1)
    assert margins.upper_limit_mm.lower < 1.96 * 2**0.5 < margins.upper_limit_mm.upper
    assert margins.icc_agreement.lower < 16 / 17 < margins.icc_agreement.upper


def test_tables_in_memory_are_checked_like_files():
    good = pd.DataFrame({"case_id": ["a", "b"], "lesion_id": ["1", "1"], "mam_mm": [1.0, 2.0]})
    twice = pd.concat([good, good.assign(mam_mm=9.0).iloc[:1]])
    (fault,) = faults_of([good, twice])
    assert fault.code == "RESULTS_DUPLICATE"
    assert fault.source.startswith("reader 2 (DataFrame, rows from 0), row 0 and ")
    cells = good.assign(mam_mm=["wide", float("inf")], case_id=["a", None])
    told = [(fault.code, fault.source) for fault in faults_of([cells, good], names=["A", "B"])]
    assert told == [
        ("RESULTS_CELL", f"A (DataFrame, rows from 0), row {row}, column {column}")
        for row, column in ((0, "mam_mm"), (1, "mam_mm"), (1, "case_id"))
    ]
    words = [good.assign(verdict=word) for word in ("Adequate", "adequate")]
    verdicts = ablmargin.compare(words).pairs[0].verdicts
    assert verdicts[0].same.value == verdicts[0].ac1.value == 1.0
