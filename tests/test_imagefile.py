from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from ct_files import CENTER_MM, ct_on, grid, landmark_errors_mm

from ablmargin.errors import EmptyMaskError, InputError, UsageError
from ablmargin.imagefile import load_labels, load_mask_file, load_volume_file, save_mask, save_vector_field, save_volume
from ablmargin.itk import geometry_of, image_of
from ablmargin.volume import LabelMask, Structure

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".mha"]


def code_of(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    (fault,) = caught.value.faults
    return fault.code


def labels_file(path, array=None, *, geometry=None):
    """A label map with three labels, of 5, 3 and 2 voxels."""
    if array is None:
        array = np.zeros((4, 5, 6), np.uint8)
        array.ravel()[:10] = [1, 1, 1, 1, 1, 2, 2, 2, 7, 7]
    sitk.WriteImage(image_of(array, geometry or grid(array.shape)), path)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_volume_comes_back_where_it_was(tmp_path, ending, orientation):
    volume = ct_on(grid(orientation=orientation))
    path = tmp_path / "deep" / f"ct{ending}"
    save_volume(volume, path)
    loaded = load_volume_file(path).volume
    np.testing.assert_array_equal(loaded.voxels_hu, volume.voxels_hu)
    assert loaded.geometry.same_grid_as(volume.geometry, tolerance_mm=1e-3)  # NIfTI keeps single precision
    assert landmark_errors_mm(loaded) == pytest.approx(landmark_errors_mm(volume), abs=1e-3)
    assert [name.name for name in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mask_comes_back_where_it_was(tmp_path, ending, orientation):
    geometry = grid(orientation=orientation)
    mask = LabelMask(voxels=ct_on(geometry).voxels_hu == 500, geometry=geometry, structure=Structure.TUMOR)
    save_mask(mask, tmp_path / f"m{ending}")
    loaded = load_mask_file(tmp_path / f"m{ending}", None, Structure.TUMOR)
    np.testing.assert_array_equal(loaded.voxels, mask.voxels)
    assert loaded.geometry.same_grid_as(geometry, tolerance_mm=1e-3)
    assert loaded.origin.sha256
    assert loaded.origin.name == f"m{ending}"
    assert loaded.origin.drawn_spacing_mm == pytest.approx(geometry.spacing_mm, rel=1e-6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_agrees_with_itk_on_its_own_files(tmp_path, ending, orientation):
    path = tmp_path / f"x{ending}"
    sitk.WriteImage(image_of(ct_on(grid(orientation=orientation)).voxels_hu, grid(orientation=orientation)), path)
    assert load_volume_file(path).volume.geometry.same_grid_as(geometry_of(sitk.ReadImage(path)), tolerance_mm=1e-3)


def nifti(path, *, qform_code=1, sform_code=1, change=None):
    """A NIfTI file of the phantom with an edited header."""
    save_volume(ct_on(grid()), path)
    data = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    struct.pack_into("<2h", data, 252, qform_code, sform_code)
    if change:
        change(data)
    path.write_bytes(data)
    return path


def test_either_form_of_nifti_is_enough(tmp_path):
    for number, codes in enumerate([(1, 0), (0, 1), (1, 1), (4, 2)]):
        path = nifti(tmp_path / f"{number}.nii", qform_code=codes[0], sform_code=codes[1])
        assert load_volume_file(path).volume.geometry.same_grid_as(grid(), tolerance_mm=1e-3)


def test_nifti_is_turned_from_ras_to_lps(tmp_path):
    """The sform of the file is in RAS+: its offset has the sign of x and y reversed."""
    path = nifti(tmp_path / "a.nii")
    offset = struct.unpack_from("<12f", path.read_bytes(), 280)[3::4]
    x, y, z = grid().origin_mm
    assert offset == pytest.approx((-x, -y, z), abs=1e-4)
    np.testing.assert_allclose(load_volume_file(path).volume.geometry.center_mm, CENTER_MM, atol=1e-3)


def test_nifti_units_are_honored(tmp_path):
    def meters(data):
        sform = np.array(struct.unpack_from("<12f", data, 280)) / 1000
        struct.pack_into("<12f", data, 280, *sform)
        data[123] = 1

    path = nifti(tmp_path / "a.nii", qform_code=0, change=meters)
    assert load_volume_file(path).volume.geometry.same_grid_as(grid(), tolerance_mm=1e-3)


def test_nifti_without_geometry(tmp_path):
    path = nifti(tmp_path / "a.nii", qform_code=0, sform_code=0)
    assert code_of(load_volume_file, path) == "VOLUME_NO_GEOMETRY"
    assert code_of(load_mask_file, path, None, Structure.LIVER) == "MASK_NO_GEOMETRY"


@pytest.mark.parametrize("size", [0, -1])
def test_nifti_without_a_voxel(tmp_path, size):
    path = nifti(tmp_path / "a.nii", change=lambda data: struct.pack_into("<h", data, 44, size))
    assert code_of(load_volume_file, path) == "VOLUME_NO_GEOMETRY"
    assert code_of(load_mask_file, path, None, Structure.LIVER) == "MASK_NO_GEOMETRY"


@pytest.mark.parametrize(("ending", "sizes"), [(".nrrd", b"sizes: 44 40 16"), (".mha", b"DimSize = 44 40 16")])
def test_other_files_without_a_voxel(tmp_path, ending, sizes):
    path = tmp_path / f"a{ending}"
    save_volume(ct_on(grid()), path)
    data = path.read_bytes()
    assert sizes in data
    path.write_bytes(data.replace(sizes, sizes[:-2] + b"0", 1))
    assert code_of(load_volume_file, path) in {"VOLUME_NO_GEOMETRY", "FILE_UNREADABLE"}


def test_nifti_whose_forms_contradict(tmp_path):
    path = nifti(tmp_path / "a.nii", change=lambda data: struct.pack_into("<f", data, 292, 400.0))
    assert code_of(load_volume_file, path) == "VOLUME_GEOMETRY_CONFLICT"


def test_nifti_with_sheared_sform(tmp_path):
    path = nifti(tmp_path / "a.nii", qform_code=0, change=lambda data: struct.pack_into("<f", data, 284, 0.2))
    assert code_of(load_volume_file, path) == "VOLUME_SHEARED"


def test_nrrd_and_metaimage_without_geometry(tmp_path):
    save_volume(ct_on(grid()), tmp_path / "a.nrrd")
    data = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(data.replace(b"space: left-posterior-superior\n", b"", 1))
    save_volume(ct_on(grid()), tmp_path / "a.mha")
    data = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(data.replace(b"TransformMatrix", b"Nothing", 1))
    assert code_of(load_volume_file, tmp_path / "a.nrrd") == "VOLUME_NO_GEOMETRY"
    assert code_of(load_volume_file, tmp_path / "a.mha") == "VOLUME_NO_GEOMETRY"


def test_nrrd_in_ras_lies_where_it_says(tmp_path):
    save_volume(ct_on(grid()), tmp_path / "a.nrrd")
    data = (tmp_path / "a.nrrd").read_bytes()
    data = data.replace(b"space: left-posterior-superior", b"space: right-anterior-superior", 1)
    (tmp_path / "a.nrrd").write_bytes(data)
    loaded = load_volume_file(tmp_path / "a.nrrd").volume.geometry
    x, y, z = grid().origin_mm
    assert loaded.origin_mm == pytest.approx((-x, -y, z))


@pytest.mark.parametrize("ending", ENDINGS)
def test_garbage_is_refused(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    for content in (b"", b"garbage" * 200):
        path.write_bytes(content)
        assert code_of(load_volume_file, path) in {"FILE_FORMAT", "FILE_UNREADABLE"}
    save_volume(ct_on(grid()), path)
    path.write_bytes(path.read_bytes()[:-100])
    assert code_of(load_volume_file, path) in {"FILE_TRUNCATED", "FILE_UNREADABLE"}


def test_volumes_that_are_no_ct(tmp_path):
    voxels = np.array(ct_on(grid()).voxels_hu)
    sitk.WriteImage(image_of(voxels + 1024, grid()), tmp_path / "offset.nrrd")
    assert code_of(load_volume_file, tmp_path / "offset.nrrd") == "HU_IMPLAUSIBLE"
    voxels[0, 0, 0] = np.nan
    sitk.WriteImage(image_of(voxels, grid()), tmp_path / "nan.nrrd")
    assert code_of(load_volume_file, tmp_path / "nan.nrrd") == "VOLUME_NOT_FINITE"
    sitk.WriteImage(sitk.Image([4, 4, 4, 3], sitk.sitkInt16), tmp_path / "time.nii.gz")
    assert code_of(load_volume_file, tmp_path / "time.nii.gz") == "VOLUME_NOT_3D"


def test_a_label_map_is_loaded_as_it_is(tmp_path):
    labels, geometry = load_labels(labels_file(tmp_path / "labels.nii.gz"))
    assert geometry.same_grid_as(grid(labels.shape))
    assert labels.dtype == np.int32
    assert labels.ravel()[:11].tolist() == [1, 1, 1, 1, 1, 2, 2, 2, 7, 7, 0]
    empty, _ = load_labels(labels_file(tmp_path / "empty.nii.gz", np.zeros((4, 5, 6), np.uint8)))
    assert not empty.any()
    soft = labels_file(tmp_path / "soft.nii.gz", np.linspace(0, 1, 120, dtype=np.float32).reshape(4, 5, 6))
    assert code_of(load_labels, soft) == "MASK_NOT_BINARY"


def test_several_labels_need_a_choice(tmp_path):
    path = labels_file(tmp_path / "m.nii.gz")
    with pytest.raises(InputError) as caught:
        load_mask_file(path, None, Structure.TUMOR)
    (fault,) = caught.value.faults
    assert (fault.code, fault.found) == ("MASK_SEVERAL_LABELS", "3 labels: 1, 2, 7")
    assert "m.nii.gz#1" in fault.remedy
    for label, count in [("1", 5), (2, 3), ("7", 2)]:
        assert np.count_nonzero(load_mask_file(path, label, Structure.TUMOR).voxels) == count
    assert code_of(load_mask_file, path, "3", Structure.TUMOR) == "MASK_LABEL_MISSING"
    assert code_of(load_mask_file, path, "liver", Structure.TUMOR) == "MASK_LABEL_MISSING"


def test_one_label_of_any_value_is_a_mask(tmp_path):
    for number, value in enumerate((255, 0.5, -3)):
        array = np.zeros((4, 5, 6), np.float32)
        array[1, 2, 3] = value
        path = labels_file(tmp_path / f"{number}.nrrd", array)
        assert np.argwhere(load_mask_file(path, None, Structure.LIVER).voxels).tolist() == [[1, 2, 3]]


def test_masks_that_are_none(tmp_path):
    path = labels_file(tmp_path / "empty.nrrd", np.zeros((4, 5, 6), np.uint8))
    with pytest.raises(EmptyMaskError):
        load_mask_file(path, None, Structure.LIVER)
    array = np.zeros((4, 5, 6), np.float32)
    array[0, 0, :3] = 0.2, np.nan, 1
    assert code_of(load_mask_file, labels_file(tmp_path / "n.nrrd", array), None, Structure.LIVER) == "MASK_NOT_FINITE"


def values_file(path, *values):
    array = np.zeros((4, 5, 6), np.float32)
    array[1, 1, : len(values)] = values
    return labels_file(path, array)


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ((40.5, 127.5, 254.0), "scale from 0 to 255"),
        ((12.5, 50.0, 99.5), "scale from 0 to 100"),
        ((0.5, 1.0, 1.5), "scale from 0 to 1.5"),
        ((-0.1, 0.5, 1.1), "distance map"),
        ((-900.0, 40.5), "an image's"),
    ],
)
def test_values_that_are_neither_labels_nor_shares_are_refused_by_their_scale(tmp_path, values, remedy):
    with pytest.raises(InputError) as caught:
        load_mask_file(values_file(tmp_path / "m.nrrd", *values), None, Structure.TUMOR)
    (fault,) = caught.value.faults
    assert fault.code == "MASK_NOT_BINARY"
    assert remedy in fault.remedy


def test_a_gray_image_of_whole_numbers_is_told_about_its_scale(tmp_path):
    array = np.zeros((4, 8, 8), np.uint8)
    array.ravel()[:256] = np.arange(256)
    with pytest.raises(InputError) as caught:
        load_mask_file(labels_file(tmp_path / "m.nrrd", array), None, Structure.TUMOR)
    (fault,) = caught.value.faults
    assert fault.code == "MASK_SEVERAL_LABELS"
    assert "scale from 0 to 255, divide them by it" in fault.remedy


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_soft_mask_keeps_its_shares_through_a_file(tmp_path, ending, orientation):
    geometry = grid((4, 5, 6), orientation=orientation)
    fractions = np.zeros(geometry.shape, np.float32)
    fractions[1, 2, 1:5] = 0.2, 0.5, 1.0, 1 / 3
    save_mask(LabelMask.soft(fractions, geometry=geometry, structure=Structure.TUMOR), tmp_path / f"m{ending}")
    loaded = load_mask_file(tmp_path / f"m{ending}", None, Structure.TUMOR)
    np.testing.assert_array_equal(loaded.fractions, fractions)
    assert np.argwhere(loaded.voxels).tolist() == [[1, 2, 2], [1, 2, 3]]
    assert loaded.geometry.same_grid_as(geometry, tolerance_mm=1e-3)
    assert loaded.origin.method == "given as a file (shares of voxels)"


def test_a_hard_mask_stays_hard_in_any_type(tmp_path):
    for number, pixel_type in enumerate((np.uint8, np.int16, np.float32, np.float64)):
        array = np.zeros((4, 5, 6), pixel_type)
        array[1, 2, 3] = 1
        loaded = load_mask_file(labels_file(tmp_path / f"{number}.nrrd", array), None, Structure.TUMOR)
        assert loaded.fractions is None
        assert loaded.origin.method == "given as a file"


def test_shares_scaled_by_the_header_are_shares(tmp_path):
    """8-bit shares with a slope of 1/255, as NIfTI allows."""
    path = tmp_path / "m.nii"
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, 1:4] = 51, 255, 204
    sitk.WriteImage(image_of(array, grid((4, 5, 6))), path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, 1 / 255, 0.0)
    path.write_bytes(data)
    loaded = load_mask_file(path, None, Structure.TUMOR)
    assert loaded.fractions[1, 2, 1:4] == pytest.approx((0.2, 1.0, 0.8), abs=1e-6)


def test_rounding_beyond_1_is_taken_for_1(tmp_path):
    loaded = load_mask_file(values_file(tmp_path / "m.nrrd", -1e-7, 0.3, 1 + 1e-6), None, Structure.TUMOR)
    assert loaded.fractions[1, 1, :3] == pytest.approx((0.0, 0.3, 1.0))
    assert loaded.fractions.max() == 1.0


def test_a_label_of_a_soft_mask_is_refused(tmp_path):
    path = values_file(tmp_path / "m.nrrd", 0.2, 0.7, 1)
    assert code_of(load_mask_file, path, "1", Structure.TUMOR) == "MASK_SOFT_LABEL"


def test_a_soft_mask_without_a_voxel_mostly_inside_is_empty(tmp_path):
    with pytest.raises(EmptyMaskError, match=r"share of 0\.5 or more"):
        load_mask_file(values_file(tmp_path / "m.nrrd", 0.2, 0.4), None, Structure.TUMOR)


def test_a_vector_field_keeps_vectors_and_grid(tmp_path, orientation):
    geometry = grid((3, 4, 5), orientation=orientation)
    vectors = np.random.default_rng(2).normal(0, 5, (*geometry.shape, 3)).astype(np.float32)
    save_vector_field(vectors, geometry, tmp_path / "d.nrrd")
    image = sitk.ReadImage(tmp_path / "d.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), vectors)
    assert geometry_of(image).same_grid_as(geometry)
    with pytest.raises(UsageError):
        save_vector_field(vectors, geometry, tmp_path / "d.nii.gz")


def test_an_unknown_ending_leaves_nothing_behind(tmp_path):
    with pytest.raises(UsageError):
        save_volume(ct_on(grid()), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("pixel_type", [sitk.sitkFloat32, sitk.sitkFloat64])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_format_hides_what_is_no_number(tmp_path, ending, pixel_type, bad):
    """ITK reads NaN in a NIfTI file as 0, without a word."""
    image = sitk.Image([7, 6, 5], pixel_type)
    image[2, 2, 2] = 1.0
    image[3, 3, 3] = bad
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match="VOLUME_NOT_FINITE"):
        load_volume_file(path)
    with pytest.raises(InputError, match="MASK_NOT_FINITE"):
        load_mask_file(path, None, Structure.TUMOR)


def test_a_mask_is_no_ct(tmp_path):
    image = sitk.Image([40, 30, 20], sitk.sitkUInt8)
    image[10:20, 10:20, 5:10] = 1
    sitk.WriteImage(image, str(tmp_path / "mask.nii.gz"))
    with pytest.raises(InputError, match=r"HU_IMPLAUSIBLE.*as in a mask"):
        load_volume_file(tmp_path / "mask.nii.gz")
