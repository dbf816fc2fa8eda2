"""The benchmark of the registration: what it counts and how it makes wrong alignments, without running an alignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import registration as benchmark
import registration_pairs as pairs_
import registration_rivals as rivals
import registration_scores as scores_
import registration_wrong as wrong_

from ablmargin.geometry import Geometry
from ablmargin.registration.agreement import LiverAgreement, TextureAgreement
from ablmargin.registration.images import AXES_XYZ, PreparedExam
from ablmargin.registration.local_error import Doubts, estimate_local_error
from ablmargin.registration.register import Alignment
from ablmargin.registration.transform import (
    ComposedTransform,
    InverseTransform,
    RigidTransform,
    SplineTransform,
    inverse_points,
)
from ablmargin.simulation.phantom import simulate_phantom

TURN = RigidTransform(rotation=np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), translation_mm=(5, 0, -3))
POINTS = np.random.default_rng(3).uniform(-60, 60, (200, 3))
SHIFT = wrong_.LocalShift(center_mm=(5.0, -3.0, 8.0), shift_mm=(4.0, -5.0, 2.0))

ROW = benchmark.Row(
    plan=pairs_.Plan(kind="phantom", seed=101, scenario="thin-margin"),
    tumor_mm=0.5,
    tumor_p95_mm=0.9,
    rigid_mm=3.0,
    liver_mm=0.4,
    mam_error_mm=-0.2,
    sd_mm=0.4,
    true_mm=np.full(10, 0.6),
    told_mm=np.full(10, 0.6),
    quality="good",
    phases_match=True,
    cpu_s=20.0,
    cpu_alone_s=4.0,
)
OTHER = replace(ROW, plan=pairs_.Plan(kind="arterial", seed=101, scenario="arterial-post"), tumor_mm=1.0)


@pytest.fixture(scope="module")
def pair():
    return simulate_phantom("thin-margin", seed=3, coarse=4.0)


def missed(rows) -> list[str]:
    return [check.name for check in benchmark.checks_of(rows) if not check.is_met]


def test_rows_within_all_limits_miss_none():
    assert missed([ROW, OTHER]) == []
    assert missed([]) == []


@pytest.mark.parametrize(
    ("row", "change", "name"),
    [
        (ROW, {"tumor_mm": 1.51}, "same phase, largest tumor TRE"),
        (ROW, {"tumor_mm": 0.81}, "same phase, mean tumor TRE"),
        (ROW, {"liver_mm": 1.01}, "same phase, mean liver TRE"),
        (ROW, {"mam_error_mm": -0.41}, "same phase, mean |error"),
        (ROW, {"mam_error_mm": -1.01}, "same phase, largest of a case"),
        (OTHER, {"tumor_mm": 1.51}, "other phase, mean tumor TRE"),
        (OTHER, {"mam_error_mm": 0.51}, "other phase, bias"),
        (OTHER, {"mam_error_mm": -0.51}, "other phase, bias"),
        (OTHER, {"tumor_mm": 3.1}, "cases with a tumor TRE over 3 mm"),
        (ROW, {"told_mm": np.full(10, 0.4)}, "true error by told error"),
        (ROW, {"told_mm": np.full(10, 0.8)}, "true error by told error"),
        (ROW, {"cpu_s": 41.0}, "CPU s, largest, with the"),
        (ROW, {"cpu_alone_s": 5.1}, "CPU s, largest, without"),
    ],
)
def test_each_limit_can_be_missed(row, change, name):
    assert any(found.startswith(name) for found in missed([replace(row, **change)]))


def test_a_far_off_case_that_is_doubted_is_no_miss():
    far = replace(OTHER, tumor_mm=3.1, quality="doubtful")
    assert not any(name.startswith("cases with a tumor TRE") for name in missed([far]))


def test_mismatched_phases_do_not_count_as_matched():
    assert not any(name.startswith("same phase") for name in missed([replace(OTHER, tumor_mm=9.0, liver_mm=9.0)]))


def test_the_auc_counts_pairs_of_a_far_and_a_near_point():
    random = np.random.default_rng(1)
    scores, far = random.integers(0, 6, 60).astype(float), random.random(60) < 0.3
    above = scores[far][:, None] - scores[~far][None]
    assert benchmark.auc(scores, far) == pytest.approx(((above > 0) + 0.5 * (above == 0)).mean(), abs=1e-12)
    assert benchmark.auc(scores, np.zeros(60, bool)) is None
    assert benchmark.auc(scores, np.ones(60, bool)) is None


def test_a_told_error_that_misleads_misses_its_limit():
    true = np.array([0.5] * 8 + [2.5] * 2)
    honest, misleading = replace(ROW, true_mm=true, told_mm=true), replace(ROW, true_mm=true, told_mm=true[::-1])
    assert not any(name.startswith("AUC") for name in missed([honest]))
    assert any(name.startswith("AUC") for name in missed([misleading]))


def test_without_far_points_there_is_no_auc_and_nothing_to_miss():
    (check,) = (check for check in benchmark.checks_of([ROW]) if check.name.startswith("AUC"))
    assert check.value is None
    assert str(check).endswith("None (0.95 to 1)")


def test_the_exit_code_tells_of_a_missed_limit(capsys):
    assert benchmark.report([benchmark.Check(name="a", value=1.0, most=1.0)]) == 0
    assert benchmark.report([benchmark.Check(name="b", value=1.1, most=1.0)]) == 1
    assert "b: 1.10 (at most 1)  MISSED" in capsys.readouterr().out


def test_the_true_map_has_no_error_and_a_shift_has_its_own(pair):
    truth, lesion = pair.truth, pair.truth.lesions[0]
    there = lesion.tumor_surface_pre_mm, lesion.tumor_surface_post_mm
    assert benchmark.mam_error_mm(lesion, truth.post_from_pre) == pytest.approx(0.0, abs=1e-6)
    assert benchmark.misses_mm(truth.post_from_pre, *there).max() < 1e-6
    shifted = ComposedTransform(first=wrong_.local_shift(pair, 0), then=truth.post_from_pre)
    # Tissue stretches by some tenths at most, and the shift has faded a little at the tumor's surface.
    assert 3.0 < benchmark.misses_mm(shifted, *there).mean() < 10.0
    assert benchmark.mam_error_mm(lesion, shifted) < -1.0


def test_plans_have_seeds_of_their_own_and_repeat():
    plans = pairs_.plans(pairs_.KINDS, 8)
    assert plans == pairs_.plans(pairs_.KINDS, 8)
    assert len(set(plans)) == len(plans) == 8 + 8 + 6 + 6 + 6
    assert {plan.scenario for plan in plans if plan.kind == "unenhanced"} == {"no-contrast"}
    assert {plan.nominal_mam_mm for plan in plans if plan.kind == "semireal"} == {-2.0, 1.0, 3.0, 5.0, 8.0}


def test_mirroring_exchanges_left_and_right_of_image_and_masks_alike(pair):
    mirrored = wrong_.mirrored(pair)
    middle = pair.post.geometry.center_mm[0]
    for before, after in ((pair.liver_post, mirrored.liver_post), (pair.zones[0], mirrored.zones[0])):
        expected = before.voxel_centers_mm().mean(axis=0)
        expected[0] = 2 * middle - expected[0]
        np.testing.assert_allclose(after.voxel_centers_mm().mean(axis=0), expected, atol=1e-6)
    # The CT moves with its masks: the liver's voxels are the same set of HU.
    before, after = (np.sort(p.post.voxels_hu[p.liver_post.voxels]) for p in (pair, mirrored))
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(wrong_.mirrored(mirrored).post.voxels_hu, pair.post.voxels_hu)


def test_a_shifted_liver_mask_moves_along_the_body_only(pair):
    moved = wrong_.with_shifted_liver(pair).liver_post.voxel_centers_mm() - pair.liver_post.voxel_centers_mm()
    np.testing.assert_allclose(moved, np.broadcast_to([0, 0, 15.0], moved.shape), atol=1e-9)


def test_a_finer_grid_covers_the_same_space_with_the_same_liver(pair):
    fine = pairs_.enlarged(pair, pre=(60, 100, 100), post=(70, 100, 100))
    assert fine.pre.geometry.shape == fine.tumors[0].geometry.shape == (60, 100, 100)
    assert fine.post.geometry.shape == fine.zones[0].geometry.shape == (70, 100, 100)
    np.testing.assert_allclose(fine.post.geometry.corners_mm, pair.post.geometry.corners_mm, atol=1e-6)
    # Interpolated at the half-way level, a large mask keeps its volume to about its rounding at the border.
    assert fine.liver_post.volume_ml == pytest.approx(pair.liver_post.volume_ml, rel=0.02)


def test_the_local_shift_is_full_at_its_center_and_can_be_undone():
    there = SHIFT.map_points(POINTS)
    assert np.linalg.norm(SHIFT.map_points(np.array([SHIFT.center_mm])) - SHIFT.center_mm) == pytest.approx(45**0.5)
    np.testing.assert_allclose(inverse_points(SHIFT, there), POINTS, atol=0.01)  # inverse_points stops at 0.001 mm


def test_tampering_moves_the_map_but_no_run_away_from_another():
    start = RigidTransform(rotation=np.eye(3))

    def spline(seed: int) -> SplineTransform:
        bumps = np.random.default_rng(seed).normal(0, 1.0, (8, 8, 8, 3))
        return SplineTransform(rigid=start, origin_mm=(-80, -80, -80), knot_mm=32.0, coefficients_mm=bumps)

    original = Alignment(
        post_from_pre=spline(1),
        rigid_post_from_pre=start,
        forward=spline(2),
        pre_from_post=spline(3),
        doubts=Doubts(
            runs=(spline(4), InverseTransform(forward=spline(5))), center=spline(1), plausible=(spline(6), spline(7))
        ),
        method="test",
        phases_match=True,
        both_ways=True,
        exams=(liver_exam(1), liver_exam(1)),
        textures=TextureAgreement(correlation=0.9, correlation_near=0.9),
        livers=LiverAgreement(dice=1.0, hd95_mm=0.0, asd_mm=0.0, jacobian_min=1.0, folded_share=0.0),
    )
    tampered = wrong_.tampered(original, (liver_exam(1), liver_exam(1)), SHIFT)
    center = np.array([SHIFT.center_mm])
    off = np.linalg.norm(tampered.post_from_pre.map_points(center) - original.post_from_pre.map_points(center))
    assert off > 5.0  # 6.7 mm, stretched or squeezed a little by the map behind it
    here = center + np.random.default_rng(2).uniform(-8, 8, (50, 3))
    before = estimate_local_error(original.post_from_pre, original.doubts, here).sd_mm
    after = estimate_local_error(tampered.post_from_pre, tampered.doubts, here).sd_mm
    assert after == pytest.approx(before, rel=0.35)  # told as before, though the map is off by several mm
    assert tampered.textures.correlation < 0.9  # compared anew


def liver_exam(seed: int) -> PreparedExam:
    grid = Geometry(shape=(60, 60, 60), spacing_mm=(2, 2, 2), origin_mm=(-59, -59, -59), directions=AXES_XYZ)
    radius = np.linalg.norm(grid.points_at(np.argwhere(np.ones(grid.shape, bool))), axis=1).reshape(grid.shape)
    return PreparedExam(
        grid=grid,
        texture=np.random.default_rng(seed).normal(size=grid.shape).astype(np.float32),
        counts=(radius < 45).astype(np.float32),
        distance_mm=(radius - 46).astype(np.float32),
        treated_distance_mm=np.full(grid.shape, 1e4, np.float32),
        seen=np.ones(grid.shape, bool),
    )


def test_a_rival_sees_the_working_grid_where_the_rigid_start_puts_it():
    exam = liver_exam(4)
    index = (10, 25, 40)
    for rigid, expected in (
        (None, exam.grid.points_at([index])),
        (TURN, TURN.map_points(exam.grid.points_at([index]))),
    ):
        image = rivals.placed_image(exam.texture, exam, rigid)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), expected[0], atol=1e-9)
        assert image.GetPixel(index) == exam.texture[index]


def test_a_rival_compares_only_what_counts_in_both_exams():
    pre, post = liver_exam(1), liver_exam(2)
    start = RigidTransform(rotation=np.eye(3), translation_mm=(20, 0, 0))
    mask = rivals.shared_mask(pre, post, start)
    centers = pre.grid.points_at(np.argwhere(mask))
    assert (np.linalg.norm(centers, axis=1) < 45).all()
    assert (np.linalg.norm(start.map_points(centers), axis=1) < 45 + 2).all()  # to a voxel
    # Two balls of radius R, d apart, share pi (4 R + d) (2 R - d)^2 / 12.
    assert mask.sum() * 8.0 == pytest.approx(np.pi * (180 + 20) * (90 - 20) ** 2 / 12, rel=0.02)


def test_a_rivals_displacement_image_moves_points_by_its_vectors():
    exam = liver_exam(4)
    image = rivals.placed_image(np.zeros((60, 60, 60)), exam, None)
    field = rivals.sitk.PhysicalPointSource(
        rivals.sitk.sitkVectorFloat64, image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()
    )
    np.testing.assert_allclose(rivals.displaced(field, 0.9 * POINTS), 1.8 * POINTS, atol=1e-6)  # p + p


def test_a_rival_that_is_not_there_is_a_line_of_its_own(monkeypatch):
    monkeypatch.setitem(rivals.MODULES, "greedy", "no_such_module")
    run = rivals.run_rival("greedy", liver_exam(1), liver_exam(2), TURN, POINTS)
    assert (run.points_mm, run.failure) == (None, "not installed")


def test_a_rival_that_fails_tells_why(monkeypatch):
    monkeypatch.setattr(rivals, "is_installed", lambda program: True)
    run = rivals.run_rival("no-such-program", liver_exam(1), liver_exam(2), TURN, POINTS)
    assert run.failure == "failed (KeyError: 'no-such-program')"


def score(program, tumor_mm, margin_mm, cpu_s):
    return scores_.Score(program=program, tumor_mm=tumor_mm, liver_mm=0.3, mam_error_mm=margin_mm, cpu_s=cpu_s)


def test_the_summary_has_means_and_worst_by_program_and_counts_failures():
    rows = [
        score("own", 0.2, -0.6, 2.0),
        score("other", 1.0, 0.1, 30.0),
        score("own", 0.4, 0.2, 4.0),
        scores_.Score(program="other", failure="crashed (signal 11)"),
        scores_.Score(program="third", failure="not installed"),
    ]
    _, *lines = scores_.summary_lines(rows)
    # |MAM error| of 0.6 and 0.2 is 0.4 on average; with their signs it would be 0.2.
    assert [line.replace("|", " ").split() for line in lines] == [
        ["own", "0.30", "0.40", "0.30", "0.40", "0.60", "3.0", "2", "0"],
        ["other", "1.00", "1.00", "0.30", "0.10", "0.10", "30.0", "1", "1"],
        ["third", "no", "answer", "0", "1"],
    ]
    assert list(scores_.summary_lines([])) == []


def test_the_truth_scores_nothing_and_a_shift_of_the_tumor_its_length(pair):
    truth = pair.truth
    points = truth.post_from_pre.map_points(scores_.watched_points(truth))
    exact = scores_.score_of(scores_.Run(program="truth", points_mm=points, cpu_s=1.0), truth)
    assert max(exact.tumor_mm, exact.liver_mm, abs(exact.mam_error_mm)) < 1e-6
    points[len(truth.landmarks_pre_mm) :] += (0, 30, 40)
    off = scores_.score_of(scores_.Run(program="shift", points_mm=points, cpu_s=1.0), truth)
    assert (off.tumor_mm, off.liver_mm) == pytest.approx((50.0, 0.0), abs=1e-6)
    assert off.mam_error_mm < -20.0  # far out of the zone


def test_a_run_without_an_answer_keeps_its_reason(pair):
    lost = scores_.score_of(scores_.Run(program="greedy", failure="not installed"), pair.truth)
    assert str(lost).split(maxsplit=1) == ["greedy", "not installed"]
