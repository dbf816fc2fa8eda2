"""The benchmark of the bounds: its truths and its counting, and a small run of it."""

from __future__ import annotations

from dataclasses import replace

import calibration
import calibration_cases as cases_
import calibration_counts as counts
import calibration_lesions as lesions
import numpy as np
import pytest

from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.uncertainty import bound_margin

CASE = cases_.Case(
    section="plain",
    kind="lumpy",
    number=0,
    sd_mm=1.0,
    length_mm=10.0,
    observed=-1.0,
    lower=-2.0,
    upper=3.0,
    corrected=0.0,
    spread=1.0,
)


def test_true_margins_are_those_of_the_spheres():
    """Meshes of 600 and 6000 points lie up to 0.02 mm inside their spheres."""
    tumor, zone = lesions.lesion("off-center", np.random.default_rng(1))
    radii = [np.linalg.norm(each.vertices_mm - each.vertices_mm.mean(axis=0), axis=1) for each in (tumor, zone)]
    offset = np.linalg.norm(tumor.vertices_mm.mean(axis=0) - zone.vertices_mm.mean(axis=0))
    expected = radii[1].mean() - radii[0].mean() - offset
    assert signed_distances_mm(zone, tumor.vertices_mm).min() == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("curved", [False, True])
def test_the_border_on_a_capsule_does_not_count(curved):
    """The constrained margin is at least the plain one, and may exceed the depth of the tumor."""
    for seed in range(3):
        tumor, zone, liver, depth = lesions.capsule_lesion(np.random.default_rng(seed), curved=curved)
        assert depth(tumor.vertices_mm).min() > 0.4
        assert depth(zone.vertices_mm).min() > -1e-6
        assert depth(liver.voxel_centers_mm(step=1)).min() > 0
        constrained = cases_.constrained_truth_mm(tumor, zone, depth)
        assert constrained >= signed_distances_mm(zone, tumor.vertices_mm).min() - 1e-6
    assert constrained > depth(tumor.vertices_mm).min()  # the capsule isn't asked for


def test_random_fields_have_the_deviation_and_correlation_asked_for():
    """Over 600 fields at two points, standard errors are about 0.01 and 0.03."""
    points = np.array([[0.0, 0, 0], [20, 0, 0]])
    rng = np.random.default_rng(0)
    values = np.array([lesions.random_field(points, rng, correlation_mm=20.0) for _ in range(600)])
    assert values.std() == pytest.approx(1.0, abs=0.05)
    assert (values[:, 0] * values[:, 1]).mean() == pytest.approx(np.exp(-0.5), abs=0.08)
    rigid = lesions.random_field(points, rng, correlation_mm=np.inf)
    assert (rigid[0] == rigid[1]).all()


def test_a_drawn_contour_errs_along_its_normal_by_what_is_asked_for():
    _, zone = lesions.lesion("concentric", np.random.default_rng(2))
    drawn = [
        lesions.bulged(zone, np.random.default_rng(seed), sd_mm=0.5, correlation_mm=10.0).vertices_mm
        for seed in range(5)
    ]
    moved = np.array(drawn) - zone.vertices_mm
    radial = zone.vertices_mm / np.linalg.norm(zone.vertices_mm, axis=1, keepdims=True)
    along = (moved * radial).sum(axis=-1)
    assert along.std() == pytest.approx(0.5, abs=0.06)
    assert np.linalg.norm(moved - along[..., None] * radial, axis=-1).max() < 0.1


def test_verdicts_are_counted_over_all_true_margins():
    """Bounds from 2 mm below to 3 mm above the truth: of -3 to 10 mm, 7 to 10 are adequate and -3 to 2 inadequate."""
    rule = counts.rule_shares([CASE], 5.0)
    assert (rule.adequate, rule.inadequate) == (pytest.approx(3 / 13), pytest.approx(5 / 13))
    assert rule.indeterminate == pytest.approx(5 / 13)
    assert (rule.wrong_among_adequate, rule.wrong_among_inadequate) == (0, 0)


def test_wrong_calls_are_told_apart():
    """The minimum alone, 1 mm too low, calls 5 to 6 mm inadequate; a lower bound 1 mm too high calls 4 to 5 adequate."""
    point = counts.point_shares([CASE], 5.0)
    assert (point.wrong_among_adequate, point.wrong_among_inadequate) == (0, pytest.approx(1 / 9))
    assert point.indeterminate == pytest.approx(0)
    high = counts.rule_shares([replace(CASE, lower=1.0)], 5.0)
    assert high.wrong_among_adequate == pytest.approx(1 / 6)


def test_what_is_told_over_all_kinds_is_a_weighted_mean():
    """Shares of a whole, so that a kind counts the same however many cases it has; the last kind doesn't count."""
    assert sum(counts.WEIGHTS.values()) == pytest.approx(1)
    assert counts.WEIGHTS["clover"] == 0
    others = [replace(CASE, kind=kind) for kind in counts.WEIGHTS if kind != "pear"]
    pears = 3 * [replace(CASE, kind="pear", lower=1.0)]
    share, whole = counts.WEIGHTS["pear"], [*others, *pears]
    pear, other = counts.rule_shares(pears, 5.0).adequate, counts.rule_shares(others, 5.0).adequate
    assert pear != other
    told = counts.rule_shares(whole, 5.0, counts.weights_of(whole)).adequate
    assert told == pytest.approx(share * pear + (1 - share) * other)


def test_reliability_is_perfect_for_a_perfect_estimate_only():
    rng = np.random.default_rng(3)
    good = [replace(CASE, corrected=float(x)) for x in rng.normal(size=3000)]
    for _, _, said, adequate in counts.reliability(good):
        assert said == pytest.approx(adequate, abs=0.03)  # 3000 draws: standard error under 0.01
    biased = [replace(case, corrected=case.corrected + 1) for case in good]
    assert max(abs(said - adequate) for _, _, said, adequate in counts.reliability(biased)) > 0.1


@pytest.mark.parametrize("by_mm", [-4.0, 3.5])
def test_bounds_move_with_the_margin(by_mm):
    """What lets a case stand for all true margins."""
    tumor, zone = lesions.lesion("lumpy", np.random.default_rng(4))
    margin = measure_margin(tumor, zone)
    errors = {"sd_mm": 1.0, "correlation_length_mm": 20.0, "sampling_error_mm": 0.2, "segmentation_sd_mm": 0.3}
    here = bound_margin(margin, zone, **errors)
    there = bound_margin(replace(margin, margin_mm=margin.margin_mm + by_mm), zone, **errors)
    for name in ("lower_mm", "upper_mm", "corrected_mm"):
        assert getattr(there, name) == pytest.approx(getattr(here, name) + by_mm, abs=1e-3)


def test_cases_read_back_as_written(tmp_path):
    cases = [CASE, replace(CASE, length_mm=float("inf"), number=1)]
    calibration.save(cases, tmp_path / "cases.csv")
    lines = (tmp_path / "cases.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].split(",")[:5] == ["section", "kind", "number", "sd_mm", "length_mm"]


def test_a_small_run_is_repeatable_and_holds():
    """5 geometries of 6 kinds at 1 mm: with 95 % each, fewer than 25 of 30 hold once in 300 runs."""
    cases = list(cases_.plain_cases(5, seed=5, sds_mm=(1.0,)))
    assert min(counts.coverage(cases)) >= 0.83
    assert list(cases_.plain_cases(1, seed=5, sds_mm=(1.0,))) == cases[:6]


def test_limits_that_are_not_met_are_named(capsys):
    good = [replace(CASE, kind=kind, lower=-1.0, upper=1.0) for kind in counts.WEIGHTS]
    strata = {"all": lambda case: case.kind != ""}
    assert calibration.print_coverage(good, strata, counts.WEIGHTS, "title") == []
    bad = [*good[1:], replace(good[0], upper=-0.1)]
    (broken,) = calibration.print_coverage(bad, strata, counts.WEIGHTS, "title")
    assert broken == "title, concentric, all: 0.0 % held"
    assert "concentric    100.0 /   0.0" in capsys.readouterr().out
