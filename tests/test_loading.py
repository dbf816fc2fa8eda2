from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from ct_files import CENTER_MM, ct_on, edit, files_of, grid, write_series
from orientations import grid_around

from ablmargin.case import SeriesRecord
from ablmargin.errors import DicomError, GeometryMismatchError, InputError, UsageError
from ablmargin.exampair import check_pair
from ablmargin.imagefile import save_mask, save_volume
from ablmargin.loaded import LoadedImage, PatientDigest
from ablmargin.loading import check_target, load_image, load_mask
from ablmargin.regrid import require_inside, resampled
from ablmargin.volume import LabelMask, Structure


def ball(geometry, radius_mm=9.0, offset_mm=(0.0, 0.0, 0.0)):
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    center = np.array(CENTER_MM) + offset_mm
    inside = np.linalg.norm(points - center, axis=-1) <= radius_mm
    return LabelMask(voxels=inside, geometry=geometry, structure=Structure.TUMOR)


def soft_ball(geometry, radius_mm=9.0):
    """Shares of the voxels from 4 × 4 × 4 points in each."""
    steps = (np.arange(4) - 1.5) / 4
    index = np.moveaxis(np.indices(geometry.shape), 0, -1)
    total = np.zeros(geometry.shape)
    for shift in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
        total += np.linalg.norm(geometry.points_at(index + shift) - CENTER_MM, axis=-1) <= radius_mm
    return LabelMask.soft(total / 64, geometry=geometry, structure=Structure.TUMOR)


def codes(error):
    return [fault.code for fault in error.value.faults]


class TestImages:
    def test_all_formats_give_the_same(self, tmp_path):
        volume = ct_on(grid())
        write_series(tmp_path / "dicom")
        for ending in ("nii.gz", "nrrd", "mha"):
            save_volume(volume, tmp_path / f"a.{ending}")
        for path in ("dicom", "a.nii.gz", "a.nrrd", "a.mha"):
            loaded = load_image(tmp_path / path)
            np.testing.assert_array_equal(loaded.volume.voxels_hu, volume.voxels_hu)
            assert loaded.volume.geometry.same_grid_as(volume.geometry)
            assert loaded.record.slices == 16
            assert loaded.record.sha256
        assert load_image(tmp_path / "dicom").record.acquired == "2026-01-10T09:00:00"

    def test_several_series_need_a_choice(self, tmp_path):
        write_series(tmp_path / "a", series_number=1, series_description="arterial")
        write_series(tmp_path / "b", grid((12, 40, 44)), series_number=2, series_description="venous")
        with pytest.raises(DicomError) as caught:
            load_image(tmp_path)
        assert codes(caught) == ["SERIES_AMBIGUOUS"]
        for words in ("1 'arterial' (16 slices at 2.50 mm, kernel STANDARD", "; 2 'venous' (12 slices at 2.50 mm"):
            assert words in str(caught.value)
        chosen = load_image(tmp_path, series="2")
        assert chosen.volume.geometry.shape[0] == 12
        assert load_image(tmp_path, series=chosen.record.series_uid).record.sha256 == chosen.record.sha256
        with pytest.raises(UsageError, match="no series '3'"):
            load_image(tmp_path, series="3")

    def test_the_only_one_that_can_serve_is_taken(self, tmp_path):
        write_series(tmp_path / "a")
        for name in files_of(write_series(tmp_path / "b", series_number=2))[1:]:
            name.unlink()
        assert load_image(tmp_path).volume.geometry.shape[0] == 16

    def test_no_ct_at_all(self, tmp_path):
        with pytest.raises(DicomError) as caught:
            load_image(tmp_path)
        assert codes(caught) == ["NO_IMAGE"]
        for name in files_of(write_series(tmp_path)):
            edit(name, lambda d: (setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), setattr(d, "Modality", "MR")))
        with pytest.raises(DicomError, match="MR Image Storage, modality MR"):
            load_image(tmp_path)

    def test_nothing_at_the_path(self, tmp_path):
        with pytest.raises(InputError) as caught:
            load_image(tmp_path / "nothing")
        assert codes(caught) == ["PATH_MISSING"]


class TestMasks:
    def test_on_the_same_grid_nothing_changes(self, tmp_path):
        image = grid(frame_uid="1.2.3")
        mask = ball(image)
        save_mask(mask, tmp_path / "m.nii.gz")
        cautions = []
        loaded = load_mask(
            f"{tmp_path}/m.nii.gz", Structure.TUMOR, onto=image, source_name="--tumor", cautions=cautions
        )
        np.testing.assert_array_equal(loaded.voxels, mask.voxels)
        assert loaded.geometry == image
        assert loaded.origin.name == "--tumor m.nii.gz"
        assert cautions == []

    @pytest.mark.parametrize("spacing_mm", [(1.0, 0.7, 0.7), (5.0, 1.1, 0.9), (2.0, 2.0, 2.0)])
    @pytest.mark.parametrize("source", ["LPS", "oblique", "flipped"])
    def test_another_grid_is_resampled_in_space(self, tmp_path, source, spacing_mm):
        shape = tuple(int(40 / step) for step in spacing_mm)
        mask = ball(grid(shape, spacing_mm, orientation=source))
        save_mask(mask, tmp_path / "m.nrrd")
        cautions = []
        image = grid(frame_uid="1.2.3")
        loaded = load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=image, cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_RESAMPLED"]
        assert loaded.geometry == image
        # Kept to a voxel, but voxels at equal depth come together: symmetric shapes have several of them.
        assert loaded.volume_ml == pytest.approx(mask.volume_ml, rel=0.02)
        np.testing.assert_allclose(loaded.voxel_centers_mm().mean(axis=0), CENTER_MM, atol=0.3)

    def test_equal_shapes_are_no_reason_to_match(self, tmp_path):
        """Same array, another place: the mask goes where its header puts it."""
        image = grid()
        moved = replace(image, origin_mm=(image.origin_mm[0] + 3.6, *image.origin_mm[1:]))
        save_mask(replace(ball(image), geometry=moved), tmp_path / "m.nrrd")
        loaded = load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=image)
        np.testing.assert_allclose(loaded.voxel_centers_mm().mean(axis=0) - CENTER_MM, (3.6, 0, 0), atol=0.1)

    def test_a_mask_that_leaves_the_image(self, tmp_path):
        image = grid()
        for number, offset_mm in enumerate([14.0, 400.0]):
            far = grid_around(
                (CENTER_MM[0] + offset_mm, *CENTER_MM[1:]), shape=(16, 40, 44), spacing_mm=(2.5, 1.1, 0.9)
            )
            save_mask(ball(far, offset_mm=(offset_mm, 0, 0)), tmp_path / f"{number}.nrrd")
            with pytest.raises(GeometryMismatchError) as caught:
                load_mask(f"{tmp_path}/{number}.nrrd", Structure.TUMOR, onto=image, source_name="--tumor")
            assert codes(caught) == ["MASK_OUTSIDE_IMAGE"]
            assert "--tumor" in str(caught.value)

    @pytest.mark.parametrize("orientation", ["LPS", "oblique"])
    def test_every_voxel_outside_the_image_is_counted(self, orientation):
        image = grid()
        mask = ball(grid((30, 60, 70), (1.5, 0.8, 0.9), orientation=orientation), radius_mm=22.0)
        inside = (np.abs(image.indices_at(mask.voxel_centers_mm()) - (7.5, 19.5, 21.5)) <= (8.0, 20.0, 22.0)).all(
            axis=1
        )
        assert 0 < inside.sum() < len(inside)
        with pytest.raises(GeometryMismatchError) as caught:
            require_inside(mask, image)
        assert f"{(~inside).sum()} of {len(inside)} voxels outside the image" in str(caught.value)
        low, high = mask.voxel_centers_mm().min(axis=0), mask.voxel_centers_mm().max(axis=0)
        assert f"mask {low[0]:.0f}..{high[0]:.0f} × {low[1]:.0f}..{high[1]:.0f} × {low[2]:.0f}..{high[2]:.0f}" in str(
            caught.value
        )

    def test_a_large_mask_is_checked_in_little_memory(self):
        image = grid((100, 200, 200), (1.0, 1.0, 1.0))
        mask = LabelMask(voxels=np.ones(image.shape, bool), geometry=image, structure=Structure.LIVER)
        tracemalloc.start()
        require_inside(mask, image)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 20e6  # the centers of all its voxels alone are 96 MB

    def test_one_voxel_outside_is_enough(self):
        image = grid(orientation="oblique")
        larger = replace(image, shape=(18, 42, 46), origin_mm=tuple(image.points_at([(-1, -1, -1)])[0]))
        for index in [(0, 20, 20), (17, 20, 20), (8, 0, 20), (8, 41, 20), (8, 20, 0), (8, 20, 45)]:
            voxels = np.zeros(larger.shape, bool)
            voxels[1:-1, 1:-1, 1:-1] = True
            require_inside(LabelMask(voxels=voxels, geometry=larger, structure=Structure.TUMOR), image)
            voxels[index] = True
            with pytest.raises(GeometryMismatchError, match=r"1 of 28161 voxels"):
                require_inside(LabelMask(voxels=voxels, geometry=larger, structure=Structure.TUMOR), image)

    def test_a_mask_too_small_for_the_grid_is_told(self, tmp_path):
        fine = grid((60, 60, 60), (0.5, 0.5, 0.5))
        save_mask(ball(fine, radius_mm=0.9), tmp_path / "m.nrrd")
        cautions = []
        load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=grid(), cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_RESAMPLED", "MASK_VOLUME_CHANGED"]

    def test_without_an_image_a_mask_keeps_its_grid(self, tmp_path):
        mask = ball(grid(orientation="oblique"))
        save_mask(mask, tmp_path / "m.nrrd")
        loaded = load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=None)
        np.testing.assert_array_equal(loaded.voxels, mask.voxels)
        assert loaded.geometry.same_grid_as(mask.geometry)

    def test_no_folder_of_a_mask_is_kept(self, tmp_path):
        """Folders are named after patients; what is loaded goes into results."""
        folder = tmp_path / "SMITH_JOHN"
        save_mask(ball(grid((60, 60, 60), (0.5, 0.5, 0.5)), radius_mm=0.9), folder / "m.nrrd")
        cautions = []
        loaded = load_mask(f"{folder}/m.nrrd#1", Structure.TUMOR, onto=grid(), source_name="--tumor", cautions=cautions)
        assert len(cautions) == 2
        for text in (loaded.origin.name, *(caution.message for caution in cautions)):
            assert "--tumor m.nrrd#1" in text
            assert "SMITH" not in text
        assert load_mask(f"{folder}/m.nrrd", Structure.TUMOR, onto=None).origin.name == "m.nrrd"

    def test_a_refused_mask_is_named_as_the_user_did(self, tmp_path):
        far = grid_around((CENTER_MM[0] + 400.0, *CENTER_MM[1:]))
        save_mask(ball(far, offset_mm=(400.0, 0, 0)), tmp_path / "deep" / "m.nrrd")
        with pytest.raises(GeometryMismatchError, match=f"--tumor {tmp_path}/deep/m.nrrd: "):
            load_mask(f"{tmp_path}/deep/m.nrrd", Structure.TUMOR, onto=grid(), source_name="--tumor")

    def test_thick_slices_are_remembered_on_a_finer_grid(self, tmp_path):
        save_mask(ball(grid((8, 40, 44), (6.0, 1.1, 0.9))), tmp_path / "m.nrrd")
        loaded = load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=grid((40, 40, 44), (1.0, 1.1, 0.9)))
        assert loaded.geometry.spacing_mm[0] == 1.0
        assert loaded.origin.drawn_spacing_mm == pytest.approx((6.0, 1.1, 0.9))
        assert loaded.coarsest_spacing_mm == pytest.approx(6.0)

    @pytest.mark.parametrize("orientation", ["LPS", "oblique", "flipped"])
    @pytest.mark.parametrize("spacing_mm", [(1.0, 0.7, 0.7), (5.0, 1.1, 0.9), (2.0, 2.0, 2.0)])
    def test_a_soft_mask_stays_soft_on_another_grid(self, tmp_path, orientation, spacing_mm):
        """Volume and center of an ellipsoid drawn by shares; interpolation and averaging keep both."""
        shape = tuple(int(40 / step) for step in spacing_mm)
        source = grid(shape, spacing_mm, orientation=orientation)
        save_mask(soft_ball(source), tmp_path / "m.nrrd")
        cautions = []
        image = grid(frame_uid="1.2.3")
        loaded = load_mask(f"{tmp_path}/m.nrrd", Structure.TUMOR, onto=image, cautions=cautions)
        assert [caution.code for caution in cautions] == ["MASK_SOFT", "MASK_RESAMPLED"]
        assert loaded.fractions is not None
        assert loaded.volume_ml == pytest.approx(soft_ball(source).volume_ml, rel=0.01)
        center = np.average(
            image.points_at(np.argwhere(loaded.fractions)), axis=0, weights=loaded.fractions[loaded.fractions > 0]
        )
        np.testing.assert_allclose(center, CENTER_MM, atol=0.05)

    def test_a_coarser_grid_gets_the_mean_share(self):
        fine = grid((20, 20, 20), (1.0, 1.0, 1.0))
        coarse = replace(
            fine, shape=(5, 20, 20), spacing_mm=(4.0, 1.0, 1.0), origin_mm=tuple(fine.points_at([1.5, 0, 0]))
        )
        fractions = np.zeros(fine.shape, np.float32)
        fractions[4:10, 5:15, 5:15] = 1.0
        fractions[10, 5:15, 5:15] = 0.5
        soft = LabelMask.soft(fractions, geometry=fine, structure=Structure.TUMOR)
        assert resampled(soft, coarse).fractions[:, 10, 10] == pytest.approx([0.0, 1.0, 0.625, 0.0, 0.0], abs=1e-6)

    def test_a_soft_mask_on_the_same_grid_is_taken_as_it_is_and_a_soft_liver_is_not(self, tmp_path):
        image = grid(frame_uid="1.2.3")
        mask = soft_ball(image)
        save_mask(mask, tmp_path / "m.nii.gz")
        for structure, fractions in ((Structure.ABLATION_ZONE, mask.fractions), (Structure.LIVER, None)):
            cautions = []
            loaded = load_mask(f"{tmp_path}/m.nii.gz", structure, onto=image, source_name="--x", cautions=cautions)
            np.testing.assert_array_equal(loaded.fractions, fractions)
            np.testing.assert_array_equal(loaded.voxels, mask.voxels)
            assert [caution.code for caution in cautions] == ["MASK_SOFT"]
            assert cautions[0].message.startswith("--x m.nii.gz holds shares of voxels")

    def test_label_after_a_hash(self, tmp_path):
        image = grid()
        array = np.array(ball(image).voxels, np.uint8)
        array[0, 0, 0] = 2
        from ablmargin.itk import image_of

        sitk.WriteImage(image_of(array, image), tmp_path / "m#1.nrrd")
        assert np.count_nonzero(load_mask(f"{tmp_path}/m#1.nrrd#2", Structure.TUMOR, onto=image).voxels) == 1
        with pytest.raises(InputError) as caught:
            load_mask(f"{tmp_path}/m#1.nrrd", Structure.TUMOR, onto=image)
        assert codes(caught) == ["MASK_SEVERAL_LABELS"]

    def test_other_formats(self, tmp_path):
        (tmp_path / "m.dcm").write_bytes(b"")
        with pytest.raises(InputError, match=r"MASK_FORMAT.*\.nii"):
            load_mask(f"{tmp_path}/m.dcm#Tumor", Structure.TUMOR, onto=grid())
        with pytest.raises(InputError, match=r"--tumor .*none.nrrd#2: found nothing there") as caught:
            load_mask(f"{tmp_path}/none.nrrd#2", Structure.TUMOR, onto=grid(), source_name="--tumor")
        assert codes(caught) == ["PATH_MISSING"]

    def test_targets_keep_away_from_the_border(self):
        image = grid()
        check_target(ball(image))
        with pytest.raises(InputError) as caught:
            check_target(ball(image, radius_mm=60))
        assert codes(caught) == ["TARGET_TOUCHES_EDGE"]
        assert "found a tumor that" in str(caught.value)
        with pytest.raises(InputError, match=r"found an ablation zone that .* a border of at least one voxel"):
            check_target(replace(ball(image, radius_mm=60), structure=Structure.ABLATION_ZONE))


class TestPairs:
    @staticmethod
    def exam(series_uid="1.1", sha256="a", acquired="2026-01-10T09:00:00", patient="P1", birth_date="19600101"):
        return LoadedImage(
            volume=ct_on(grid((3, 5, 5))),
            record=SeriesRecord(series_uid=series_uid, sha256=sha256, acquired=acquired, name=f"folder-{series_uid}"),
            identity=PatientDigest.of(patient_id=patient, birth_date=birth_date, sex=""),
        )

    def later(self, **changes):
        return self.exam(**{"series_uid": "2.2", "sha256": "b", "acquired": "2026-01-12T09:00:00"} | changes)

    def test_a_good_pair_has_nothing_to_say(self):
        assert check_pair(self.exam(), self.later()) == ()

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"series_uid": "1.1"}, "SAME_SERIES"),
            ({"sha256": "a"}, "SAME_SERIES"),
            ({"patient": "P2"}, "PATIENT_MISMATCH"),
            ({"birth_date": "19610101"}, "PATIENT_MISMATCH"),
            ({"acquired": "2026-01-09"}, "ORDER_SUSPECT"),
            ({"acquired": "2026-01-10T08:59:59"}, "ORDER_SUSPECT"),
        ],
    )
    def test_what_is_refused(self, changes, code):
        with pytest.raises(InputError) as caught:
            check_pair(self.exam(), self.later(**changes))
        assert codes(caught) == [code]
        assert "P1" not in str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"patient": ""}, "PATIENT_UNVERIFIED"),
            ({"acquired": None}, "ORDER_UNKNOWN"),
            ({"acquired": "2026-01-10"}, "ORDER_UNKNOWN"),
        ],
    )
    def test_what_is_told(self, changes, code):
        assert [caution.code for caution in check_pair(self.exam(), self.later(**changes))] == [code]

    def test_all_at_once(self):
        with pytest.raises(InputError) as caught:
            check_pair(self.exam(), self.exam(patient="P2"))
        assert codes(caught) == ["SAME_SERIES", "PATIENT_MISMATCH"]

    def test_100_wrong_pairs_and_10_right_ones(self):
        pre = [self.exam(patient=f"P{n}") for n in range(10)]
        post = [self.later(patient=f" p{n} ") for n in range(10)]  # padding and case don't make another patient
        for one in range(10):
            for other in range(10):
                if one == other:
                    assert check_pair(pre[one], post[other]) == ()
                else:
                    with pytest.raises(InputError):
                        check_pair(pre[one], post[other])

    def test_a_digest_names_nobody(self):
        digest = PatientDigest.of(patient_id="SECRET", birth_date="19600101", sex="F")
        assert repr(digest) == "PatientDigest(...)"
        assert "SECRET" not in str(digest.patient_id)

    def test_a_copy_under_new_uids_is_seen(self, tmp_path):
        pre = load_image(write_series(tmp_path / "a"))
        post = load_image(write_series(tmp_path / "b", study_date="20260120", seed=4))
        with pytest.raises(InputError) as caught:
            check_pair(pre, post)
        assert codes(caught) == ["SAME_SERIES"]
