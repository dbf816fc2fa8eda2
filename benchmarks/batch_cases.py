"""Small cases that go the whole way in a few seconds: an egg of textured liver, a tumor, a zone; files and a manifest."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from ablmargin.geometry import FloatArray, Geometry
from ablmargin.imagefile import save_mask, save_volume
from ablmargin.volume import LabelMask, Structure, Volume

GRID = Geometry(shape=(30, 40, 40), spacing_mm=(2.5, 2.0, 2.0), origin_mm=(-39.0, -39.0, -36.0))
LIVER_RADII_MM = np.array([30.0, 27.0, 25.0])
TUMOR_RADIUS_MM, ZONE_RADIUS_MM = 6.0, 12.0
SHIFT_MM = np.array([3.0, -2.0, 2.5])
"""How the patient lies otherwise after ablation."""
COLUMNS = ("case_id", "lesion_id", "pre", "post", "liver_pre", "liver_post", "tumor", "ablation", "ras_mutation", "ltp")

Row = dict[str, str]


def write_case(folder: Path, *, seed: int) -> Row:
    """Write one case's images and masks into a folder, and return its row, with paths relative to the folder above."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    texture = gaussian_filter(rng.normal(size=(60, 60, 60)), 2.0)
    texture *= 25.0 / texture.std()
    offset_mm = rng.uniform(-2.0, 2.0, 3)
    exams = {"pre": np.zeros(3), "post": SHIFT_MM}
    for exam, shift_mm in exams.items():
        points_mm = _points() - shift_mm
        liver = ((points_mm / LIVER_RADII_MM) ** 2).sum(axis=-1) <= 1
        target, radius_mm = (
            ("tumor", np.linalg.norm(points_mm, axis=-1) / TUMOR_RADIUS_MM)
            if exam == "pre"
            else ("ablation", np.linalg.norm(points_mm - offset_mm, axis=-1) / ZONE_RADIUS_MM)
        )
        hu = np.where(liver, 110.0 + _sampled(texture, points_mm), -60.0) + rng.normal(0.0, 6.0, GRID.shape)
        hu[radius_mm <= 1] = 50.0
        save_volume(Volume(voxels_hu=hu.astype(np.float32), geometry=GRID), folder / f"{exam}.nii.gz")
        _save(liver, Structure.LIVER, folder / f"liver-{exam}.nii.gz")
        structure = Structure.TUMOR if target == "tumor" else Structure.ABLATION_ZONE
        _save(radius_mm <= 1, structure, folder / f"{target}.nii.gz")
    row = {"case_id": folder.name, "lesion_id": "1", "ras_mutation": "wildtype", "ltp": str(seed % 2)}
    files = {column: column.replace("_", "-") for column in COLUMNS[2:8]}
    return row | {column: f"{folder.name}/{name}.nii.gz" for column, name in files.items()}


def write_manifest(path: Path, rows: Sequence[Row]) -> Path:
    """Write a manifest of rows that share their columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _points() -> FloatArray:
    return GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))


def _sampled(texture: FloatArray, points_mm: FloatArray) -> FloatArray:
    """The texture, 2 mm a cell, at points: smooth enough for the nearest cell's neighbors to be mixed linearly."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415 - only here

    return map_coordinates(texture, np.moveaxis(points_mm / 2.0 + 30.0, -1, 0), order=1, mode="nearest")


def _save(voxels: np.ndarray, structure: Structure, path: Path) -> None:
    save_mask(LabelMask(voxels=voxels, geometry=GRID, structure=structure), path)
