"""The engine on a small liver whose deformation is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantoms import Pair, liver_points_pre, make_pair, post_from_pre, tumor_points_pre

from ablmargin.errors import EmptyMaskError, GeometryMismatchError, RegistrationError
from ablmargin.progress import Progress, silent
from ablmargin.registration.itk_transform import itk_transform_of
from ablmargin.registration.register import Alignment, RegistrationSettings, register
from ablmargin.registration.transform import inverse_points, jacobian_determinants
from ablmargin.volume import LabelMask

ALONE = RegistrationSettings(ensemble=False)


def align(
    pair: Pair, *, settings: RegistrationSettings = ALONE, ignore: bool = True, progress: Progress = silent
) -> Alignment:
    return register(
        pair.pre,
        pair.post,
        liver_pre=pair.liver_pre,
        liver_post=pair.liver_post,
        ignore_pre=[pair.tumor] if ignore else (),
        ignore_post=[pair.zone] if ignore else (),
        settings=settings,
        progress=progress,
    )


def misses_mm(transform, points_mm: np.ndarray) -> np.ndarray:
    return np.linalg.norm(transform.map_points(points_mm) - post_from_pre(points_mm), axis=1)


def along(mask: LabelMask, voxels: int) -> LabelMask:
    return replace(mask, voxels=np.roll(mask.voxels, voxels, axis=2))


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair()


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def aligned(pair, told) -> Alignment:
    return align(pair, settings=RegistrationSettings(), progress=lambda *step: told.append(step))


@pytest.fixture(scope="module")
def quiet() -> Alignment:
    """Without noise, so that only the grids differ."""
    return align(make_pair(noise_hu=0.0))


def test_the_deformation_is_found(aligned):
    rigid = misses_mm(aligned.rigid_post_from_pre, liver_points_pre())
    found = misses_mm(aligned.post_from_pre, liver_points_pre())
    assert rigid.mean() > 2.5  # the bend can't be had by turning and shifting
    assert found.mean() < 1.0
    assert found.mean() < 0.35 * rigid.mean()


def test_the_tumor_lands_where_it_should(aligned):
    assert misses_mm(aligned.post_from_pre, tumor_points_pre()).mean() < 1.0


def test_the_result_lies_halfway_between_the_two_directions(aligned):
    points = liver_points_pre(100)
    there, back = aligned.forward.map_points(points), inverse_points(aligned.pre_from_post, points)
    found = aligned.post_from_pre.map_points(points)
    apart = np.linalg.norm(there - back, axis=1).mean()
    assert apart > 0.03
    assert np.linalg.norm(found - (there + back) / 2, axis=1).mean() < 0.3 * apart


def test_the_itk_transform_holds_for_the_whole_liver(aligned):
    points = liver_points_pre()
    transform = itk_transform_of(aligned.post_from_pre)
    mapped = np.array([transform.TransformPoint(point) for point in points.tolist()])
    np.testing.assert_allclose(mapped, aligned.post_from_pre.map_points(points), atol=1e-3)


def test_a_good_alignment_is_called_good(aligned):
    quality = aligned.assess(tumor_points_pre())
    assert (quality.quality, quality.reasons) == ("good", ())
    assert quality.liver_dice > 0.95
    assert quality.liver_asd_mm < 1.0
    assert quality.liver_asd_mm < quality.liver_hd95_mm < 3.0
    assert quality.folded_share == 0
    assert 0 < quality.jacobian_min < 1
    assert 0.2 <= quality.sd_mm < 1.0


def test_the_local_error_is_of_the_size_of_the_error(aligned):
    error = aligned.local_error(tumor_points_pre())
    true = np.sqrt((misses_mm(aligned.post_from_pre, tumor_points_pre()) ** 2).mean() / 3)
    assert 0.4 < error.sd_mm / true < 4  # an order of magnitude is what one pair can show
    assert error.correlation_length_mm > 10


def test_without_an_ensemble_the_error_is_unknown_not_small(quiet):
    assert quiet.local_error(tumor_points_pre()) is None
    assert quiet.assess(tumor_points_pre()).sd_mm is None


def test_a_visible_zone_pulls_the_tumor_and_an_ignored_one_does_not(pair, aligned):
    pulled = align(pair, ignore=False)
    ignored_mm = misses_mm(aligned.post_from_pre, tumor_points_pre()).mean()
    pulled_mm = misses_mm(pulled.post_from_pre, tumor_points_pre()).mean()
    assert pulled_mm > ignored_mm + 0.8
    volumes = [jacobian_determinants(a.post_from_pre, tumor_points_pre()).mean() for a in (aligned, pulled)]
    truth = jacobian_determinants(TrueMap(), tumor_points_pre()).mean()
    assert abs(volumes[0] / truth - 1) < 0.15
    assert volumes[1] / truth > 1.25  # the tumor is blown up to fill the zone


class TrueMap:
    def map_points(self, points_mm):
        return post_from_pre(points_mm)


@pytest.mark.parametrize("orientation", [pytest.param("RAS", marks=pytest.mark.slow), "oblique"])
def test_the_orientation_of_the_arrays_changes_nothing(quiet, orientation):
    points = np.concatenate([liver_points_pre(100), tumor_points_pre(50)])
    other = align(make_pair(noise_hu=0.0, orientation=orientation))
    difference = other.post_from_pre.map_points(points) - quiet.post_from_pre.map_points(points)
    assert np.linalg.norm(difference, axis=1).mean() < 0.2


def test_moving_the_patient_on_the_table_changes_nothing(pair, aligned):
    shift = np.array([100.0, -50.0, 200.0])
    moved = align(make_pair(post_shift_mm=tuple(shift)))
    points = liver_points_pre(100)
    difference = moved.post_from_pre.map_points(points) - aligned.post_from_pre.map_points(points) - shift
    assert np.abs(difference).max() < 0.02


def test_the_same_input_gives_the_same_numbers_whatever_the_threads(pair, aligned):
    again = align(pair, settings=RegistrationSettings(threads=1))
    np.testing.assert_array_equal(again.post_from_pre.coefficients_mm, aligned.post_from_pre.coefficients_mm)
    points = tumor_points_pre()
    assert again.local_error(points) == aligned.local_error(points)


def test_inverted_vessels_are_told_and_still_aligned():
    inverted = align(make_pair(post_vessel_hu=-35.0), settings=RegistrationSettings())
    assert not inverted.phases_match
    assert "sign-free" in inverted.method
    assert misses_mm(inverted.post_from_pre, tumor_points_pre()).mean() < 2.0
    quality = inverted.assess(tumor_points_pre())
    assert quality.quality == "doubtful"
    assert "contrast phases" in str(quality.reasons[0])


def test_another_patient_is_not_called_good():
    other = align(make_pair(post_seed=77), settings=RegistrationSettings())
    assert other.livers.dice > 0.9  # the outline can't tell
    assert other.assess(tumor_points_pre()).quality != "good"


@pytest.mark.slow
def test_a_mirrored_exam_is_not_called_good(pair):
    def mirrored(voxels):
        return np.flip(voxels, axis=0)

    mirror = replace(
        pair,
        post=replace(pair.post, voxels_hu=mirrored(pair.post.voxels_hu)),
        liver_post=replace(pair.liver_post, voxels=mirrored(pair.liver_post.voxels)),
        zone=replace(pair.zone, voxels=mirrored(pair.zone.voxels)),
    )
    assert align(mirror, settings=RegistrationSettings()).assess(tumor_points_pre()).quality != "good"


@pytest.mark.slow
def test_a_misplaced_zone_mask_is_not_called_good(pair):
    misplaced = replace(pair, zone=along(pair.zone, 8))
    assert align(misplaced, settings=RegistrationSettings()).assess(tumor_points_pre()).quality != "good"


def test_a_liver_cut_off_by_the_image_is_aligned_by_what_is_seen(pair):
    start, stop = (0, 0, 0), (38, 62, 70)  # the dome isn't in the post exam
    cut = replace(
        pair,
        post=pair.post.cropped(start, stop),
        liver_post=pair.liver_post.cropped(start, stop),
        zone=pair.zone.cropped(start, stop),
    )
    assert cut.liver_post.touches_border()
    assert misses_mm(align(cut).post_from_pre, tumor_points_pre()).mean() < 1.5


def test_empty_and_strange_livers_are_refused(pair):
    empty = replace(pair.liver_pre, voxels=np.zeros(pair.pre.geometry.shape, bool))
    with pytest.raises(EmptyMaskError):
        align(replace(pair, liver_pre=empty))
    far = replace(pair.liver_post, geometry=replace(pair.liver_post.geometry, origin_mm=(5000.0, 0.0, 0.0)))
    with pytest.raises(GeometryMismatchError, match="no overlap"):
        align(replace(pair, liver_post=far))
    all_treated = replace(pair.zone, voxels=np.ones(pair.post.geometry.shape, bool))
    with pytest.raises(RegistrationError, match="untreated liver"):
        align(replace(pair, zone=all_treated))


def test_progress_is_told_in_order(aligned, told):
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    levels = [step for step, _ in told if "level" in step]
    assert [step.split("level of ")[1][:4] for step in levels] == ["4 mm", "3 mm", "2 mm"]


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"seed": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="at least"):
        RegistrationSettings(**wrong)
