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
