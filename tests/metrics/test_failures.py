"""What goes wrong with masks: each ends in the right margin, in a refusal, or in a result that says what is odd about it.

The plain case: a tumor of 6 mm radius in a zone of 11 mm, so the minimum margin is 5 mm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from orientations import grid_around, rotation

from ablmargin.case import Lesion, RasMutation
from ablmargin.clinical.criteria import Verdict
from ablmargin.errors import EmptyMaskError, GeometryMismatchError, InputError
from ablmargin.geometry import Geometry, triples
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.pipeline import Settings, measure_masks
from ablmargin.volume import LabelMask, Structure

TUMOR, ZONE = Structure.TUMOR, Structure.ABLATION_ZONE
FINE_MM, THICK_MM = (1.0, 0.8, 0.7), (5.0, 0.8, 0.7)
FINE = grid_around((0, 0, 0), shape=(31, 42, 46), spacing_mm=FINE_MM)
THICK = grid_around((0, 0, 0), shape=(9, 42, 46), spacing_mm=THICK_MM)
TOLERANCE_MM = {FINE: 0.25, THICK: 0.6}
"""A quarter of a slice of 1 mm, and what a pole between two slices of 5 mm leaves open."""


def both_grids(test):
    return pytest.mark.parametrize("grid", [FINE, THICK], ids=["1 mm", "5 mm"])(test)


def points_of(grid):
    return grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))


def ball(center, radius, structure=TUMOR, grid=FINE):
    return LabelMask(
        voxels=np.linalg.norm(points_of(grid) - center, axis=-1) <= radius, geometry=grid, structure=structure
    )


def mask_of(voxels, structure=TUMOR, grid=FINE):
    return LabelMask(voxels=voxels, geometry=grid, structure=structure)


def soft_ball(radius, structure, grid):
    """Shares of the voxels from 4 × 4 × 4 points in each."""
    steps, index = (np.arange(4) - 1.5) / 4, np.moveaxis(np.indices(grid.shape), 0, -1)
    total = np.zeros(grid.shape)
    for shift in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
        total += np.linalg.norm(grid.points_at(index + shift), axis=-1) <= radius
    return LabelMask.soft(total / 64, geometry=grid, structure=structure)


def margin_mm(tumor, zone):
    return measure_margin(surface_of(tumor), surface_of(zone)).minimum_mm


def measured(tumors, zones, liver=None):
    lesions = [Lesion(lesion_id=str(number), tumor=tumor) for number, tumor in enumerate(tumors, start=1)]
    settings = Settings.of(seed=0, threads=1, registration_sd_mm=0.3)
    return measure_masks(
        lesions, zones, liver=liver, ras_mutation=RasMutation.WILD_TYPE, settings=settings, case_id="c"
    )


def codes_of(result):
    return [caution.code for caution in result.cautions]


def told(result, code):
    (message,) = [caution.message for caution in result.cautions if caution.code == code]
    return message


def refused(*arguments, **named):
    with pytest.raises(InputError) as caught:
        measured(*arguments, **named)
    return [fault.code for fault in caught.value.faults]


def nothing(structure=TUMOR, grid=FINE):
    return mask_of(np.zeros(grid.shape, bool), structure, grid)


class TestEmpty:
    @pytest.mark.parametrize("structure", [TUMOR, ZONE])
    def test_an_empty_mask_has_no_surface_and_no_raw_margin(self, structure):
        with pytest.raises(EmptyMaskError, match=f"the {structure} mask"):
            surface_of(nothing(structure))
        masks = {TUMOR: ball((0, 0, 0), 6), ZONE: ball((0, 0, 0), 11, ZONE)} | {structure: nothing(structure)}
        with pytest.raises(EmptyMaskError):
            raw_minimum_mm(masks[TUMOR], masks[ZONE])

    def test_all_empty_masks_are_told_together(self):
        assert refused([nothing(), ball((0, 0, 0), 6)], [nothing(ZONE)]) == ["MASK_EMPTY", "MASK_EMPTY"]

    def test_an_empty_zone_beside_a_good_one_is_refused_as_well(self):
        assert refused([ball((0, 0, 0), 6)], [ball((0, 0, 0), 11, ZONE), nothing(ZONE)]) == ["MASK_EMPTY"]


class TestEdge:
    def test_a_zone_that_fills_the_grid_is_refused(self):
        everything = mask_of(np.ones(FINE.shape, bool), ZONE)
        assert refused([ball((0, 0, 0), 6)], [everything]) == ["TARGET_TOUCHES_EDGE"]

    def test_a_tumor_and_a_zone_cut_by_the_edge_are_refused_together(self):
        edge = (0.0, 0.0, FINE.corners_mm[:, 2].max())
        assert refused([ball(edge, 6)], [ball(edge, 11, ZONE)]) == ["TARGET_TOUCHES_EDGE", "TARGET_TOUCHES_EDGE"]

    def test_one_voxel_from_the_edge_is_far_enough(self):
        """The true margin of 5 mm, though the zone's last voxels are the grid's last but one."""
        zone = ball((0, 0, 0), 11, ZONE)
        start, stop = zone.bounding_box(pad_mm=0.7)
        grid = FINE.cropped([k - 1 if k else 0 for k in start], stop)
        tumor, zone = ball((0, 0, 0), 6, grid=grid), ball((0, 0, 0), 11, ZONE, grid=grid)
        assert not zone.touches_border()
        assert margin_mm(tumor, zone) == pytest.approx(5.0, abs=TOLERANCE_MM[FINE])

    @both_grids
    def test_the_edge_is_never_taken_for_margin(self, grid):
        """Surfaces of cut masks are closed at the edge, which makes the margin smaller than the true one, never larger."""
        edge = (0.0, 0.0, grid.corners_mm[:, 2].max())
        assert margin_mm(ball(edge, 6, grid=grid), ball(edge, 11, ZONE, grid=grid)) < 5.0


class TestPlaces:
    @both_grids
    def test_identical_masks_have_no_margin(self, grid):
        """To the precision of the arithmetic: both surfaces are the same triangles."""
        mask = ball((0.3, -0.2, 0.4), 8, grid=grid)
        surface = surface_of(mask)
        assert np.abs(measure_margin(surface, surface_of(replace(mask, structure=ZONE))).margin_mm).max() < 1e-6

    def test_disjoint_masks_have_a_negative_margin(self):
        """Center to center 43.45 mm, so the far side of the tumor lies 38.45 mm outside of the zone."""
        grid = grid_around((20, 0, 0), shape=(31, 42, 110), spacing_mm=FINE_MM)
        tumor, zone = ball((43.45, 0, 0), 6, grid=grid), ball((0, 0, 0), 11, ZONE, grid=grid)
        assert margin_mm(tumor, zone) == pytest.approx(-38.45, abs=0.3)  # a voxel's half on each side, at worst
        assert raw_minimum_mm(tumor, zone) == pytest.approx(-38.45, abs=1.5)  # from voxel to voxel
        result = measured([tumor], [zone])
        assert "ZONE_NOT_AT_TUMOR" in codes_of(result)
        assert result.verdict is Verdict.INADEQUATE

    def test_grids_of_their_own_meet_in_space(self):
        """Other shape, spacing, origin and direction: nothing but world coordinates may count."""
        axes = np.array(FINE.directions) @ rotation(25, -15, 40).T
        turned = replace(
            grid_around((0, 0, 0), shape=(36, 30, 33), spacing_mm=(0.9, 1.1, 1.0)),
            directions=triples(axes),
            origin_mm=tuple(-(np.array([35, 29, 32]) / 2 * (0.9, 1.1, 1.0)) @ axes),
        )
        tumor = ball((3, 0, 0), 6, grid=turned)
        assert margin_mm(tumor, ball((0, 0, 0), 11, ZONE)) == pytest.approx(2.0, abs=TOLERANCE_MM[FINE])

    def test_equal_shapes_on_shifted_grids_are_not_taken_for_equal_places(self):
        tumor = ball((0, 0, 0), 6)
        moved = replace(tumor, geometry=replace(FINE, origin_mm=tuple(np.add(FINE.origin_mm, (3, 0, 0)))))
        zone = ball((0, 0, 0), 11, ZONE)
        assert margin_mm(moved, zone) == pytest.approx(2.0, abs=TOLERANCE_MM[FINE])
        with pytest.raises(GeometryMismatchError, match="GRID_MISMATCH"):
            raw_minimum_mm(moved, zone)

    def test_every_orientation_gives_the_same(self, orientation):
        grid = grid_around((10, -20, 30), orientation=orientation, shape=(31, 42, 46), spacing_mm=FINE_MM)
        tumor, zone = ball((12, -20, 30), 6, grid=grid), ball((10, -20, 30), 11, ZONE, grid=grid)
        assert margin_mm(tumor, zone) == pytest.approx(3.0, abs=TOLERANCE_MM[FINE])

    def test_the_spacing_belongs_to_the_axes(self):
        """The margin along the slices is 3 mm, along the columns 8 mm; with the spacings swapped it would be another.

        To half a millimeter, as the zone's pole lies between two slices of 2 mm.
        """
        grid = grid_around((0, 0, 0), shape=(24, 46, 58), spacing_mm=(2.0, 0.8, 0.7))
        zone = mask_of(np.linalg.norm(points_of(grid) / (14, 14, 9), axis=-1) <= 1, ZONE, grid)
        assert margin_mm(ball((0, 0, 0), 6, grid=grid), zone) == pytest.approx(3.0, abs=0.5)


class TestWhatIsNoMask:
    @pytest.mark.parametrize("value", [1, 2, 255])
    def test_numbers_are_not_taken_for_voxels(self, value):
        labels = ball((0, 0, 0), 6).voxels.astype(np.uint8) * value
        with pytest.raises(TypeError, match="must be bool, not uint8"):
            mask_of(labels)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5, 1.5, 255.0])
    def test_shares_that_are_none(self, bad):
        shares = np.zeros(FINE.shape)
        shares[10:15, 10:15, 10:15], shares[12, 12, 12] = 1.0, bad
        with pytest.raises(ValueError, match="between 0 and 1"):
            LabelMask.soft(shares, geometry=FINE, structure=TUMOR)

    def test_voxels_of_another_shape_than_the_grid(self):
        with pytest.raises(ValueError, match="shape"):
            mask_of(np.zeros((46, 42, 31), bool))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_spacing_that_is_none(self, axis, bad):
        spacing = [1.0, 0.8, 0.7]
        spacing[axis] = bad
        with pytest.raises(ValueError, match="spacing must be finite and positive"):
            Geometry(shape=(5, 6, 7), spacing_mm=tuple(spacing), origin_mm=(0, 0, 0))

    def test_slanted_axes(self):
        sheared = np.array(FINE.affine)
        sheared[1, 0] = 0.3  # each slice 0.3 mm further back, as with a tilted gantry
        with pytest.raises(ValueError, match="orthonormal"):
            Geometry.from_affine(sheared, FINE.shape)


class TestCavities:
    """A hole of 1.5 mm radius in the zone, its near side 1 mm from the tumor."""

    @staticmethod
    def pierced():
        hole = ball((6 + 1 + 1.5, 0, 0), 1.5)
        zone = mask_of(ball((0, 0, 0), 11).voxels & ~hole.voxels, ZONE)
        return measured([ball((0, 0, 0), 6)], [zone])

    def test_the_hole_counts(self):
        """To 0.4 mm: the hole is a few dozen voxels, 3 or 4 across."""
        result = self.pierced()
        assert result.lesions[0].margin.minimum_mm == pytest.approx(1.0, abs=0.4)
        assert result.verdict is Verdict.INADEQUATE

    def test_and_the_margin_without_it_is_told(self):
        result = self.pierced()
        words = told(result, "ZONE_HAS_CAVITY").split()
        filled_mm, counted_mm = float(words[words.index("be") + 1]), float(words[-2])
        assert counted_mm == pytest.approx(1.0, abs=0.4)
        assert filled_mm == pytest.approx(5.0, abs=TOLERANCE_MM[FINE])
        assert "ZONE_HAS_PARTS" not in codes_of(result)

    def test_a_hole_far_from_the_thinnest_place_changes_nothing(self):
        grid = grid_around((0, 0, 0), shape=(37, 52, 57), spacing_mm=FINE_MM)
        hole = ball((-12, 0, 0), 1.5, grid=grid)
        zone = mask_of(ball((0, 0, 0), 16, grid=grid).voxels & ~hole.voxels, ZONE, grid)
        result = measured([ball((6, 0, 0), 6, grid=grid)], [zone])
        assert told(result, "ZONE_HAS_CAVITY").endswith("no minimum margin depends on them")

    def test_a_zone_without_a_hole_says_nothing(self):
        assert codes_of(measured([ball((0, 0, 0), 6)], [ball((0, 0, 0), 11, ZONE)])) == []


class TestParts:
    GRID = grid_around((15, 0, 0), shape=(31, 42, 100), spacing_mm=FINE_MM)

    def zone_with(self, *balls):
        voxels = ball((0, 0, 0), 11, grid=self.GRID).voxels.copy()
        for center, radius in balls:
            voxels |= ball(center, radius, grid=self.GRID).voxels
        return mask_of(voxels, ZONE, self.GRID)

    def test_a_satellite_far_off_is_told_and_harmless(self):
        result = measured([ball((0, 0, 0), 6, grid=self.GRID)], [self.zone_with(((40, 0, 0), 4))])
        assert "2 parts that don't touch" in told(result, "ZONE_HAS_PARTS")
        assert result.lesions[0].margin.minimum_mm == pytest.approx(5.0, abs=TOLERANCE_MM[FINE])

    def test_a_satellite_that_touches_a_corner_belongs_to_its_zone(self):
        zone = self.zone_with()
        voxels = zone.voxels.copy()
        corner = np.argwhere(voxels)[0]
        voxels[tuple(corner - 1)] = True
        assert "ZONE_HAS_PARTS" not in codes_of(
            measured([ball((0, 0, 0), 6, grid=self.GRID)], [mask_of(voxels, ZONE, self.GRID)])
        )

    def test_a_stray_voxel_of_the_tumor_is_told(self):
        tumor = ball((0, 0, 0), 6, grid=self.GRID).voxels.copy()
        tumor[15, 21, 90] = True
        result = measured([mask_of(tumor, TUMOR, self.GRID)], [self.zone_with()])
        assert "2 parts that don't touch (0.89, 0.00056 ml)" in told(result, "TUMOR_HAS_PARTS")
        assert result.lesions[0].margin.minimum_mm < -30

    def test_overlapping_zones_are_joined_and_each_tumor_judged_against_all(self):
        """Balls of 11 mm, 16 mm apart. The tumor between them is covered by neither alone: its thinnest place is at the
        circle where the balls meet, sqrt(11² - 8²) = 7.55 mm from the middle."""
        grid = grid_around((8, 0, 0), shape=(31, 42, 70), spacing_mm=FINE_MM)
        zones = [ball((x, 0, 0), 11, ZONE, grid) for x in (0, 16)]
        tumors = [ball((x, 0, 0), 4, grid=grid) for x in (0, 8, 16)]
        result = measured(tumors, zones)
        minima = [lesion.margin.minimum_mm for lesion in result.lesions]
        assert minima[0] == pytest.approx(7.0, abs=TOLERANCE_MM[FINE])
        assert minima[2] == pytest.approx(7.0, abs=TOLERANCE_MM[FINE])
        assert minima[1] == pytest.approx(3.55, abs=0.9)  # a crease is rounded
        alone = [margin_mm(tumors[1], zone) for zone in zones]
        assert max(alone) < 0
        assert "ZONE_HAS_PARTS" not in codes_of(result)

    def test_zones_on_different_grids_are_refused(self):
        with pytest.raises(ValueError, match="same grid"):
            measured([ball((0, 0, 0), 6)], [ball((0, 0, 0), 11, ZONE), ball((0, 0, 0), 11, ZONE, self.GRID)])


class TestTooFewVoxels:
    @pytest.mark.parametrize(
        ("voxels", "told_as"),
        [
            (np.s_[15, 21, 23], "1 voxel, 1 across"),
            (np.s_[15, 16:26, 18:28], "100 voxels, 1 across"),
            (np.s_[15:17, 16:26, 18:28], "200 voxels, 2 across"),
            (np.s_[14:17, 19:23, 21:25], "48 voxels, 3 across"),
        ],
        ids=["one voxel", "one slice", "two slices", "48 voxels"],
    )
    def test_no_verdict_rests_on_them(self, voxels, told_as):
        array = np.zeros(FINE.shape, bool)
        array[voxels] = True
        result = measured([mask_of(array)], [ball((0, 0, 0), 13, ZONE)])
        assert told_as in told(result, "MASK_TINY")
        (lesion,) = result.lesions
        assert lesion.judgement.verdict is Verdict.INDETERMINATE
        assert set(lesion.judgement.by_threshold.values()) == {Verdict.INDETERMINATE}
        assert told_as in str(lesion.judgement.reasons[0])
        assert lesion.judgement.reasons[0].code == "MASK_TINY"
        assert np.isfinite(lesion.margin.minimum_mm)

    def test_other_tumors_keep_their_verdict(self):
        dot = np.zeros(FINE.shape, bool)
        dot[15, 21, 23] = True
        result = measured([mask_of(dot), ball((0, 0, 0), 4)], [ball((0, 0, 0), 13, ZONE)])
        verdicts = [lesion.judgement.verdict for lesion in result.lesions]
        assert verdicts == [Verdict.INDETERMINATE, Verdict.ADEQUATE]

    def test_54_voxels_on_3_slices_are_enough(self):
        array = np.zeros(FINE.shape, bool)
        array[14:17, 20:23, 20:26] = True
        assert "MASK_TINY" not in codes_of(measured([mask_of(array)], [ball((0, 0, 0), 13, ZONE)]))

    def test_a_finer_grid_adds_no_voxels(self):
        tumor = ball((0, 0, 0), 3.5)
        drawn = replace(tumor, origin=replace(tumor.origin, drawn_spacing_mm=(4.0, 0.8, 0.7)))
        zone = ball((0, 0, 0), 13, ZONE)
        assert "MASK_TINY" not in codes_of(measured([tumor], [zone]))
        assert "2 across" in told(measured([drawn], [zone]), "MASK_TINY")

    def test_a_zone_of_two_slices_carries_no_verdict_either(self):
        result = measured([ball((0, 0, 0), 4, grid=THICK)], [mask_of(self.slab(THICK, 2), ZONE, THICK)])
        assert result.verdict is Verdict.INDETERMINATE
        assert sum(code == "MASK_TINY" for code in codes_of(result)) == 2

    @staticmethod
    def slab(grid, slices):
        voxels = np.zeros(grid.shape, bool)
        middle = grid.shape[0] // 2
        voxels[middle : middle + slices, 8:34, 8:38] = True
        return voxels


class TestThinThings:
    """What is thinner than three slices is kept by the surface, or the result says that it isn't."""

    @both_grids
    @pytest.mark.parametrize("slices", [1, 2])
    def test_a_plate_keeps_all_its_voxels_and_its_volume(self, grid, slices):
        """To a third of its volume: what its rounded edges cost where it is one slice thick."""
        plate = mask_of(TestTooFewVoxels.slab(grid, slices), grid=grid)
        surface = surface_of(plate)
        assert signed_distances_mm(surface, plate.voxel_centers_mm()).min() > -0.05
        assert surface.volume_ml == pytest.approx(plate.volume_ml, rel=0.33)

    @both_grids
    def test_a_spike_of_the_tumor_is_kept_or_told(self, grid):
        """One voxel wide, up to 1 mm before the zone's border, where the ball alone has 6 mm."""
        voxels = ball((0, 0, 0), 6, grid=grid).voxels.copy()
        (k, j), along = np.array(grid.shape[:2]) // 2, points_of(grid)[grid.shape[0] // 2, grid.shape[1] // 2, :, 0]
        voxels[k, j, (along > 0) & (along < 11)] = True
        self.kept_or_told(mask_of(voxels, grid=grid), ball((0, 0, 0), 12, ZONE, grid), at_most_mm=1.7)

    @both_grids
    def test_a_bridge_between_two_parts_of_the_tumor_is_kept_or_told(self, grid):
        """One voxel wide, through a zone's notch: unablated tumor, where both balls have their margins."""
        wide = grid_around((0, 0, 0), shape=grid.shape, spacing_mm=(grid.spacing_mm[0], 0.8, 1.1))
        voxels = ball((-12, 0, 0), 5, grid=wide).voxels | ball((12, 0, 0), 5, grid=wide).voxels
        voxels[wide.shape[0] // 2, wide.shape[1] // 2, 13:34] = True
        zones = ball((-12, 0, 0), 10, grid=wide).voxels | ball((12, 0, 0), 10, grid=wide).voxels
        self.kept_or_told(mask_of(voxels, grid=wide), mask_of(zones, ZONE, wide), at_most_mm=0.0)

    def test_a_bridge_that_the_smooth_surface_drops_is_kept_or_told(self):
        """Half a voxel wide for slices of 5 mm, so that a surface smooth at that scale can't follow it."""
        grid = grid_around((0, 0, 0), shape=(12, 60, 66), spacing_mm=THICK_MM)
        voxels = ball((-12, 0, 0), 6, grid=grid).voxels | ball((12, 0, 0), 6, grid=grid).voxels
        voxels[6, 30, 20:46] = True
        zones = ball((-12, 0, 0), 9, grid=grid).voxels | ball((12, 0, 0), 9, grid=grid).voxels
        self.kept_or_told(mask_of(voxels, grid=grid), mask_of(zones, ZONE, grid), at_most_mm=-2.5)

    @both_grids
    def test_a_slit_in_the_zone_is_kept_or_told(self, grid):
        """A column of unablated voxels that comes to 1.5 mm from the tumor."""
        voxels = ball((0, 0, 0), 13, grid=grid).voxels.copy()
        (k, j), along = np.array(grid.shape[:2]) // 2, points_of(grid)[grid.shape[0] // 2, grid.shape[1] // 2, :, 0]
        voxels[k, j, along > 7.5] = False
        self.kept_or_told(ball((0, 0, 0), 6, grid=grid), mask_of(voxels, ZONE, grid), at_most_mm=2.2)

    @staticmethod
    def kept_or_told(tumor, zone, *, at_most_mm):
        result = measured([tumor], [zone])
        (lesion,) = result.lesions
        if "VOXELS_CLOSER" not in codes_of(result):
            assert lesion.margin.minimum_mm <= at_most_mm + 0.3

    def test_smooth_shapes_are_not_told_anything(self):
        grid = grid_around((0, 0, 0), shape=(11, 42, 46), spacing_mm=(4.0, 0.8, 0.7))
        result = measured([ball((1, 0, 0.5), 7, grid=grid)], [ball((0, 0, 0), 13, ZONE, grid)])
        assert codes_of(result) == []


class TestSoftMasks:
    @both_grids
    def test_shares_are_used_as_they_are(self, grid):
        """Every voxel that is cut by the border says by how much, so slices of 5 mm are nearly as good as of 1 mm."""
        tumor, zone = soft_ball(6.0, TUMOR, grid), soft_ball(11.0, ZONE, grid)
        assert margin_mm(tumor, zone) == pytest.approx(5.0, abs=0.3)

    def test_a_fifth_of_a_voxel_more_moves_the_surface_by_as_much(self):
        """A slab whose last slice is partly inside: thresholded, all of these would be the same."""

        def top_mm(share):
            fractions = np.zeros(FINE.shape, np.float32)
            fractions[10:20, 10:32, 10:36], fractions[20, 10:32, 10:36] = 1.0, share
            surface = surface_of(LabelMask.soft(fractions, geometry=FINE, structure=TUMOR))
            middle = np.abs(surface.vertices_mm[:, :2]).max(axis=1) < 3
            return float(surface.vertices_mm[middle, 2].max())

        heights = [top_mm(share) for share in (0.2, 0.4, 0.6, 0.8)]
        assert np.diff(heights) == pytest.approx(3 * [0.2], abs=0.15)

    def test_hard_and_soft_mix(self):
        result = measured([soft_ball(6.0, TUMOR, FINE)], [ball((0, 0, 0), 11, ZONE), soft_ball(9.0, ZONE, FINE)])
        assert result.lesions[0].margin.minimum_mm == pytest.approx(5.0, abs=TOLERANCE_MM[FINE])
        assert result.lesions[0].raw_minimum_mm is not None
