"""Folders are often named after patients: nothing that is written may hold a name from the path of an input."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from ablmargin.pairs import PairFolder, write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main

NAMES = (b"SMITH_JOHN", b"DOE_JANE")  # packed data in base64 has no underscore, so it can't hold them by chance


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairFolder:
    """With everything that gives rise to a caution about files: junk, a second copy, masks on a grid of their own."""
    folder = tmp_path_factory.mktemp("data") / "SMITH_JOHN"
    pair = write_pair(simulate_phantom("wide-margin", seed=2, coarse=2.2), folder)
    (pair.pre / "DOE_JANE").mkdir()
    (pair.pre / "DOE_JANE" / "letter.pdf").write_bytes(b"letter")
    shutil.copy(min(pair.pre.glob("*.dcm")), pair.pre / "DOE_JANE" / "copy.dcm")
    for mask in (*pair.tumors, *pair.ablations):
        image = sitk.ReadImage(mask)
        finer = [spacing * 0.8 for spacing in image.GetSpacing()]
        size = [int((n - 1) / 0.8) + 1 for n in image.GetSize()]
        nearest = sitk.sitkNearestNeighbor
        moved = sitk.Resample(
            image, size, sitk.Transform(), nearest, image.GetOrigin(), finer, image.GetDirection(), 0.0
        )
        sitk.WriteImage(moved, mask)
    return pair


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, unpacked."""
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in files.items()}


def assert_no_name_in(folder: Path) -> None:
    for name, data in contents(folder).items():
        assert not any(part in name.encode() + data for part in NAMES), name


def test_masks_alone(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(pair.pre.parent.parent)
    zone = pair.ablations[0]
    words = (("--tumor", zone), ("--ablation", zone), ("--liver", pair.liver_post))
    command = ["margin", *(f"{option}={path.relative_to(Path.cwd())}#1" for option, path in words)]
    out = tmp_path / "SMITH_JOHN"
    command += ["--out", str(out)]
    monkeypatch.setattr("sys.argv", ["ablmargin", *command])
    assert main(command) == 0
    assert_no_name_in(out)
    assert "SMITH_JOHN" not in capsys.readouterr().out
    result = json.loads((out / "result.json").read_text())
    (caution,) = (warning for warning in result["warnings"] if warning["code"] == "MASK_RESAMPLED")
    assert caution["message"].startswith("--liver liver-post.nii.gz#1 lies")


@pytest.mark.slow
def test_whole_case(pair, tmp_path, monkeypatch):
    command = ["analyze", "--pre", str(pair.pre), "--post", f"{pair.post}/", "--tumor", str(pair.tumors[0])]
    command += ["--ablation", str(pair.ablations[0]), "--liver-pre", str(pair.liver_pre)]
    command += ["--liver-post", str(pair.liver_post), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["ablmargin", *command])
    assert main(command) == 0
    assert_no_name_in(tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    told = {warning["code"] for warning in result["warnings"]}
    assert {"FILES_SKIPPED", "DUPLICATE_INSTANCE", "MASK_RESAMPLED"} <= told
    words = json.loads((tmp_path / "out" / "provenance.json").read_text())["command"]
    assert words[:6] == ["ablmargin", "analyze", "--pre", "(folder)", "--post", "(folder)"]
