from __future__ import annotations

import numpy as np
import pytest

from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.validation.pairs import ALL_KINDS, random_pair
from ablmargin.validation.qam import qam_margin


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_pair_fits_its_grid_and_its_truth(kind):
    for seed, oblique in ((1, False), (2, True)):
        pair = random_pair(kind, np.random.default_rng(seed), 5.0, oblique=oblique)
        tumor, zone = pair.tumor_mask, pair.zone_mask
        assert not tumor.touches_border()
        assert not zone.touches_border()
        assert tumor.volume_ml == pytest.approx(pair.truth.tumor_volume_ml, rel=0.25)  # few thick slices
        assert pair.grid.spacing_mm == (5.0, 0.7, 0.7)
        assert (pair.grid.directions == ((0, 0, 1), (0, 1, 0), (1, 0, 0))) is not oblique
        sampled = pair.zone.signed_distance_mm(pair.tumor.surface_points(4000)[0])
        assert pair.truth.mam_mm <= sampled.min() < pair.truth.mam_mm + 0.2


def test_the_same_draw_gives_the_same_shapes_on_any_grid():
    one, other = (random_pair("lumpy", np.random.default_rng(5), spacing, oblique=False) for spacing in (1.0, 3.0))
    assert one.tumor == other.tumor
    assert one.truth.mam_mm == other.truth.mam_mm
    again = one.on_another_grid(np.random.default_rng(1), 1.0, oblique=False)
    assert again.tumor is one.tumor
    assert again.grid.origin_mm != one.grid.origin_mm
    assert random_pair("lumpy", np.random.default_rng(6), 1.0, oblique=False).tumor != one.tumor


def test_the_published_method_reads_voxel_centers():
    pair = random_pair("sphere", np.random.default_rng(3), 3.0, oblique=True)
    margin = qam_margin(pair.tumor_mask, pair.zone_mask)
    # the same voxels as in the raw minimum, found another way
    assert margin.minimum_mm == pytest.approx(raw_minimum_mm(pair.tumor_mask, pair.zone_mask))
    outside = qam_margin(pair.zone_mask, pair.tumor_mask).minimum_mm
    assert outside == pytest.approx(raw_minimum_mm(pair.zone_mask, pair.tumor_mask))
    assert outside < 0 < margin.minimum_mm
    assert set(margin.area_mm2) == {1.0}
    assert len(margin.margin_mm) < pair.tumor_mask.voxels.sum()  # the border alone
