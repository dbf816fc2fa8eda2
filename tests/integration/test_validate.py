"""``ablmargin validate``, in process."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature

import pytest

from ablmargin.validation import sheet as sheet_module
from ablmargin.validation.measure import PairErrors
from ablmargin.validation.pairs import KINDS
from ablmargin.validation.sheet import AccuracySheet
from ablmargin_cli.main import main
from ablmargin_cli.validate import LEAST_PAIRS, validate

GOOD = PairErrors(
    number=0,
    kind="sphere",
    slice_spacing_mm=1.0,
    oblique=False,
    true_mam_mm=4.0,
    true_mean_mm=6.0,
    mam_mm=0.05,
    raw_mm=-0.5,
    qam_mm=-0.5,
    mean_mm=0.02,
    qam_mean_mm=-0.3,
    surface_share=0.004,
    qam_surface_share=0.1,
    coverage=0.002,
    tumor_volume=-0.01,
)


@pytest.fixture
def measured(monkeypatch):
    """Stands for the measuring, which takes a minute: returns one pair of each group, all errors of the MAM as given."""

    def stand_in(mam_mm: float) -> None:
        rows = (replace(GOOD, mam_mm=mam_mm), replace(GOOD, number=1, kind="fused", mam_mm=mam_mm))
        sheet = AccuracySheet(rows=rows, seed=0, elapsed_s=1.0)
        monkeypatch.setattr(sheet_module, "measure_accuracy", lambda **_: sheet)

    return stand_in


def test_prints_and_writes_the_sheet(measured, tmp_path, capsys):
    measured(0.05)
    out = tmp_path / "sheet"
    assert main(["validate", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ["accuracy.json", "accuracy.md", "pairs.csv"]
    assert printed.out == (out / "accuracy.md").read_text(encoding="utf-8")
    assert "Not a medical device" in printed.out
    assert str(out) in printed.err
    record = json.loads((out / "accuracy.json").read_text(encoding="utf-8"))
    assert record["within_limits"]
    assert record["schema"] == "ablmargin.accuracy/1"
    assert len((out / "pairs.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_missed_limit_is_an_error_of_ours_told_without_a_traceback(measured, tmp_path, capsys):
    measured(-0.12)
    assert main(["validate", "--json", "--out", str(tmp_path / "sheet")]) == 1
    printed = capsys.readouterr()
    assert not json.loads(printed.out)["within_limits"]
    assert "NOT MET: minimum margin, all shapes, bias" in printed.err
    assert "Don't use its results" in printed.err
    assert "Traceback" not in printed.err
    assert (tmp_path / "sheet" / "accuracy.md").is_file()  # the evidence is kept
    assert main(["validate", "--pairs", "4"]) == 1
    assert "so few pairs" in capsys.readouterr().err


def test_a_folder_in_use_is_refused_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sheet_module, "measure_accuracy", lambda **_: pytest.fail("worked first"))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert main(["validate", "--out", str(tmp_path)]) == 2
    assert "isn't empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_too_few_pairs_are_wrong_usage(capsys):
    assert main(["validate", "--pairs", "3"]) == 2
    assert "--pairs" in capsys.readouterr().err


def test_the_options_agree_with_what_they_are_for():
    assert signature(validate).parameters["pairs"].default == sheet_module.DEFAULT_PAIRS
    assert len(KINDS) == LEAST_PAIRS


@pytest.mark.slow
def test_this_installation_is_as_accurate_as_it_says(capsys):
    assert main(["validate"]) == 0, capsys.readouterr().out
