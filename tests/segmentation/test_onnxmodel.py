"""A network of one's own: models that the test makes, whose masks are known without them."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from model_sheets import sheet_file
from onnx import TensorProto, helper, numpy_helper
from orientations import grid_around

from ablmargin.errors import InputError, MissingExtraError, UsageError
from ablmargin.geometry import Geometry
from ablmargin.segmentation.onnxmodel import OnnxModel, network_grid
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import LabelMask, Structure, Volume

CENTER_MM = (-40.0, 25.0, 310.0)

ONE_LABEL = {
    "labels": '{ 1 = "tumor" }',
    "normalization": '"none"',
    "window_hu": "[-1000, 1000]",
    "patch": "[8, 16, 16]",
    "spacing_mm": "[5.0, 0.8, 0.7]",
}


def write_model(path, weights, bias, *, inputs=(1, 1, None, None, None), channels=None, extra=()) -> None:
    """One convolution, channels that are weighted sums of an image's voxels, and what comes after it."""
    weights, bias = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    if weights.ndim == 1:
        weights = weights.reshape(-1, 1, 1, 1, 1)
    pads = [size // 2 for size in weights.shape[2:]] * 2
    last = "scores" if not extra else "convolved"
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], [last], pads=pads), *extra]
    shape = (1, channels or len(bias), None, None, None)
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def brighter_than_50(tmp_path, **changes: str) -> OnnxModel:
    """Background 0, tumor HU - 50: the tumor is what is brighter than 50 HU."""
    write_model(tmp_path / "model.onnx", [0, 1], [0, -50])
    sheet_file(tmp_path, **(ONE_LABEL | changes))
    return OnnxModel.load(tmp_path / "model.onnx")


def ball_volume(geometry: Geometry, *, radius_mm=18.0) -> Volume:
    """HU that fall by 10 a mm from the center, 50 at the radius: linear but for their center."""
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    distance_mm = np.linalg.norm(points - CENTER_MM, axis=-1)
    return Volume(voxels_hu=(50 + 10 * (radius_mm - distance_mm)).astype(np.float32), geometry=geometry)


def codes_of(call, *arguments) -> list[str]:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert all(fault.remedy for fault in caught.value.faults)
    return [fault.code for fault in caught.value.faults]


def test_on_the_networks_own_grid_the_mask_is_exact(tmp_path, orientation):
    """Noise, so that each voxel counts; patches of 8 × 16 × 16 with a half overlap leave no trace."""
    geometry = grid_around(CENTER_MM, orientation=orientation, frame_uid="1.2.3")
    voxels = np.random.default_rng(5).normal(50, 100, geometry.shape).astype(np.float32)
    voxels[np.abs(voxels - 50) < 0.01] = 60.0  # nothing that single precision could tip over
    model = brighter_than_50(tmp_path)
    mask = model.segmenter(Structure.TUMOR).segment(Volume(voxels_hu=voxels, geometry=geometry)).mask
    np.testing.assert_array_equal(mask.voxels, voxels > 50)
    assert mask.geometry == geometry
    assert (mask.origin.source, mask.origin.reviewed) == ("automatic", False)
    assert mask.origin.method == model.method
    assert model.method.startswith("model 1.0 (ONNX ")


@pytest.mark.parametrize("axis_order", ["SPL", "RAS", "LPI", "ILA"])
def test_on_another_grid_the_mask_lies_where_it_should(tmp_path, orientation, axis_order):
    """Interpolated twice, HU that are linear but for their center stay what they are to some 0.3 mm."""
    volume = ball_volume(grid_around(CENTER_MM, orientation=orientation, spacing_mm=(4.0, 0.8, 0.7)))
    model = brighter_than_50(tmp_path, axis_order=f'"{axis_order}"', spacing_mm="[1.5, 1.2, 1.0]", activation='"none"')
    found = model.segmenter(Structure.TUMOR).segment(volume).mask
    distance_mm = 18.0 + (50 - volume.voxels_hu) / 10
    assert found.voxels[distance_mm < 17.7].all()
    assert not found.voxels[distance_mm > 18.3].any()


def test_axes_go_where_their_letters_say(tmp_path, orientation):
    """A network that compares each voxel with the next along its first axis sees what grows toward the head."""
    geometry = grid_around(CENTER_MM, orientation=orientation)
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    along = {"S": points[..., 2], "L": points[..., 0], "A": -points[..., 1]}
    rise = np.zeros((2, 1, 3, 1, 1), np.float32)
    rise[1, 0, :, 0, 0] = [-1, 0, 1]
    write_model(tmp_path / "model.onnx", rise, [0, 0])
    for letter, values in along.items():
        order = {"S": "SPL", "L": "LPS", "A": "ALS"}[letter]
        sheet_file(
            tmp_path, **(ONE_LABEL | {"axis_order": f'"{order}"', "spacing_mm": "[2, 2, 2]", "patch": "[8, 8, 8]"})
        )
        segmenter = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR)
        inner = (slice(3, -3), slice(9, -9), slice(9, -9))  # where no window meets the padding
        for sign, share in ((1, 1.0), (-1, 0.0)):
            volume = Volume(voxels_hu=(sign * 5 * (values - values.mean())).astype(np.float32), geometry=geometry)
            assert segmenter.segment(volume).mask.voxels[inner].mean() == share


@pytest.mark.parametrize("spacing_mm", [(5.0, 0.8, 0.7), (2.0, 2.0, 2.0), (3.1, 1.3, 0.9)])
def test_the_networks_grid_covers_the_image(orientation, tmp_path, spacing_mm):
    sheet = brighter_than_50(tmp_path, spacing_mm=str(list(spacing_mm)), axis_order='"RAS"').sheet
    image = grid_around(CENTER_MM, orientation=orientation)
    grid = network_grid(image, sheet)
    np.testing.assert_allclose(grid.center_mm, image.center_mm, atol=1e-9)
    assert grid.spacing_mm == spacing_mm
    assert (np.einsum("ij,ij->i", np.array(grid.directions), sheet.directions_mm) > 0.7).all()
    steps = np.abs(np.array(grid.directions) @ np.array(image.directions).T)
    extents_mm = steps @ (np.array(image.shape) * image.spacing_mm)
    assert (np.abs(np.array(grid.shape) * spacing_mm - extents_mm) <= np.array(spacing_mm) / 2 + 1e-9).all()


def test_hounsfield_units_are_cut_to_the_window(tmp_path):
    """Cut to 0..100 and scaled to 0..1: 300 HU are 1, and a network that asks for more than 1 finds nothing."""
    write_model(tmp_path / "model.onnx", [0, 1], [0, -0.5])
    changes = ONE_LABEL | {"window_hu": "[0, 100]", "normalization": '"unit"'}
    geometry = grid_around(CENTER_MM)
    voxels = np.full(geometry.shape, 40, np.float32)
    voxels[3:6, 20:30, 20:30] = 300
    volume = Volume(voxels_hu=voxels, geometry=geometry)
    sheet_file(tmp_path, **changes)
    mask = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR).segment(volume).mask
    np.testing.assert_array_equal(mask.voxels, voxels > 50)
    write_model(tmp_path / "model.onnx", [0, 1], [0, -1.01])
    proposal = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR).segment(volume)
    assert proposal.mask.is_empty
    assert proposal.doubts == ("No tumor was found.",)


@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_the_likeliest_label_wins_and_the_liver_holds_its_lesions(tmp_path, activation):
    """Bumps around 0, 100 and 200 HU, as straight lines: background below 50, liver to 150, tumor above."""
    write_model(tmp_path / "model.onnx", [0.0, 1.0, 2.0], [0, -50, -200])
    sheet_file(tmp_path, **(ONE_LABEL | {"labels": '{ 1 = "liver", 2 = "tumor" }', "activation": f'"{activation}"'}))
    model = OnnxModel.load(tmp_path / "model.onnx")
    geometry = grid_around(CENTER_MM)
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[2:12, 10:50, 10:50], voxels[5:7, 20:30, 20:30] = 100, 200
    volume = Volume(voxels_hu=voxels, geometry=geometry)
    np.testing.assert_array_equal(model.segmenter(Structure.TUMOR).segment(volume).mask.voxels, voxels == 200)
    known = np.zeros(geometry.shape, bool)
    known[2:4, 50:53, 20:30] = True
    lesion = LabelMask(voxels=known, geometry=geometry, structure=Structure.TUMOR)
    liver = model.segmenter(Structure.LIVER).segment(volume, lesions=[lesion])
    np.testing.assert_array_equal(liver.mask.voxels, (voxels >= 100) | known)
    assert liver.doubts[0].startswith("The liver found has 45 ml")  # 10 · 40 · 40 voxels of 2.8 mm³, and 60 more


@pytest.mark.parametrize("activation", ["sigmoid", "none"])
def test_labels_that_are_each_for_themselves_need_half(tmp_path, activation):
    """One channel, no background: for ``sigmoid`` HU - 50 as a logit, for ``none`` HU / 100 as a share."""
    scale, bias = (1.0, -50.0) if activation == "sigmoid" else (0.01, 0.0)
    write_model(tmp_path / "model.onnx", [scale], [bias])
    sheet_file(tmp_path, **(ONE_LABEL | {"activation": f'"{activation}"'}))
    geometry = grid_around(CENTER_MM)
    voxels = np.random.default_rng(6).choice([0.0, 20.0, 49.0, 51.0, 90.0], geometry.shape).astype(np.float32)
    volume = Volume(voxels_hu=voxels, geometry=geometry)
    mask = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR).segment(volume).mask
    np.testing.assert_array_equal(mask.voxels, voxels > 50)


def test_the_lesion_that_was_pointed_at(tmp_path):
    geometry = grid_around(CENTER_MM)
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[2:4, 10:20, 40:50] = voxels[8:10, 30:40, 10:20] = 100.0
    volume = Volume(voxels_hu=voxels, geometry=geometry)
    segmenter = brighter_than_50(tmp_path).segmenter(Structure.TUMOR)
    assert np.count_nonzero(segmenter.segment(volume).mask.voxels) == 400
    point = tuple(geometry.points_at([(9, 35, 15)])[0].tolist())
    mask = segmenter.segment(volume, Prompt(point_mm=point)).mask
    assert np.argwhere(mask.voxels).min(axis=0).tolist() == [8, 30, 10]
    assert codes_of(segmenter.segment, volume, Prompt(point_mm=(0.0, 0.0, 0.0))) == ["PROMPT_OUTSIDE"]


def test_what_fills_the_image_is_found_to_its_border(tmp_path):
    """4.9 mm in 7 columns are one voxel of 4 mm for the network: the outermost columns lie beyond it."""
    geometry = grid_around(CENTER_MM, shape=(6, 9, 7))
    volume = Volume(voxels_hu=np.full(geometry.shape, 100, np.float32), geometry=geometry)
    write_model(tmp_path / "model.onnx", [1], [-50])
    sheet_file(tmp_path, **(ONE_LABEL | {"activation": '"sigmoid"', "spacing_mm": "[5.0, 0.8, 4.0]"}))
    segmenter = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR)
    assert segmenter.segment(volume).mask.voxels.all()


def test_the_hash_in_the_method_tells_models_apart(tmp_path):
    first = brighter_than_50(tmp_path).method
    assert brighter_than_50(tmp_path).method == first
    write_model(tmp_path / "model.onnx", [0, 1], [0, -51])
    assert OnnxModel.load(tmp_path / "model.onnx").method != first


def test_what_a_coarser_network_can_not_show_is_kept(tmp_path, orientation):
    model = brighter_than_50(tmp_path, axis_order='"LPS"', spacing_mm="[1.5, 1.2, 1.0]")
    mask = model.segmenter(Structure.TUMOR).segment(ball_volume(grid_around(CENTER_MM, orientation=orientation))).mask
    assert mask.origin.drawn_spacing_mm == (1.0, 1.2, 1.5)


@pytest.mark.parametrize(
    ("inputs", "weights", "changes", "faults"),
    [
        ((1, 1, 8, 16, 16), [0, 1], {}, 0),
        (("batch", 1, None, "rows", 16), [0, 1], {}, 0),
        ((1, 1, 8, 16, 16), [0, 1], {"patch": "[16, 16, 16]"}, 2),  # the output follows from the input
        ((1, 1, None, None, None), [0, 1], {"labels": '{ 2 = "tumor" }'}, 1),
        ((1, 1, 8, 16, 16), [0, 1], {"patch": "[16, 16, 16]", "labels": '{ 2 = "tumor" }'}, 2),
        ((1, 1, None, None, None), [1], {}, 1),  # softmax over one channel
        ((1, 1, None, None, None), [1], {"activation": '"sigmoid"'}, 0),
    ],
)
def test_a_model_that_contradicts_its_sheet_is_refused(tmp_path, inputs, weights, changes, faults):
    write_model(tmp_path / "model.onnx", weights, [0.0] * len(weights), inputs=inputs)
    sheet_file(tmp_path, **(ONE_LABEL | changes))
    if not faults:
        OnnxModel.load(tmp_path / "model.onnx")
        return
    assert codes_of(OnnxModel.load, tmp_path / "model.onnx") == ["MODEL_SHAPE"] * faults


def test_a_model_of_two_dimensions_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["scores"])],
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 1, 16, 16))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 1, 16, 16))],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "model.onnx"
    )
    sheet_file(tmp_path, **ONE_LABEL)
    assert codes_of(OnnxModel.load, tmp_path / "model.onnx") == ["MODEL_SHAPE"] * 2


def test_an_output_that_can_not_be_used_is_refused(tmp_path):
    volume = ball_volume(grid_around(CENTER_MM))
    write_model(tmp_path / "model.onnx", [0, np.inf], [0, 0])
    sheet_file(tmp_path, **ONE_LABEL)
    segmenter = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR)
    assert codes_of(segmenter.segment, volume) == ["MODEL_OUTPUT"]
    halved = helper.make_node("MaxPool", ["convolved"], ["scores"], kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    write_model(tmp_path / "model.onnx", [0, 1], [0, 0], extra=[halved])
    segmenter = OnnxModel.load(tmp_path / "model.onnx").segmenter(Structure.TUMOR)
    assert codes_of(segmenter.segment, volume) == ["MODEL_OUTPUT"]


def test_files_that_are_missing_or_no_model(tmp_path):
    model = tmp_path / "model.onnx"
    assert codes_of(OnnxModel.load, model) == ["PATH_MISSING"]
    sheet_file(tmp_path, **ONE_LABEL)
    assert codes_of(OnnxModel.load, model) == ["PATH_MISSING"]
    model.write_bytes(b"no model")
    assert codes_of(OnnxModel.load, model) == ["MODEL_UNREADABLE"]


def test_a_structure_without_a_label_is_told(tmp_path):
    with pytest.raises(UsageError, match="model has no label for the liver, but for tumor"):
        brighter_than_50(tmp_path).segmenter(Structure.LIVER)


def test_a_missing_package_is_told_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'needs the package onnxruntime: pip install "ablmargin\[onnx\]"'):
        OnnxModel.load(tmp_path / "nothing.onnx")
