"""The example notebook runs as it stands, and what the pages on notebooks and comparisons tell is true."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from ablmargin.batch.columns import ALL_COLUMNS
from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "margins.ipynb"


def test_the_example_is_kept_without_outputs():
    notebook = nbformat.read(EXAMPLE, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the machinery that talks to the kernel; the kernel's own are errors
def test_the_example_runs(tmp_path, monkeypatch):
    notebook = nbformat.read(EXAMPLE, as_version=4)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = {cell["id"]: str(cell.get("outputs")) for cell in notebook.cells}
    assert "95 % bounds" in shown["cell-03"]
    assert "Not a medical device" in shown["cell-03"]
    assert "image/png" in shown["cell-09"]
    assert "Agreement of reader-a and reader-b over 2 lesions of 1 case" in shown["cell-11"]
    assert "bias" in shown["cell-13"]


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    pair = write_pair(simulate_phantom("thin-margin", coarse=2.0), tmp_path / "pair")
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
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "notebooks.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/notebooks.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "case-17" in printed
    assert "Agreement of once and again over 1 lesion of 1 case" in printed


def test_every_column_is_documented():
    text = (DOCS / "notebooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([\w{},*-]+)`", text))
    patterns = [re.compile(re.sub(r"\\{(.*?)\\}", _any_of, re.escape(name).replace(r"\*", r"\w+"))) for name in told]
    lacking = [c.name for c in ALL_COLUMNS if not any(pattern.fullmatch(c.name) for pattern in patterns)]
    assert not lacking


def _any_of(braces: re.Match[str]) -> str:
    return f"({'|'.join(braces.group(1).split(','))})"


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """Tables where docs/compare.md has results."""
    random = np.random.default_rng(2)
    truth = random.normal(6, 4, 30)
    for name in ("reader-a.csv", "reader-b.csv", "other-program.csv"):
        rows = [f"case-{n // 2},{n % 2 + 1},{mm:.2f}" for n, mm in enumerate(truth + random.normal(0, 1, 30))]
        (tmp_path / name).write_text("\n".join(["case_id,lesion_id,mam_mm", *rows]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("readers")
def test_the_commands_of_the_page_on_comparisons_run(capsys):
    text = (DOCS / "compare.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ablmargin (compare .*)$", text, flags=re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        assert main(shlex.split(command)) == 0, capsys.readouterr().err
    assert Path("agreement/comparison.html").is_file()
