"""Names of files from other systems and from jokers: bytes that are no text, and signs that a terminal obeys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from ablmargin_cli.main import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems don't have such names")
NO_TEXT = os.fsdecode(b"M\xfcller")


def ball_in(folder: Path, name: str, radius: int = 2) -> Path:
    """A cube as a mask of 1 mm voxels, written under a plain name and then renamed."""
    image = sitk.Image([30, 30, 30], sitk.sitkUInt8)
    image[15 - radius : 15 + radius, 15 - radius : 15 + radius, 15 - radius : 15 + radius] = 1
    plain = folder / f"plain{name[name.index('.') :]}"
    sitk.WriteImage(image, str(plain))
    (folder / name).parent.mkdir(exist_ok=True)
    return plain.rename(folder / name)


@pytest.fixture
def zone(tmp_path):
    return ball_in(tmp_path, "zone.nii.gz", radius=9)


@pytest.mark.parametrize("place", [f"{NO_TEXT}.nii.gz", f"{NO_TEXT}.nrrd", f"{NO_TEXT}/t.mha"])
def test_a_mask_whose_name_is_no_text(tmp_path, zone, capsys, place):
    tumor = ball_in(tmp_path, place)
    assert main(["margin", "--tumor", str(tumor), "--ablation", str(zone)]) == 3
    said = capsys.readouterr().err
    assert "PATH_ENCODING" in said
    assert "M\\udcfcller" in said


def test_an_image_whose_name_is_no_text(tmp_path, capsys):
    image = ball_in(tmp_path, f"{NO_TEXT}.nii.gz")
    assert main(["segment", "--image", str(image), "--structure", "liver", "--out", str(tmp_path / "o.nii.gz")]) == 3
    assert "PATH_ENCODING" in capsys.readouterr().err


def test_an_output_whose_name_is_no_text(tmp_path, zone, capsys):
    tumor, out = ball_in(tmp_path, "t.nii.gz"), tmp_path / NO_TEXT
    assert main(["margin", "--tumor", str(tumor), "--ablation", str(zone), "--out", str(out)]) == 3
    assert "PATH_ENCODING" in capsys.readouterr().err
    assert main(["segment", "--image", str(tumor), "--structure", "liver", "--out", f"{out}.nii.gz"]) == 3
    assert "PATH_ENCODING" in capsys.readouterr().err
    assert not out.exists()


FORGING = "t\x1b[2J\nablmargin: OK \x9b31m\u202e.nii.gz"


def tame(text: str) -> bool:
    """Whether a text has nothing but printable signs, in lines."""
    return all(line.isprintable() for line in text.split("\n"))


def test_a_name_cannot_forge_a_line_or_send_codes(tmp_path, zone, capsys, monkeypatch):
    """In cautions on standard output, in the report, in the record and in the history of the run."""
    tumor, out = ball_in(tmp_path, FORGING, radius=1), tmp_path / "out"
    command = ["margin", "--tumor", f"{tumor}#1", "--ablation", str(zone), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["ablmargin", *command])
    assert main(command) == 0
    said = capsys.readouterr()
    assert "MASK_TINY" in said.out
    assert "\\x1b[2J\\nablmargin: OK \\x9b31m\\u202e" in said.out
    assert tame(said.out + said.err)
    for name in ("report.html", "result.json", "provenance.json"):
        content = (out / name).read_text()
        assert tame(content), name
        assert "\\x9b31m" in content, name


def test_nor_can_one_in_an_error(tmp_path, zone, capsys):
    (tmp_path / FORGING).write_bytes(b"nothing of the kind")
    assert main(["margin", "--tumor", str(tmp_path / FORGING), "--ablation", str(zone)]) == 3
    said = capsys.readouterr().err
    assert "ablmargin: FILE_FORMAT" in said
    assert tame(said)
    assert not [line for line in said.splitlines() if line.startswith("ablmargin: OK")]
