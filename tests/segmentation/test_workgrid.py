"""The grid on which organs are looked for."""

from __future__ import annotations

import pickle

import numpy as np

from ablmargin.geometry import Geometry
from ablmargin.segmentation.workgrid import work_image
from ablmargin.volume import Volume


def test_a_volume_that_came_from_another_process_is_neither_refused_nor_changed():
    grid = Geometry(shape=(6, 8, 10), spacing_mm=(3.0, 3.0, 3.0), origin_mm=(0, 0, 0))
    values = np.linspace(-2000, 2000, 480, dtype=np.float32).reshape(grid.shape)
    volume = pickle.loads(pickle.dumps(Volume(voxels_hu=values, geometry=grid)))
    image = work_image(volume, 3.0)
    np.testing.assert_allclose(image.hu, np.clip(values, -1024, 1500), atol=0.01)
    np.testing.assert_array_equal(volume.voxels_hu, values)
