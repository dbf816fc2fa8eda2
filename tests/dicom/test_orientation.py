from __future__ import annotations

import numpy as np
import pytest
from ct_files import CENTER_MM, ct_on, files_of, landmark_errors_mm, write_series
from orientations import rotation

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.geometry import Geometry, triples
from ablmargin.loading import load_image

# Rows: where slice, row and column grow, (x, y, z).
STACKS = {
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "feet first": np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 0]], float),
    "other way": np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], float),
    "prone": np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], float),
    "sagittal": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
    "coronal": np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float),
    "oblique": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float) @ rotation(20, 10, -15).T,
}


@pytest.mark.parametrize("name", STACKS)
def test_landmarks_stay_where_they_are(tmp_path, name):
    axes = STACKS[name]
    shape, spacing = (22, 36, 40), (1.9, 1.1, 0.9)
    half = (np.array(shape) - 1) / 2 * spacing
    geometry = Geometry(
        shape=shape, spacing_mm=spacing, origin_mm=tuple(np.array(CENTER_MM) - half @ axes), directions=triples(axes)
    )
    write_ct_series(ct_on(geometry), tmp_path, identity=SeriesIdentity())
    loaded = load_image(tmp_path).volume
    # The center of gravity of a sampled ball of 3.5 mm radius wanders by a fraction of the largest spacing.
    assert max(landmark_errors_mm(loaded)) < 0.35
    assert np.linalg.det(np.array(loaded.geometry.directions)) == pytest.approx(-1, abs=1e-6)


def test_file_names_and_instance_numbers_say_nothing(tmp_path):
    import random

    import pydicom

    folder = write_series(tmp_path)
    names = files_of(folder)
    expected = load_image(folder).volume
    order = random.Random(5).sample(range(len(names)), len(names))
    for name, number in zip(names, order, strict=True):
        dataset = pydicom.dcmread(name)
        dataset.InstanceNumber = number // 2 + 1
        dataset.SpacingBetweenSlices = -2.5
        dataset.save_as(folder / f"x{number:03d}")
        name.unlink()
    loaded = load_image(folder).volume
    np.testing.assert_array_equal(loaded.voxels_hu, expected.voxels_hu)
    assert loaded.geometry == expected.geometry
