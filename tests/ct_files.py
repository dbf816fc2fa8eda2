"""A small asymmetric CT in any orientation, written as DICOM and then damaged by the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from orientations import grid_around

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.geometry import Geometry
from ablmargin.volume import Volume

CENTER_MM = (12.0, -30.0, 55.0)
LANDMARKS_MM = {300.0: (-6.0, -4.0, -7.0), 500.0: (8.0, 3.0, -2.0), 700.0: (-3.0, 7.0, 6.0)}
"""HU of three balls and where they are, from the center: no mirror image looks the same."""
BALL_MM = 3.5


def grid(
    shape: tuple[int, int, int] = (16, 40, 44),
    spacing_mm: tuple[float, float, float] = (2.5, 1.1, 0.9),
    *,
    orientation: str = "LPS",
    frame_uid: str | None = None,
) -> Geometry:
    return grid_around(CENTER_MM, orientation=orientation, shape=shape, spacing_mm=spacing_mm, frame_uid=frame_uid)


def ct_on(geometry: Geometry) -> Volume:
    """The phantom sampled on a grid: a function of patient coordinates alone."""
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1)) - np.array(CENTER_MM)
    voxels = np.full(geometry.shape, -1000.0)
    voxels[np.linalg.norm(points / (16.0, 14.0, 15.0), axis=-1) <= 1] = 50.0
    for level_hu, place in LANDMARKS_MM.items():
        voxels[np.linalg.norm(points - np.array(place), axis=-1) <= BALL_MM] = level_hu
    return Volume(voxels_hu=voxels.astype(np.float32), geometry=geometry)


def landmark_errors_mm(volume: Volume) -> list[float]:
    """How far each ball's center of gravity is from the truth."""
    return [
        float(
            np.linalg.norm(
                volume.geometry.points_at(np.argwhere(volume.voxels_hu == level_hu)).mean(axis=0)
                - np.array(CENTER_MM)
                - np.array(place)
            )
        )
        for level_hu, place in LANDMARKS_MM.items()
    ]


def write_series(folder: Path, geometry: Geometry | None = None, **identity: object) -> Path:
    write_ct_series(ct_on(geometry or grid()), folder, identity=SeriesIdentity(**identity))
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def edit(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change a file's data set in place."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def set_raw(path: Path, keyword: str, text: str) -> None:
    """Write text into a decimal attribute, even what pydicom itself would refuse."""
    padded = text + " " * (len(text) % 2)
    mark = "7" * len(padded)
    edit(path, lambda dataset: dataset.add_new(keyword, "DS", mark))
    data = path.read_bytes()
    assert data.count(mark.encode()) == 1
    path.write_bytes(data.replace(mark.encode(), padded.encode()))
