from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.case import Lesion, RasMutation
from ablmargin.cautions import coarse_slices, finding_cautions, not_reviewed, shape_cautions, too_small
from ablmargin.geometry import Geometry
from ablmargin.metrics.evidence import closest_voxel_mm, is_contradicted
from ablmargin.metrics.shapes import extent_of, left_out_mm, part_volumes_ml, taken_in_mm, without_cavities
from ablmargin.metrics.surface import surface_of
from ablmargin.pipeline import Settings, measure_masks
from ablmargin.registration.transform import RigidTransform
from ablmargin.volume import LabelMask, MaskOrigin, Structure

GRID = grid_around((0, 0, 0), shape=(31, 42, 46), spacing_mm=(1.0, 0.8, 0.7), orientation="oblique")
HOLE_ML = 4 / 3 * np.pi * 2.5**3 / 1000


def voxels_of(center, radius):
    points = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return np.linalg.norm(points - center, axis=-1) <= radius


def mask_of(voxels, structure=Structure.TUMOR, **origin):
    return LabelMask(voxels=voxels, geometry=GRID, structure=structure, origin=MaskOrigin(**origin))


PIERCED = mask_of(voxels_of((0, 0, 0), 11) & ~voxels_of((5, 0, 0), 2.5) & ~voxels_of((-6, 0, 0), 1.6))


class TestParts:
    def test_largest_first(self):
        voxels = voxels_of((0, 0, 0), 4)
        voxels[2, 2, 2:5] = True
        voxels[28, 39, 40] = True
        main, *rest = part_volumes_ml(mask_of(voxels))
        assert main == pytest.approx(4 / 3 * np.pi * 4**3 / 1000, rel=0.05)
        assert rest == pytest.approx([3 * 0.00056, 0.00056])

    def test_corners_hold_together(self):
        voxels = np.zeros(GRID.shape, bool)
        voxels[5, 5, 5] = voxels[6, 6, 6] = True
        assert len(part_volumes_ml(mask_of(voxels))) == 1
        voxels[6, 6, 6], voxels[7, 7, 7] = False, True
        assert len(part_volumes_ml(mask_of(voxels))) == 2


class TestCavities:
    def test_they_are_counted_and_taken_out(self):
        surface = surface_of(PIERCED)
        outer, cavities_ml = without_cavities(surface)
        assert len(cavities_ml) == 2
        assert cavities_ml[0] == pytest.approx(HOLE_ML, rel=0.2)  # 3 to 4 voxels of radius
        assert cavities_ml[0] > cavities_ml[1]
        assert outer.volume_ml == pytest.approx(surface.volume_ml + sum(cavities_ml))
        assert np.linalg.norm(outer.vertices_mm, axis=1).min() > 10

    def test_parts_are_no_cavities_and_nothing_is_changed(self):
        surface = surface_of(mask_of(voxels_of((-6, 0, 0), 4) | voxels_of((6, 0, 0), 4)))
        assert without_cavities(surface) == (surface, ())


class TestStrays:
    SPIKE = np.s_[15, 21, 24:40]

    def test_none_where_the_surface_follows(self):
        mask = mask_of(voxels_of((0, 0, 0), 9))
        surface = surface_of(mask)
        assert len(left_out_mm(mask, surface)) < 0.01 * mask.voxels.sum()  # centers next to the border only
        assert len(taken_in_mm(mask, surface)) < 0.01 * mask.voxels.sum()

    def test_a_spike_that_is_cut_off(self):
        ball = voxels_of((0, 0, 0), 6)
        spiked = ball.copy()
        spiked[self.SPIKE] = True
        left = left_out_mm(mask_of(spiked), surface_of(mask_of(ball)))
        tip = GRID.points_at([(15, 21, 39)])[0]
        assert np.linalg.norm(left - tip, axis=1).min() < 1e-9
        assert len(taken_in_mm(mask_of(spiked), surface_of(mask_of(ball)))) == 0

    def test_a_hole_that_is_filled(self):
        outer, _ = without_cavities(surface_of(PIERCED))
        taken = taken_in_mm(PIERCED, outer)
        assert np.linalg.norm(taken - (5, 0, 0), axis=1).min() < 1.0
        assert len(left_out_mm(PIERCED, outer)) < 0.01 * PIERCED.voxels.sum()


def measured(tumor, zone):
    lesions = [Lesion(lesion_id="1", tumor=tumor)]
    return measure_masks(
        lesions, [zone], liver=None, ras_mutation=RasMutation.UNKNOWN, settings=Settings(), case_id="c"
    )


class TestVoxelsThatContradict:
    """Surfaces made of smoother masks than they are checked against."""

    TUMOR = mask_of(voxels_of((0, 0, 0), 6))
    ZONE = mask_of(voxels_of((0, 0, 0), 11), Structure.ABLATION_ZONE)

    def closest_mm(self, tumor, zone, shift=None):
        own, around = surface_of(self.TUMOR), surface_of(self.ZONE)
        moved = own if shift is None else own.moved(shift, frame_uid=around.frame_uid)
        return closest_voxel_mm(tumor, (own, moved), around, untreated_mm=taken_in_mm(zone, around), transform=shift)

    def test_a_spike_that_the_surface_left_out(self):
        spiked = self.TUMOR.voxels.copy()
        spiked[TestStrays.SPIKE] = True
        distance = np.linalg.norm(GRID.points_at([(15, 21, 39)])[0])
        assert self.closest_mm(mask_of(spiked), self.ZONE) == pytest.approx(11 - distance, abs=0.1)

    def test_a_slit_that_the_surface_bridged(self):
        slit = self.ZONE.voxels.copy()
        slit[15, 21, 35:] = False
        distance = np.linalg.norm(GRID.points_at([(15, 21, 35)])[0]) - 6
        found = self.closest_mm(self.TUMOR, mask_of(slit, Structure.ABLATION_ZONE))
        assert found == pytest.approx(distance, abs=0.1)

    def test_the_tumor_is_checked_where_the_alignment_puts_it(self):
        """Moved by 2 mm along the spike, its tip comes 2 mm closer to the border."""
        spiked = self.TUMOR.voxels.copy()
        spiked[TestStrays.SPIKE] = True
        tip = GRID.points_at([(15, 21, 39)])[0]
        shift = RigidTransform(rotation=np.eye(3), translation_mm=2 * tip / np.linalg.norm(tip))
        found = self.closest_mm(mask_of(spiked), self.ZONE, shift)
        assert found == pytest.approx(9 - np.linalg.norm(tip), abs=0.1)

    def test_nothing_where_they_agree(self):
        assert not is_contradicted(5.0, self.closest_mm(self.TUMOR, self.ZONE))

    @pytest.mark.parametrize(("closest_mm", "is_told"), [(4.9, False), (4.0, True), (None, False)])
    def test_it_is_told(self, closest_mm, is_told):
        assert ("VOXELS_CLOSER" in self.codes(closest_voxel_mm=closest_mm)) is is_told

    @pytest.mark.parametrize(
        ("raw_mm", "is_told"), [(4.1, False), (5.4, False), (3.7, True), (5.7, True), (None, False)]
    )
    def test_a_raw_minimum_farther_off_than_slices_explain(self, raw_mm, is_told):
        """At 5 mm and slices of 1 mm: from 1.05 mm below to 0.55 mm above, less what the surface itself is off by."""
        assert ("RAW_DISAGREES" in self.codes(raw_minimum_mm=raw_mm)) is is_told

    def codes(self, **changed):
        result = measured(self.TUMOR, self.ZONE)
        assert result.lesions[0].margin.minimum_mm == pytest.approx(5.0, abs=0.1)
        lesions = [replace(result.lesions[0], **changed)]
        found = finding_cautions([Lesion(lesion_id="1", tumor=self.TUMOR)], lesions, self.ZONE, result.zone)
        return {caution.code for caution in found}


def full_mask(voxels, spacing_mm=(1.0, 1.0, 1.0), **origin):
    grid = Geometry(shape=voxels.shape, spacing_mm=spacing_mm, origin_mm=(0, 0, 0))
    return LabelMask(voxels=voxels, geometry=grid, structure=Structure.TUMOR, origin=MaskOrigin(**origin))


def ball_voxels(radii, center, shape=(24, 40, 40)):
    """An ellipsoid, radii and center in voxels."""
    away = (np.indices(shape) - np.reshape(center, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))
    return (away**2).sum(axis=0) <= 1


class TestExtent:
    def test_a_stray_voxel_makes_no_slice_thicker(self):
        voxels = np.zeros((20, 30, 30), bool)
        voxels[5, 5:25, 5:25] = True
        voxels[9, 12, 12] = True
        extent = extent_of(full_mask(voxels))
        assert (extent.voxels, extent.across, extent.is_tiny) == (401, 1, True)

    @pytest.mark.parametrize("thick", [1, 2, 3, 6])
    @pytest.mark.parametrize("lean", [(1, 0), (1, 1), (0.5, 0.3)])
    def test_an_oblique_sheet_is_as_thick_as_it_was_drawn(self, thick, lean):
        """``thick`` voxels along the axis that it faces, whichever way it leans."""
        k, j, i = np.indices((40, 24, 24))
        bottom = 5 + np.floor(lean[0] * j / 2 + lean[1] * i / 2)
        sheet = (k >= bottom) & (k < bottom + thick)
        assert extent_of(full_mask(sheet)).across == thick

    def test_the_diagonal_sheet_of_single_voxels(self):
        k, j, i = np.indices((17, 17, 17))
        assert extent_of(full_mask((k == j) & (i > 0))).across == 1

    @pytest.mark.parametrize("across", [3, 4, 5, 8, 15])
    def test_a_ball_is_as_thick_as_it_is_wide(self, across):
        center = 20 + (0.5 if across % 2 == 0 else 0.0)
        ball = ball_voxels((across / 2,) * 3, (center,) * 3, (40, 40, 40))
        assert extent_of(full_mask(ball)).across == across

    @pytest.mark.parametrize("slice_mm", [1.0, 2.0, 3.0])
    def test_no_lesion_of_1_cm_is_tiny(self, slice_mm):
        rng = np.random.default_rng(1)
        for _ in range(40):
            center = np.array([12, 20, 20]) + rng.uniform(-0.5, 0.5, 3)
            extent = extent_of(full_mask(ball_voxels((5 / slice_mm, 5 / 0.7, 5 / 0.7), center)))
            assert not extent.is_tiny
            assert extent.across == pytest.approx(10 / slice_mm, abs=1)  # as it lies on the slices

    def test_what_was_drawn_counts_and_not_how_finely_it_is_told(self):
        """Two slices of 5 mm, as ten of 1 mm."""
        drawn = np.zeros((8, 30, 30), bool)
        drawn[3:5, 8:20, 9:23] = True
        fine = full_mask(drawn.repeat(5, axis=0), drawn_spacing_mm=(5.0, 1.0, 1.0))
        assert extent_of(fine) == extent_of(full_mask(drawn, (5.0, 1.0, 1.0)))
        assert extent_of(fine).across == 2
        assert extent_of(full_mask(drawn.repeat(5, axis=0))).across == 10

    def test_the_largest_part_counts(self):
        voxels = ball_voxels((3, 3, 3), (12, 12, 12))
        voxels[20, :, 20:] = True  # 800 voxels, but one slice
        assert extent_of(full_mask(voxels)).across == 1


class TestWords:
    def test_masks_are_named_as_the_user_did(self):
        dot = np.zeros(GRID.shape, bool)
        dot[15, 21, 23] = dot[2, 2, 2] = True
        named = mask_of(dot, name="--tumor t.nrrd")
        tiny, parts = shape_cautions([Lesion(lesion_id="1", tumor=named)], [])
        assert tiny.message.startswith("--tumor t.nrrd has only 2 voxels")
        assert parts.message.startswith("--tumor t.nrrd has 2 parts")
        assert str(too_small(named)).startswith("The tumor mask has only 2 voxels")

    def test_extent_of_a_flat_mask_in_any_direction(self):
        for axis in range(3):
            voxels = np.zeros(GRID.shape, bool)
            box = [slice(8, 20)] * 3
            box[axis] = slice(10, 12)
            voxels[tuple(box)] = True
            assert extent_of(mask_of(voxels)).across == 2
            assert extent_of(mask_of(voxels)).is_tiny

    @pytest.mark.parametrize(("apart_mm", "told"), [(0.0, ["TUMORS_OVERLAP"]), (3.0, ["TUMORS_OVERLAP"]), (9.0, [])])
    def test_a_tumor_given_twice_is_told(self, apart_mm, told):
        """Two balls of 6 mm radius, 3 mm apart, share 0.63 of their volume; 9 mm apart 0.09."""
        tumors = [mask_of(voxels_of((x_mm, 0, 0), 6)) for x_mm in (0.0, apart_mm)]
        lesions = [Lesion(lesion_id=str(number), tumor=tumor) for number, tumor in enumerate(tumors, start=1)]
        assert [caution.code for caution in shape_cautions(lesions, [])] == told

    def test_hindrances(self):
        mask = mask_of(voxels_of((0, 0, 0), 6))
        drawn = replace(mask, origin=MaskOrigin(source="automatic", method="a network", reviewed=False))
        assert coarse_slices([mask]) == not_reviewed([mask]) == ()
        assert coarse_slices([mask], slices_mm=[3.9]) == ()
        (coarse,) = coarse_slices([mask], slices_mm=[4.0])
        assert coarse.code == "GEOM_COARSE"
        assert coarse.sentence.startswith("With slices of 4.0 mm")
        (told,) = not_reviewed([drawn, drawn])
        assert told.code == "TUMOR_NOT_REVIEWED"
        assert told.sentence.startswith("The tumor was outlined by the software (a network) and not reviewed")
        assert "--reviewed" in told.sentence
        assert not_reviewed([replace(drawn, structure=Structure.ABLATION_ZONE)])[0].code == "ZONE_NOT_REVIEWED"
        edited = replace(drawn, origin=replace(drawn.origin, edited=True))
        assert "edited since" in not_reviewed([edited])[0].sentence
