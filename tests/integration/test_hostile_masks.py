"""Masks as files, as they shouldn't be, through the command ``margin``: the right answer, a refusal, or a word about it."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from orientations import grid_around
from scipy import ndimage

from ablmargin.imagefile import save_mask
from ablmargin.itk import image_of
from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.volume import LabelMask, Structure
from ablmargin_cli.main import main

GRID = grid_around((0, 0, 0), shape=(31, 42, 46), spacing_mm=(1.0, 0.8, 0.7))
TOLERANCE_MM = 0.25
"""A quarter of the slices' spacing."""


def distance_on(grid, center=(0, 0, 0)):
    return np.linalg.norm(grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1)) - center, axis=-1)


def ball(radius, center=(0, 0, 0), grid=GRID):
    return distance_on(grid, center) <= radius


def written(path: Path, array, grid=GRID) -> str:
    """A file of any values, as another program may write it."""
    sitk.WriteImage(image_of(array if array.dtype != np.bool_ else array.astype(np.uint8), grid), path)
    return str(path)


@pytest.fixture
def zone(tmp_path):
    return written(tmp_path / "zone.nrrd", ball(11))


@pytest.fixture
def tumor(tmp_path):
    return written(tmp_path / "tumor.nrrd", ball(6))


@pytest.fixture
def margin(capsys):
    """Runs the command with these tumors and zones; the result, or the words of a refusal."""

    def run(tumors, zones, *more):
        words = [word for text in np.atleast_1d(tumors) for word in ("--tumor", str(text))]
        words += [word for text in np.atleast_1d(zones) for word in ("--ablation", str(text))]
        code = main(["margin", *words, "--registration-sd", "0.3", "--ras-mutation", "wildtype", "--json", *more])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        if code == 0:
            return json.loads(out)
        assert code == 3
        assert out == ""
        return err

    return run


def mam_mm(result):
    (lesion,) = result["lesions"]
    return lesion["mam_mm"]


def warnings(result):
    return {warning["code"]: warning["message"] for warning in result["warnings"]}


class TestValues:
    @pytest.mark.parametrize(
        ("value", "pixel_type"),
        [(255, np.uint8), (2, np.int16), (2, np.float64), (-1, np.int16)],
    )
    def test_a_mask_of_any_one_value_is_that_mask(self, margin, tmp_path, value, pixel_type):
        tumor = written(tmp_path / "tumor.nii.gz", ball(6).astype(pixel_type) * pixel_type(value))
        zone = written(tmp_path / "zone.nii.gz", ball(11).astype(pixel_type) * pixel_type(value))
        result = margin(tumor, zone)
        assert mam_mm(result) == pytest.approx(5.0, abs=TOLERANCE_MM)
        assert result["lesions"][0]["mam_raw_mm"] == pytest.approx(5.0, abs=1.0)
        assert result["warnings"] == []

    @pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_is_no_number_is_refused(self, margin, tmp_path, zone, ending, bad):
        array = ball(6).astype(np.float32)
        array[15, 21, 23] = bad
        assert "MASK_NOT_FINITE" in margin(written(tmp_path / f"t.{ending}", array), zone)

    def test_a_gray_image_and_a_ct_are_refused_by_their_scale(self, margin, tmp_path, zone):
        gray = np.clip(255 * (8 - distance_on(GRID)) / 4, 0, 255)
        assert "scale from 0 to 255" in margin(written(tmp_path / "g.nrrd", gray.astype(np.float32)), zone)
        assert "scale from 0 to 255" in margin(written(tmp_path / "i.nrrd", gray.astype(np.uint8)), zone)
        hounsfield = (60.5 - 100 * ball(6) + distance_on(GRID)).astype(np.float32)
        hounsfield[:3] = -1000.0
        assert "Negative values" in margin(written(tmp_path / "ct.nrrd", hounsfield), zone)

    def test_labels_need_a_choice_and_the_chosen_one_is_measured(self, margin, tmp_path):
        labels = ball(11).astype(np.uint8) * 3
        labels[ball(6)] = 2
        both = written(tmp_path / "labels.nii.gz", labels)
        whole = written(tmp_path / "zone.nii.gz", ball(11))
        refusal = margin(both, whole)
        assert "MASK_SEVERAL_LABELS" in refusal
        assert "2 labels: 2, 3" in refusal
        assert mam_mm(margin(f"{both}#2", whole)) == pytest.approx(5.0, abs=TOLERANCE_MM)
        assert "MASK_LABEL_MISSING" in margin(f"{both}#7", whole)

    def test_all_faults_of_all_masks_are_told_together(self, margin, tmp_path):
        empty = written(tmp_path / "empty.nrrd", np.zeros(GRID.shape, np.uint8))
        full = written(tmp_path / "full.nrrd", np.ones(GRID.shape, np.uint8))
        refusal = margin([empty, written(tmp_path / "cut.nrrd", ball(6, GRID.corners_mm[0]))], full)
        assert refusal.count("TARGET_TOUCHES_EDGE") == 2
        assert refusal.count("MASK_EMPTY") == 1
        assert all(name in refusal for name in ("empty.nrrd", "cut.nrrd", "full.nrrd"))

    def test_no_fault_hides_another(self, margin, tmp_path, zone):
        """A file that isn't there, one without content, a zone without a choice and a liver without a voxel."""
        labels = np.where(ball(6), 2, ball(11).astype(np.uint8)).astype(np.uint8)
        (tmp_path / "nothing.nii.gz").write_bytes(b"")
        refusal = margin(
            [tmp_path / "missing.nrrd", tmp_path / "nothing.nii.gz"],
            written(tmp_path / "labels.nrrd", labels),
            "--liver",
            written(tmp_path / "liver.nrrd", np.zeros(GRID.shape, np.uint8)),
        )
        assert [line.split(": ")[1] for line in refusal.splitlines()] == [
            "PATH_MISSING",
            "FILE_UNREADABLE",
            "MASK_SEVERAL_LABELS",
            "MASK_EMPTY",
        ]
        assert "0 bytes" in refusal

    @pytest.mark.parametrize("top", [100, 255])
    def test_a_probability_map_in_whole_numbers_is_told_how_to_mend(self, margin, tmp_path, zone, top):
        steps = np.zeros(GRID.shape, np.uint8)
        for number, radius_mm in enumerate(range(11, 1, -1), start=1):
            steps[ball(radius_mm)] = number * top // 10
        refusal = margin(written(tmp_path / "soft.nii.gz", steps), zone)
        assert f"scale from 0 to {top}, divide them by it" in refusal
        assert "#" not in refusal
        steps[steps == top] = top - 1
        assert "Choose one with a hash" in margin(written(tmp_path / "labels.nii.gz", steps), zone)


class TestGeometry:
    def test_oblique_grids(self, margin, tmp_path, orientation):
        """Tumor and zone each on a grid of its own, every orientation; the tumor lies 2 mm off center."""
        grid = grid_around((10, -20, 30), orientation=orientation, shape=(31, 42, 46), spacing_mm=(1.0, 0.8, 0.7))
        other = grid_around((10, -20, 30), shape=(26, 30, 34), spacing_mm=(1.2, 1.0, 1.0))
        tumor = written(tmp_path / "t.nii.gz", ball(6, (12, -20, 30), grid), grid)
        zone = written(tmp_path / "z.nii.gz", ball(11, (10, -20, 30), other), other)
        assert mam_mm(margin(tumor, zone)) == pytest.approx(3.0, abs=TOLERANCE_MM)

    def test_equal_arrays_at_different_places_are_not_overlaid(self, margin, tmp_path, zone):
        moved = grid_around((3, 0, 0), shape=GRID.shape, spacing_mm=GRID.spacing_mm)
        tumor = written(tmp_path / "t.nrrd", ball(6), moved)
        assert mam_mm(margin(tumor, zone)) == pytest.approx(2.0, abs=TOLERANCE_MM)

    def test_equal_arrays_in_different_directions_are_not_overlaid(self, margin, tmp_path):
        """The same array in LPS and in RAS: a tumor 4 mm to the left in the one lies 4 mm to the right in the other."""
        tumor, ablated = ball(4, (4, 0, 0)), ball(11, (4, 0, 0))
        turned = grid_around((0, 0, 0), orientation="RAS", shape=GRID.shape, spacing_mm=GRID.spacing_mm)
        zone = written(tmp_path / "z.nrrd", ablated)
        assert mam_mm(margin(written(tmp_path / "a.nrrd", tumor), zone)) == pytest.approx(7.0, abs=TOLERANCE_MM)
        assert mam_mm(margin(written(tmp_path / "b.nrrd", tumor, turned), zone)) == pytest.approx(-1.0, abs=0.3)

    @pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
    def test_spacings_belong_to_their_axes(self, margin, tmp_path, ending):
        """Balls are only balls, and 5 mm are only 5 mm, with each spacing on its own axis."""
        grid = grid_around((0, 0, 0), shape=(15, 42, 54), spacing_mm=(2.5, 0.9, 0.7))
        tumor = written(tmp_path / f"t.{ending}", ball(6, grid=grid), grid)
        result = margin(tumor, written(tmp_path / f"z.{ending}", ball(11, grid=grid), grid))
        assert mam_mm(result) == pytest.approx(5.0, abs=0.4)  # what poles between slices of 2.5 mm leave open
        assert result["lesions"][0]["tumor_volume_ml"] == pytest.approx(4 / 3 * np.pi * 6**3 / 1000, rel=0.06)

    def test_a_sheared_affine_is_refused(self, margin, tmp_path, zone):
        assert "MASK_SHEARED" in margin(nifti(tmp_path / "t.nii", sform={1: 0.2}), zone)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
    def test_a_nifti_without_a_spacing_is_refused(self, margin, tmp_path, zone, bad):
        assert "MASK_NO_GEOMETRY" in margin(nifti(tmp_path / "t.nii", sform={0: bad, 4: bad, 8: bad}), zone)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -0.8])
    def test_a_nifti_whose_qform_has_no_spacing_is_refused(self, margin, tmp_path, zone, bad):
        path = nifti(tmp_path / "t.nii", sform={})
        data = bytearray(path.read_bytes())
        struct.pack_into("<2h", data, 252, 1, 0)
        struct.pack_into("<f", data, 76 + 8, bad)
        path.write_bytes(data)
        assert "MASK_NO_GEOMETRY" in margin(path, zone)

    @pytest.mark.parametrize("bad", ["nan", "inf", "0"])
    def test_a_nrrd_without_a_spacing_is_refused(self, margin, tmp_path, zone, bad):
        path = tmp_path / "t.nrrd"
        written(path, ball(6))
        head, _, data = path.read_bytes().partition(b"\n\n")
        lines = [
            f"space directions: ({bad},0,0) (0,0.8,0) (0,0,1)".encode()
            if line.startswith(b"space directions")
            else line
            for line in head.split(b"\n")
        ]
        path.write_bytes(b"\n".join(lines) + b"\n\n" + data)
        assert "t.nrrd" in margin(path, zone)

    @pytest.mark.parametrize("bad", ["nan", "inf", "0", "-1"])
    def test_a_metaimage_without_a_spacing_is_refused(self, margin, tmp_path, zone, bad):
        path = tmp_path / "t.mha"
        written(path, ball(6))
        data = path.read_bytes()
        first = data.index(b"ElementSpacing = ") + len(b"ElementSpacing = ")
        last = data.index(b"\n", first)
        path.write_bytes(data[:first] + f"0.7 {bad} 1".encode() + data[last:])
        assert "MASK_NO_GEOMETRY" in margin(path, zone)


def nifti(path: Path, *, sform: dict[int, float]) -> Path:
    """The tumor as NIfTI with an sform only, some of whose nine axis components are changed: row by row, RAS+."""
    written(path, ball(6))
    data = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    struct.pack_into("<2h", data, 252, 0, 1)
    for number, value in sform.items():
        row, column = divmod(number, 3)
        struct.pack_into("<f", data, 280 + 4 * (4 * row + column), value)
    path.write_bytes(data)
    return path


class TestShapes:
    def test_a_hole_in_the_zone_counts_and_is_told(self, margin, tmp_path, tumor):
        zone = written(tmp_path / "z.nrrd", ball(11) & ~ball(1.5, (8.5, 0, 0)))
        result = margin(tumor, zone)
        assert mam_mm(result) == pytest.approx(1.0, abs=0.4)  # a hole of 3 or 4 voxels across
        assert f"instead of {mam_mm(result):.1f} mm" in warnings(result)["ZONE_HAS_CAVITY"]

    def test_a_satellite_of_the_zone_is_told(self, margin, tmp_path, tumor):
        zone = written(tmp_path / "z.nrrd", ball(9) | ball(1.5, (13, 0, 11)))
        result = margin(tumor, zone)
        assert mam_mm(result) == pytest.approx(3.0, abs=TOLERANCE_MM)
        assert warnings(result)["ZONE_HAS_PARTS"].startswith("--ablation z.nrrd has 2 parts")

    def test_a_tumor_on_one_slice_gets_no_verdict(self, margin, tmp_path, zone):
        array = ball(6)
        array[:15], array[16:] = False, False
        result = margin(written(tmp_path / "t.nrrd", array), zone)
        assert result["verdict"] == "indeterminate"
        assert "1 across" in warnings(result)["MASK_TINY"]
        assert "1 across" in result["lesions"][0]["reasons"][0]

    def test_disjoint_masks_are_negative_and_told(self, margin, tmp_path):
        grid = grid_around((20, 0, 0), shape=(31, 42, 110), spacing_mm=(1.0, 0.8, 0.7))
        tumor = written(tmp_path / "t.nrrd", ball(6, (43.45, 0, 0), grid), grid)
        result = margin(tumor, written(tmp_path / "z.nrrd", ball(11, grid=grid), grid))
        assert mam_mm(result) == pytest.approx(-38.45, abs=0.3)
        assert result["verdict"] == "inadequate"
        assert "ZONE_NOT_AT_TUMOR" in warnings(result)

    def test_many_tumors_against_the_union_of_many_zones(self, margin, tmp_path):
        grid = grid_around((8, 0, 0), shape=(31, 42, 70), spacing_mm=(1.0, 0.8, 0.7))
        zones = [written(tmp_path / f"z{x}.nrrd", ball(11, (x, 0, 0), grid), grid) for x in (0, 16)]
        tumors = [written(tmp_path / f"t{x}.nrrd", ball(4, (x, 0, 0), grid), grid) for x in (0, 8, 16)]
        first, middle, last = (lesion["mam_mm"] for lesion in margin(tumors, zones)["lesions"])
        assert (first, last) == pytest.approx((7.0, 7.0), abs=TOLERANCE_MM)
        assert middle == pytest.approx(np.sqrt(11**2 - 8**2) - 4, abs=0.9)  # a crease is rounded


class TestSoftMasks:
    @staticmethod
    def shares(radius, grid):
        steps, index = (np.arange(4) - 1.5) / 4, np.moveaxis(np.indices(grid.shape), 0, -1)
        total = np.zeros(grid.shape)
        for shift in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
            total += np.linalg.norm(grid.points_at(index + shift), axis=-1) <= radius
        return (total / 64).astype(np.float32)

    def test_they_are_measured_told_and_recorded(self, margin, tmp_path, zone):
        tumor = written(tmp_path / "soft.nii.gz", self.shares(6, GRID))
        result = margin(tumor, zone)
        assert mam_mm(result) == pytest.approx(5.0, abs=TOLERANCE_MM)
        assert warnings(result)["MASK_SOFT"].startswith("--tumor soft.nii.gz holds shares of voxels")
        methods = {mask["structure"]: mask["method"] for mask in result["masks"]}
        assert methods == {"tumor": "given as a file (shares of voxels)", "ablation": "given as a file"}

    def test_a_second_soft_zone_goes_onto_the_first_ones_grid(self, margin, tmp_path, tumor):
        other = grid_around((0, 0, 0), orientation="oblique", shape=(20, 36, 40), spacing_mm=(1.6, 0.9, 0.8))
        zones = [
            written(tmp_path / "hard.nrrd", ball(8)),
            written(tmp_path / "soft.nrrd", self.shares(11, other), other),
        ]
        result = margin(tumor, zones)
        assert mam_mm(result) == pytest.approx(5.0, abs=TOLERANCE_MM)
        assert list(warnings(result)) == ["MASK_SOFT", "MASK_RESAMPLED"]

    def test_a_label_of_one_is_refused(self, margin, tmp_path, zone):
        tumor = written(tmp_path / "soft.nrrd", self.shares(6, GRID))
        assert "MASK_SOFT_LABEL" in margin(f"{tumor}#1", zone)

    def test_saved_by_us_and_read_again_it_is_the_same(self, margin, tmp_path, zone):
        soft = LabelMask.soft(self.shares(6, GRID), geometry=GRID, structure=Structure.TUMOR)
        save_mask(soft, tmp_path / "ours.nii.gz")
        theirs = written(tmp_path / "theirs.nii.gz", self.shares(6, GRID))
        assert mam_mm(margin(tmp_path / "ours.nii.gz", zone)) == mam_mm(margin(theirs, zone))


@pytest.mark.slow
def test_analyze_keeps_the_shares_of_soft_masks(tmp_path):
    """A simulated patient whose masks are blurred to shares: they are measured, told, and written as they were given."""
    pair = write_pair(simulate_phantom("two-lesions", seed=2, coarse=1.8), tmp_path / "pair")
    soft = {}
    for path in (*pair.tumors, *pair.ablations, pair.liver_pre, pair.liver_post):
        image = sitk.ReadImage(path)
        shares = ndimage.uniform_filter(sitk.GetArrayFromImage(image).astype(np.float32), (1, 3, 3))
        soft[path] = np.clip(shares, 0, 1)
        blurred = sitk.GetImageFromArray(soft[path])
        blurred.CopyInformation(image)
        sitk.WriteImage(blurred, path)
    words = ["--pre", pair.pre, "--post", pair.post, "--liver-pre", pair.liver_pre, "--liver-post", pair.liver_post]
    words += [word for path in pair.tumors for word in ("--tumor", path)]
    words += [word for path in pair.ablations for word in ("--ablation", path)]
    assert main(["analyze", *map(str, words), "--out", str(tmp_path / "case")]) == 0
    result = json.loads((tmp_path / "case" / "result.json").read_text(encoding="utf-8"))
    assert [warning["code"] for warning in result["warnings"]].count("MASK_SOFT") == len(soft)
    kept = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "case" / "masks" / "tumor-1.nii.gz"))
    np.testing.assert_array_equal(kept, soft[pair.tumors[0]])
    truth = json.loads(pair.truth.read_text(encoding="utf-8"))
    for lesion, true_lesion in zip(result["lesions"], truth["lesions"], strict=True):
        assert lesion["mam_mm"] == pytest.approx(true_lesion["mam_mm"], abs=2.5)  # voxels of 2 x 2 x 4.5 mm
