"""From surfaces to a verdict: spheres whose margins are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.case import Lesion, RasMutation
from ablmargin.clinical.criteria import Verdict
from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.hindrances import NOT_SEEN, PROPOSED_LIVER
from ablmargin.measurement import measure_lesion
from ablmargin.metrics.surface import surface_of
from ablmargin.pipeline import Settings, measure_masks
from ablmargin.registration.local_error import LocalError
from ablmargin.target import Rule, Target
from ablmargin.volume import LabelMask, MaskOrigin, Structure

GRID = grid_around((0, 0, 0), shape=(60, 90, 90), spacing_mm=(1.0, 0.8, 0.8))
ERROR = LocalError(sd_mm=0.4, correlation_length_mm=25.0)


def ball(center, radius: float, structure: Structure, grid: Geometry = GRID, *, within=None) -> LabelMask:
    points = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1))
    voxels = np.linalg.norm(points - center, axis=-1) < radius
    if within is not None:
        voxels &= within(points)
    return LabelMask(voxels=voxels, geometry=grid, structure=structure)


def half_space(points):
    """A liver whose capsule is the plane z = 20."""
    return points[..., 2] < 20


def measured(tumor: LabelMask, target: Target, ras: RasMutation = RasMutation.WILD_TYPE):
    rule = Rule(ras_mutation=ras, contour_sd_mm=0.2)
    return measure_lesion(Lesion(lesion_id="1", tumor=tumor), surface_of(tumor), target, rule, error=ERROR)


def test_a_plain_case():
    target = Target.of(ball((2, 0, 0), 17, Structure.ABLATION_ZONE), None)
    lesion = measured(ball((0, 0, 0), 7, Structure.TUMOR), target)
    assert lesion.margin.minimum_mm == pytest.approx(8.0, abs=0.2)
    assert lesion.direction_at(lesion.judged_index) == "right"
    assert lesion.judgement.verdict is Verdict.ADEQUATE
    assert lesion.judgement.by_threshold[10.0] is Verdict.INADEQUATE


@pytest.mark.parametrize("ras", [RasMutation.WILD_TYPE, RasMutation.MUTANT])
def test_the_verdict_for_a_threshold_is_the_same_for_every_mutation(ras):
    """A tumor 7 mm below the capsule: at 10 mm the capsule limits what can be asked, at 5 mm it doesn't."""
    everything = np.ones(GRID.shape, bool)
    points = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
    liver = LabelMask(voxels=everything & half_space(points), geometry=GRID, structure=Structure.LIVER)
    zone = ball((0, 0, 7), 20, Structure.ABLATION_ZONE, within=half_space)
    lesion = measured(ball((0, 0, 7), 6, Structure.TUMOR), Target.of(zone, liver), ras)
    assert lesion.judgement.by_threshold == {5.0: Verdict.ADEQUATE, 10.0: Verdict.ADEQUATE}
    assert lesion.judgement.verdict is Verdict.ADEQUATE


def test_what_was_not_imaged_is_not_called_inadequate():
    zone = ball((0, 0, 0), 15, Structure.ABLATION_ZONE)
    cut = grid_around((0, 0, -20), shape=(44, 90, 90), spacing_mm=(1.0, 0.8, 0.8))  # ends at z = 1.5
    tumor = ball((0, 0, 0), 7, Structure.TUMOR)
    seen = measured(tumor, Target.of(zone, None, imaged=GRID))
    unseen = measured(tumor, Target.of(zone, None, imaged=cut))
    assert NOT_SEEN not in seen.judgement.reasons
    assert unseen.judgement.verdict is Verdict.INDETERMINATE
    assert unseen.judgement.reasons[0] == NOT_SEEN
    assert unseen.raw_minimum_mm is None


def test_a_mask_drawn_on_thick_slices_stays_coarse_on_a_finer_grid():
    tumor, zone = ball((0, 0, 0), 7, Structure.TUMOR), ball((0, 0, 0), 20, Structure.ABLATION_ZONE)
    coarse = replace(tumor, origin=replace(tumor.origin, drawn_spacing_mm=(6.0, 0.8, 0.8)))
    settings = Settings.of(seed=0, threads=1, registration_sd_mm=0.4)

    def verdict(mask: LabelMask) -> Verdict | None:
        lesions = [Lesion(lesion_id="1", tumor=mask)]
        return measure_masks(
            lesions, [zone], liver=None, ras_mutation=RasMutation.WILD_TYPE, settings=settings, case_id="c"
        ).verdict

    assert verdict(tumor) is Verdict.ADEQUATE
    assert verdict(coarse) is Verdict.INDETERMINATE


def test_joined_zones_are_as_coarse_as_the_coarsest():
    fine, other = ball((0, 0, 0), 9, Structure.ABLATION_ZONE), ball((5, 0, 0), 9, Structure.ABLATION_ZONE)
    coarse = replace(other, origin=replace(other.origin, drawn_spacing_mm=(5.0, 0.8, 0.8)))
    assert fine.union(other).coarsest_spacing_mm == 1.0
    assert fine.union(coarse).coarsest_spacing_mm == 5.0


def test_what_voxels_contradict_is_not_called_adequate():
    """A voxel in the zone that wasn't ablated, 4 mm beyond the tumor, which the zone's surface runs past."""
    tumor = ball((0, 0, 0), 7, Structure.TUMOR)
    target = Target.of(ball((0, 0, 0), 17, Structure.ABLATION_ZONE), None)
    doubted = measured(tumor, replace(target, untreated_mm=np.array([[11.0, 0.0, 0.0]])))
    assert measured(tumor, target).judgement.verdict is Verdict.ADEQUATE
    assert doubted.bounds.lower_mm == pytest.approx(4.0, abs=0.1)
    assert doubted.judgement.verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize(("begins_mm", "is_told"), [(-12.0, False), (-2.0, True), (5.0, True), (8.0, True)])
def test_a_liver_that_ends_within_the_tumor_carries_no_verdict(begins_mm, is_told):
    """The zone leaves 2 mm below the tumor, where this liver's outline leaves the liver out; 8 mm and more elsewhere."""
    points = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
    liver = LabelMask(voxels=points[..., 2] > begins_mm, geometry=GRID, structure=Structure.LIVER)
    zone = ball((0, 0, 5), 15, Structure.ABLATION_ZONE)
    judgement = measured(ball((0, 0, 0), 8, Structure.TUMOR), Target.of(zone, liver)).judgement
    told = [reason.code for reason in judgement.reasons if "outside the liver's outline" in reason.sentence]
    assert told == ["TUMOR_BEYOND_LIVER"] * is_told
    assert judgement.verdict is not Verdict.ADEQUATE


def test_masks_that_share_no_frame_and_livers_elsewhere_are_refused():
    far = grid_around((0, 0, 1800), shape=(60, 90, 90), spacing_mm=(1.0, 0.8, 0.8))
    zone, tumor = ball((0, 0, 0), 15, Structure.ABLATION_ZONE), ball((0, 0, 1800), 7, Structure.TUMOR, far)
    liver = ball((0, 0, 1800), 20, Structure.LIVER, far)
    with pytest.raises(InputError) as refusal:
        measure_masks(
            [Lesion(lesion_id="1", tumor=tumor)],
            [zone],
            liver=liver,
            ras_mutation=RasMutation.WILD_TYPE,
            settings=Settings(),
            case_id="c",
        )
    assert [fault.code for fault in refusal.value.faults] == ["TARGET_OUTSIDE_LIVER", "MASKS_APART"]


def test_the_same_seed_gives_the_same_bounds():
    target = Target.of(ball((2, 0, 0), 17, Structure.ABLATION_ZONE), None)
    first, second = (measured(ball((0, 0, 0), 7, Structure.TUMOR), target).bounds for _ in range(2))
    assert first == second


class TestProposedOutlines:
    PROPOSED = MaskOrigin(source="point", method="a method 1", reviewed=False)

    def test_a_contour_that_other_prompts_move_more_widens_the_bounds(self):
        tumor, zone = ball((0, 0, 0), 7, Structure.TUMOR), ball((0, 0, 0), 17, Structure.ABLATION_ZONE)
        shaky = replace(tumor, origin=replace(self.PROPOSED, contour_sd_mm=1.2, reviewed=True))
        firm = replace(tumor, origin=replace(self.PROPOSED, contour_sd_mm=0.1, reviewed=True))
        widths = [
            lesion.bounds.upper_mm - lesion.bounds.lower_mm
            for lesion in (measured(mask, Target.of(zone, None)) for mask in (tumor, firm, shaky))
        ]
        assert widths[0] == widths[1], "never less than for a reader's contour"
        assert widths[2] > widths[0] + 0.5

    def test_zones_together_are_as_uncertain_as_the_worst_and_reviewed_only_if_all_are(self):
        zone = ball((0, 0, 0), 9, Structure.ABLATION_ZONE)
        other = replace(zone, origin=replace(self.PROPOSED, contour_sd_mm=1.2))
        assert zone.union(other).origin.contour_sd_mm == other.union(zone).origin.contour_sd_mm == 1.2
        assert not zone.union(other).origin.reviewed
        assert zone.union(zone).origin.contour_sd_mm is None

    @pytest.mark.parametrize("reviewed", [True, False])
    def test_no_verdict_rests_on_a_capsule_that_nobody_reviewed(self, reviewed):
        """A tumor 3 mm below the capsule, ablated up to it: only the liver's border excuses the thin side."""
        everything = np.ones(GRID.shape, bool)
        points = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
        origin = replace(self.PROPOSED, source="automatic", reviewed=reviewed)
        liver = LabelMask(
            voxels=everything & half_space(points), geometry=GRID, structure=Structure.LIVER, origin=origin
        )
        zone = ball((0, 0, 11), 20, Structure.ABLATION_ZONE, within=half_space)
        lesion = measured(ball((0, 0, 11), 6, Structure.TUMOR), Target.of(zone, liver))
        assert lesion.judges_constrained
        assert (PROPOSED_LIVER in lesion.judgement.reasons) is not reviewed
        assert PROPOSED_LIVER.code == "LIVER_NOT_REVIEWED"
        assert (lesion.judgement.verdict is Verdict.INDETERMINATE) is not reviewed

    def test_far_from_the_capsule_a_proposed_liver_hinders_nothing(self):
        voxels = np.ones(GRID.shape, bool)
        liver = LabelMask(voxels=voxels, geometry=GRID, structure=Structure.LIVER, origin=self.PROPOSED)
        zone = ball((0, 0, 0), 17, Structure.ABLATION_ZONE)
        lesion = measured(ball((0, 0, 0), 7, Structure.TUMOR), Target.of(zone, liver))
        assert lesion.judgement.verdict is Verdict.ADEQUATE

    def test_another_tumor_that_nobody_reviewed_does_not_hold_back_the_verdict_on_this_one(self):
        tumor, zone = ball((0, 0, 0), 7, Structure.TUMOR), ball((0, 0, 0), 20, Structure.ABLATION_ZONE)
        lesions = [
            Lesion(lesion_id="1", tumor=tumor),
            Lesion(lesion_id="2", tumor=replace(tumor, origin=self.PROPOSED)),
        ]
        settings = Settings.of(seed=0, threads=1, registration_sd_mm=0.4)
        drawn, proposed = measure_masks(
            lesions, [zone], liver=None, ras_mutation=RasMutation.WILD_TYPE, settings=settings, case_id="a"
        ).lesions
        assert drawn.judgement.verdict is Verdict.ADEQUATE
        assert proposed.judgement.verdict is Verdict.INDETERMINATE
        assert [reason.code for reason in proposed.judgement.reasons] == ["TUMOR_NOT_REVIEWED", "LOWER_BOUND_REACHES"]
        assert "By the numbers alone: the lower 95 % bound" in proposed.judgement.reasons[-1].sentence
