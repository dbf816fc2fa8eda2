"""Small cases that go the whole way in a few seconds: an egg of textured liver, a tumor, a zone; files and a manifest."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ablmargin.geometry import FloatArray, Geometry
from ablmargin.imagefile import save_mask, save_volume
from ablmargin.volume import LabelMask, Structure, Volume

GRID = Geometry(shape=(30, 40, 40), spacing_mm=(2.5, 2.0, 2.0), origin_mm=(-39.0, -39.0, -36.0))
LIVER_RADII_MM = np.array([30.0, 27.0, 25.0])
SHIFT_MM = np.array([3.0, -2.0, 2.5])
"""How the patient lies otherwise after ablation."""
LAYOUTS = {1: (((0.0, 0.0, 0.0), 6.0, 12.0),), 2: (((-12.0, 0.0, 0.0), 4.5, 8.0), ((12.0, 2.0, 0.0), 4.0, 9.0))}
"""For one lesion and for two: center, radius of the tumor and of its zone, mm."""
COLUMNS = ("case_id", "lesion_id", "pre", "post", "liver_pre", "liver_post", "tumor", "ablation", "ras_mutation", "ltp")

Row = dict[str, str]


def write_case(folder: Path, *, seed: int, lesions: int = 1) -> list[Row]:
    """Write one case's images and masks, and return a row for each lesion, with paths relative to the folder above."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    texture = gaussian_filter(rng.normal(size=(60, 60, 60)), 2.0)
    texture *= 25.0 / texture.std()
    tumors = [(np.array(center), radius) for center, radius, _ in LAYOUTS[lesions]]
    zones = [(np.array(center) + rng.uniform(-2.0, 2.0, 3), radius) for center, _, radius in LAYOUTS[lesions]]
    _write_exam(folder, "pre", texture, ("tumor", Structure.TUMOR, tumors), rng)
    _write_exam(folder, "post", texture, ("ablation", Structure.ABLATION_ZONE, zones), rng)
    return [_row(folder.name, str(number), ltp=seed % 2) for number in range(1, lesions + 1)]


def _write_exam(
    folder: Path,
    exam: str,
    texture: FloatArray,
    drawn: tuple[str, Structure, list[tuple[FloatArray, float]]],
    rng: np.random.Generator,
) -> None:
    name, structure, balls = drawn
    points_mm = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
    points_mm = points_mm - SHIFT_MM if exam == "post" else points_mm
    liver = ((points_mm / LIVER_RADII_MM) ** 2).sum(axis=-1) <= 1
    places = np.moveaxis(points_mm / 2.0 + 30.0, -1, 0)  # the texture's cells are 2 mm wide
    hu = np.where(liver, 110.0 + map_coordinates(texture, places, order=1, mode="nearest"), -60.0)
    hu += rng.normal(0.0, 6.0, GRID.shape)
    _save(liver, Structure.LIVER, folder / f"liver-{exam}.nii.gz")
    for number, (center_mm, radius_mm) in enumerate(balls, start=1):
        inside = np.linalg.norm(points_mm - center_mm, axis=-1) <= radius_mm
        hu[inside] = 50.0
        _save(inside, structure, folder / f"{name}-{number}.nii.gz")
    save_volume(Volume(voxels_hu=hu.astype(np.float32), geometry=GRID), folder / f"{exam}.nii.gz")


def _row(case_id: str, lesion_id: str, *, ltp: int) -> Row:
    files = {name: f"{case_id}/{name.replace('_', '-')}.nii.gz" for name in ("pre", "post", "liver_pre", "liver_post")}
    drawn = {name: f"{case_id}/{name}-{lesion_id}.nii.gz" for name in ("tumor", "ablation")}
    named = {"case_id": case_id, "lesion_id": lesion_id, "ras_mutation": "wildtype", "ltp": str(ltp)}
    return {name: (named | files | drawn)[name] for name in COLUMNS}


def write_manifest(path: Path, rows: Sequence[Row]) -> Path:
    """Write a manifest of rows that share their columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _save(voxels: np.ndarray, structure: Structure, path: Path) -> None:
    save_mask(LabelMask(voxels=voxels, geometry=GRID, structure=structure), path)
