from __future__ import annotations

import numpy as np
import pydicom
import pytest
from ct_files import CENTER_MM, edit, grid
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from mask_files import DAMAGED, ball, code_of, cuts, dice, fault_of, series, soft_ball
from matplotlib.path import Path as Polygon
from pydicom.uid import ExplicitVRLittleEndian

from ablmargin.dicom.contours import Outline, outlines, rasterized
from ablmargin.errors import GeometryMismatchError, InputError
from ablmargin.loading import load_mask
from ablmargin.maskfiles import save_mask, save_masks
from ablmargin.volume import LabelMask, MaskOrigin, Structure

SECRET = "SECRETPERSON"


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return series(tmp_path_factory.mktemp("ct") / "s", patient_id=SECRET, patient_name=f"{SECRET}^X")


@pytest.fixture
def plan(ct, tmp_path):
    """A tumor and a zone as a structure set."""
    folder, geometry = ct
    path = tmp_path / "m.rtstruct.dcm"
    save_masks({"Tumor 1": ball(geometry), "zone": ball(geometry, "zone")}, path, source=folder)
    return path


@pytest.fixture
def drawn(plan, ct):
    """Replaces the tumor's contours by some in (slice, row, column) or, with ``mm``, in patient coordinates."""
    _, geometry = ct

    def draw(*contours, kind="CLOSED_PLANAR", mm=False):
        def change(dataset):
            region = dataset.ROIContourSequence[0]
            region.ContourSequence = []
            for contour in contours:
                item = pydicom.Dataset()
                points = np.asarray(contour, float) if mm else geometry.points_at(contour)
                item.ContourGeometricType = kind
                item.NumberOfContourPoints = len(contour)
                item.ContourData = [f"{number:.5f}" for number in points.ravel()]
                region.ContourSequence.append(item)

        edit(plan, change)
        return f"{plan}#Tumor 1"

    return draw


def box(k, low, high, *, tilt=0.0):
    """A rectangle around whole voxels from (row, column) to the one before (row, column)."""
    (top, left), (bottom, right) = np.array(low) - 0.5, np.array(high) - 0.5
    return [(k, top, left), (k, top, right), (k + tilt, bottom, right), (k + tilt, bottom, left)]


def pixels(mask, k):
    return {tuple(place) for place in np.argwhere(mask.voxels[k]).tolist()}


def block(low, high):
    return {(row, column) for row in range(low[0], high[0]) for column in range(low[1], high[1])}


def drawn_by_matplotlib(path, number, geometry):
    """Which voxel centers lie in an odd number of contours, straight from the attributes."""
    inside = np.zeros(geometry.shape, np.bool_)
    centers = np.stack(np.meshgrid(*map(np.arange, geometry.shape[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
    for contour in pydicom.dcmread(path).ROIContourSequence[number].ContourSequence:
        corners = geometry.indices_at(np.array(contour.ContourData, float).reshape(-1, 3))
        hits = Polygon(corners[:, 1:]).contains_points(centers)
        inside[round(corners[0, 0])] ^= hits.reshape(geometry.shape[1:])
    return inside


class TestRoundTrips:
    def test_masks_come_back(self, tmp_path, orientation):
        folder, geometry = series(tmp_path / "ct", grid(orientation=orientation))
        masks = {name: ball(geometry, name) for name in ("Tumor 1", "zone")}
        path = tmp_path / "m.rtstruct.dcm"
        save_masks(masks, path, source=folder)
        cautions = []
        for number, (name, mask) in enumerate(masks.items()):
            for label in (name, number + 1):
                loaded = load_mask(f"{path}#{label}", mask.structure, onto=geometry, cautions=cautions)
                np.testing.assert_array_equal(loaded.voxels, mask.voxels)
                assert loaded.geometry == geometry
                assert loaded.origin.name == f"m.rtstruct.dcm#{label}"
            np.testing.assert_array_equal(drawn_by_matplotlib(path, number, geometry), mask.voxels)
        assert cautions == []

    @settings(max_examples=40)
    @given(voxels=arrays(np.bool_, (3, 6, 7)))
    def test_any_voxels_come_back_with_holes_and_islands(self, voxels):
        geometry = grid(voxels.shape, orientation="oblique")
        mask = LabelMask(voxels=voxels, geometry=geometry, structure=Structure.TUMOR)
        rings = [outline.points_mm.round(4) for outline in outlines(mask)]
        np.testing.assert_array_equal(rasterized(rings, geometry), voxels)

    def test_a_soft_mask_is_outlined_at_half(self, ct, tmp_path):
        folder, geometry = ct
        mask = soft_ball(geometry)
        save_mask(mask, tmp_path / "m.rtstruct.dcm", source=folder)
        loaded = load_mask(f"{tmp_path}/m.rtstruct.dcm", Structure.TUMOR, onto=geometry)
        assert dice(loaded.voxels, mask.voxels) >= 0.999
        radii = [np.linalg.norm(outline.points_mm - CENTER_MM - (-4.0, 2.0, 3.0), axis=1) for outline in outlines(mask)]
        # In the slices near its middle, the outline keeps to the ball's border far better than to a voxel.
        np.testing.assert_allclose(np.concatenate(radii[1:-1]), 6.0, atol=0.15)

    def test_without_an_image_contours_get_a_grid_of_their_own(self, tmp_path, orientation):
        folder, geometry = series(tmp_path / "ct", grid(orientation=orientation))
        mask = ball(geometry, "zone")
        save_mask(mask, tmp_path / "m.rtstruct.dcm", source=folder)
        alone = load_mask(f"{tmp_path}/m.rtstruct.dcm", mask.structure, onto=None)
        assert alone.geometry.spacing_mm == pytest.approx((2.5, 0.5, 0.5), abs=1e-4)
        assert alone.geometry.frame_uid == geometry.frame_uid
        assert alone.volume_ml == pytest.approx(mask.volume_ml, rel=0.02)  # outlines cut the voxels' corners
        middle = alone.voxel_centers_mm().mean(axis=0)
        np.testing.assert_allclose(middle, mask.voxel_centers_mm().mean(axis=0), atol=0.05)
        assert not alone.touches_border()

    def test_it_refers_to_its_series_and_says_what_is_what(self, ct, tmp_path):
        folder, geometry = ct
        holed = np.zeros(geometry.shape, np.bool_)
        holed[4:6, 10:20, 10:20] = True
        holed[5, 13:15, 13:15] = False
        masks = {
            "a": ball(geometry, origin=MaskOrigin(source="automatic")),
            "b": LabelMask(voxels=holed, geometry=geometry, structure=Structure.LIVER),
        }
        save_masks(masks, tmp_path / "m.rtstruct.dcm", source=folder)
        dataset = pydicom.dcmread(tmp_path / "m.rtstruct.dcm")
        slices = {file.SOPInstanceUID: file for file in map(pydicom.dcmread, folder.iterdir())}
        first = next(iter(slices.values()))
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
            assert dataset[keyword].value == first[keyword].value
        frame = dataset.ReferencedFrameOfReferenceSequence[0]
        images = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
        assert {image.ReferencedSOPInstanceUID for image in images} == set(slices)
        kinds = set()
        for region in dataset.ROIContourSequence:
            for contour in region.ContourSequence:
                image = slices[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
                assert float(contour.ContourData[2]) == pytest.approx(image.ImagePositionPatient[2], abs=1e-4)
                assert len(contour.ContourData) == 3 * contour.NumberOfContourPoints
                assert max(len(str(number)) for number in contour.ContourData) <= 16
                kinds.add((region.ReferencedROINumber, contour.ContourGeometricType))
        assert kinds == {(1, "CLOSED_PLANAR"), (2, "CLOSED_PLANAR"), (2, "CLOSEDPLANAR_XOR")}
        algorithms = [item.ROIGenerationAlgorithm for item in dataset.StructureSetROISequence]
        assert algorithms == ["AUTOMATIC", "MANUAL"]
        assert [item.RTROIInterpretedType for item in dataset.RTROIObservationsSequence] == ["GTV", "ORGAN"]

    def test_an_outline_says_no_more_than_it_must(self):
        voxels = np.zeros((1, 9, 9), np.bool_)
        voxels[0, 2:7, 1:8] = True
        mask = LabelMask(voxels=voxels, geometry=grid((1, 9, 9)), structure=Structure.TUMOR)
        (outline,) = outlines(mask)
        assert isinstance(outline, Outline)
        assert len(outline.points_mm) in {8, 9}  # corners cut by half a voxel; one point more where the ring begins


class TestContours:
    def test_a_voxel_belongs_to_it_if_its_center_lies_inside(self, drawn, ct):
        text = drawn(box(4, (10, 12), (15, 20)), box(5, (10, 12), (15, 20)))
        mask = load_mask(text, Structure.TUMOR, onto=ct[1])
        assert pixels(mask, 4) == pixels(mask, 5) == block((10, 12), (15, 20))
        assert not mask.voxels[3].any()

    @pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
    def test_a_contour_in_another_is_a_hole_and_one_in_that_an_island(self, drawn, ct, kind):
        rings = [box(4, (15, 15), (25, 27)), box(4, (10, 10), (30, 30)), box(4, (18, 18), (20, 21))]
        mask = load_mask(drawn(*rings, kind=kind), Structure.TUMOR, onto=ct[1])
        hole = block((15, 15), (25, 27)) - block((18, 18), (20, 21))
        assert pixels(mask, 4) == block((10, 10), (30, 30)) - hole

    def test_a_keyhole_is_a_hole(self, drawn, ct):
        outer, inner = box(4, (10, 10), (30, 30)), box(4, (15, 15), (25, 27))
        ring = [*outer, outer[0], *inner, inner[0]]
        mask = load_mask(drawn(ring), Structure.TUMOR, onto=ct[1])
        assert pixels(mask, 4) == block((10, 10), (30, 30)) - block((15, 15), (25, 27))

    def test_several_beside_each_other(self, drawn, ct):
        mask = load_mask(drawn(box(4, (3, 3), (6, 6)), box(4, (6, 6), (9, 9))), Structure.TUMOR, onto=ct[1])
        assert pixels(mask, 4) == block((3, 3), (6, 6)) | block((6, 6), (9, 9))

    def test_traced_through_voxel_centers(self, drawn, ct):
        corners = [(4, 3, 3), (4, 3, 8), (4, 7, 8), (4, 7, 3)]  # as programs do that follow the outermost voxels
        assert pixels(load_mask(drawn(corners), Structure.TUMOR, onto=ct[1]), 4) == block((3, 3), (8, 9))

    def test_between_the_slices_it_is_brought_onto_them_and_told(self, drawn, ct):
        rings = [box(k + 0.4, (10, 10), (22, 24)) for k in range(3, 9)]
        cautions = []
        mask = load_mask(drawn(*rings), Structure.TUMOR, onto=ct[1], cautions=cautions)
        assert "MASK_RESAMPLED" in [caution.code for caution in cautions]
        assert mask.geometry == ct[1]
        assert mask.volume_ml == pytest.approx(6 * 12 * 14 * ct[1].voxel_volume_ml, rel=0.05)
        middle = ct[1].points_at([(5.9, 15.5, 16.5)])[0]
        np.testing.assert_allclose(mask.voxel_centers_mm().mean(axis=0), middle, atol=0.4)

    def test_slices_without_contours_are_told(self, drawn, ct):
        cautions = []
        rings = [box(k, (10, 10), (22, 24)) for k in (3, 4, 7)]
        mask = load_mask(drawn(*rings), Structure.TUMOR, onto=ct[1], cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_GAPS"]
        assert "2 slices" in cautions[0].message
        assert np.flatnonzero(mask.voxels.any(axis=(1, 2))).tolist() == [3, 4, 7]

    def test_a_point_among_contours_is_left_out_and_told(self, drawn, ct):
        cautions = []
        mask = load_mask(drawn(box(4, (3, 3), (6, 6)), [(5, 4, 4)]), Structure.TUMOR, onto=ct[1], cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_POINTS_SKIPPED"]
        assert np.count_nonzero(mask.voxels) == 9

    def test_explicit_numbers_are_read_alike(self, plan, ct):
        truth = load_mask(f"{plan}#zone", Structure.ABLATION_ZONE, onto=ct[1])
        dataset = pydicom.dcmread(plan)
        for region in dataset.ROIContourSequence:
            for contour in region.ContourSequence:
                contour.ContourData = list(contour.ContourData)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(plan, implicit_vr=False, little_endian=True)
        mask = load_mask(f"{plan}#zone", Structure.ABLATION_ZONE, onto=ct[1])
        np.testing.assert_array_equal(mask.voxels, truth.voxels)


class TestRefused:
    def test_a_choice_is_needed_and_must_be_there(self, plan, ct):
        fault = fault_of(load_mask, str(plan), Structure.TUMOR, onto=ct[1])
        assert (fault.code, fault.found) == ("MASK_SEVERAL_LABELS", "2 segments: 1 (Tumor 1), 2 (zone)")
        assert code_of(load_mask, f"{plan}#liver", Structure.TUMOR, onto=ct[1]) == "MASK_LABEL_MISSING"

    def test_without_contours(self, plan, ct):
        edit(plan, lambda dataset: delattr(dataset.ROIContourSequence[0], "ContourSequence"))
        assert code_of(load_mask, f"{plan}#Tumor 1", Structure.TUMOR, onto=ct[1]) == "MASK_EMPTY"
        assert not load_mask(str(plan), Structure.TUMOR, onto=ct[1]).is_empty
        edit(plan, lambda dataset: delattr(dataset, "ROIContourSequence"))
        assert code_of(load_mask, str(plan), Structure.TUMOR, onto=ct[1]) == "MASK_EMPTY"

    @pytest.mark.parametrize(
        ("code", "contours"),
        [
            ("MASK_CONTOUR_NOT_PLANAR", [[(4, 3, 3), (4, 3, 9), (5, 9, 9), (4, 9, 3)]]),
            ("MASK_CONTOURS_UNEVEN", [box(k, (3, 3), (9, 9)) for k in (3, 4.3, 5, 6.4)]),
            ("MASK_CONTOURS_UNEVEN", [box(3.4, (3, 3), (9, 9))]),
            ("MASK_CONTOURS_UNEVEN", [box(3, (3, 3), (9, 9)), box(5, (3, 3), (9, 9), tilt=1)]),
            ("MASK_CONTOURS_CROSS", [box(4, (3, 3), (9, 9)), box(4, (6, 6), (12, 12))]),
            ("MASK_CONTOURS_CROSS", [box(4, (3, 3), (9, 9)), box(4, (3, 3), (9, 9))]),
            ("MASK_OUTSIDE_IMAGE", [box(4, (30, 3), (45, 9))]),
            ("MASK_OUTSIDE_IMAGE", [box(16, (3, 3), (9, 9))]),
            ("MASK_EMPTY", [[(4, 3.2, 3.2), (4, 3.2, 3.4), (4, 3.4, 3.3)]]),
            ("CONTOUR_BAD_VALUE", [[(4, 3, 3), (4, 4, 4)]]),
        ],
    )
    def test_contours_that_cant_be_drawn(self, drawn, ct, code, contours):
        fault = fault_of(load_mask, drawn(*contours), Structure.TUMOR, onto=ct[1])
        assert fault.code == code
        assert fault.source.endswith("m.rtstruct.dcm")

    def test_tilted_contours_are_brought_onto_the_slices(self, drawn, ct):
        rings = [box(k, (10, 10), (22, 24), tilt=2) for k in range(3, 9)]
        cautions = []
        mask = load_mask(drawn(*rings), Structure.TUMOR, onto=ct[1], cautions=cautions)
        assert "MASK_RESAMPLED" in [caution.code for caution in cautions]
        assert mask.volume_ml == pytest.approx(6 * 12 * 14 * ct[1].voxel_volume_ml, rel=0.05)

    def test_points_are_no_outline(self, drawn, ct):
        text = drawn([(4, 3, 3)], kind="POINT")
        assert code_of(load_mask, text, Structure.TUMOR, onto=ct[1]) == "MASK_EMPTY"
        text = drawn(box(4, (3, 3), (9, 9)), kind="OPEN_PLANAR")
        assert code_of(load_mask, text, Structure.TUMOR, onto=ct[1]) == "MASK_EMPTY"

    def test_another_frame_of_reference(self, plan, ct):
        edit(plan, lambda d: setattr(d.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.2.3"))
        with pytest.raises(GeometryMismatchError, match=r"FRAME_MISMATCH: --tumor .*m\.rtstruct\.dcm#Tumor 1"):
            load_mask(f"{plan}#Tumor 1", Structure.TUMOR, onto=ct[1], source_name="--tumor")
        assert not load_mask(f"{plan}#zone", Structure.TUMOR, onto=ct[1]).is_empty

    @pytest.mark.parametrize("text", [b"nan", b"inf", b"1,5", b"    "])
    def test_numbers_that_are_none(self, plan, ct, text):
        data = plan.read_bytes()
        number = pydicom.dcmread(plan).ROIContourSequence[0].ContourSequence[0].ContourData[0]
        written = f"{float(number):.4f}".encode()
        plan.write_bytes(data.replace(written, text.ljust(len(written)), 1))
        assert code_of(load_mask, f"{plan}#Tumor 1", Structure.TUMOR, onto=ct[1]) == "CONTOUR_BAD_VALUE"

    def test_fewer_points_than_promised(self, plan, ct):
        def promise(dataset):
            dataset.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints += 1

        edit(plan, promise)
        fault = fault_of(load_mask, f"{plan}#Tumor 1", Structure.TUMOR, onto=ct[1])
        assert (fault.code, fault.attribute) == ("CONTOUR_BAD_VALUE", "ContourData (3006,0050)")

    @pytest.mark.parametrize("undefined", [False, True])
    def test_a_file_cut_short_anywhere_is_never_half_a_mask(self, plan, ct, caplog, undefined):
        def open_ended(dataset):
            dataset["ROIContourSequence"].is_undefined_length = undefined
            for region in dataset.ROIContourSequence:
                region["ContourSequence"].is_undefined_length = undefined

        edit(plan, open_ended)
        whole = plan.read_bytes()
        truth = load_mask(f"{plan}#zone", Structure.TUMOR, onto=ct[1]).voxels
        read = 0
        for end in cuts(whole, step=241):
            plan.write_bytes(whole[:end])
            try:
                voxels = load_mask(f"{plan}#zone", Structure.TUMOR, onto=ct[1]).voxels
            except InputError as error:
                assert error.faults[0].code in DAMAGED  # noqa: PT017
                assert SECRET not in str(error)  # noqa: PT017
            else:
                np.testing.assert_array_equal(voxels, truth)
                read += 1
        assert read < len(cuts(whole, step=241)) / 20
        assert SECRET not in caplog.text
