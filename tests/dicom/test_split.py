"""One SeriesInstanceUID that holds several volumes: each can be chosen, none is stacked into another."""

from __future__ import annotations

import numpy as np
import pytest
from ct_files import edit
from hostile_cases import each
from hostile_phantom import CENTER_MM, exam, heights, landmark_errors_mm, stack, write

from ablmargin.dicom.discover import discover
from ablmargin.errors import DicomError
from ablmargin.loading import load_image

COUNT = 14
CORONAL = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def two_passes(folder, *, offset_mm=0.0, **second):
    """A second pass over the same stretch, in the same series, that its header tells from the first by one attribute."""
    first, later = stack(heights_mm=heights(COUNT)), stack(exam(seed=7), heights_mm=heights(COUNT) + offset_mm)
    for number, d in enumerate(each(later, **second)):
        d.SOPInstanceUID = f"1.2.3.{number}"
    write(folder, [*first, *later])


def refusal(folder):
    with pytest.raises(DicomError) as caught:
        load_image(folder)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AcquisitionNumber", 2),
        ("AcquisitionTime", "101500"),
        ("TemporalPositionIdentifier", 2),
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "LATE"]),
        ("ConvolutionKernel", "LUNG"),
        ("ContrastBolusAgent", "iodine"),
    ],
)
@pytest.mark.parametrize("offset_mm", [0.0, 1.25])
def test_passes_are_told_apart_by_what_differs(tmp_path, keyword, value, offset_mm):
    """With an offset of half a slice they would make one regular stack of slices from two times."""
    two_passes(tmp_path, offset_mm=offset_mm, **{keyword: value})
    fault = refusal(tmp_path)
    assert (fault.code, fault.attribute.split()[0]) == ("SERIES_AMBIGUOUS", keyword)
    first, second = discover(tmp_path).series
    assert (len(first.headers), len(second.headers)) == (COUNT, COUNT)
    for number, z_mm in (("1", 0.0), ("2", offset_mm)):
        chosen = load_image(tmp_path, series=number)
        assert chosen.volume.geometry.center_mm[2] == pytest.approx(CENTER_MM[2] + z_mm)


@pytest.mark.parametrize("offset_mm", [0.0, 1.25])
@pytest.mark.parametrize("later", ["093200", "093035"])
def test_passes_whose_slices_have_their_own_times_are_told_apart(tmp_path, offset_mm, later):
    two_passes(tmp_path, offset_mm=offset_mm)
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        start = 93000 if number < COUNT else int(later)
        edit(path, lambda d, time=start + number % COUNT: setattr(d, "AcquisitionTime", f"{time:06d}"))
    fault = refusal(tmp_path)
    assert (fault.code, fault.attribute.split()[0]) == ("SERIES_AMBIGUOUS", "AcquisitionTime")
    assert "from 09:30:00" in fault.found
    assert [len(one.headers) for one in discover(tmp_path).series] == [COUNT, COUNT]


@pytest.mark.parametrize("seconds", [0.0, 1.0, 4.0])
def test_a_pass_whose_slices_have_their_own_numbers_and_times_is_one(tmp_path, seconds):
    """As in axial mode, where the table stops at every slice."""
    slices = stack(heights_mm=heights(COUNT))
    for number, d in enumerate(slices):
        d.AcquisitionNumber, d.AcquisitionTime = number + 1, f"{93000 + int(seconds * number):06d}"
    write(tmp_path, slices)
    assert load_image(tmp_path).cautions == ()


@pytest.mark.parametrize(("keyword", "value"), [("ConvolutionKernel", "LUNG"), ("ContrastBolusAgent", "iodine")])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_neighbors_of_another_kernel_or_agent_make_no_volume(tmp_path, keyword, value, count):
    slices = each(stack(heights_mm=heights(COUNT)), ContrastBolusAgent="water")
    each(slices[-count:], **{keyword: value})
    write(tmp_path, slices)
    fault = refusal(tmp_path)
    assert (fault.code, fault.attribute.split()[0]) == ("SERIES_AMBIGUOUS", keyword)


def test_one_slice_that_does_not_name_its_agent_is_no_other(tmp_path):
    slices = each(stack(heights_mm=heights(COUNT)), ContrastBolusAgent="water")
    slices[4].ContrastBolusAgent = ""
    write(tmp_path, slices)
    assert load_image(tmp_path).cautions == ()


def test_blocks_with_minutes_between_are_told(tmp_path):
    slices = stack(heights_mm=heights(COUNT))
    each(slices[8:], AcquisitionNumber=2, AcquisitionTime="094500")
    write(tmp_path, slices)
    (caution,) = load_image(tmp_path).cautions
    assert caution.code == "SERIES_PARTS"
    assert "in 2 blocks, up to 15 minutes apart" in caution.message


def test_the_uid_of_both_isnt_a_choice(tmp_path):
    two_passes(tmp_path, AcquisitionNumber=2)
    uid = discover(tmp_path).series[0].series_uid
    with pytest.raises(DicomError, match="SERIES_AMBIGUOUS"):
        load_image(tmp_path, series=uid)


def test_a_part_with_a_fault_leaves_the_other_to_be_chosen_not_taken(tmp_path):
    two_passes(tmp_path, AcquisitionNumber=2)
    (tmp_path / f"IM{COUNT + 7:04d}.dcm").unlink()
    assert refusal(tmp_path).code == "SERIES_AMBIGUOUS"
    assert load_image(tmp_path, series="1").volume.geometry.shape[0] == COUNT


def test_two_directions_can_be_chosen_from(tmp_path):
    """Both hold the same landmarks at the same places."""
    coronal = stack(heights_mm=heights(24, 3.0), axes=CORONAL)
    for number, d in enumerate(coronal):
        d.SOPInstanceUID = f"1.2.3.{number}"
    write(tmp_path, [*stack(), *coronal])
    assert [series.part for series in discover(tmp_path).series] == [
        "axial, rows to the left, columns to the back",
        "coronal, rows to the left, columns to the feet",
    ]
    for number in ("1", "2"):
        volume = load_image(tmp_path, series=number).volume
        points = volume.geometry.points_at(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
        assert max(landmark_errors_mm(volume.voxels_hu, points)) < 0.5


def test_acquisitions_one_after_the_other_are_one_volume(tmp_path):
    """Axial scanners number each rotation."""
    slices = stack(heights_mm=heights(COUNT))
    for number, d in enumerate(slices):
        d.AcquisitionNumber, d.AcquisitionTime = number // 4, f"0930{number // 4:02d}"
    write(tmp_path, slices)
    assert load_image(tmp_path).cautions == ()


def test_one_slice_of_another_direction_is_no_part(tmp_path):
    write(
        tmp_path,
        [*stack(heights_mm=heights(COUNT)), *each(stack(heights_mm=[0.0], axes=CORONAL), SOPInstanceUID="1.2")],
    )
    image = load_image(tmp_path)
    assert [caution.code for caution in image.cautions] == ["NON_AXIAL_DROPPED"]
    assert image.volume.geometry.shape[0] == COUNT


def test_a_series_is_not_taken_for_want_of_another_without_a_word(tmp_path):
    """The venous phase has a gap: the arterial one can serve, but it isn't what was meant."""
    write(tmp_path / "a", stack(exam(description="arterial"), heights_mm=heights(COUNT)))
    venous = write(tmp_path / "b", stack(exam(seed=3, time="093200"), heights_mm=heights(COUNT), series=2))
    venous[6].unlink()
    (caution,) = load_image(tmp_path).cautions
    assert caution.code == "SERIES_CHOSEN"
    assert "series 1 was taken" in caution.message


def test_a_series_uid_for_each_slice_is_told_once(tmp_path):
    slices = stack(heights_mm=heights(COUNT))
    for number, d in enumerate(slices):
        d.SeriesInstanceUID = f"1.2.3.{number}"
    write(tmp_path, slices)
    assert refusal(tmp_path).code == "SERIES_TOO_SHORT"


def test_a_list_tells_mirrored_volumes_apart(tmp_path):
    mirrored = stack(axes=np.diag([-1.0, 1.0, -1.0]))
    for number, d in enumerate(mirrored):
        d.SOPInstanceUID = f"1.2.3.{number}"
    write(tmp_path, [*stack(), *mirrored])
    found = refusal(tmp_path).found
    assert "axial, rows to the left, columns to the back" in found
    assert "axial, rows to the right, columns to the back" in found
