from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from ct_files import grid
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from mask_files import ball, code_of, fault_of, soft_ball

from ablmargin.errors import UsageError
from ablmargin.itk import image_of
from ablmargin.segnrrd import holds_segments, load_segment, save_segments
from ablmargin.volume import LabelMask, Structure

HEADER = """NRRD0004
type: uint8
dimension: {dimension}
space: {space}
sizes: {sizes}
space directions: {directions}
kinds: {kinds}
encoding: gzip
space origin: (10,20,30)
{fields}

"""


def slicer_file(path, array, fields, *, space="left-posterior-superior", spaced=False):
    """A file as 3D Slicer writes it: voxels (k, j, i) or (k, j, i, layer), 2 mm × 3 mm × 4 mm."""
    layered = array.ndim == 4
    axes = ["(2,0,0)", "(0,3,0)", "(0,0,4)"]
    if spaced:
        axes = [axis.replace(",", ", ") for axis in axes]
    sizes = [*array.shape[3:], *array.shape[2::-1]]
    header = HEADER.format(
        dimension=array.ndim,
        space=space,
        sizes=" ".join(map(str, sizes)),
        directions=" ".join([*["none"] * layered, *axes]),
        kinds=" ".join([*["list"] * layered, *["domain"] * 3]),
        fields="\n".join(f"{key}:={value}" for key, value in fields.items()),
    )
    path.write_bytes(header.encode() + gzip.compress(array.tobytes()))
    return path


def voxels(*places, shape=(3, 4, 5)):
    array = np.zeros(shape, np.uint8)
    for place, value in places:
        array[place] = value
    return array


def test_layers_and_labels_are_told_apart(tmp_path):
    array = voxels(((0, 1, 2, 0), 1), ((0, 1, 3, 0), 2), ((0, 1, 2, 1), 1), ((2, 3, 4, 1), 1), shape=(3, 4, 5, 2))
    fields = {
        "Segment0_Name": "tumor",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "vessel: left",
        "Segment1_LabelValue": "2",
        "Segment1_Layer": "0",
        "Segment2_Name": "zone",
        "Segment2_LabelValue": "1",
        "Segment2_Layer": "1",
        "Segment2_Extent": "2 4 1 3 0 2",
    }
    path = slicer_file(tmp_path / "m.seg.nrrd", array, fields)
    found = {
        name: np.argwhere(load_segment(path, name, Structure.TUMOR).voxels).tolist()
        for name in ("tumor", "vessel: left", "zone")
    }
    assert found == {"tumor": [[0, 1, 2]], "vessel: left": [[0, 1, 3]], "zone": [[0, 1, 2], [2, 3, 4]]}
    assert load_segment(path, "2", Structure.TUMOR).volume_ml == pytest.approx(0.024)
    assert code_of(load_segment, path, "1", Structure.TUMOR) == "MASK_LABEL_AMBIGUOUS"
    assert code_of(load_segment, path, "Zone", Structure.TUMOR) == "MASK_LABEL_MISSING"
    fault = fault_of(load_segment, path, None, Structure.TUMOR)
    assert fault.code == "MASK_SEVERAL_LABELS"
    assert "1 (tumor), 2 (vessel: left), 1 (zone)" in fault.found
    assert "m.seg.nrrd#tumor" in fault.remedy


@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize(
    ("space", "point"),
    [("left-posterior-superior", (14, 23, 34)), ("LPS", (14, 23, 34)), ("right-anterior-superior", (-14, -23, 34))],
)
def test_both_conventions_place_a_voxel(tmp_path, space, point, layered):
    array = voxels(((1, 1, 2), 3))
    array = np.stack([array * 0, array], axis=-1) if layered else array
    fields = {"Segment0_Name": "t", "Segment0_LabelValue": "3", "Segment0_Layer": str(int(layered))}
    path = slicer_file(tmp_path / "m.seg.nrrd", array, fields, space=space, spaced=True)
    mask = load_segment(path, "t", Structure.TUMOR)
    np.testing.assert_allclose(mask.voxel_centers_mm(), [point])
    assert mask.geometry.spacing_mm == (4, 3, 2)


def test_old_files_have_a_layer_for_each_segment(tmp_path):
    array = voxels(((0, 1, 2, 0), 1), ((2, 1, 2, 1), 1), shape=(3, 4, 5, 2))
    path = slicer_file(tmp_path / "m.seg.nrrd", array, {"Segment0_Name": "a", "Segment1_Name": "b"})
    assert np.argwhere(load_segment(path, "b", Structure.TUMOR).voxels).tolist() == [[2, 1, 2]]


def test_names_win_over_numbers_and_nameless_labels_count(tmp_path):
    fields = {
        "Segment0_Name": "Tumor 1",
        "Segment0_LabelValue": "2",
        "Segment1_Name": "1",
        "Segment1_LabelValue": "7",
    }
    array = voxels(((0, 0, 0), 1), ((0, 0, 1), 2), ((0, 0, 2), 7), ((0, 0, 3), 7))
    path = slicer_file(tmp_path / "m.nrrd", array, fields)
    assert holds_segments(path)
    assert np.count_nonzero(load_segment(path, "1", Structure.TUMOR).voxels) == 2
    fault = fault_of(load_segment, path, None, Structure.TUMOR)
    assert "3 segments: 2 (Tumor 1), 7 (1), 1" in fault.found


def test_an_empty_segment_beside_a_full_one(tmp_path):
    fields = {
        f"Segment{n}_{key}": value for n in (0, 1) for key, value in (("Name", "ab"[n]), ("LabelValue", f"{n + 1}"))
    }
    path = slicer_file(tmp_path / "m.seg.nrrd", voxels(((1, 1, 1), 2)), fields)
    assert np.count_nonzero(load_segment(path, None, Structure.TUMOR).voxels) == 1
    assert code_of(load_segment, path, "a", Structure.TUMOR) == "MASK_EMPTY"
    empty = slicer_file(tmp_path / "e.seg.nrrd", voxels(), fields)
    assert code_of(load_segment, empty, None, Structure.TUMOR) == "MASK_EMPTY"


def test_what_is_no_segmentation_is_refused(tmp_path):
    fields = {"Segment0_Name": "a", "Segment0_LabelValue": "1"}
    whole = slicer_file(tmp_path / "m.seg.nrrd", voxels(((1, 1, 1), 1)), fields).read_bytes()
    cases = {
        "FILE_UNREADABLE": whole[:-12],
        "MASK_NO_GEOMETRY": whole.replace(b"space origin: (10,20,30)\n", b""),
        "MASK_NOT_3D": whole.replace(b"space directions: (", b"space directions: none none ("),
        "MASK_SHEARED": whole.replace(b"(0,0,4)", b"(0,2,4)"),
        "FILE_FORMAT": whole.replace(b"LabelValue:=1", b"LabelValue:=x"),
    }
    for code, content in cases.items():
        (tmp_path / "b.seg.nrrd").write_bytes(content)
        assert code_of(load_segment, tmp_path / "b.seg.nrrd", "a", Structure.TUMOR) == code
    image = image_of(np.full((2, 3, 4), 0.5, np.float32), grid((2, 3, 4)))
    image.SetMetaData("Segment0_Name", "a")
    sitk.WriteImage(image, tmp_path / "f.seg.nrrd")
    assert code_of(load_segment, tmp_path / "f.seg.nrrd", "a", Structure.TUMOR) == "MASK_NOT_BINARY"


def test_written_segments_share_a_layer_only_where_they_dont_overlap(tmp_path, orientation):
    geometry = grid(orientation=orientation)
    far = np.zeros(geometry.shape, np.bool_)
    far[0, 0, 0] = True
    masks = {
        "Tumor 1": ball(geometry),
        "zone": ball(geometry, "zone"),
        "far: away\\": LabelMask(voxels=far, geometry=geometry, structure=Structure.LIVER),
    }
    path = tmp_path / "deep" / "m.seg.nrrd"
    save_segments(masks, path)
    for name, mask in masks.items():
        loaded = load_segment(path, name, mask.structure)
        np.testing.assert_array_equal(loaded.voxels, mask.voxels)
        assert loaded.geometry.same_grid_as(geometry, tolerance_mm=1e-9)
        assert loaded.origin.name == f"m.seg.nrrd#{name}"
    image = sitk.ReadImage(path)  # an independent reader
    assert image.GetNumberOfComponentsPerPixel() == 2
    layers = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(layers[..., 0] == 1, masks["Tumor 1"].voxels)
    np.testing.assert_array_equal(layers[..., 1] == 2, masks["zone"].voxels)
    first, last = np.argwhere(masks["zone"].voxels).min(axis=0), np.argwhere(masks["zone"].voxels).max(axis=0)
    extent = [number for pair in zip(first[::-1], last[::-1], strict=True) for number in pair]
    assert [int(word) for word in image.GetMetaData("Segment1_Extent").split()] == extent
    assert "SCT^108369006^Neoplasm" in image.GetMetaData("Segment0_Tags")
    assert [name.name for name in path.parent.iterdir()] == ["m.seg.nrrd"]


@settings(max_examples=25)
@given(stack=arrays(np.bool_, (3, 2, 3, 4)))
def test_any_masks_come_back(tmp_path_factory, stack):
    path = tmp_path_factory.mktemp("any") / "m.seg.nrrd"
    geometry = grid(stack.shape[1:], orientation="oblique")
    masks = {
        f"m{number}": LabelMask(voxels=part, geometry=geometry, structure=Structure.TUMOR)
        for number, part in enumerate(stack)
    }
    save_segments(masks, path)
    for name, mask in masks.items():
        if mask.is_empty:
            assert code_of(load_segment, path, name, Structure.TUMOR) == "MASK_EMPTY"
        else:
            np.testing.assert_array_equal(load_segment(path, name, Structure.TUMOR).voxels, mask.voxels)


def test_what_it_cant_hold_isnt_written(tmp_path):
    with pytest.raises(UsageError, match="no shares"):
        save_segments({"a": soft_ball(grid())}, tmp_path / "m.seg.nrrd")
    with pytest.raises(UsageError, match="one grid"):
        save_segments({"a": ball(grid()), "b": ball(grid((9, 40, 44)))}, tmp_path / "m.seg.nrrd")
    assert not list(tmp_path.iterdir())
