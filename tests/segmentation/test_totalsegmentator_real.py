"""The real package, from our call to our mask, on models of 5 KB that the test makes.

Their weights are laid out as TotalSegmentator's, with networks whose answer is known: the structure is what is brighter
than 50 HU. ``nox -s auto`` installs the package and runs this.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.segmentation import totalsegmentator
from ablmargin.segmentation.command import CommandSegmenter
from ablmargin.segmentation.totalsegmentator import (
    LESIONS,
    LIVER,
    SEGMENTS,
    VESSELS,
    Settings,
    TotalSegmentator,
    liver_segments,
    liver_vessels,
)
from ablmargin.volume import Structure, Volume

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("totalsegmentator") is None, reason='needs pip install "ablmargin[auto]"'),
]

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "segmentation.md"
TASKS = (LIVER, LESIONS, SEGMENTS, VESSELS)
LIVER_LABEL, LARGEST_LABEL, LEVEL_HU = 5, 8, 50.0

NETWORK = {
    "n_stages": 2,
    "features_per_stage": [1, 1],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[1, 1, 1], [1, 1, 1]],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "n_conv_per_stage": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
    "norm_op": None,
    "norm_op_kwargs": None,
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}


def config_of(task) -> dict:
    """The package's own settings of a task."""
    return importlib.import_module("totalsegmentator.python_api").get_task_config(task.name, quiet=True)


def place_model(folder: Path, dataset: str, *, trainer: str, model: str, spacing_mm: tuple, label: int) -> None:
    """A trained model's folder as nnU-Net writes it."""
    torch = importlib.import_module("torch")
    place = folder / dataset / f"{trainer}__nnUNetPlans__{model}"
    (place / "fold_0").mkdir(parents=True, exist_ok=True)
    (place / "plans.json").write_text(json.dumps(plans(dataset, model, spacing_mm)))
    labels = {"background": 0} | {str(number): number for number in range(1, LARGEST_LABEL + 1)}
    dataset_json = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz", "numTraining": 1}
    (place / "dataset.json").write_text(json.dumps(dataset_json))
    checkpoint = {
        "trainer_name": trainer,
        "init_args": {"configuration": model},
        "inference_allowed_mirroring_axes": None,
        "network_weights": weights_of(label),
    }
    torch.save(checkpoint, place / "fold_0" / "checkpoint_final.pth")


def plans(dataset: str, model: str, spacing_mm: tuple) -> dict:
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": f"nnUNetPlans_{model}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [32, 32, 32],
        "median_image_size_in_voxels": [40, 40, 40],
        "spacing": list(spacing_mm),
        "normalization_schemes": ["NoNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": True,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": NETWORK,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    for what in ("data", "seg", "probabilities"):
        configuration[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        configuration[f"resampling_fn_{what}_kwargs"] = resampling | {"is_seg": what == "seg"}
    return {
        "dataset_name": dataset,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing_mm),
        "original_median_shape_after_transp": [40, 40, 40],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {model: configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
    }


def weights_of(label: int) -> dict:
    """A U-Net that hands HU through its skip connection, and whose one label wins above 50 HU."""
    torch = importlib.import_module("torch")
    unet = importlib.import_module("dynamic_network_architectures.architectures.unet").PlainConvUNet
    located = {key: NETWORK[key] for key in NETWORK} | {"conv_op": torch.nn.Conv3d, "nonlin": torch.nn.LeakyReLU}
    network = unet(input_channels=1, num_classes=LARGEST_LABEL + 1, **located)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.encoder.stages[0][0].convs[0].conv.weight[:] = 1.0
        network.decoder.stages[0].convs[0].conv.weight[:, 1] = 1.0  # the skip's channel follows the one from below
        last = network.decoder.seg_layers[-1]
        last.bias[:] = -20.0
        last.bias[0], last.bias[label] = 0.0, -LEVEL_HU / 100
        last.weight[label] = 1 / 100
    return network.state_dict()


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("weights")
    rough = {"trainer": "nnUNetTrainer_4000epochs_NoMirroring", "model": "3d_fullres", "label": LIVER_LABEL}
    for (dataset,), spacing_mm in ((totalsegmentator.ROUGH_LIVER, 6.0), (totalsegmentator.FINER_LIVER, 3.0)):
        place_model(folder, dataset, spacing_mm=(spacing_mm,) * 3, **rough)
    for task in TASKS:
        config = config_of(task)
        mm = np.broadcast_to(config["resample"] or 1.5, 3)[::-1].tolist()
        for dataset in set(task.datasets) - {*totalsegmentator.ROUGH_LIVER, *totalsegmentator.FINER_LIVER}:
            model = {"trainer": config["trainer"], "model": config["model"], "label": max(task.labels)}
            place_model(folder, dataset, spacing_mm=mm, **model)
    return Settings(weights=folder, device="cpu", timeout_s=600)


def bright_box(orientation: str = "LPS", *, spacing_mm=(1.5, 1.5, 1.5)) -> Volume:
    """90 HU in a box of 72 × 42 × 48 mm in 10 HU, off center, on the grid of the network for the liver."""
    geometry = grid_around((-40.0, 25.0, 310.0), orientation=orientation, shape=(64, 56, 60), spacing_mm=spacing_mm)
    voxels = np.full(geometry.shape, 10.0, np.float32)
    voxels[8:56, 8:36, 20:52] = 90.0
    return Volume(voxels_hu=voxels, geometry=geometry)


def test_the_table_of_tasks_is_the_packages_own():
    tasks = importlib.import_module("totalsegmentator.map_tasks_config")
    classes = importlib.import_module("totalsegmentator.map_to_binary").class_map
    downloads = importlib.import_module("totalsegmentator.bin.totalseg_download_weights").TASK_TO_ID
    for task in TASKS:
        config = config_of(task)
        numbers = np.atleast_1d(config["task_id"]).tolist()
        rough = 297 if config["robust_crop"] else 298
        folders = {tasks.TASK_ID_WEIGHTS_CONFIGS[number]["foldername"] for number in [*numbers, rough]}
        assert set(task.datasets) == folders
        brought = set(chain.from_iterable(downloads[name] for name in task.downloads))
        assert {*numbers, rough} <= brought
        assert set(task.labels) <= set(classes[task.name])
        if task.roi:
            assert {classes[task.name][label] for label in task.labels} == {task.roi}
        else:
            assert set(task.labels) == set(classes[task.name])


def test_the_liver_comes_back_to_the_voxel(settings, orientation):
    volume = bright_box(orientation)
    proposal = TotalSegmentator(structure=Structure.LIVER, settings=settings).segment(volume)
    np.testing.assert_array_equal(proposal.mask.voxels, volume.voxels_hu > LEVEL_HU)
    assert proposal.mask.geometry == volume.geometry


def test_lesions_segments_and_vessels_come_back(settings, tmp_path, monkeypatch):
    """Those networks have other grids, so a border may move by one of their voxels, 1.5 mm at most."""
    monkeypatch.setenv("HOME", str(tmp_path))
    volume = bright_box("oblique")
    truth = volume.voxels_hu > LEVEL_HU
    lesions = TotalSegmentator(structure=Structure.TUMOR, settings=settings).segment(volume).mask.voxels
    segments = liver_segments(volume, settings).voxels_of("8")
    vessels = liver_vessels(volume, settings).voxels_of("tumor")  # its largest label
    for found in (lesions, segments, vessels):
        differ = np.argwhere(found != truth)
        assert 2 * np.count_nonzero(found & truth) > 0.95 * (np.count_nonzero(found) + np.count_nonzero(truth))
        depth = np.minimum(np.abs(differ - [8, 8, 20]), np.abs(differ - [55, 35, 51])).min(axis=1)
        assert depth.max(initial=0) <= 1
    assert not (tmp_path / ".totalsegmentator").exists()


def test_the_documented_command_of_another_environment(settings, tmp_path, monkeypatch):
    program = shutil.which("TotalSegmentator", path=str(Path(sys.executable).parent))
    template = f"{program} -i {{image}} -o {{mask}} --ml -ta liver_lesions"
    assert template.partition(" ")[2] in DOCUMENTED.read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps(totalsegmentator.WITHOUT_STATISTICS))
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(settings.weights))
    volume = bright_box()
    mask = CommandSegmenter(structure=Structure.TUMOR, template=template).segment(volume).mask
    alone = TotalSegmentator(structure=Structure.TUMOR, settings=settings).segment(volume).mask
    np.testing.assert_array_equal(mask.voxels, alone.voxels)
    assert mask.voxels.any()
