import json

import numpy as np
import pytest

from ablmargin.errors import UsageError
from ablmargin.simulation.ct import PHASES
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.scenarios import DEFAULT_SCENARIO, SCENARIOS
from ablmargin.volume import Structure


def median_hu(volume, voxels):
    return float(np.median(volume.voxels_hu[voxels]))


def test_the_truth_goes_there_and_back(thin):
    truth = thin.truth
    there = truth.post_from_pre.map_points(truth.landmarks_pre_mm)
    assert np.abs(there - truth.landmarks_post_mm).max() < 1e-5
    assert np.abs(truth.pre_from_post.map_points(there) - truth.landmarks_pre_mm).max() < 1e-5
    assert len(truth.landmarks_pre_mm) >= 300


def test_margins_are_as_planned(thin, subcapsular):
    assert thin.truth.lesions[0].mam_mm == pytest.approx(2.5, abs=0.05)
    assert thin.truth.lesions[0].residual_tumor_ml == 0
    lesion = subcapsular.truth.lesions[0]
    assert lesion.subcapsular
    assert lesion.mam_constrained_mm == pytest.approx(6.0, abs=0.05)
    assert lesion.mam_mm == pytest.approx(1.5, abs=0.4)  # the capsule is 1.5 mm away in the pre exam


def test_the_margin_is_found_again_on_voxels(thin):
    """Independent of the shapes: nearest voxel outside the zone to each point of the tumor's surface."""
    zone = thin.zones[0]
    start, stop = zone.bounding_box(pad_mm=10)
    part = zone.cropped(start, stop)
    outside = part.geometry.points_at(np.argwhere(~part.voxels))
    lesion = thin.truth.lesions[0]
    gaps = np.linalg.norm(outside[None] - lesion.tumor_surface_post_mm[::40, None], axis=2).min(axis=1)
    voxel_mm = np.linalg.norm(zone.geometry.spacing_mm)
    assert gaps.min() >= lesion.mam_mm - 1e-3  # no unablated voxel center is nearer than the truth says
    assert gaps.min() <= lesion.mam_mm + voxel_mm


def test_the_location_lies_on_the_tumor_and_has_the_margin(thin):
    lesion = thin.truth.lesions[0]
    nearest = np.linalg.norm(lesion.tumor_surface_post_mm - lesion.mam_location_mm, axis=1).min()
    assert nearest < 1e-9
    mapped = thin.truth.post_from_pre.map_points(lesion.tumor_surface_pre_mm)
    assert np.abs(mapped - lesion.tumor_surface_post_mm).max() < 1e-5


def test_masks_are_the_mapped_liver(thin):
    post = thin.liver_post
    centers = post.geometry.points_at(np.argwhere(np.ones(post.geometry.shape, bool))[::97])
    expected = post.voxels.ravel()[::97]
    index = np.round(thin.liver_pre.geometry.indices_at(thin.truth.pre_from_post.map_points(centers))).astype(int)
    held = ((index >= 0) & (index < thin.liver_pre.geometry.shape)).all(axis=1)
    found = thin.liver_pre.voxels[tuple(index[held].T)]
    assert (found == expected[held]).mean() > 0.98  # rounding to voxels of 6 mm errs at the border only
    assert thin.liver_pre.volume_ml == pytest.approx(1600, rel=0.3)
    assert not thin.liver_pre.touches_border()
    assert not thin.liver_post.touches_border()


def test_tumors_and_zones_lie_in_the_liver(thin, subcapsular):
    for pair in (thin, subcapsular):
        assert (pair.tumors[0].voxels <= pair.liver_pre.voxels).all()
        assert (pair.zones[0].voxels <= pair.liver_post.voxels).all()
        assert pair.tumors[0].structure is Structure.TUMOR
        assert pair.zones[0].structure is Structure.ABLATION_ZONE
        lesion = pair.truth.lesions[0]
        # few voxels on this coarse grid
        assert pair.tumors[0].volume_ml == pytest.approx(lesion.tumor_volume_ml, rel=0.35)


def test_tissues_have_their_hu(thin):
    pre, post = PHASES["portal"], PHASES["late-portal"]
    rest = thin.liver_pre.voxels & ~thin.tumors[0].voxels
    assert median_hu(thin.pre, rest) == pytest.approx(pre.liver, abs=5)
    rest = thin.liver_post.voxels & ~thin.zones[0].voxels
    assert median_hu(thin.post, rest) == pytest.approx(post.liver, abs=5)
    assert median_hu(thin.pre, thin.tumors[0].voxels) == pytest.approx(pre.tumor, abs=12)
    assert median_hu(thin.post, thin.zones[0].voxels) == pytest.approx(post.zone, abs=14)
    assert thin.pre.voxels_hu.min() >= -1024
    assert (thin.pre.voxels_hu == np.round(thin.pre.voxels_hu)).all()


def test_the_two_exams_share_no_geometry(thin):
    pre, post = thin.pre.geometry, thin.post.geometry
    assert not pre.shares_frame_with(post)
    assert pre.spacing_mm != post.spacing_mm
    assert pre.shape != post.shape


def test_the_same_seed_gives_the_same_pair_on_any_number_of_threads(thin, monkeypatch):
    monkeypatch.setattr("ablmargin.simulation.render.THREADS", 1)
    again = simulate_phantom("thin-margin", seed=1, coarse=3.0)
    assert (again.pre.voxels_hu == thin.pre.voxels_hu).all()
    assert (again.post.voxels_hu == thin.post.voxels_hu).all()
    assert again.truth.record() == thin.truth.record()


def test_another_seed_is_another_patient(thin, subcapsular):
    assert subcapsular.liver_pre.volume_ml != thin.liver_pre.volume_ml
    assert subcapsular.truth.deformation != thin.truth.deformation


def test_the_record_is_json(thin):
    record = json.loads(json.dumps(thin.truth.record(), allow_nan=False))
    assert record["lesions"][0]["mam_mm"] == thin.truth.lesions[0].mam_mm
    assert len(record["landmarks"]["pre_mm"]) == len(record["landmarks"]["post_mm"])


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(UsageError, match="thin-margin"):
        simulate_phantom("thick-margin")
    assert DEFAULT_SCENARIO in SCENARIOS


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_keeps_its_promise(name, seed):
    pair = simulate_phantom(name, seed=seed, coarse=3.0)
    for plan, lesion in zip(SCENARIOS[name].lesions, pair.truth.lesions, strict=True):
        found = lesion.mam_constrained_mm if plan.subcapsular else lesion.mam_mm
        assert found == pytest.approx(plan.nominal_mam_mm, abs=0.1)
        assert lesion.subcapsular == plan.subcapsular
        assert (lesion.residual_tumor_ml > 0) == (plan.nominal_mam_mm < 0)
    assert not pair.liver_post.touches_border()
