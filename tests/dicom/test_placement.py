"""Tilted and uneven stacks come out as straight boxes with everything where it is in the patient."""

from __future__ import annotations

import numpy as np
import pytest
from hostile_cases import each
from hostile_phantom import AXIAL, CENTER_MM, heights, landmark_errors_mm, phantom_hu, stack, store, write
from orientations import AXES

from ablmargin.dicom.checks import check_series
from ablmargin.dicom.discover import discover
from ablmargin.dicom.source import source_series
from ablmargin.errors import DicomError
from ablmargin.loading import load_image

LANDMARK_MM = 0.1
"""Linear interpolation between pixels of 1.6 mm moves no center of gravity; a wrong sign would by tens of millimeters."""


def errors_mm(volume):
    points = volume.geometry.points_at(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
    return landmark_errors_mm(volume.voxels_hu, points)


def tilted(axes, degrees, *, about):
    """Slices turned about their rows or columns, stepped along the untilted normal."""
    turn, other = axes[about], axes[1 - about]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = c * other + s * axes[2]
    rows = [turn, turned] if about == 0 else [turned, turn]
    return np.array([*rows, axes[2]])


@pytest.mark.parametrize("degrees", [-22.5, 0.3, 15.0])
@pytest.mark.parametrize("about", [0, 1])
def test_a_tilted_stack_is_straightened(tmp_path, orientation, degrees, about):
    slice_axis, column_axis, row_axis = AXES[orientation]
    axes = tilted(np.array([row_axis, column_axis, slice_axis]), degrees, about=about)
    write(tmp_path, stack(axes=axes, heights_mm=heights(30)))
    image = load_image(tmp_path)
    assert [caution.code for caution in image.cautions] == ["GEOM_TILT"]
    assert max(errors_mm(image.volume)) < LANDMARK_MM
    (series,) = discover(tmp_path).series
    stacked = check_series(series).stack
    assert stacked.worst_corner_mm < 0.01
    assert stacked.tilt_degrees == pytest.approx(abs(degrees), abs=0.01)
    assert image.volume.geometry.spacing_mm[0] == pytest.approx(2.5 * np.cos(np.radians(degrees)), abs=1e-4)


def test_what_was_not_scanned_is_air(tmp_path):
    write(tmp_path, stack(axes=tilted(AXIAL, 15.0, about=0), heights_mm=heights(30)))
    voxels = load_image(tmp_path).volume.voxels_hu
    assert voxels.shape[1] > 80
    assert (voxels[0, :5] == -1024).all() or (voxels[0, -5:] == -1024).all()


def test_a_drift_too_small_to_be_called_tilt_is_no_refusal(tmp_path):
    """0.09° over 110 mm are 0.17 mm: more than a straight grid may be off, and no reason to refuse."""
    write(tmp_path, stack(axes=tilted(AXIAL, 0.09, about=0), heights_mm=heights(44)))
    assert [caution.code for caution in load_image(tmp_path).cautions] == ["GEOM_TILT"]


def test_no_dicom_mask_refers_to_slices_that_were_moved(tmp_path):
    write(tmp_path, stack(axes=tilted(AXIAL, 15.0, about=0)))
    with pytest.raises(DicomError, match=r"SOURCE_GRID: .* straightened"):
        source_series(tmp_path, load_image(tmp_path).volume.geometry)


RISE_HU_PER_MM = np.array((1.0, -1.5, 4.0))


def rising(datasets):
    """In the body the values rise evenly along x, y and z of the header, to 0.01 HU: any voxel tells where it lies."""
    for d in datasets:
        corner, spacing = np.array(d.ImagePositionPatient, float), np.array(d.PixelSpacing, float)
        j, i = np.meshgrid(np.arange(d.Rows), np.arange(d.Columns), indexing="ij")
        points = np.stack([corner[0] + i * spacing[1], corner[1] + j * spacing[0], np.full(i.shape, corner[2])], -1)
        values = (points - CENTER_MM) @ RISE_HU_PER_MM
        values[np.linalg.norm((points - CENTER_MM)[..., :2], axis=-1) > 50] = -1000
        store(d, (values + 1024) * 25, intercept=-1024, slope=0.04)
    return datasets


@pytest.mark.parametrize(("kind", "off_mm"), [("to 0.1 mm", (0.0, 0.0, 0.0)), ("in all directions", (0.012,) * 3)])
def test_rounded_positions_are_followed(tmp_path, kind, off_mm):
    """Each slice lies where its own header says, to 0.01 mm, on an even grid, and nothing is lost at its border."""
    datasets = stack(heights_mm=heights(step_mm=6.25))
    rng = np.random.default_rng(7)
    for d in datasets:
        moved = np.array(d.ImagePositionPatient, float) + rng.uniform(-1, 1, 3) * off_mm
        d.ImagePositionPatient = [
            round(float(x), 1 if kind == "to 0.1 mm" and n == 2 else 4) for n, x in enumerate(moved)
        ]
    write(tmp_path, rising(datasets))
    image = load_image(tmp_path)
    (caution,) = (caution for caution in image.cautions if caution.code == "GEOM_ROUNDED")
    assert "where its own header says" in caution.message
    (series,) = discover(tmp_path).series
    stacked = check_series(series).stack
    assert stacked.worst_corner_mm < 0.01 < stacked.off_grid_mm
    geometry, voxels = image.volume.geometry, image.volume.voxels_hu
    assert geometry.shape == (24, 80, 80)
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1)) - CENTER_MM
    body = np.linalg.norm(points[..., :2], axis=-1) < 46
    np.testing.assert_allclose(voxels[body], (points @ RISE_HU_PER_MM)[body], atol=0.01 * 4 + 0.02)
    assert voxels[:, 0].min() > -1001
    assert image.record.slice_thickness_mm == 2.5


def test_an_outline_may_refer_to_slices_at_rounded_positions(tmp_path):
    datasets = stack()
    for number, d in enumerate(datasets):
        d.ImagePositionPatient[2] += 0.024 * (number % 2)
    write(tmp_path, datasets)
    assert len(source_series(tmp_path, load_image(tmp_path).volume.geometry).slices) == 24


def refused_codes(folder, accepted=()):
    with pytest.raises(DicomError) as caught:
        load_image(folder, accepted=accepted)
    return [fault.code for fault in caught.value.faults]


@pytest.mark.parametrize(("gone", "widest_mm"), [([11], 5.0), ([11, 12], 7.5), ([5, 17], 5.0)])
def test_a_gap_is_filled_only_on_purpose(tmp_path, gone, widest_mm):
    """What was scanned is unchanged and at its place; what is missing counts as slices as thick as the gap."""
    paths = write(tmp_path, stack())
    for index in gone:
        paths[index].unlink()
    assert set(refused_codes(tmp_path)) == {"GEOM_GAP"}
    image = load_image(tmp_path, accepted=["GEOM_GAP"])
    assert "GEOM_GAP" in {caution.code for caution in image.cautions}
    assert image.record.slice_thickness_mm == pytest.approx(widest_mm)
    points = image.volume.geometry.points_at(np.moveaxis(np.indices((24, 80, 80)), 0, -1))
    truth = phantom_hu(points - CENTER_MM)
    seen = np.setdiff1d(np.arange(24), gone)
    body = np.isin(np.arange(24), seen)[:, None, None] & (truth > 0)
    np.testing.assert_allclose(image.volume.voxels_hu[body], truth[body], atol=0.6)


def test_a_filled_slice_is_the_mean_of_its_neighbors(tmp_path):
    write(tmp_path, stack())[11].unlink()
    voxels = load_image(tmp_path, accepted=["GEOM_GAP"]).volume.voxels_hu
    np.testing.assert_allclose(voxels[11], (voxels[10] + voxels[12]) / 2, atol=1e-3)


def test_uneven_slices_are_interpolated_only_on_purpose(tmp_path):
    write(tmp_path, stack(heights_mm=[*np.arange(-30, 0, 2.5), *np.arange(0, 35, 5.0)]))
    assert refused_codes(tmp_path) == ["GEOM_VARIABLE_SPACING"]
    assert refused_codes(tmp_path, ["GEOM_GAP"]) == ["GEOM_VARIABLE_SPACING"]
    image = load_image(tmp_path, accepted=["GEOM_VARIABLE_SPACING"])
    assert {caution.code for caution in image.cautions} >= {"GEOM_VARIABLE_SPACING", "GEOM_COARSE"}
    assert max(errors_mm(image.volume)) < 0.5
    assert image.volume.geometry.spacing_mm[0] == pytest.approx(2.5)
    assert image.record.slice_thickness_mm == pytest.approx(5.0)


def test_a_moved_slice_is_never_accepted(tmp_path):
    slices = stack()
    slices[9].ImagePositionPatient[0] += 12
    write(tmp_path, slices)
    everything = ["GEOM_GAP", "GEOM_VARIABLE_SPACING", "FRAME_OF_REFERENCE_MIXED"]
    assert refused_codes(tmp_path, everything) == ["GEOM_INPLANE_SHIFT"]


def test_a_truncated_slice_at_the_end_can_be_left_out_and_one_amid_cannot(tmp_path):
    paths = write(tmp_path, stack())
    paths[-1].write_bytes(paths[-1].read_bytes()[:-3000])
    assert refused_codes(tmp_path) == ["FILE_TRUNCATED"]
    assert load_image(tmp_path, accepted=["FILE_TRUNCATED"]).volume.geometry.shape[0] == 23
    paths[9].write_bytes(paths[9].read_bytes()[:-3000])
    assert refused_codes(tmp_path, ["FILE_TRUNCATED"]) == ["GEOM_GAP"]


def test_frames_of_reference_that_an_archive_made_up(tmp_path):
    slices = stack()
    for number, d in enumerate(slices):
        d.FrameOfReferenceUID = f"1.2.3.{number + 1}"
    write(tmp_path, slices)
    assert refused_codes(tmp_path) == ["FRAME_OF_REFERENCE_MIXED"]
    image = load_image(tmp_path, accepted=["FRAME_OF_REFERENCE_MIXED"])
    assert max(errors_mm(image.volume)) < 0.5
    assert image.volume.geometry.frame_uid is None


def test_thin_slices_far_apart_leave_tissue_unseen(tmp_path):
    write(tmp_path, each(stack(), SliceThickness=1.0))
    assert [caution.code for caution in load_image(tmp_path).cautions] == ["GEOM_UNSEEN"]
