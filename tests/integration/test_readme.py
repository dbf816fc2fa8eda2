"""The README's worked example runs as it stands there."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def worked_example() -> list[str]:
    (block,) = re.findall(r"```sh\n(ablmargin analyze.*?)```", README, flags=re.DOTALL)
    return shlex.split(block.replace("\\\n", " "))[1:]


@pytest.mark.slow
def test_the_worked_example(tmp_path, monkeypatch):
    pair = write_pair(simulate_phantom("wide-margin", coarse=1.8), tmp_path / "pair")
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
        shutil.move(source, patient / name)
    monkeypatch.chdir(tmp_path)
    assert main(worked_example()) == 0
    result = json.loads(Path("results/case-17/result.json").read_text(encoding="utf-8"))
    assert result["case_id"] == "case-17"
    assert result["ras_mutation"] == "wildtype"
    what_comes_out = README.split("## What comes out")[1].split("## ")[0]
    for name in re.findall(r"^\| `([\w./-]+)` \|", what_comes_out, flags=re.MULTILINE):
        assert Path("results/case-17", name).exists(), name
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert f"1 {result['lesions'][0]['verdict']} {result['lesions'][0]['mam_mm']:.1f}" in printed_by(code)


def printed_by(code: str) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    return printed.getvalue()


def test_every_option_that_the_readme_names_exists(capsys):
    named = set(re.findall(r"`(?:ablmargin \w+ )?(--[a-z-]+)", README))
    assert main(["analyze", "--help"]) == 0
    helped = capsys.readouterr().out
    assert {option for option in named if option not in helped} <= {"--help"}
