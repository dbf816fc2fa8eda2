"""Enhanced CT is the same CT: same voxels, same places, and as little trust."""

from __future__ import annotations

import contextlib
import math
import random
import time
import tracemalloc
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pydicom.data
import pytest
from ct_files import files_of, grid, landmark_errors_mm, write_series
from hostile_cases import each
from hostile_enhanced import enhanced, frames_of, group, save, shared_of
from hostile_phantom import AXIAL, heights, stack, write
from mask_files import ball, fault_of, series
from orientations import rotation

from ablmargin.dicom.discover import discover
from ablmargin.dicom.overview import overview
from ablmargin.dicom.source import source_series
from ablmargin.errors import DicomError
from ablmargin.loading import load_image, load_mask
from ablmargin.maskfiles import save_mask, save_masks
from ablmargin.volume import Structure

SHUFFLE = np.random.default_rng(3)


def as_enhanced(classic: Path, folder: Path, *, shuffled: bool = True) -> Path:
    """The slices of a classic series as one multi-frame file."""
    slices = [pydicom.dcmread(path) for path in files_of(classic)]
    if shuffled:
        slices = [slices[index] for index in SHUFFLE.permutation(len(slices))]
    return save(folder, enhanced(slices, own=("PlanePositionSequence", "PixelValueTransformationSequence")))


def assert_same(first, second):
    np.testing.assert_array_equal(first.volume.voxels_hu, second.volume.voxels_hu)
    assert first.volume.geometry == second.volume.geometry
    assert first.record.sha256 == second.record.sha256
    assert first.identity == second.identity


class TestTheSameAsClassic:
    def test_voxels_places_and_hash(self, tmp_path, orientation):
        classic = write_series(tmp_path / "classic", grid(orientation=orientation))
        path = as_enhanced(classic, tmp_path / "enhanced")
        image = load_image(path)
        assert_same(load_image(classic), image)
        assert max(landmark_errors_mm(image.volume)) < 0.5  # a quarter of a slice, half a pixel
        assert (image.record.slices, image.record.slice_thickness_mm) == (16, 2.5)

    def test_measures_told_frame_by_frame(self, tmp_path):
        write(tmp_path / "classic", stack())
        groups = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        save(tmp_path / "enhanced", enhanced(own=groups))
        assert_same(load_image(tmp_path / "classic"), load_image(tmp_path / "enhanced"))

    def test_thickness_is_that_of_the_thickest_frame(self, tmp_path):
        slices = stack()
        slices[5].SliceThickness = 4
        image = load_image(save(tmp_path, enhanced(slices, own=("PlanePositionSequence", "PixelMeasuresSequence"))))
        assert image.record.slice_thickness_mm == 4
        assert [caution.code for caution in image.cautions] == ["GEOM_COARSE"]

    def test_a_series_converted_by_highdicom(self, tmp_path):
        """Another hand's idea of a Legacy Converted Enhanced CT."""
        classic = write_series(tmp_path / "classic")
        converted = hd.legacy.LegacyConvertedEnhancedCTImage(
            legacy_datasets=[pydicom.dcmread(path) for path in files_of(classic)[::-1]],
            series_instance_uid=hd.UID(),
            series_number=7,
            sop_instance_uid=hd.UID(),
            instance_number=1,
        )
        converted.save_as(tmp_path / "converted.dcm")
        truth, image = load_image(classic), load_image(tmp_path / "converted.dcm")
        np.testing.assert_array_equal(image.volume.voxels_hu, truth.volume.voxels_hu)
        assert image.volume.geometry == truth.volume.geometry
        assert image.record.acquired == truth.record.acquired

    @pytest.mark.parametrize("axes", [AXIAL, (rotation(20, 0, 10) @ AXIAL.T).T], ids=["axial", "oblique"])
    def test_highdicom_reads_the_same(self, tmp_path, axes):
        slices = [stack(axes=axes)[index] for index in SHUFFLE.permutation(24)]
        for number, d in enumerate(slices):
            stored = np.frombuffer(d.PixelData, "<u2") + 100 * (number % 2)
            d.PixelData, d.RescaleIntercept = stored.astype("<u2").tobytes(), -1024 - 100 * (number % 2)
        path = save(tmp_path, enhanced(slices, own=("PlanePositionSequence", "PixelValueTransformationSequence")))
        other = hd.imread(path).get_volume(apply_modality_transform=True, apply_presentation_lut=False)
        image = load_image(path).volume
        corners = np.array([(0, 0, 0), (23, 0, 0), (0, 79, 0), (0, 0, 79)])
        places = other.map_indices_to_reference(corners)
        ours = image.geometry.points_at(corners)
        flipped = not np.allclose(places, ours, atol=1e-3)
        voxels = other.array[::-1] if flipped else other.array
        corners[:, 0] = 23 - corners[:, 0] if flipped else corners[:, 0]
        np.testing.assert_allclose(other.map_indices_to_reference(corners), ours, atol=1e-3)
        np.testing.assert_array_equal(voxels, image.voxels_hu)


class TestWhatFramesSay:
    def one(self, tmp_path, change):
        d = enhanced(stack(heights_mm=heights(4)))
        change(d)
        return discover(save(tmp_path, d)).series[0].headers[2]

    def test_in_the_words_of_a_classic_slice(self, tmp_path):
        def change(d):
            for number, frame in enumerate(frames_of(d)):
                group(
                    frame,
                    "FrameContentSequence",
                    FrameAcquisitionDateTime=f"2031020310000{number}.5-0500",
                    FrameAcquisitionNumber=7,
                    TemporalPositionIndex=3,
                    StackID="S",
                )
            kind = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
            group(shared_of(d), "CTImageFrameTypeSequence", FrameType=kind, VolumeBasedCalculationTechnique="NONE")
            group(shared_of(d), "CTReconstructionSequence", ConvolutionKernel="B30f")
            group(d, "ContrastBolusAgentSequence", CodeMeaning="Iomeprol")

        header = self.one(tmp_path, change)
        assert (header.source, header.frame) == ("frame 3 of ct.dcm", 2)
        assert header.acquired == "2031-02-03T10:00:02"
        assert {name: header.texts[name] for name in ("AcquisitionNumber", "StackID", "ImageType")} == {
            "AcquisitionNumber": "7",
            "StackID": "S",
            "ImageType": "ORIGINAL\\PRIMARY\\VOLUME\\NONE",
        }
        assert header.texts["TemporalPositionIdentifier"] == "3"
        assert (header.texts["ConvolutionKernel"], header.texts["ContrastBolusAgent"]) == ("B30f", "Iomeprol")

    def test_times_of_the_whole_object_where_frames_have_none(self, tmp_path):
        def change(d):
            del d.AcquisitionDate, d.AcquisitionTime
            d.AcquisitionDateTime = "20310203111213"

        assert self.one(tmp_path, change).acquired == "2031-02-03T11:12:13"

    def test_inspect_lists_it_like_any_series(self, tmp_path):
        save(tmp_path, enhanced())
        (listed,) = overview(tmp_path)["series"]
        write(tmp_path / "classic", stack())
        (classic,) = overview(tmp_path / "classic")["series"]
        assert listed == classic
        assert (listed["slices"], listed["usable"]) == (24, True)

    def test_each_of_two_times_can_be_chosen(self, tmp_path):
        both = [*stack(), *stack(heights_mm=heights() + 1.0)]
        d = enhanced(both)
        for number, frame in enumerate(frames_of(d)):
            group(frame, "FrameContentSequence", TemporalPositionIndex=1 + number // 24)
        save(tmp_path, d)
        lowest = [load_image(tmp_path, series=number).volume.geometry.origin_mm[2] for number in ("1", "2")]
        assert lowest[1] - lowest[0] == pytest.approx(1.0)


@pytest.fixture(scope="module")
def drawn_on(tmp_path_factory):
    """Two masks, the classic series, and its slices as frames in disorder."""
    folder = tmp_path_factory.mktemp("drawn")
    classic, _ = series(folder / "classic")
    path = as_enhanced(classic, folder / "enhanced")
    geometry = load_image(path).volume.geometry
    return {name: ball(geometry, name) for name in ("Tumor 1", "zone")}, path


class TestOutlines:
    @pytest.mark.parametrize("name", ["m.dcm", "m.rtstruct.dcm"])
    def test_they_come_back(self, drawn_on, tmp_path, name):
        masks, path = drawn_on
        save_masks(masks, tmp_path / name, source=path.parent)
        for label, mask in masks.items():
            loaded = load_mask(f"{tmp_path / name}#{label}", mask.structure, onto=mask.geometry)
            np.testing.assert_array_equal(loaded.voxels, mask.voxels)

    def test_a_segmentation_names_the_frame_that_each_of_its_own_lies_on(self, drawn_on, tmp_path):
        masks, path = drawn_on
        save_masks(masks, tmp_path / "m.dcm", source=path)
        original = frames_of(pydicom.dcmread(path))
        frames = frames_of(pydicom.dcmread(tmp_path / "m.dcm"))
        for frame in frames:
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            assert source.ReferencedSOPInstanceUID == "1.2.3.99"
            there = original[source.ReferencedFrameNumber - 1].PlanePositionSequence[0].ImagePositionPatient
            assert frame.PlanePositionSequence[0].ImagePositionPatient == there
        assert len(frames) > 10

    def test_a_structure_set_names_the_frame_that_each_contour_lies_on(self, drawn_on, tmp_path):
        masks, path = drawn_on
        save_masks(masks, tmp_path / "m.rtstruct.dcm", source=path)
        original, dataset = frames_of(pydicom.dcmread(path)), pydicom.dcmread(tmp_path / "m.rtstruct.dcm")
        contours = [contour for region in dataset.ROIContourSequence for contour in region.ContourSequence]
        for contour in contours:
            number = contour.ContourImageSequence[0].ReferencedFrameNumber
            height = original[number - 1].PlanePositionSequence[0].ImagePositionPatient[2]
            assert contour.ContourData[2] == pytest.approx(height, abs=1e-4)
        assert len(contours) > 10
        frame = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
        assert sorted(image.ReferencedFrameNumber for image in frame.ContourImageSequence) == list(range(1, 17))

    def test_classic_slices_are_no_frames(self, tmp_path):
        folder, geometry = series(tmp_path / "ct")
        assert set(source_series(folder, geometry).frame_numbers) == {None}
        save_mask(ball(geometry), tmp_path / "m.rtstruct.dcm", source=folder)
        assert b"\x08\x00\x60\x11" not in (tmp_path / "m.rtstruct.dcm").read_bytes()

    def test_a_segmentation_of_several_files_is_refused(self, tmp_path):
        slices = stack()
        for number in (0, 1):
            d = enhanced(slices[12 * number : 12 * number + 12])
            d.SOPInstanceUID += f".{number}"
            save(tmp_path / "ct", d, f"{number}.dcm")
        geometry = load_image(tmp_path / "ct").volume.geometry
        fault = fault_of(save_mask, ball(geometry), tmp_path / "m.dcm", source=tmp_path / "ct")
        assert (fault.code, "one file" in fault.expected) == ("SOURCE_UNUSABLE", True)
        save_mask(ball(geometry), tmp_path / "m.rtstruct.dcm", source=tmp_path / "ct")
        loaded = load_mask(f"{tmp_path}/m.rtstruct.dcm", Structure.TUMOR, onto=geometry)
        np.testing.assert_array_equal(loaded.voxels, ball(geometry).voxels)


def frame_turned(angle: float) -> pydicom.Dataset:
    frame = pydicom.Dataset()
    along, across = round(math.cos(angle), 6), round(math.sin(angle), 6)
    group(frame, "PlanePositionSequence", ImagePositionPatient=[0, 0, round(100 * angle, 3)])
    group(frame, "PlaneOrientationSequence", ImageOrientationPatient=[along, across, 0, -across, along, 0])
    return frame


class TestBounds:
    def test_as_many_orientations_as_frames(self, tmp_path):
        """Frames are grouped by orientation in arrays: one by one it took 9 s."""
        d = enhanced(stack(heights_mm=heights(4), matrix=(4, 4)), own=("PlanePositionSequence",))
        d.NumberOfFrames = count = 3000
        del shared_of(d).PlaneOrientationSequence
        d.PerFrameFunctionalGroupsSequence = [frame_turned(3.0 * number / count) for number in range(count)]
        d.PixelData = bytes(count * 2 * 4 * 4)
        path = save(tmp_path, d)
        began = time.process_time()
        with pytest.raises(DicomError, match="GEOM_MIXED_ORIENTATION"):
            load_image(path)
        assert time.process_time() - began < 5

    def test_a_false_number_of_frames_takes_no_memory(self, tmp_path):
        path = save(tmp_path, *each([enhanced(stack(heights_mm=heights(4)))], NumberOfFrames=2_000_000_000))
        tracemalloc.start()
        with pytest.raises(DicomError, match="FILE_MALFORMED"):
            load_image(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 2**20  # two megabytes are read at a time

    def test_a_hundred_thousand_descriptions_take_little(self, tmp_path):
        path = save(tmp_path, enhanced(stack(heights_mm=heights(4))))
        data = path.read_bytes()
        at = data.index(b"\x00\x52\x30\x92SQ")
        head = b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 100_000
        path.write_bytes(data[:at] + head + b"\xfe\xff\xdd\xe0\0\0\0\0" + data[data.index(b"\xe0\x7f\x10\x00OW") :])
        tracemalloc.start()
        with pytest.raises(DicomError, match="RESOURCE_LIMIT"):
            load_image(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 2**20

    def test_a_header_longer_than_the_first_read(self, tmp_path):
        """Three megabytes of something private before the pixels."""
        d = enhanced()
        for frame in frames_of(d):
            frame.add_new(0x00291010, "OB", bytes(128 * 2**10))
        assert load_image(save(tmp_path, d)).volume.geometry.shape[0] == 24

    def test_damaged_bytes_never_escape_as_anything_but_our_errors(self, tmp_path):
        path = save(tmp_path, enhanced(stack(heights_mm=heights(4), matrix=(20, 20), pixel_mm=(6.0, 6.0))))
        clean = path.read_bytes()
        end = clean.index(b"\xe0\x7f\x10\x00OW") + 12
        for seed in range(150):
            rng = random.Random(seed)
            data = bytearray(clean)
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(132, end)] = rng.randrange(256)
            path.write_bytes(data[: rng.randrange(200, len(data))] if seed % 3 == 0 else data)
            with contextlib.suppress(DicomError):
                load_image(path)


def test_a_perfusion_map_is_refused_by_name():
    """The one Enhanced CT among pydicom's own test files: two frames of cerebral blood flow."""
    name = pydicom.data.get_testdata_file("eCT_Supplemental.dcm", download=False)
    if name is None:
        pytest.skip("pydicom-data isn't installed")
    with pytest.raises(DicomError) as caught:
        load_image(Path(name))
    assert [fault.code for fault in caught.value.faults] == ["HU_UNKNOWN", "SERIES_TOO_SHORT"]
    assert "RCBF" in str(caught.value)
