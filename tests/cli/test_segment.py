"""``ablmargin segment``, in process: what is written, what is told, what is refused before any work."""

from __future__ import annotations

import json
import shlex
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_files import grid
from mask_files import series

from ablmargin.imagefile import save_volume
from ablmargin.loading import load_image, load_mask
from ablmargin.segmenting import DOUBTED
from ablmargin.volume import Structure, Volume
from ablmargin_cli.main import main

DRAWS_BRIGHT = """
import sys
import SimpleITK as sitk
sitk.WriteImage(sitk.ReadImage(sys.argv[1]) > 50, sys.argv[2])
"""
"""Outlines what is brighter than 50 HU."""


@pytest.fixture
def program(tmp_path):
    script = tmp_path / "bright.py"
    script.write_text(DRAWS_BRIGHT, encoding="utf-8")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{image}} {{mask}} {{structure}}"


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    """A CT series with a ball of 100 HU in water."""
    return series(tmp_path_factory.mktemp("ct") / "s", grid((20, 48, 48), (3.0, 2.0, 2.0)))


@pytest.fixture
def volume_file(tmp_path):
    geometry = grid((20, 48, 48), (3.0, 2.0, 2.0))
    voxels = np.full(geometry.shape, -1000.0, np.float32)
    voxels[4:16, 8:40, 8:40] = 0.0
    voxels[8:12, 20:26, 20:26] = 100.0
    path = tmp_path / "ct.nii.gz"
    save_volume(Volume(voxels_hu=voxels, geometry=geometry), path)
    return path


def center(path) -> str:
    geometry = load_image(path).volume.geometry
    return ",".join(f"{value:.1f}" for value in geometry.points_at([(10, 23, 23)])[0])


def test_a_proposal_is_written_and_told(volume_file, program, tmp_path, capsys):
    out = tmp_path / "tumor.nii.gz"
    words = ["--structure", "tumor", "--point", center(volume_file), "--auto-command", program, "--json"]
    assert main(["segment", "--image", str(volume_file), *words, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["schema"] == "ablmargin.segment/1"
    assert record["volume_ml"] == pytest.approx(4 * 6 * 6 * 12 / 1000)
    assert (record["source"], record["reviewed"], record["trusted"]) == ("automatic", False, True)
    assert "Look at it" in printed.err
    mask = load_mask(str(out), Structure.TUMOR, onto=load_image(volume_file).volume.geometry)
    assert mask.volume_ml == pytest.approx(record["volume_ml"])
    assert (mask.origin.source, mask.origin.reviewed) == ("automatic", False)


def test_what_is_doubted_is_refused_unless_accepted(volume_file, program, tmp_path, capsys):
    """Bright voxels of 1.7 ml are no liver."""
    out = tmp_path / "liver.nii.gz"
    words = ["segment", "--image", str(volume_file), "--structure", "liver", "--auto-command", program]
    assert main([*words, "--out", str(out)]) == 3
    told = capsys.readouterr().err
    assert DOUBTED in told
    assert "2 ml" in told
    assert not out.exists()
    assert main([*words, "--out", str(out), "--accept", DOUBTED]) == 0
    assert "accepted on purpose" in capsys.readouterr().err
    assert out.exists()


def test_nothing_found_is_refused(volume_file, program, tmp_path, capsys):
    dark = program.replace("bright", "dark")
    (tmp_path / "dark.py").write_text(DRAWS_BRIGHT.replace("> 50", "> 5000"), encoding="utf-8")
    words = ["--structure", "tumor", "--point", center(volume_file), "--auto-command", dark, "--accept", DOUBTED]
    assert main(["segment", "--image", str(volume_file), *words, "--out", str(tmp_path / "a.nrrd")]) == 3
    assert "SEGMENTATION_EMPTY" in capsys.readouterr().err


def test_dicom_in_and_out(ct, program, tmp_path):
    folder, geometry = ct
    out = tmp_path / "zone.dcm"
    (tmp_path / "bright.py").write_text(DRAWS_BRIGHT.replace("> 50", "> -500"), encoding="utf-8")
    point = ",".join(f"{value:.1f}" for value in geometry.points_at([np.array(geometry.shape) // 2])[0])
    words = ["--structure", "ablation", "--point", point, "--auto-command", program, "--accept", DOUBTED]
    assert main(["segment", "--image", str(folder), *words, "--out", str(out)]) == 0
    assert pydicom.dcmread(out).SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert load_mask(str(out), Structure.ABLATION_ZONE, onto=geometry).origin.source == "automatic"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["--structure", "tumor"], "--axis"),
        (["--structure", "tumor", "--point", "1,2"], "X,Y,Z"),
        (["--structure", "tumor", "--point", "0,0,0", "--accept", "SAME_SERIES"], "SAME_SERIES"),
        (["--structure", "vessels"], "vessels"),
        (["--structure", "liver", "--segmenter", "totalsegmentator", "--auto-command", "x {image} {mask}"], "one of"),
        (["--structure", "liver", "--auto-command", "x {image}"], "{mask}"),
    ],
)
def test_wrong_usage(volume_file, tmp_path, capsys, changes, told):
    assert main(["segment", "--image", str(volume_file), "--out", str(tmp_path / "a.nrrd"), *changes]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "a.nrrd").exists()


@pytest.mark.parametrize("name", ["a.png", "a", "a.dcm"])
def test_names_that_no_mask_can_have_are_refused_before_any_work(volume_file, tmp_path, capsys, name):
    words = ["--structure", "liver", "--out", str(tmp_path / name)]
    assert main(["segment", "--image", str(volume_file), *words]) == 2
    assert name in capsys.readouterr().err


def test_nothing_is_overwritten_unless_asked_and_never_the_image(volume_file, program, tmp_path, capsys):
    out = tmp_path / "a.nrrd"
    out.write_text("mine", encoding="utf-8")
    words = ["segment", "--image", str(volume_file), "--structure", "tumor", "--point", center(volume_file)]
    words += ["--auto-command", program]
    assert main([*words, "--out", str(out)]) == 2
    assert out.read_text(encoding="utf-8") == "mine"
    assert main([*words, "--out", str(out), "--overwrite"]) == 0
    before = volume_file.read_bytes()
    assert main([*words, "--out", str(volume_file), "--overwrite"]) == 2
    assert volume_file.read_bytes() == before
    assert "an input itself" in capsys.readouterr().err


def test_nothing_is_written_into_the_input_folder(ct, capsys):
    words = ["segment", "--image", str(ct[0]), "--structure", "liver", "--out", str(ct[0] / "liver.nii.gz")]
    assert main(words) == 2
    assert "input folder" in capsys.readouterr().err


def test_a_point_outside_of_the_image_is_an_input_refused(volume_file, program, tmp_path, capsys):
    words = ["--structure", "tumor", "--point", "-900,0,0", "--auto-command", program]
    assert main(["segment", "--image", str(volume_file), *words, "--out", str(tmp_path / "a.nrrd")]) == 3
    assert "PROMPT_OUTSIDE" in capsys.readouterr().err


def test_the_built_in_method_outlines_a_ball_from_its_long_axis(tmp_path):
    """A ball of 12 mm radius, 50 HU darker than the liver around it, with noise of 10 HU."""
    geometry = grid((40, 60, 60), (2.0, 1.5, 1.5))
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    middle = geometry.points_at([np.array(geometry.shape) // 2])[0]
    inside = np.linalg.norm(points - middle, axis=-1) < 12.0
    noise = np.random.default_rng(0).normal(0, 10, geometry.shape)
    path = tmp_path / "ct.nrrd"
    save_volume(Volume(voxels_hu=(np.where(inside, 50.0, 100.0) + noise).astype(np.float32), geometry=geometry), path)
    liver = sitk.GetImageFromArray(np.pad(np.ones((36, 56, 56), np.uint8), 2))
    liver.CopyInformation(sitk.ReadImage(path))
    sitk.WriteImage(liver, tmp_path / "liver.nii.gz")
    ends = middle + np.array([[-12.0, 0, 0], [12.0, 0, 0]])
    axis = ",".join(f"{value:.1f}" for value in ends.ravel())
    out = tmp_path / "tumor.nii.gz"
    words = ["--structure", "tumor", "--axis", axis, "--liver", str(tmp_path / "liver.nii.gz"), "--out", str(out)]
    assert main(["segment", "--image", str(path), *words]) == 0
    found = load_mask(str(out), Structure.TUMOR, onto=geometry)
    assert 2 * (found.voxels & inside).sum() / (found.voxels.sum() + inside.sum()) > 0.9
    assert found.origin.source == "point"
