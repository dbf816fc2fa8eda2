from dataclasses import replace

import numpy as np
import pytest

from ablmargin.errors import EmptyMaskError
from ablmargin.simulation.semireal import simulate_from_ct


@pytest.fixture(scope="module")
def source(thin):
    return thin.pre, thin.liver_pre


@pytest.fixture(scope="module")
def pair(source):
    return simulate_from_ct(*source, seed=1, nominal_mam_mm=3.0, tumor_radius_mm=7.0)


def test_the_margin_is_as_asked(pair):
    lesion = pair.truth.lesions[0]
    assert lesion.mam_mm == pytest.approx(3.0, abs=0.05)
    assert lesion.residual_tumor_ml == 0


def test_the_pre_exam_is_the_source_with_a_tumor(source, pair):
    volume, _ = source
    assert pair.pre.geometry == volume.geometry
    tumor = pair.tumors[0].voxels
    assert tumor.any()
    assert np.median(pair.pre.voxels_hu[tumor]) < np.median(volume.voxels_hu[tumor]) - 15
    far = ~pair.liver_pre.voxels
    assert np.median(np.abs(pair.pre.voxels_hu - volume.voxels_hu)[far]) < 25  # denoised, then noise anew


def test_the_post_exam_holds_the_moved_liver_and_the_zone(pair):
    zone = pair.zones[0].voxels
    rest = pair.liver_post.voxels & ~zone
    assert np.median(pair.post.voxels_hu[zone]) < np.median(pair.post.voxels_hu[rest]) - 20
    assert pair.liver_post.volume_ml == pytest.approx(pair.liver_pre.volume_ml, rel=0.1)
    assert not pair.post.geometry.shares_frame_with(pair.pre.geometry)
    assert (zone <= pair.liver_post.voxels).all()


def test_landmarks_go_there_and_back(pair):
    truth = pair.truth
    back = truth.pre_from_post.map_points(truth.landmarks_post_mm)
    assert np.abs(back - truth.landmarks_pre_mm).max() < 1e-5
    assert np.linalg.norm(truth.landmarks_post_mm - truth.landmarks_pre_mm, axis=1).min() > 5


def test_a_flipped_source_works_the_same_way_and_slices_can_be_chosen(source):
    volume, liver = source
    k, j, i = (np.array(axis) for axis in volume.geometry.directions)
    turned = replace(
        volume.geometry,
        directions=(tuple(-k), tuple(j), tuple(-i)),
        origin_mm=tuple(
            volume.geometry.points_at([(volume.geometry.shape[0] - 1, 0, volume.geometry.shape[2] - 1)])[0]
        ),
    )
    flipped = simulate_from_ct(
        replace(volume, voxels_hu=volume.voxels_hu[::-1, :, ::-1], geometry=turned),
        replace(liver, voxels=liver.voxels[::-1, :, ::-1], geometry=turned),
        tumor_radius_mm=7.0,
        post_slice_mm=8.0,
    )
    assert flipped.post.geometry.spacing_mm[0] == 8.0
    assert flipped.truth.lesions[0].mam_mm == pytest.approx(3.0, abs=0.05)
    assert flipped.post.geometry.directions == turned.directions
    assert not flipped.liver_post.touches_border()


def test_unfit_input_is_refused(source):
    volume, liver = source
    with pytest.raises(ValueError, match="grid"):
        simulate_from_ct(volume, liver.cropped((0, 0, 0), (5, 20, 20)))
    with pytest.raises(EmptyMaskError):
        simulate_from_ct(volume, replace(liver, voxels=np.zeros_like(liver.voxels)))
    with pytest.raises(ValueError, match="no place"):
        simulate_from_ct(volume, liver, tumor_radius_mm=60.0)
