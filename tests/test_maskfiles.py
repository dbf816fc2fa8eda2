from __future__ import annotations

import json
import shutil

import numpy as np
import pydicom
import pytest
from ct_files import edit, grid, write_series
from mask_files import ball, code_of, fault_of, series, soft_ball

import ablmargin
from ablmargin.errors import UsageError
from ablmargin.intake import open_masks
from ablmargin.loading import load_mask
from ablmargin.maskfiles import load_mask_from, save_mask, save_masks
from ablmargin.volume import LabelMask, Structure
from ablmargin_cli.main import main

ALL_FORMATS = ["nii", "nii.gz", "nrrd", "mha", "seg.nrrd", "dcm", "rtstruct.dcm"]


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return series(tmp_path_factory.mktemp("ct") / "s")


class TestFormats:
    @pytest.mark.parametrize("ending", ALL_FORMATS)
    def test_a_mask_comes_back_voxel_by_voxel(self, tmp_path, ending, orientation):
        folder, geometry = series(tmp_path / "ct", grid((9, 30, 34), (5.0, 0.8, 0.7), orientation=orientation))
        mask = ball(geometry)
        path = tmp_path / f"m.{ending}"
        ablmargin.save_mask(mask, path, source=folder)
        cautions = []
        loaded = ablmargin.load_mask(str(path), Structure.TUMOR, onto=geometry, cautions=cautions)
        np.testing.assert_array_equal(loaded.voxels, mask.voxels)
        assert loaded.geometry == geometry
        assert loaded.origin.sha256
        assert cautions == []
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["ct", path.name])

    @pytest.mark.parametrize("ending", ["nrrd", "mha", "nii.gz", "dcm"])
    def test_a_soft_mask_comes_back(self, ct, tmp_path, ending):
        folder, geometry = ct
        mask = soft_ball(geometry)
        save_mask(mask, tmp_path / f"m.{ending}", source=folder)
        loaded = load_mask(f"{tmp_path}/m.{ending}", Structure.TUMOR, onto=geometry)
        np.testing.assert_allclose(loaded.fractions, mask.fractions, atol=1e-6)

    def test_names_of_segments(self, ct, tmp_path):
        folder, geometry = ct
        for ending in ("seg.nrrd", "dcm", "rtstruct.dcm"):
            path = tmp_path / f"m.{ending}"
            save_mask(ball(geometry), path, source=folder)
            load_mask(f"{path}#tumor", Structure.TUMOR, onto=geometry)
            save_mask(ball(geometry), path, source=folder, name="Metastasis in VII")
            load_mask(f"{path}#Metastasis in VII", Structure.TUMOR, onto=geometry)

    @pytest.mark.parametrize("ending", ["seg.nrrd", "dcm", "rtstruct.dcm"])
    def test_names_in_any_script(self, tmp_path, ending):
        folder, geometry = series(tmp_path / "ct", patient_name="Müller^Jörg")
        for file in folder.iterdir():
            edit(file, lambda dataset: setattr(dataset, "SpecificCharacterSet", "ISO_IR 100"))
        path = tmp_path / f"m.{ending}"
        save_mask(ball(geometry), path, source=folder, name="Läsion 肝")
        load_mask(f"{path}#Läsion 肝", Structure.TUMOR, onto=geometry)
        if ending.endswith("dcm"):
            assert str(pydicom.dcmread(path).PatientName) == "Müller^Jörg"

    def test_what_a_format_cant_hold(self, ct, tmp_path):
        folder, geometry = ct
        two = {"a": ball(geometry), "b": ball(geometry, "zone")}
        for masks, name in ((two, "m.nrrd"), (two, "m.stl"), ({}, "m.dcm"), ({"a": ball(geometry)}, "m.xyz")):
            with pytest.raises(UsageError):
                save_masks(masks, tmp_path / name, source=folder)
        with pytest.raises(UsageError, match="one grid"):
            save_masks({"a": ball(geometry), "b": ball(grid((9, 40, 44)))}, tmp_path / "m.dcm", source=folder)
        assert not list(tmp_path.iterdir())


class TestFinding:
    @pytest.mark.parametrize("ending", ["dcm", "rtstruct.dcm"])
    def test_a_folder_with_one_object_or_a_file_of_any_name(self, ct, tmp_path, ending):
        folder, geometry = ct
        save_mask(ball(geometry), tmp_path / f"m.{ending}", source=folder)
        export = tmp_path / "export"
        shutil.copytree(folder, export / "ct")
        (export / "notes.txt").write_text("no DICOM")
        (export / "deep").mkdir()
        shutil.copy(tmp_path / f"m.{ending}", export / "deep" / "IM000001")
        truth = ball(geometry).voxels
        for text in (f"{export}", f"{export}#tumor", f"{export}/deep/IM000001#1"):
            np.testing.assert_array_equal(load_mask(text, Structure.TUMOR, onto=geometry).voxels, truth)

    def test_a_folder_with_several_or_none(self, ct, tmp_path):
        folder, geometry = ct
        fault = fault_of(load_mask, str(folder), Structure.TUMOR, onto=geometry, source_name="--tumor")
        assert (fault.code, fault.source) == ("MASK_FORMAT", f"--tumor {folder}")
        save_mask(ball(geometry), tmp_path / "a.dcm", source=folder)
        save_mask(ball(geometry), tmp_path / "b.rtstruct.dcm", source=folder)
        fault = fault_of(load_mask, str(tmp_path), Structure.TUMOR, onto=geometry)
        assert fault.code == "MASK_SEVERAL_FILES"
        assert "a.dcm, b.rtstruct.dcm" in fault.found

    def test_other_files(self, ct, tmp_path):
        folder, geometry = ct
        image = next(folder.iterdir())
        assert "CT Image Storage" in fault_of(load_mask, str(image), Structure.TUMOR, onto=geometry).found
        (tmp_path / "m.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"garbage" * 9)
        (tmp_path / "m.stl").write_text("solid")
        (tmp_path / "empty.dcm").touch()
        for name in ("m.dcm", "m.stl", "empty.dcm"):
            assert code_of(load_mask, f"{tmp_path}/{name}", Structure.TUMOR, onto=geometry) == "MASK_FORMAT"


class TestOtherGrids:
    def test_fewer_rows_and_columns_of_the_same_voxels_are_no_resampling(self, ct, tmp_path):
        _, geometry = ct
        smaller, part = series(tmp_path / "part", geometry.cropped((2, 5, 6), (15, 38, 40)))
        save_mask(ball(part), tmp_path / "m.dcm", source=smaller)
        cautions = []
        loaded = load_mask(f"{tmp_path}/m.dcm", Structure.TUMOR, onto=geometry, cautions=cautions)
        np.testing.assert_array_equal(loaded.voxels, ball(geometry).voxels)
        assert cautions == []

    def test_other_rows_and_columns_are_resampled_by_place(self, ct, tmp_path):
        _, geometry = ct
        folder, fine = series(tmp_path / "fine", grid((30, 60, 66), (1.25, 0.7, 0.6), frame_uid=geometry.frame_uid))
        save_mask(ball(fine), tmp_path / "m.dcm", source=folder)
        cautions = []
        loaded = load_mask(f"{tmp_path}/m.dcm", Structure.TUMOR, onto=geometry, cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_RESAMPLED"]
        assert loaded.volume_ml == pytest.approx(ball(fine).volume_ml, rel=0.03)
        middle = ball(fine).voxel_centers_mm().mean(axis=0)
        np.testing.assert_allclose(loaded.voxel_centers_mm().mean(axis=0), middle, atol=0.2)


class TestWithoutImages:
    @pytest.mark.parametrize("ending", ["seg.nrrd", "dcm", "rtstruct.dcm"])
    def test_the_margin_is_the_same_as_from_plain_volumes(self, ct, tmp_path, capsys, ending):
        folder, geometry = ct
        tumor = ball(geometry)
        voxels = np.linalg.norm(
            geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1)) - tumor.voxel_centers_mm().mean(axis=0),
            axis=-1,
        )
        zone = LabelMask(voxels=voxels <= 11, geometry=geometry, structure=Structure.ABLATION_ZONE)
        save_mask(tumor, tmp_path / "t.nrrd")
        save_mask(zone, tmp_path / "z.nrrd")
        save_masks({"Tumor 1": tumor, "zone": zone}, tmp_path / f"m.{ending}", source=folder)
        found = []
        for words in (
            ("t.nrrd", "z.nrrd"),
            (f"m.{ending}#Tumor 1", f"m.{ending}#zone"),
        ):
            texts = [f"{tmp_path}/{word}" for word in words]
            assert (
                main(["margin", "--tumor", texts[0], "--ablation", texts[1], "--registration-sd", "0.3", "--json"]) == 0
            )
            found.append(json.loads(capsys.readouterr().out)["lesions"][0]["mam_mm"])
        # Contours on a finer grid of their own keep the shape, not the voxels.
        assert found[1] == pytest.approx(found[0], abs=0.3 if ending == "rtstruct.dcm" else 1e-6)

    def test_masks_of_two_frames_are_told_apart(self, ct, tmp_path):
        folder, geometry = ct
        write_series(tmp_path / "post", grid(frame_uid="1.2.3"), series_number=2)
        save_mask(ball(geometry), tmp_path / "a.dcm", source=folder)
        save_mask(ball(geometry.in_frame("1.2.3"), "zone"), tmp_path / "b.dcm", source=tmp_path / "post")
        texts = [f"{tmp_path}/a.dcm", f"{tmp_path}/b.dcm"]
        fault = fault_of(open_masks, tumors=texts[:1], ablations=texts, liver=None)
        assert (fault.code, fault.source) == ("FRAME_MISMATCH", f"--ablation {texts[1]}")
        assert main(["margin", "--tumor", texts[0], "--ablation", texts[1]]) == 3


def test_without_an_image_a_mask_keeps_its_frame_and_spacing(ct, tmp_path):
    folder, geometry = ct
    save_mask(ball(geometry), tmp_path / "m.dcm", source=folder)
    mask = load_mask_from(tmp_path / "m.dcm", None, Structure.TUMOR, onto=None, told=[])
    assert mask.geometry.frame_uid == geometry.frame_uid
    assert mask.origin.drawn_spacing_mm == pytest.approx(geometry.spacing_mm)
