from __future__ import annotations

import numpy as np
import pydicom
import pytest
from ct_files import edit, grid
from mask_files import DAMAGED, ball, code_of, cuts, fault_of, series, soft_ball
from pydicom.uid import RLELossless

from ablmargin.dicom.seg import load_seg
from ablmargin.dicom.segwrite import write_seg
from ablmargin.dicom.source import source_series
from ablmargin.errors import GeometryMismatchError, InputError, UsageError
from ablmargin.loading import load_mask
from ablmargin.maskfiles import save_mask, save_masks
from ablmargin.volume import INSIDE_SHARE, LabelMask, MaskOrigin, Structure

SECRET = "SECRETPERSON"


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return series(tmp_path_factory.mktemp("ct") / "s", patient_id=SECRET, patient_name=f"{SECRET}^X")


@pytest.fixture
def seg(ct, tmp_path):
    """A tumor and a zone that overlap, as BINARY."""
    folder, geometry = ct
    save_masks({"Tumor 1": ball(geometry), "zone": ball(geometry, "zone")}, tmp_path / "m.dcm", source=folder)
    return tmp_path / "m.dcm"


def centers_in_file_mm(path, number):
    """Centers of a segment's voxels, straight from the attributes: another reader than the one under test."""
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    size = dataset.Rows * dataset.Columns
    down, right = shared.PixelMeasuresSequence[0].PixelSpacing
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    found = []
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            pixels = np.argwhere(bits[index * size : (index + 1) * size].reshape(dataset.Rows, dataset.Columns))
            corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            found.append(corner + pixels[:, 1:] * right * cosines[0] + pixels[:, :1] * down * cosines[1])
    return np.concatenate(found)


def in_order(points_mm):
    return points_mm[np.lexsort(points_mm.round(3).T)]


class TestRoundTrips:
    def test_overlapping_masks_come_back(self, tmp_path, orientation):
        folder, geometry = series(tmp_path / "ct", grid(orientation=orientation))
        masks = {name: ball(geometry, name) for name in ("Tumor 1", "zone")}
        save_masks(masks, tmp_path / "m.dcm", source=folder)
        cautions = []
        for number, (name, mask) in enumerate(masks.items(), start=1):
            for label in (name, number):
                text = f"{tmp_path}/m.dcm#{label}"
                loaded = load_mask(text, mask.structure, onto=geometry, source_name="--x", cautions=cautions)
                np.testing.assert_array_equal(loaded.voxels, mask.voxels)
                assert loaded.geometry == geometry
                assert loaded.origin.name == f"--x m.dcm#{label}"
            alone = load_mask(f"{tmp_path}/m.dcm#{name}", mask.structure, onto=None)
            expected = in_order(mask.voxel_centers_mm())
            np.testing.assert_allclose(in_order(alone.voxel_centers_mm()), expected, atol=1e-3)
            np.testing.assert_allclose(in_order(centers_in_file_mm(tmp_path / "m.dcm", number)), expected, atol=1e-3)
            assert alone.geometry.frame_uid == geometry.frame_uid
            assert not alone.touches_border()
        assert cautions == []

    @pytest.mark.parametrize("packed", [False, True])
    def test_label_maps(self, ct, tmp_path, packed):
        folder, geometry = ct
        tumor = ball(geometry)
        rest = ball(geometry, "zone")
        rest = LabelMask(voxels=rest.voxels & ~tumor.voxels, geometry=geometry, structure=Structure.LIVER)
        path = tmp_path / "m.dcm"
        source = source_series(folder, geometry)
        write_seg({"Tumor 1": tumor, "rest": rest}, path, source, as_label_map=True)
        if packed:
            edit(path, lambda dataset: dataset.compress(RLELossless))
        assert pydicom.dcmread(path).SegmentationType == "LABELMAP"
        for name, mask in (("Tumor 1", tumor), ("rest", rest)):
            loaded = load_mask(f"{path}#{name}", mask.structure, onto=geometry)
            np.testing.assert_array_equal(loaded.voxels, mask.voxels)
        assert code_of(load_mask, str(path), Structure.TUMOR, onto=geometry) == "MASK_SEVERAL_LABELS"

    def test_shares_of_voxels(self, ct, tmp_path):
        folder, geometry = ct
        mask = soft_ball(geometry)
        save_mask(mask, tmp_path / "m.dcm", source=folder)
        cautions = []
        loaded = load_mask(f"{tmp_path}/m.dcm", Structure.TUMOR, onto=geometry, cautions=cautions)
        np.testing.assert_allclose(loaded.fractions, mask.fractions, atol=1e-6)
        assert [caution.code for caution in cautions] == ["MASK_SOFT"]
        np.testing.assert_array_equal(loaded.voxels, mask.fractions >= INSIDE_SHARE)

    def test_slices_without_voxels_between_others(self, ct, tmp_path):
        folder, geometry = ct
        voxels = np.zeros(geometry.shape, np.bool_)
        voxels[[3, 5, 9], 10:14, 20:23] = True
        mask = LabelMask(voxels=voxels, geometry=geometry, structure=Structure.TUMOR)
        save_mask(mask, tmp_path / "m.dcm", source=folder)
        assert pydicom.dcmread(tmp_path / "m.dcm").NumberOfFrames == 3
        np.testing.assert_array_equal(load_mask(f"{tmp_path}/m.dcm", Structure.TUMOR, onto=geometry).voxels, voxels)
        assert load_mask(f"{tmp_path}/m.dcm", Structure.TUMOR, onto=None).geometry.spacing_mm == geometry.spacing_mm

    def test_a_mask_that_reaches_the_borders(self, ct, tmp_path):
        folder, geometry = ct
        mask = LabelMask(voxels=np.ones(geometry.shape, np.bool_), geometry=geometry, structure=Structure.LIVER)
        save_mask(mask, tmp_path / "m.dcm", source=folder)
        assert load_mask(f"{tmp_path}/m.dcm", Structure.LIVER, onto=geometry).voxels.all()

    def test_frames_in_any_order_with_measures_of_their_own(self, seg, ct):
        def shuffle(dataset):
            shared, groups = dataset.SharedFunctionalGroupsSequence[0], dataset.PerFrameFunctionalGroupsSequence
            order = np.random.default_rng(3).permutation(len(groups)).tolist()
            frames = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
            frames = frames[: len(groups) * dataset.Rows * dataset.Columns].reshape(len(groups), -1)
            for group in groups:
                group.PixelMeasuresSequence = shared.PixelMeasuresSequence
                group.PlaneOrientationSequence = shared.PlaneOrientationSequence
            del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence
            dataset.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
            dataset.PixelData = np.packbits(frames[order].ravel(), bitorder="little").tobytes()

        edit(seg, shuffle)
        for name in ("Tumor 1", "zone"):
            loaded = load_mask(f"{seg}#{name}", Structure.TUMOR, onto=ct[1])
            np.testing.assert_array_equal(loaded.voxels, ball(ct[1], name).voxels)


class TestWhatIsWritten:
    def test_it_refers_to_its_series_and_says_what_is_what(self, ct, tmp_path):
        folder, geometry = ct
        origins = ("reader", "point", "automatic")
        masks = {source: ball(geometry, origin=MaskOrigin(source=source, method="grown")) for source in origins}
        masks["zone"] = ball(geometry, "zone")
        save_masks(masks, tmp_path / "m.dcm", source=folder)
        dataset = pydicom.dcmread(tmp_path / "m.dcm")
        slices = {file.SOPInstanceUID: file for file in map(pydicom.dcmread, folder.iterdir())}
        first = next(iter(slices.values()))
        assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
            assert dataset[keyword].value == first[keyword].value
        assert dataset.SeriesInstanceUID != first.SeriesInstanceUID
        for group in dataset.PerFrameFunctionalGroupsSequence:
            reference = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            position = group.PlanePositionSequence[0].ImagePositionPatient
            assert position == pytest.approx(slices[reference].ImagePositionPatient)
        segments = dataset.SegmentSequence
        assert [each.SegmentAlgorithmType for each in segments] == ["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC", "MANUAL"]
        assert [each.SegmentLabel for each in segments] == list(masks)
        codes = [each.SegmentedPropertyTypeCodeSequence[0].CodeValue for each in segments]
        assert codes == ["108369006"] * 3 + ["6574001"]
        assert "esearch use only" in dataset.SeriesDescription

    def test_what_it_cant_hold_isnt_written(self, ct, tmp_path):
        folder, geometry = ct
        source = source_series(folder, geometry)
        overlapping = {name: ball(geometry, name) for name in ("Tumor 1", "zone")}
        for masks in (overlapping, {"soft": soft_ball(geometry)}):
            with pytest.raises(UsageError, match="label map"):
                write_seg(masks, tmp_path / "m.dcm", source, as_label_map=True)
        assert not list(tmp_path.iterdir())

    def test_the_source_must_be_the_one(self, ct, tmp_path):
        folder, geometry = ct
        mask = ball(geometry)
        with pytest.raises(UsageError, match="needs the folder"):
            save_mask(mask, tmp_path / "m.dcm")
        other = ball(grid((9, 40, 44)))
        assert code_of(save_mask, other, tmp_path / "m.dcm", source=folder) == "SOURCE_GRID"
        twice, geometry = series(tmp_path / "two" / "a", series_number=1)
        series(tmp_path / "two" / "b", geometry, series_number=2)
        assert code_of(save_mask, ball(geometry), tmp_path / "m.dcm", source=twice.parent) == "SERIES_AMBIGUOUS"
        assert not (tmp_path / "m.dcm").exists()


class TestRefused:
    def test_a_choice_is_needed_and_must_be_there(self, seg):
        fault = fault_of(load_mask, str(seg), Structure.TUMOR, onto=None)
        assert (fault.code, fault.found) == ("MASK_SEVERAL_LABELS", "2 segments: 1 (Tumor 1), 2 (zone)")
        fault = fault_of(load_mask, f"{seg}#liver", Structure.TUMOR, onto=None)
        assert fault.code == "MASK_LABEL_MISSING"
        assert "1 (Tumor 1), 2 (zone)" in fault.found
        edit(seg, lambda dataset: setattr(dataset.SegmentSequence[1], "SegmentLabel", "Tumor 1"))
        assert code_of(load_mask, f"{seg}#Tumor 1", Structure.TUMOR, onto=None) == "MASK_LABEL_AMBIGUOUS"
        assert load_mask(f"{seg}#2", Structure.TUMOR, onto=None).volume_ml > 2

    def test_a_segment_without_frames_is_empty(self, seg):
        def renumber(dataset):
            dataset.SegmentSequence[1].SegmentNumber = 3
            for group in dataset.PerFrameFunctionalGroupsSequence:
                group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1

        edit(seg, renumber)
        assert code_of(load_mask, f"{seg}#3", Structure.TUMOR, onto=None) == "MASK_EMPTY"

    def test_another_frame_of_reference(self, seg, ct):
        _, geometry = ct
        edit(seg, lambda dataset: setattr(dataset, "FrameOfReferenceUID", "1.2.3"))
        with pytest.raises(GeometryMismatchError, match=r"FRAME_MISMATCH: --tumor .*m\.dcm#zone"):
            load_mask(f"{seg}#zone", Structure.TUMOR, onto=geometry, source_name="--tumor")
        assert load_mask(f"{seg}#zone", Structure.TUMOR, onto=geometry.in_frame(None)).volume_ml > 2
        edit(seg, lambda dataset: delattr(dataset, "FrameOfReferenceUID"))
        code = code_of(load_mask, f"{seg}#zone", Structure.TUMOR, onto=geometry)
        assert code == "FRAME_OF_REFERENCE_MISSING"

    def test_frames_at_uneven_distances(self, seg):
        def move(dataset):
            places = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
            places.ImagePositionPatient[2] += 0.8

        edit(seg, move)
        fault = fault_of(load_mask, f"{seg}#zone", Structure.TUMOR, onto=None)
        assert fault.code == "MASK_FRAMES_UNEVEN"
        assert fault.attribute == "ImagePositionPatient (0020,0032)"

    def test_without_the_distance_of_slices(self, ct, tmp_path):
        def forget(dataset):
            del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices

        folder, geometry = ct
        told = []
        save_mask(ball(geometry), tmp_path / "m.dcm", source=folder)
        edit(tmp_path / "m.dcm", forget)
        mask = load_seg(tmp_path / "m.dcm", None, Structure.TUMOR, told=told)
        np.testing.assert_allclose(mask.geometry.spacing_mm, geometry.spacing_mm)
        assert [caution.code for caution in told] == ["MASK_SPACING_INFERRED"]
        voxels = np.zeros(geometry.shape, np.bool_)
        voxels[3, 10:14, 20:23] = True
        flat = LabelMask(voxels=voxels, geometry=geometry, structure=Structure.TUMOR)
        save_mask(flat, tmp_path / "f.dcm", source=folder)
        assert load_seg(tmp_path / "f.dcm", None, Structure.TUMOR, told=told).volume_ml == pytest.approx(flat.volume_ml)
        edit(tmp_path / "f.dcm", forget)
        assert code_of(load_seg, tmp_path / "f.dcm", None, Structure.TUMOR, told=told) == "MASK_NO_SPACING"

    def test_headers_that_promise_too_much(self, seg):
        edit(seg, lambda dataset: setattr(dataset, "NumberOfFrames", 10**9))
        assert code_of(load_mask, f"{seg}#zone", Structure.TUMOR, onto=None) == "FILE_FORMAT"
        edit(seg, lambda dataset: setattr(dataset, "NumberOfFrames", len(dataset.PerFrameFunctionalGroupsSequence)))
        edit(seg, lambda dataset: setattr(dataset, "Rows", 60000))
        assert code_of(load_mask, f"{seg}#zone", Structure.TUMOR, onto=None) == "FILE_TRUNCATED"

    def test_frames_far_apart_dont_fill_the_memory(self, seg):
        def move(dataset):
            for group in dataset.PerFrameFunctionalGroupsSequence[:1]:
                group.PlanePositionSequence[0].ImagePositionPatient[2] += 2.5e6

        edit(seg, move)
        assert code_of(load_mask, f"{seg}#zone", Structure.TUMOR, onto=None) == "RESOURCE_LIMIT"

    def test_a_file_cut_short_anywhere_is_never_half_a_mask(self, seg, caplog):
        whole = seg.read_bytes()
        truth = load_mask(f"{seg}#zone", Structure.TUMOR, onto=None).voxels
        for end in cuts(whole, step=499):
            seg.write_bytes(whole[:end])
            try:
                voxels = load_mask(f"{seg}#zone", Structure.TUMOR, onto=None).voxels
            except InputError as error:
                assert error.faults[0].code in DAMAGED  # noqa: PT017
                assert SECRET not in str(error)  # noqa: PT017
            else:
                np.testing.assert_array_equal(voxels, truth)
        assert SECRET not in caplog.text

    def test_compressed_frames_cut_short(self, ct, tmp_path):
        folder, geometry = ct
        path = tmp_path / "m.dcm"
        save_mask(soft_ball(geometry), path, source=folder)
        edit(path, lambda dataset: dataset.compress(RLELossless))
        whole = path.read_bytes()
        truth = load_mask(str(path), Structure.TUMOR, onto=None).fractions
        for end in range(len(whole) // 2, len(whole), 97):
            path.write_bytes(whole[:end])
            try:
                shares = load_mask(str(path), Structure.TUMOR, onto=None).fractions
            except InputError as error:
                assert error.faults[0].code in DAMAGED  # noqa: PT017
            else:
                np.testing.assert_array_equal(shares, truth)

    def test_damage_anywhere_is_told_without_names(self, seg, caplog):
        whole = seg.read_bytes()
        random = np.random.default_rng(5)
        for place in random.integers(132, len(whole), 60).tolist():
            seg.write_bytes(whole[:place] + bytes([random.integers(256)]) + whole[place + 1 :])
            try:
                load_mask(f"{seg}#zone", Structure.TUMOR, onto=None)
            except InputError as error:
                assert SECRET not in str(error)  # noqa: PT017
        assert SECRET not in caplog.text
