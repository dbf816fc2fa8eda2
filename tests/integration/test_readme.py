"""The README's worked example runs as it stands there."""

from __future__ import annotations

import io
import json
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTLINES = (ROOT / "docs" / "segmentation.md").read_text(encoding="utf-8")


def worked_examples(command: str) -> list[list[str]]:
    blocks = re.findall(rf"```sh\n(ablmargin {command}.*?)```", README, flags=re.DOTALL)
    return [shlex.split(block.replace("\\\n", " "))[1:] for block in blocks]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The patient whose tumor and zone have the axes that the README names."""
    return write_pair(simulate_phantom("thin-margin", coarse=1.5), tmp_path_factory.mktemp("readme") / "pair")


@pytest.fixture
def place(pair, tmp_path, monkeypatch):
    patient = tmp_path / "patient"
    patient.mkdir()
    for source, name in (
        (pair.pre, "ct-before"),
        (pair.post, "ct-after"),
        (pair.liver_pre, "liver-before.nii.gz"),
        (pair.liver_post, "liver-after.nii.gz"),
        (pair.tumors[0], "tumor.nii.gz"),
        (pair.ablations[0], "zone.nii.gz"),
    ):
        (patient / name).symlink_to(source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_worked_example_with_axes():
    from_axes, _ = worked_examples("analyze")
    assert main(from_axes) == 0
    result = json.loads(Path("results/case-17/result.json").read_text(encoding="utf-8"))
    assert result["verdict"] == "indeterminate"
    assert result["lesions"][0]["mam_mm"] == pytest.approx(2.5, abs=1.5)  # truth 2.49 mm, voxels of 1.5 x 1.5 x 3.75 mm
    assert {(mask["structure"], mask["source"]) for mask in result["masks"]} == {
        ("liver", "automatic"),
        ("tumor", "point"),
        ("ablation", "point"),
    }
    (one,) = worked_examples("segment")
    assert main(one) == 0
    assert Path("tumor.seg.nrrd").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_worked_example_with_outlines():
    _, with_outlines = worked_examples("analyze")
    assert main(with_outlines) == 0
    result = json.loads(Path("results/case-17/result.json").read_text(encoding="utf-8"))
    assert result["case_id"] == "case-17"
    assert result["ras_mutation"] == "wildtype"
    what_comes_out = README.split("## What comes out")[1].split("## ")[0]
    for name in re.findall(r"^\| `([\w./-]+)` \|", what_comes_out, flags=re.MULTILINE):
        assert Path("results/case-17", name).exists(), name
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (more,) = re.findall(r"```python\n(.*?)```", OUTLINES, flags=re.DOTALL)
    printed, names = io.StringIO(), {}
    with redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), names)
    assert f"1 {result['lesions'][0]['verdict']} {result['lesions'][0]['mam_mm']:.1f}" in printed.getvalue()
    exec(compile(more, "docs/segmentation.md", "exec"), names)
    drawn, proposed = names["result"].lesions
    assert proposed.margin.minimum_mm == pytest.approx(drawn.margin.minimum_mm, abs=1.5)


def test_every_option_that_the_readme_names_exists(capsys):
    named = set(re.findall(r"`(?:ablmargin \w+ )?(--[a-z-]+)", README))
    assert main(["analyze", "--help"]) == 0
    helped = capsys.readouterr().out
    assert {option for option in named if option not in helped} <= {"--help"}
