"""A CT series and masks on it, for tests of the formats that masks come in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ct_files import CENTER_MM, grid, write_series

from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.loading import load_image
from ablmargin.volume import LabelMask, Structure

OFFSETS_MM = {"Tumor 1": (-4.0, 2.0, 3.0), "zone": (1.0, -3.0, -2.0)}
RADII_MM = {"Tumor 1": 6.0, "zone": 9.0}
STRUCTURES = {"Tumor 1": Structure.TUMOR, "zone": Structure.ABLATION_ZONE}

DAMAGED = {"FILE_TRUNCATED", "FILE_FORMAT", "FILE_UNREADABLE", "MASK_FORMAT"}
"""What a damaged file may be refused for; not for being empty or lacking a segment, as if the rest could be believed."""


def series(folder: Path, geometry: Geometry | None = None, **identity: object) -> tuple[Path, Geometry]:
    """A CT series and its grid as it is loaded."""
    write_series(folder, geometry or grid(), **identity)
    return folder, load_image(folder).volume.geometry


def distance_mm(geometry: Geometry, name: str) -> np.ndarray:
    points = geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))
    return np.linalg.norm(points - CENTER_MM - OFFSETS_MM[name], axis=-1)


def ball(geometry: Geometry, name: str = "Tumor 1", **changes: object) -> LabelMask:
    inside = distance_mm(geometry, name) <= RADII_MM[name]
    return LabelMask(**{"voxels": inside, "geometry": geometry, "structure": STRUCTURES[name]} | changes)


def soft_ball(geometry: Geometry, name: str = "Tumor 1") -> LabelMask:
    """Shares that fall from 1 to 0 over 4 mm around the ball's border, in steps of 1/255."""
    shares = np.rint(np.clip((RADII_MM[name] + 2 - distance_mm(geometry, name)) / 4, 0, 1) * 255) / 255
    return LabelMask.soft(shares, geometry=geometry, structure=STRUCTURES[name])


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


def code_of(call, *arguments, **named) -> str:
    return fault_of(call, *arguments, **named).code


def fault_of(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    (fault,) = caught.value.faults
    assert fault.remedy
    assert fault.expected
    return fault


def cuts(content: bytes, *, step: int) -> list[int]:
    """Where to cut a DICOM file short: every so many bytes, and exactly between the items of its sequences."""
    items = [match.start() for match in re.finditer(rb"\xfe\xff\x00\xe0", content)]
    return [*range(140, len(content), step), *items, len(content) - 2]
