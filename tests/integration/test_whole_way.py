"""The whole way on full-size input: the demo, and a pair made from a real CT. Minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablmargin.pairs import PairFolder, read_truth
from ablmargin_cli.main import main

MAM_LIMIT_MM = 2.0


def check_case(out: Path, truth_file: Path) -> None:
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    truth = read_truth(truth_file)
    assert result["status"] == "complete"
    for lesion, true in zip(result["lesions"], truth["lesions"], strict=True):
        assert abs(lesion["mam_mm"] - true["mam_mm"]) <= MAM_LIMIT_MM
        assert lesion["mam_lower_mm"] <= true["mam_mm"] <= lesion["mam_upper_mm"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 3 * len(result["lesions"])
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.slow
def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ABLMARGIN_CACHE", str(tmp_path / "cache"))
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    (truth,) = (tmp_path / "cache").rglob("truth.json")
    check_case(tmp_path / "demo", truth)
    assert "inadequate" in capsys.readouterr().out
    made = truth.stat().st_mtime_ns
    assert main(["demo", "--out", str(tmp_path / "demo"), "--overwrite"]) == 0
    assert truth.stat().st_mtime_ns == made, "the second run takes the images from the cache"
    assert (tmp_path / "demo.previous-1" / "result.json").exists()


@pytest.mark.slow
@pytest.mark.data
def test_pair_from_a_real_ct(tmp_path, data_folder, capsys):
    image, liver = data_folder / "hcc048_portal_venous", data_folder / "hcc048_liver_consensus.nii.gz"
    assert main(["simulate", "--image", str(image), "--liver", str(liver), "--out", str(tmp_path / "pair")]) == 0
    pair = PairFolder.at(tmp_path / "pair")
    words = ["--pre", str(pair.pre), "--post", str(pair.post), "--out", str(tmp_path / "case")]
    words += ["--liver-pre", str(pair.liver_pre), "--liver-post", str(pair.liver_post)]
    words += ["--tumor", str(pair.tumors[0]), "--ablation", str(pair.ablations[0])]
    assert main(["analyze", *words]) == 0
    check_case(tmp_path / "case", pair.truth)
    assert capsys.readouterr().out
