from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import EmptyMaskError
from ablmargin.geometry import Geometry
from ablmargin.itk import geometry_of, image_of, resample
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

GRID = Geometry(shape=(4, 5, 6), spacing_mm=(5, 0.8, 0.7), origin_mm=(0, 0, 0))


def mask_of(*indices: tuple[int, int, int], geometry: Geometry = GRID) -> LabelMask:
    voxels = np.zeros(geometry.shape, bool)
    for index in indices:
        voxels[index] = True
    return LabelMask(voxels=voxels, geometry=geometry, structure=Structure.TUMOR)


def test_voxels_are_a_locked_copy():
    voxels = np.zeros(GRID.shape, np.float32)
    volume = Volume(voxels_hu=voxels, geometry=GRID)
    voxels[:] = 7
    assert volume.voxels_hu.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels_hu[0, 0, 0] = 1


def test_a_locked_view_of_something_writable_is_copied():
    voxels = np.zeros(GRID.shape, np.float32)
    view = voxels[:]
    view.setflags(write=False)
    volume = Volume(voxels_hu=view, geometry=GRID)
    voxels[:] = 7
    assert volume.voxels_hu.max() == 0


def test_a_crop_shares_memory_and_place():
    volume = Volume(voxels_hu=np.arange(120, dtype=np.float32).reshape(4, 5, 6), geometry=GRID)
    crop = volume.cropped((1, 1, 1), (3, 4, 5))
    assert crop.voxels_hu[0, 0, 0] == volume.voxels_hu[1, 1, 1]
    assert crop.geometry.points_at([(0, 0, 0)]) == pytest.approx(GRID.points_at([(1, 1, 1)]))
    assert np.shares_memory(crop.voxels_hu, volume.voxels_hu)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_volume_is_finite(bad):
    voxels = np.zeros(GRID.shape, np.float32)
    voxels[2, 2, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        Volume(voxels_hu=voxels, geometry=GRID)


def test_shape_and_type_are_checked():
    with pytest.raises(ValueError, match="shape"):
        Volume(voxels_hu=np.zeros((5, 4, 6), np.float32), geometry=GRID)
    with pytest.raises(TypeError, match="bool"):
        LabelMask(voxels=np.zeros(GRID.shape, np.uint8), geometry=GRID, structure=Structure.TUMOR)


def test_volume_in_ml_counts_voxels():
    assert mask_of((0, 0, 0), (1, 2, 3)).volume_ml == pytest.approx(2 * 5 * 0.8 * 0.7 / 1000)


def test_bounding_box_is_padded_and_cut_at_the_border():
    mask = mask_of((1, 2, 3), (2, 2, 3))
    assert mask.bounding_box() == ((1, 2, 3), (3, 3, 4))
    assert mask.bounding_box(pad_mm=0.8) == ((0, 1, 1), (4, 4, 6))


def test_touching_the_border():
    assert mask_of((0, 2, 3)).touches_border()
    assert mask_of((2, 2, 5)).touches_border()
    assert not mask_of((2, 2, 3)).touches_border()


def test_union_asks_for_one_grid():
    assert mask_of((1, 1, 1)).union(mask_of((2, 2, 2))).voxels.sum() == 2
    moved = Geometry(shape=GRID.shape, spacing_mm=GRID.spacing_mm, origin_mm=(0, 0, 1))
    with pytest.raises(ValueError, match="same grid"):
        mask_of((1, 1, 1)).union(mask_of((1, 1, 1), geometry=moved))


def test_an_empty_mask_is_refused_by_name():
    empty = LabelMask(
        voxels=np.zeros(GRID.shape, bool), geometry=GRID, structure=Structure.TUMOR, origin=MaskOrigin(name="t.nii.gz")
    )
    with pytest.raises(EmptyMaskError, match=r"MASK_EMPTY: t\.nii\.gz"):
        empty.require_not_empty()


def soft_mask(shares: dict[tuple[int, int, int], float], geometry: Geometry = GRID) -> LabelMask:
    fractions = np.zeros(geometry.shape)
    for index, share in shares.items():
        fractions[index] = share
    return LabelMask.soft(fractions, geometry=geometry, structure=Structure.TUMOR)


def test_a_soft_mask_counts_shares_and_keeps_its_own_locked_copy():
    fractions = np.zeros(GRID.shape, np.float32)
    fractions[1, 2, 3], fractions[2, 2, 3] = 0.5, 0.25
    mask = LabelMask.soft(fractions, geometry=GRID, structure=Structure.TUMOR)
    fractions[:] = 1
    assert mask.volume_ml == pytest.approx(0.75 * GRID.voxel_volume_ml)
    assert np.argwhere(mask.voxels).tolist() == [[1, 2, 3]]
    assert mask.fractions.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        mask.fractions[0, 0, 0] = 1


def test_a_hard_mask_has_no_shares():
    mask = mask_of((1, 2, 3))
    assert mask.fractions is None
    assert np.array_equal(mask.touched, mask.voxels)


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf])
def test_shares_lie_between_0_and_1(bad):
    with pytest.raises(ValueError, match="between 0 and 1"):
        soft_mask({(1, 2, 3): bad, (2, 2, 3): 1.0})


def test_voxels_and_shares_must_agree():
    soft = soft_mask({(1, 2, 3): 0.4})
    with pytest.raises(ValueError, match=r"share of 0\.5"):
        LabelMask(voxels=soft.fractions > 0.3, geometry=GRID, structure=Structure.TUMOR, fractions=soft.fractions)
    with pytest.raises(ValueError, match="shape"):
        LabelMask.soft(np.zeros((5, 4, 6)), geometry=GRID, structure=Structure.TUMOR)


def test_a_soft_mask_is_empty_without_a_voxel_that_lies_mostly_inside():
    assert soft_mask({(1, 2, 3): 0.49}).is_empty
    with pytest.raises(EmptyMaskError):
        soft_mask({(1, 2, 3): 0.49}).bounding_box()


def test_box_and_border_of_a_soft_mask_reach_as_far_as_its_shares():
    soft = soft_mask({(1, 2, 3): 1.0, (2, 2, 3): 0.1, (0, 0, 0): 0.001})
    assert soft.bounding_box() == ((1, 2, 3), (3, 3, 4))  # 0.001 of a voxel is noise
    assert not soft.touches_border()
    assert soft_mask({(1, 2, 3): 1.0, (0, 2, 3): 0.1}).touches_border()


def test_a_crop_of_a_soft_mask_keeps_its_shares_without_a_copy():
    soft = soft_mask({(1, 2, 3): 0.75, (2, 2, 3): 0.25})
    crop = soft.cropped((1, 1, 1), (3, 4, 5))
    assert crop.fractions[:, 1, 2].tolist() == [0.75, 0.25]
    assert crop.volume_ml == pytest.approx(soft.volume_ml)
    assert np.shares_memory(crop.fractions, soft.fractions)


def test_of_two_shares_the_union_takes_the_larger():
    soft, other = soft_mask({(1, 1, 1): 0.6, (2, 2, 2): 0.3}), soft_mask({(1, 1, 1): 0.2, (2, 2, 2): 0.4})
    joined = soft.union(other, mask_of((1, 3, 3)))
    assert joined.volume_ml == pytest.approx((0.6 + 0.4 + 1.0) * GRID.voxel_volume_ml)
    assert np.array_equal(joined.voxels, joined.fractions >= 0.5)
    assert mask_of((1, 3, 3)).union(soft).volume_ml == pytest.approx(1.9 * GRID.voxel_volume_ml)
    assert soft.volume_ml == pytest.approx(0.9 * GRID.voxel_volume_ml), "inputs stay as they are"


def test_itk_agrees_on_every_corner(orientation):
    geometry = grid_around((40, -30, 200), orientation=orientation)
    image = image_of(np.zeros(geometry.shape, np.int16), geometry)
    k, j, i = (n - 1 for n in geometry.shape)
    for index in ((0, 0, 0), (k, 0, 0), (0, j, 0), (0, 0, i), (k, j, i)):
        assert image.TransformIndexToPhysicalPoint(index[::-1]) == pytest.approx(geometry.points_at([index])[0])
    assert geometry_of(image).same_grid_as(geometry, tolerance_mm=1e-6)


def test_resampling_keeps_a_ramp_in_world_space(orientation):
    source = grid_around((0, 0, 0), shape=(30, 40, 50), spacing_mm=(2, 1, 1))
    ramp = source.points_at(np.moveaxis(np.indices(source.shape), 0, -1)) @ np.array([1.0, 2.0, 3.0])
    target = grid_around((3, 1, -2), orientation=orientation, shape=(6, 12, 12), spacing_mm=(3, 1.3, 1.1))
    expected = target.points_at(np.moveaxis(np.indices(target.shape), 0, -1)) @ np.array([1.0, 2.0, 3.0])
    assert resample(ramp.astype(np.float32), source, target) == pytest.approx(expected, abs=1e-3)
