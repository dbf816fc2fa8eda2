"""What TotalSegmentator is asked for and what is made of its answer, with a stand-in for the package.

The stand-in takes what is brighter than 50 HU for the structure. That the real package does what we ask of it is seen in
``test_totalsegmentator_real.py``.
"""

from __future__ import annotations

import json
import socket
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import InputError, MissingExtraError
from ablmargin.segmentation import totalsegmentator
from ablmargin.segmentation.protocol import Prompt
from ablmargin.segmentation.totalsegmentator import (
    LESIONS,
    LIVER,
    SEGMENTS,
    VESSELS,
    Settings,
    Task,
    TotalSegmentator,
    liver_segments,
    liver_vessels,
)
from ablmargin.volume import Structure, Volume

CENTER_MM = (-40.0, 25.0, 310.0)

STAND_IN = """
import json, os, pathlib, socket, sys
import SimpleITK as sitk

def totalsegmentator(input, output=None, **named):
    home = pathlib.Path(os.environ["TOTALSEG_HOME_DIR"])
    config = json.loads((home / "config.json").read_text())
    weights = os.environ["TOTALSEG_WEIGHTS_PATH"]
    pathlib.Path(TOLD).write_text(json.dumps({"named": named, "config": config, "weights": weights}))
    LABEL = {"total": 5, "liver_lesions": 1, "liver_segments": 8, "liver_vessels": 1}[named["task"]]
    print("TotalSegmentator sends anonymous usage statistics.")
    mask = sitk.Cast(sitk.ReadImage(input) > 50, sitk.sitkUInt8) * LABEL
    BODY
    sitk.WriteImage(mask, output)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the stand-in, with a body of one's own; returns where it tells what it was asked for."""

    def install(body: str = "pass") -> Path:
        folder, told = tmp_path / "site", tmp_path / "told.json"
        for part in ("totalsegmentator", "TotalSegmentator-2.18.0.dist-info"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        code = STAND_IN.replace("TOLD", repr(str(told))).replace("BODY", body)
        (folder / "totalsegmentator" / "__init__.py").touch()
        (folder / "totalsegmentator" / "python_api.py").write_text(code, encoding="utf-8")
        metadata = "Metadata-Version: 2.1\nName: TotalSegmentator\nVersion: 2.18.0\n"
        (folder / "TotalSegmentator-2.18.0.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return told

    return install


@pytest.fixture
def weights(tmp_path) -> Settings:
    for task in (LIVER, LESIONS, SEGMENTS, VESSELS):
        place(tmp_path / "weights", task)
    return Settings(weights=tmp_path / "weights", device="cpu")


def place(folder: Path, task: Task) -> None:
    for dataset in task.datasets:
        fold = folder / dataset / "nnUNetTrainer__nnUNetPlans__3d_fullres" / "fold_0"
        fold.mkdir(parents=True, exist_ok=True)
        (fold / "checkpoint_final.pth").touch()


def bright_box(geometry) -> Volume:
    """100 HU in a box that no axis can be exchanged or mirrored in without notice; 0.7 l in all."""
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[2:11, 10:30, 40:60] = 100.0
    return Volume(voxels_hu=voxels, geometry=geometry)


def wide_grid(orientation="LPS"):
    return grid_around(CENTER_MM, orientation=orientation, spacing_mm=(5.0, 4.0, 10.0), frame_uid="1.2.3")


def test_the_liver_lies_where_it_was_found(package, weights, orientation):
    told = package()
    volume = bright_box(wide_grid(orientation))
    proposal = TotalSegmentator(structure=Structure.LIVER, settings=weights).segment(volume)
    np.testing.assert_array_equal(proposal.mask.voxels, volume.voxels_hu > 50)
    assert proposal.mask.geometry == volume.geometry
    assert proposal.is_trusted
    assert proposal.mask.origin.method == "TotalSegmentator 2.18.0 (total)"
    assert proposal.mask.origin.source == "automatic"
    assert not proposal.mask.origin.reviewed
    asked = json.loads(told.read_text())
    assert asked["named"] == {
        "ml": True,
        "task": "total",
        "roi_subset": ["liver"],
        "device": "cpu",
        "quiet": True,
        "nr_thr_saving": 1,
    }
    assert asked["weights"] == str(weights.weights)


def test_the_lesion_that_was_pointed_at(package, weights):
    told = package()
    voxels = np.zeros((14, 60, 70), np.float32)
    voxels[2:4, 10:20, 40:50] = voxels[8:10, 30:40, 10:20] = 100.0
    volume = Volume(voxels_hu=voxels, geometry=grid_around(CENTER_MM))
    lesions = TotalSegmentator(structure=Structure.TUMOR, settings=weights)
    assert np.count_nonzero(lesions.segment(volume).mask.voxels) == 400
    point = tuple(volume.geometry.points_at([(9, 35, 15)])[0].tolist())
    mask = lesions.segment(volume, Prompt(point_mm=point)).mask
    assert np.argwhere(mask.voxels).min(axis=0).tolist() == [8, 30, 10]
    assert np.count_nonzero(mask.voxels) == 200
    asked = json.loads(told.read_text())["named"]
    assert (asked["task"], asked["roi_subset"]) == ("liver_lesions", None)


def test_segments_and_vessels_by_their_names(package, weights, capfd):
    package()
    volume = bright_box(wide_grid("oblique"))
    segments, vessels = liver_segments(volume, weights), liver_vessels(volume, weights)
    np.testing.assert_array_equal(segments.voxels_of("8"), volume.voxels_hu > 50)
    assert not segments.voxels_of("1").any()
    np.testing.assert_array_equal(vessels.voxels_of("vessel"), volume.voxels_hu > 50)
    assert segments.geometry == volume.geometry
    assert (segments.method, vessels.method) == (
        "TotalSegmentator 2.18.0 (liver_segments)",
        "TotalSegmentator 2.18.0 (liver_vessels)",
    )
    with pytest.raises(KeyError):
        segments.voxels_of("9")
    assert capfd.readouterr() == ("", "")  # standard output carries only what was asked for


def test_usage_statistics_are_off_and_the_users_configuration_stays(package, weights, tmp_path, monkeypatch):
    told = package("(home / 'config.json').write_text('changed')")
    users = tmp_path / "home" / ".totalsegmentator" / "config.json"
    users.parent.mkdir(parents=True)
    users.write_text('{"totalseg_id": "totalseg_ABC", "send_usage_stats": true}')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(users.parent))
    TotalSegmentator(structure=Structure.TUMOR, settings=weights).segment(bright_box(wide_grid()))
    config = json.loads(told.read_text())["config"]
    assert config["send_usage_stats"] is False
    assert config["totalseg_id"] == ""
    assert users.read_text() == '{"totalseg_id": "totalseg_ABC", "send_usage_stats": true}'


@pytest.mark.parametrize(
    "attempt",
    [  # the last in a process of its own
        "socket.create_connection(('127.0.0.1', {port}))",
        "socket.getaddrinfo('example.org', 443)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'here', ('127.0.0.1', {port}))",
        "import multiprocessing as m; m.get_context('spawn').Pool(1).apply(socket.create_connection, (('127.0.0.1', {port}),))",
    ],
)
def test_nothing_goes_over_a_network(package, weights, attempt):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        package(attempt.format(port=server.getsockname()[1]))
        with pytest.raises(InputError, match="the network is switched off here") as caught:
            TotalSegmentator(structure=Structure.LIVER, settings=weights).segment(bright_box(wide_grid()))
        with pytest.raises(TimeoutError):
            server.accept()
    assert "Traceback" not in str(caught.value)


def test_a_crash_is_told_by_its_last_words(package, weights):
    package("raise RuntimeError('CUDA out of memory')")
    with pytest.raises(InputError) as caught:
        TotalSegmentator(structure=Structure.LIVER, settings=weights).segment(bright_box(wide_grid()))
    (fault,) = caught.value.faults
    assert (fault.code, fault.source) == ("SEGMENTATION_FAILED", "TotalSegmentator (total)")
    assert fault.found.endswith("RuntimeError: CUDA out of memory")
    assert "Traceback" not in str(caught.value)


def test_a_mask_on_another_grid_is_refused(package, weights):
    package("mask = mask[1:]")
    with pytest.raises(InputError, match="a mask on another grid than the image's"):
        liver_segments(bright_box(wide_grid()), weights)


def test_a_missing_package_is_told_before_anything_runs(weights, monkeypatch):
    def nothing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(totalsegmentator, "version", nothing)
    for call in (
        TotalSegmentator(structure=Structure.LIVER, settings=weights).require_installed,
        lambda: TotalSegmentator(structure=Structure.LIVER, settings=weights).segment(bright_box(wide_grid())),
        lambda: liver_vessels(bright_box(wide_grid()), weights),
    ):
        with pytest.raises(
            MissingExtraError, match=r'TotalSegmentator isn\'t installed: pip install "ablmargin\[auto\]"'
        ):
            call()


def test_missing_weights_are_named_with_how_to_get_them(package, tmp_path):
    told = package()
    place(tmp_path, VESSELS)
    (tmp_path / LESIONS.datasets[0]).mkdir()  # a folder without its content
    lesions = TotalSegmentator(structure=Structure.TUMOR, settings=Settings(weights=tmp_path))
    with pytest.raises(MissingExtraError) as caught:
        lesions.segment(bright_box(wide_grid()))
    message = str(caught.value)
    assert f"lacks weights in {tmp_path}: Dataset591_ct_liver_lesions_842subj, Dataset297_TotalSegmentator" in message
    assert "totalseg_download_weights -t liver_lesions and totalseg_download_weights -t total_fast" in message
    assert "Dataset008" not in message
    assert not told.exists()
    TotalSegmentator(structure=Structure.TUMOR, settings=Settings(weights=tmp_path))
    liver_vessels(bright_box(wide_grid()), Settings(weights=tmp_path))


def test_the_weights_folder_is_where_totalsegmentator_looks(tmp_path, monkeypatch):
    monkeypatch.delenv("TOTALSEG_WEIGHTS_PATH", raising=False)
    monkeypatch.delenv("TOTALSEG_HOME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().weights_folder == tmp_path / ".totalsegmentator" / "nnunet" / "results"
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path / "elsewhere"))
    assert Settings().weights_folder == tmp_path / "elsewhere" / "nnunet" / "results"
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "w"))
    assert Settings().weights_folder == tmp_path / "w"
    assert Settings(weights=tmp_path / "given").weights_folder == tmp_path / "given"


def test_there_is_no_network_for_ablation_zones():
    with pytest.raises(ValueError, match="no network for ablation zones"):
        TotalSegmentator(structure=Structure.ABLATION_ZONE)
