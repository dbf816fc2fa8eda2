"""Wide vessels near a tumor: straight tubes, whose width and distance from a ball are known, on grids of many kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from orientations import grid_around
from scipy.spatial import ConvexHull

from ablmargin.geometry import Geometry
from ablmargin.metrics.surface import Surface
from ablmargin.metrics.vessels import NearestVessel, nearest_vessel, wide_vessel_points_mm
from ablmargin.volume import LabelMask, Structure

FINE, CT, THICK = (0.5, 0.5, 0.5), (1.0, 0.8, 0.8), (2.5, 0.8, 0.7)
RADIUS_MM = 8.0
ALONG = {"z": (0.0, 0.0, 1.0), "y": (0.0, 1.0, 0.0), "askew": (1.0, 0.5, 0.3)}


def tumor(radius_mm: float = RADIUS_MM) -> Surface:
    """A ball around the origin; its 2000 corners lie on it, its faces at most 0.02 mm inside."""
    turn = np.pi * (1 + 5**0.5) * np.arange(2000)
    height = 1 - (2 * np.arange(2000) + 1) / 2000
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    faces = ConvexHull(points).simplices
    a, b, c = points[faces.T]
    inward = np.einsum("nd,nd->n", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward, ::-1]
    return Surface(vertices_mm=radius_mm * points, triangles=faces)


def grid(spacing_mm, orientation: str = "LPS", *, half_mm: float = 16.0) -> Geometry:
    shape = tuple(round(2 * half_mm / spacing) for spacing in spacing_mm)
    return grid_around((0.3, -0.2, 0.1), orientation=orientation, shape=shape, spacing_mm=spacing_mm)


def from_axis_mm(points: np.ndarray, through_mm, along) -> np.ndarray:
    way = np.array(along) / np.linalg.norm(along)
    arm = points - np.array(through_mm)
    return np.linalg.norm(arm - (arm @ way)[..., None] * way, axis=-1)


def centers_mm(geometry: Geometry, offset=(0.0, 0.0, 0.0)) -> np.ndarray:
    return geometry.points_at(np.stack(np.indices(geometry.shape), axis=-1) + np.array(offset))


def tube(geometry: Geometry, width_mm: float, *, through_mm=(0, 0, 0), along=ALONG["askew"]) -> LabelMask:
    inside = from_axis_mm(centers_mm(geometry), through_mm, along) <= width_mm / 2
    return LabelMask(voxels=inside, geometry=geometry, structure=Structure.VESSELS)


def soft_tube(geometry: Geometry, width_mm: float, *, through_mm=(0, 0, 0), along=ALONG["askew"]) -> LabelMask:
    """Each voxel by the share of its 5 × 5 × 5 parts that lie inside."""
    parts = (np.arange(5) - 2) / 5
    offsets = [(k, j, i) for k in parts for j in parts for i in parts]
    shares = sum(from_axis_mm(centers_mm(geometry, o), through_mm, along) <= width_mm / 2 for o in offsets) / 125
    return LabelMask.soft(shares, geometry=geometry, structure=Structure.VESSELS)


def is_wide(vessels: LabelMask) -> bool:
    return len(wide_vessel_points_mm(vessels, np.zeros((1, 3)), reach_mm=6.0)) > 0


class TestWidth:
    @pytest.mark.parametrize("spacing_mm", [CT, THICK])
    @pytest.mark.parametrize("along", ALONG.values(), ids=list(ALONG))
    def test_six_millimeters_are_wide_in_every_orientation(self, spacing_mm, along, orientation):
        assert is_wide(tube(grid(spacing_mm, orientation, half_mm=8.0), 6.0, along=along))

    @pytest.mark.parametrize("spacing_mm", [FINE, CT])
    @pytest.mark.parametrize("along", ALONG.values(), ids=list(ALONG))
    def test_two_millimeters_are_not(self, spacing_mm, along, orientation):
        vessels = tube(grid(spacing_mm, orientation, half_mm=8.0), 2.0, along=along)
        assert not vessels.is_empty
        assert not is_wide(vessels)

    @pytest.mark.parametrize("along", ALONG.values(), ids=list(ALONG))
    def test_voxels_of_half_a_millimeter_tell_a_fifth_of_a_millimeter_apart(self, along, orientation):
        geometry = grid(FINE, orientation, half_mm=8.0)
        assert not is_wide(tube(geometry, 2.8, along=along))
        assert is_wide(tube(geometry, 3.2, along=along))

    @pytest.mark.parametrize("spacing_mm", [CT, THICK])
    @pytest.mark.parametrize("along", ALONG.values(), ids=list(ALONG))
    def test_shares_of_voxels_tell_it_in_thick_slices_too(self, spacing_mm, along, orientation):
        geometry = grid(spacing_mm, orientation, half_mm=8.0)
        assert not is_wide(soft_tube(geometry, 2.8, along=along))
        assert is_wide(soft_tube(geometry, 3.3, along=along))

    @pytest.mark.parametrize("shift_mm", [0.0, 0.6, 1.25])
    def test_wherever_a_tube_lies_between_thick_slices(self, shift_mm):
        """Hard voxels of 2.5 mm across a tube: its width is known to half a millimeter."""
        geometry = grid(THICK)
        assert is_wide(tube(geometry, 3.6, along=ALONG["y"], through_mm=(0, 0, shift_mm)))
        assert not is_wide(tube(geometry, 2.2, along=ALONG["y"], through_mm=(0, 0, 1.35)))

    def test_a_thin_branch_of_a_wide_vessel_stays_thin(self):
        geometry = grid(CT)
        trunk, branch = tube(geometry, 6.0, along=(0, 0, 1)), tube(geometry, 2.0, along=(1, 0, 0))
        points = wide_vessel_points_mm(trunk.union(branch), np.zeros((1, 3)), reach_mm=14.0)
        beyond_mm = np.hypot(points[:, 0], points[:, 1]) - 3.0
        assert beyond_mm.max() < 2.0 + 0.5  # the ball of 1.5 mm in its mouth, and half a voxel
        assert np.abs(points[:, 2]).max() > 8

    def test_two_thin_vessels_side_by_side_are_not_one_wide_one(self):
        geometry = grid(CT)
        pair = tube(geometry, 2.0, along=(0, 0, 1)).union(tube(geometry, 2.0, along=(0, 0, 1), through_mm=(4, 0, 0)))
        assert not is_wide(pair)


class TestDistance:
    @pytest.mark.parametrize(("spacing_mm", "tolerance_mm"), [(FINE, 0.2), (CT, 0.2), (THICK, 0.4)])
    @pytest.mark.parametrize("gap_mm", [-2.0, 1.5, 5.0])
    def test_ball_and_tube(self, spacing_mm, tolerance_mm, gap_mm, orientation):
        """The gap is what lies between axis and center, less both radii; hard voxels leave it open to a sixth of
        the largest spacing or so."""
        along, side = np.array([1.0, 0.5, 0.3]), np.array([-0.5, 1.0, 0.0]) / 1.25**0.5
        axis_mm = (RADIUS_MM + 3.0 + gap_mm) * side
        found = nearest_vessel(
            tumor(), tube(grid(spacing_mm, orientation, half_mm=21.0), 6.0, through_mm=axis_mm, along=along)
        )
        assert found.distance_mm == pytest.approx(gap_mm, abs=tolerance_mm)
        if gap_mm > 0:
            np.testing.assert_allclose(found.point_mm @ side, RADIUS_MM + gap_mm, atol=tolerance_mm + 0.3)
            sideways_mm = np.linalg.norm(found.point_mm - (found.point_mm @ side) * side)
            assert sideways_mm < 4.0  # a flat minimum: 0.6 mm of distance at 4 mm beside it

    def test_a_nearer_vessel_that_is_thin_does_not_count(self):
        geometry = grid(CT, half_mm=26.0)
        thin = tube(geometry, 2.0, along=(0, 0, 1), through_mm=(RADIUS_MM + 2, 0, 0))
        wide = tube(geometry, 6.0, along=(0, 0, 1), through_mm=(-RADIUS_MM - 3 - 7, 0, 0))
        found = nearest_vessel(tumor(), thin.union(wide))
        assert found.distance_mm == pytest.approx(7.0, abs=0.3)
        assert found.point_mm[0] < 0
        assert nearest_vessel(tumor(), thin) is None

    def test_no_vessel_is_found_beyond_thirty_millimeters(self):
        geometry = grid((1.5, 1.5, 1.5), half_mm=56.0)
        near = tube(geometry, 8.0, along=(0, 0, 1), through_mm=(RADIUS_MM + 4 + 28, 0, 0))
        far = tube(geometry, 8.0, along=(0, 0, 1), through_mm=(RADIUS_MM + 4 + 32, 0, 0))
        assert nearest_vessel(tumor(), near).distance_mm == pytest.approx(28.0, abs=0.4)
        assert nearest_vessel(tumor(), far) is None
        assert nearest_vessel(tumor(), replace(far, voxels=np.zeros_like(far.voxels))) is None

    def test_how_far_a_place_is_from_any_of_them(self):
        nearest = NearestVessel(
            distance_mm=1.0, point_mm=np.array([9.0, 0, 0]), points_mm=np.array([[9.0, 0, 0], [0, 12.0, 0]])
        )
        assert nearest.distance_from_mm(np.array([0.0, 8.0, 0.0])) == pytest.approx(4.0)
