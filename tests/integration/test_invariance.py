"""The same case, written as LPS, RAS, flipped and oblique volumes, has the same margin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from orientations import rotation

from ablmargin.geometry import Geometry, triple, triples
from ablmargin.intake import CaseRequest, open_case
from ablmargin.itk import image_of
from ablmargin.pipeline import Settings, analyze
from ablmargin.simulation.pair import SimulatedPair
from ablmargin.simulation.phantom import simulate_phantom

TOLERANCE_MM = 0.05


def flipped(voxels: np.ndarray, geometry: Geometry, axes: tuple[int, ...]) -> tuple[np.ndarray, Geometry]:
    """The same voxels at the same places, stored backward along some axes."""
    first = np.zeros(3)
    first[list(axes)] = np.array(geometry.shape)[list(axes)] - 1
    directions = [tuple(-np.array(d)) if axis in axes else d for axis, d in enumerate(geometry.directions)]
    moved = Geometry(
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        origin_mm=triple(geometry.points_at([first])[0]),
        directions=triples(np.array(directions)),
    )
    return np.flip(voxels, axes), moved


def turned(voxels: np.ndarray, geometry: Geometry, matrix: np.ndarray) -> tuple[np.ndarray, Geometry]:
    """The same patient lying obliquely in the scanner."""
    moved = Geometry(
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        origin_mm=triple(matrix @ np.array(geometry.origin_mm)),
        directions=triples(np.array(geometry.directions) @ matrix.T),
    )
    return voxels, moved


WAYS = {
    "LPS": lambda voxels, geometry, exam: flipped(voxels, geometry, ()),
    "RAS": lambda voxels, geometry, exam: flipped(voxels, geometry, (1, 2)),
    "flipped": lambda voxels, geometry, exam: flipped(voxels, geometry, (0,)),
    "oblique": lambda voxels, geometry, exam: turned(
        voxels, geometry, rotation(12, 8, -10) if exam == "pre" else rotation(-7, 10, 5)
    ),
}


def margin_of(pair: SimulatedPair, way: str, folder: Path) -> float:
    folder.mkdir()

    def write(name: str, exam: str, voxels: np.ndarray, geometry: Geometry) -> Path:
        path = folder / f"{name}.nii.gz"
        array, moved = WAYS[way](voxels, geometry, exam)
        sitk.WriteImage(image_of(array, moved), str(path))
        return path

    def mask(name: str, exam: str, label_mask) -> str:
        return str(write(name, exam, label_mask.voxels, label_mask.geometry))

    request = CaseRequest(
        pre=write("pre", "pre", pair.pre.voxels_hu, pair.pre.geometry),
        post=write("post", "post", pair.post.voxels_hu, pair.post.geometry),
        liver_pre=mask("liver-pre", "pre", pair.liver_pre),
        liver_post=mask("liver-post", "post", pair.liver_post),
        tumors=(mask("tumor", "pre", pair.tumors[0]),),
        ablations=(mask("ablation", "post", pair.zones[0]),),
    )
    result = analyze(open_case(request).case, Settings.of(seed=0, threads=2))
    return result.lesions[0].margin.minimum_mm


@pytest.mark.slow
def test_orientation_changes_nothing(tmp_path):
    pair = simulate_phantom("thin-margin", seed=3, coarse=1.3)
    margins = {way: margin_of(pair, way, tmp_path / way) for way in WAYS}
    for way, margin_mm in margins.items():
        assert margin_mm == pytest.approx(margins["LPS"], abs=TOLERANCE_MM), way
