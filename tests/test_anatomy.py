"""Segments and vessels out of files of every format, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from ct_files import CENTER_MM, grid
from mask_files import series

from ablmargin import maskfiles
from ablmargin.anatomy import load_anatomy
from ablmargin.case import Anatomy
from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.itk import image_of
from ablmargin.maskfiles import save_mask, save_masks
from ablmargin.volume import LabelMask, MaskOrigin, Structure
from ablmargin_cli.main import main

NAMES = {"V": "S5", "VI": "Segment 6", "VII": "liver_segment_7", "VIII": "VIII"}
NUMBERS = {"V": 5, "VI": 6, "VII": 7, "VIII": 8}


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return series(tmp_path_factory.mktemp("ct") / "s")


def centers_mm(geometry: Geometry) -> np.ndarray:
    return geometry.points_at(np.stack(np.indices(geometry.shape), axis=-1)) - np.array(CENTER_MM)


def quarters(geometry: Geometry) -> dict[str, LabelMask]:
    """A ball of 11 mm cut in four: VIII is cranial and left, VII cranial and right, V and VI below them."""
    x, y, z = np.moveaxis(centers_mm(geometry), -1, 0)
    liver, left, cranial = x**2 + y**2 + z**2 <= 11**2, x >= 0, z >= 0
    places = {"V": left & ~cranial, "VI": ~left & ~cranial, "VII": ~left & cranial, "VIII": left & cranial}
    return {
        name: LabelMask(voxels=liver & place, geometry=geometry, structure=Structure.LIVER_SEGMENT)
        for name, place in places.items()
    }


def tube(geometry: Geometry) -> LabelMask:
    x, y, _ = np.moveaxis(centers_mm(geometry), -1, 0)
    return LabelMask(voxels=np.hypot(x - 8, y) <= 2.5, geometry=geometry, structure=Structure.VESSELS)


def ball_mask(geometry: Geometry, radius_mm: float, structure: Structure) -> LabelMask:
    voxels = np.linalg.norm(centers_mm(geometry), axis=-1) <= radius_mm
    return LabelMask(voxels=voxels, geometry=geometry, structure=structure)


def write_label_map(path, masks: dict[str, LabelMask], numbers: dict[str, int]) -> None:
    labels = np.zeros(next(iter(masks.values())).geometry.shape, np.uint8)
    for name, mask in masks.items():
        labels[mask.voxels] = numbers[name]
    sitk.WriteImage(image_of(labels, next(iter(masks.values())).geometry), path)


def loaded(segments=None, vessels=None, *, onto, frame=None, cautions=None) -> Anatomy | None:
    return load_anatomy(
        segments and str(segments),
        vessels and str(vessels),
        onto=onto,
        frame=frame or onto,
        cautions=[] if cautions is None else cautions,
    )


def faults(*arguments, **named) -> list:
    with pytest.raises(InputError) as caught:
        loaded(*arguments, **named)
    assert all(fault.remedy for fault in caught.value.faults)
    return list(caught.value.faults)


class TestSegments:
    @pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "seg.nrrd", "dcm", "rtstruct.dcm"])
    def test_all_come_from_one_file(self, ct, tmp_path, ending):
        folder, geometry = ct
        masks, path, cautions = quarters(geometry), tmp_path / f"segments.{ending}", []
        if ending in {"nii.gz", "nrrd"}:
            write_label_map(path, masks, NUMBERS)
        else:
            save_masks({NAMES[name]: mask for name, mask in masks.items()}, path, source=folder)
        anatomy = loaded(path, onto=geometry, cautions=cautions)
        assert list(anatomy.segments) == ["V", "VI", "VII", "VIII"]
        for name, mask in anatomy.segments.items():
            assert mask.structure is Structure.LIVER_SEGMENT
            assert mask.origin.sha256
            assert mask.geometry.shape < geometry.shape  # cut to its box
            moved = np.sort(mask.voxel_centers_mm(), axis=0) - np.sort(masks[name].voxel_centers_mm(), axis=0)
            assert np.abs(moved).max() < 1e-3
        assert cautions == []

    def test_the_file_is_read_once(self, ct, tmp_path, monkeypatch):
        _, geometry = ct
        write_label_map(tmp_path / "s.nii.gz", quarters(geometry), NUMBERS)
        calls, read = [], maskfiles.imagefile._read
        monkeypatch.setattr(maskfiles.imagefile, "_read", lambda *given: calls.append(given) or read(*given))
        loaded(tmp_path / "s.nii.gz", onto=geometry)
        assert len(calls) == 1

    def test_every_unknown_name_is_told(self, ct, tmp_path):
        _, geometry = ct
        masks = quarters(geometry)
        path = tmp_path / "s.seg.nrrd"
        save_masks({"S5": masks["V"], "right lobe": masks["VI"], "Segment 9": masks["VII"]}, path)
        (fault,) = faults(path, onto=geometry)
        assert fault.code == "SEGMENT_UNKNOWN"
        assert "right lobe" in fault.found
        assert "Segment 9" in fault.found
        assert "S5" not in fault.found
        write_label_map(tmp_path / "s.nrrd", masks, {"V": 5, "VI": 6, "VII": 7, "VIII": 9})
        (fault,) = faults(tmp_path / "s.nrrd", onto=geometry)
        assert (fault.code, fault.found[-1]) == ("SEGMENT_UNKNOWN", "9")

    def test_two_segments_of_one_name_are_refused(self, ct, tmp_path):
        _, geometry = ct
        masks = quarters(geometry)
        save_masks({"S5": masks["V"], "Segment V": masks["VI"]}, tmp_path / "s.seg.nrrd")
        (fault,) = faults(tmp_path / "s.seg.nrrd", onto=geometry)
        assert fault.code == "MASK_LABEL_AMBIGUOUS"

    def test_a_mask_of_the_whole_liver_is_not_segment_one(self, ct, tmp_path):
        _, geometry = ct
        save_mask(ball_mask(geometry, 9, Structure.LIVER), tmp_path / "liver.nii.gz")
        (fault,) = faults(tmp_path / "liver.nii.gz", onto=geometry)
        assert fault.code == "MASK_ONE_LABEL"

    def test_shares_of_voxels_are_no_labels(self, ct, tmp_path):
        _, geometry = ct
        shares = np.clip((9 - np.linalg.norm(centers_mm(geometry), axis=-1)) / 4, 0, 1)
        save_mask(LabelMask.soft(shares, geometry=geometry, structure=Structure.LIVER), tmp_path / "soft.nii.gz")
        (fault,) = faults(tmp_path / "soft.nii.gz", onto=geometry)
        assert fault.code == "MASK_NOT_BINARY"

    def test_one_of_them_cannot_be_chosen(self, ct, tmp_path):
        _, geometry = ct
        write_label_map(tmp_path / "s.nrrd", quarters(geometry), NUMBERS)
        (fault,) = faults(f"{tmp_path}/s.nrrd#8", onto=geometry)
        assert fault.code == "MASK_LABEL_CHOSEN"

    def test_nothing_drawn_is_refused(self, ct, tmp_path):
        _, geometry = ct
        sitk.WriteImage(image_of(np.zeros(geometry.shape, np.uint8), geometry), tmp_path / "s.nrrd")
        (fault,) = faults(tmp_path / "s.nrrd", onto=geometry)
        assert fault.code == "MASK_EMPTY"

    def test_segments_that_overlap_are_told(self, ct, tmp_path):
        _, geometry = ct
        masks, cautions = quarters(geometry), []
        masks["VIII"] = replace(masks["VIII"], voxels=masks["VIII"].voxels | masks["VII"].voxels)
        save_masks({NAMES[name]: mask for name, mask in masks.items()}, tmp_path / "s.seg.nrrd")
        loaded(tmp_path / "s.seg.nrrd", onto=geometry, cautions=cautions)
        (caution,) = cautions
        assert caution.code == "SEGMENTS_OVERLAP"
        told_ml = float(caution.message.split()[0])
        assert told_ml == pytest.approx(masks["VII"].volume_ml, abs=0.6)  # printed without decimals

    def test_segments_beside_the_image_or_of_another_frame_are_refused(self, ct, tmp_path):
        folder, geometry = ct
        write_label_map(tmp_path / "s.nrrd", quarters(geometry), NUMBERS)
        far = replace(geometry, origin_mm=tuple(np.add(geometry.origin_mm, 15.0)))
        assert {fault.code for fault in faults(tmp_path / "s.nrrd", onto=far)} == {"MASK_OUTSIDE_IMAGE"}
        save_masks({NAMES[name]: mask for name, mask in quarters(geometry).items()}, tmp_path / "s.dcm", source=folder)
        (fault,) = faults(tmp_path / "s.dcm", onto=None, frame=geometry.in_frame("1.2.3"))
        assert fault.code == "FRAME_MISMATCH"


class TestVessels:
    @pytest.mark.parametrize("ending", ["nii.gz", "seg.nrrd", "dcm"])
    def test_vessels_come_onto_the_image(self, ct, tmp_path, ending):
        folder, geometry = ct
        save_mask(tube(geometry), tmp_path / f"v.{ending}", source=folder)
        anatomy = loaded(None, tmp_path / f"v.{ending}", onto=geometry)
        np.testing.assert_array_equal(anatomy.vessels.voxels, tube(geometry).voxels)
        assert anatomy.vessels.structure is Structure.VESSELS
        assert anatomy.segments == {}

    def test_one_label_of_several_is_chosen_with_a_hash(self, ct, tmp_path):
        _, geometry = ct
        masks = {"vessels": tube(geometry), "tumor": ball_mask(geometry, 3, Structure.TUMOR)}
        save_masks(masks, tmp_path / "both.seg.nrrd")
        (fault,) = faults(None, tmp_path / "both.seg.nrrd", onto=geometry)
        assert fault.code == "MASK_SEVERAL_LABELS"
        assert loaded(None, f"{tmp_path}/both.seg.nrrd#vessels", onto=geometry).vessels is not None

    def test_another_frame_of_reference_is_refused(self, ct, tmp_path):
        folder, geometry = ct
        save_mask(tube(geometry), tmp_path / "v.dcm", source=folder)
        (fault,) = faults(None, tmp_path / "v.dcm", onto=None, frame=geometry.in_frame("1.2.3"))
        assert fault.code == "FRAME_MISMATCH"

    def test_the_faults_of_both_files_are_told_together(self, ct, tmp_path):
        _, geometry = ct
        codes = [fault.code for fault in faults(tmp_path / "no.nrrd", tmp_path / "none.nrrd", onto=geometry)]
        assert codes == ["PATH_MISSING", "PATH_MISSING"]

    def test_nothing_named_is_no_anatomy(self, ct):
        assert loaded(onto=ct[1]) is None


class TestRecord:
    def test_only_masks_of_segments_and_vessels_fit(self):
        geometry = grid()
        with pytest.raises(ValueError, match="segments"):
            Anatomy(segments={"V": tube(geometry)})
        with pytest.raises(ValueError, match="vessels"):
            Anatomy(vessels=ball_mask(geometry, 5, Structure.LIVER))

    def test_a_reader_vouches_for_all_of_them(self):
        made = MaskOrigin(source="automatic", reviewed=False)
        masks = [replace(mask, origin=made) for mask in (quarters(grid())["V"], tube(grid()))]
        vouched = Anatomy(segments={"V": masks[0]}, vessels=masks[1]).reviewed()
        assert vouched.vessels.origin.reviewed
        assert vouched.segments["V"].origin.reviewed


def test_the_margin_command_tells_segments_and_vessel(ct, tmp_path, capsys):
    """The tumor's ball of 4 mm lies around the corner where four segments meet; a vessel runs 8 - 2.5 - 4 mm beside it."""
    _, geometry = ct
    save_mask(ball_mask(geometry, 4, Structure.TUMOR), tmp_path / "t.nrrd")
    save_mask(ball_mask(geometry, 7, Structure.ABLATION_ZONE), tmp_path / "a.nrrd")
    save_mask(tube(geometry), tmp_path / "v.nrrd")
    write_label_map(tmp_path / "s.nrrd", quarters(geometry), NUMBERS)
    words = ["margin", "--tumor", f"{tmp_path}/t.nrrd", "--ablation", f"{tmp_path}/a.nrrd", "--json"]
    assert main(words) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main([*words, "--segments", f"{tmp_path}/s.nrrd", "--vessels", f"{tmp_path}/v.nrrd"]) == 0
    told = json.loads(capsys.readouterr().out)
    (lesion,) = told["lesions"]
    assert {one["segment"] for one in lesion["liver_segments"]} == set(NUMBERS)
    assert lesion["outside_segments_share"] == pytest.approx(0, abs=1e-9)
    assert lesion["vessel_distance_mm"] == pytest.approx(1.5, abs=0.4)
    assert {mask["structure"] for mask in told["masks"]} == {"tumor", "ablation", "liver segment", "vessels"}
    assert "VESSEL_NEAR" in {warning["code"] for warning in told["warnings"]}
    added = ("liver_segments", "outside_segments_share", "vessel_distance_mm")
    added += ("vessel_distance_location_mm", "thinnest_at_vessel")
    assert all(plain["lesions"][0][name] is None for name in added)
    same = {name: value for name, value in lesion.items() if name not in added}
    assert same == {name: value for name, value in plain["lesions"][0].items() if name not in added}


def test_only_what_can_be_outlined_is_offered(capsys):
    assert main(["segment", "--image", "x", "--structure", "vessels", "--out", "y.nrrd"]) == 2
    assert "liver" in capsys.readouterr().err
