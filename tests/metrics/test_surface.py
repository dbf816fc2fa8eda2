from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from orientations import grid_around
from scipy import ndimage
from scipy.spatial import ConvexHull
from threadpoolctl import threadpool_info, threadpool_limits

from ablmargin.errors import EmptyMaskError
from ablmargin.geometry import Geometry
from ablmargin.metrics import surface as surface_module
from ablmargin.metrics.distance import distances_mm, signed_distances_mm, voxelize
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.mesh import vertex_normals
from ablmargin.metrics.shapes import without_cavities
from ablmargin.metrics.surface import Surface, _cut_each_other, _in_box_of, surface_of
from ablmargin.volume import LabelMask, Structure

CENTER = (12.0, -30.0, 55.0)
FINE = {"shape": (60, 70, 72), "spacing_mm": (1.0, 0.8, 0.7)}


class Shift:
    def map_points(self, points_mm):
        return points_mm + np.array([1.0, 2.0, 3.0])


def is_closed(surface: Surface) -> bool:
    edges = np.concatenate([surface.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    there = {tuple(edge) for edge in edges.tolist()}
    return len(there) == len(edges) and all((b, a) in there for a, b in there)


@pytest.mark.parametrize("method", ["spline", "fast"])
def test_a_ball_is_a_closed_outward_ball_in_every_orientation(mask_of, ball, orientation, method):
    grid = grid_around(CENTER, orientation=orientation, frame_uid="1.2.3")
    surface = surface_of(mask_of(ball(CENTER, 14.0), grid), method=method)
    radii = np.linalg.norm(surface.vertices_mm - CENTER, axis=1)
    # 5 mm slices: the spline must stay far below half a slice, voxel distances about there
    assert np.abs(radii - 14.0).max() < (0.6 if method == "spline" else 2.0)
    assert is_closed(surface)
    assert surface.volume_ml == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.03 if method == "spline" else 0.1)
    assert surface.frame_uid == "1.2.3"


def test_vertex_areas_sum_to_the_area_of_the_ball(mask_of, ball):
    surface = surface_of(mask_of(ball(CENTER, 12.0), grid_around(CENTER, **FINE)))
    assert surface.vertex_areas_mm2.sum() == pytest.approx(surface.area_mm2)
    assert surface.area_mm2 == pytest.approx(4 * np.pi * 144, rel=0.01)


def test_normals_at_the_corners_of_a_box_lean_toward_its_larger_sides():
    """At each corner three right-angled sides meet; each corner has one or two triangles of a side, of half its area each."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 2) for z in (0, 4)], float)
    hull = ConvexHull(corners)
    faces = hull.simplices.copy()
    a, b, c = (corners[faces[:, corner]] for corner in range(3))
    inward = np.einsum("nd,nd->n", np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    faces[inward] = faces[inward, ::-1]
    found = vertex_normals(np.vstack([corners, [(9, 9, 9)]]), faces)
    assert np.linalg.norm(found[:8], axis=1) == pytest.approx(1.0)
    assert (np.sign(found[:8]) == np.sign(corners - (0.5, 1, 2))).all()
    halves = np.array([4.0, 2.0, 1.0])  # half the areas of the sides across x, y and z
    for number, normal in enumerate(found[:8]):
        around = faces[(faces == number).any(axis=1)]
        across = np.abs(hull.equations[(hull.simplices == number).any(axis=1), :3]).argmax(axis=1)
        expected = np.bincount(across, minlength=3) * halves
        assert len(around) == len(across)
        assert np.abs(normal) == pytest.approx(expected / np.linalg.norm(expected))
    assert found[8].tolist() == [0, 0, 0]  # no triangle touches it


def test_a_moved_surface_takes_its_new_place_and_frame(mask_of, ball):
    surface = surface_of(mask_of(ball(CENTER, 8.0), grid_around(CENTER)))
    moved = surface.moved(Shift(), frame_uid="9")
    assert np.allclose(moved.vertices_mm - surface.vertices_mm, [1, 2, 3])
    assert (moved.frame_uid, moved.volume_ml) == ("9", pytest.approx(surface.volume_ml))


def test_arrays_are_locked_and_copied(mask_of, ball):
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], float)
    surface = Surface(vertices_mm=corners, triangles=[(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
    corners[:] = 7
    assert surface.vertices_mm[1, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        surface.vertices_mm[0] = 1


@pytest.mark.parametrize(
    ("vertices", "triangles"),
    [
        ([(0, 0, 0)], [(0, 0, 1)]),
        ([(0, 0, np.nan)], [(0, 0, 0)]),
        ([(0, 0)], [(0, 0, 0)]),
        ([(0, 0, 0)], np.empty((0, 3))),
    ],
)
def test_half_valid_surfaces_are_refused(vertices, triangles):
    with pytest.raises(ValueError, match=r"a (surface|triangle)"):
        Surface(vertices_mm=vertices, triangles=triangles)


def test_an_empty_mask_is_refused(mask_of, ball):
    with pytest.raises(EmptyMaskError, match="MASK_EMPTY"):
        surface_of(mask_of(ball((999, 0, 0), 1.0), grid_around(CENTER)))


def test_two_parts_are_two_balls(mask_of, ball):
    left, right = np.add(CENTER, (-11, 0, 0)), np.add(CENTER, (11, 0, 0))
    both = lambda points: np.maximum(ball(left, 8.0)(points), ball(right, 6.0)(points))  # noqa: E731
    surface = surface_of(mask_of(both, grid_around(CENTER, **FINE)))
    assert surface.volume_ml == pytest.approx(4 / 3 * np.pi * (8**3 + 6**3) / 1000, rel=0.01)
    where = np.array([left, right, CENTER, left - [9, 0, 0]])
    assert np.allclose(signed_distances_mm(surface, where), [8, 6, -3, -1], atol=0.1)


def test_a_cavity_stays_a_cavity(mask_of, ball):
    hollow = lambda points: np.minimum(ball(CENTER, 14.0)(points), -ball(CENTER, 4.0)(points))  # noqa: E731
    surface = surface_of(mask_of(hollow, grid_around(CENTER, **FINE)))
    assert surface.volume_ml == pytest.approx(4 / 3 * np.pi * (14**3 - 4**3) / 1000, rel=0.01)
    where = np.array([CENTER, np.add(CENTER, (6, 0, 0))])
    assert np.allclose(signed_distances_mm(surface, where), [-4, 2], atol=0.15)
    assert is_closed(surface)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 6), (2, 2, 2), (1, 30, 30), (9, 1, 1)])
def test_tiny_and_flat_masks_get_a_surface_of_about_their_volume(shape):
    voxels = np.zeros((14, 60, 70), bool)
    voxels[4 : 4 + shape[0], 10 : 10 + shape[1], 20 : 20 + shape[2]] = True
    mask = LabelMask(voxels=voxels, geometry=grid_around(CENTER), structure=Structure.TUMOR)
    surface = surface_of(mask)
    assert is_closed(surface)
    assert 0 < surface.volume_ml < 2 * mask.volume_ml
    assert voxelize(surface, mask.geometry)[voxels].all()


@pytest.mark.parametrize("slices", [1.0, 3.0])
@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_small_balls_keep_their_volume_and_their_reach(mask_of, ball, radius, slices):
    for seed in range(6):
        center = np.random.default_rng(seed).uniform(-1.5, 1.5, 3)
        mask = mask_of(
            ball(center, radius), grid_around((0.0, 0.0, 0.0), shape=(12, 24, 24), spacing_mm=(slices, 0.7, 0.7))
        )
        surface = surface_of(mask)
        assert surface.volume_ml == pytest.approx(mask.volume_ml, rel=0.25)
        farthest = np.linalg.norm(surface.vertices_mm - center, axis=1).max()
        assert farthest == pytest.approx(radius, abs=0.25 + 0.2 * slices)  # a third of a slice is all that 3 mm allow
        assert farthest_stray_mm(surface, mask) < 0.1


def test_each_part_is_worked_on_in_its_own_box(monkeypatch):
    voxels = np.zeros((60, 160, 160), bool)
    corners = np.argwhere(np.ones((3, 3, 3))) * (25, 70, 70) + (2, 4, 4)
    for k, j, i in corners:
        voxels[k : k + 3, j : j + 3, i : i + 3] = True
    sizes, fill = [], ndimage.binary_fill_holes
    monkeypatch.setattr(ndimage, "binary_fill_holes", lambda array: sizes.append(array.size) or fill(array))
    mask = LabelMask(
        voxels=voxels,
        geometry=grid_around(CENTER, shape=voxels.shape, spacing_mm=(1.0, 0.7, 0.7)),
        structure=Structure.TUMOR,
    )
    surface = surface_of(mask)
    assert (len(sizes), max(sizes)) == (27, 9**3)
    assert voxelize(surface, mask.geometry)[voxels].all()


def sphere_mesh(center, radius):
    """Vertices and triangles whose places, facing outward, are off the sphere by 3 % of its radius at most."""
    turns = np.arange(300) * np.pi * (3 - np.sqrt(5))
    heights = 1 - (2 * np.arange(300) + 1) / 300
    wide = np.sqrt(1 - heights**2)
    rays = np.column_stack([heights, wide * np.cos(turns), wide * np.sin(turns)])
    faces = ConvexHull(rays).simplices
    a, b, c = (rays[faces[:, corner]] for corner in range(3))
    inward = np.einsum("nd,nd->n", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward, ::-1]
    return np.asarray(center, float) + radius * rays, faces


def balls_cut(first, second):
    """Whether two balls cut each other; None if that is too close to tell by coarse meshes."""
    (p, r), (q, s) = first, second
    apart = np.linalg.norm(np.subtract(p, q))
    if min(abs(apart - r - s), abs(apart - abs(r - s))) < 0.1 * max(r, s):
        return None
    return abs(r - s) < apart < r + s


def test_parts_that_cut_each_other_are_found_among_those_that_do_not():
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        balls = [(rng.uniform(0, 22, 3), rng.choice([1.0, 4.0, 12.0], p=[0.7, 0.2, 0.1])) for _ in range(6)]
        pairs = [balls_cut(first, second) for number, first in enumerate(balls) for second in balls[:number]]
        if None in pairs:
            continue
        seen.add(any(pairs))
        assert _cut_each_other([sphere_mesh(*ball) for ball in balls]) is any(pairs)
    assert seen == {True, False}


def test_points_in_a_box_are_those_with_all_coordinates_between():
    points = np.random.default_rng(1).integers(0, 6, (400, 3)).astype(float)  # many on the box's faces
    points = points[np.argsort(points[:, 0])]
    corners = np.array([(1, 2, 0), (4, 3, 5)], float)
    expected = np.flatnonzero(((points >= corners[0]) & (points <= corners[1])).all(axis=1))
    assert np.array_equal(_in_box_of(corners, points), expected)


def test_noise_is_worked_on_once_for_each_part_and_each_shape(mask_of, ball, monkeypatch):
    """Holes in one voxel of ten: hundreds of cavities, most of them of one voxel or two."""
    grid = grid_around(CENTER, shape=(30, 36, 36), spacing_mm=(1.0, 0.8, 0.8))
    whole = mask_of(ball(CENTER, 10.0), grid, Structure.ABLATION_ZONE)
    voxels = whole.voxels & (np.random.default_rng(0).random(grid.shape) > 0.1)
    searches, meshes = (Mock(wraps=of) for of in (signed_distances_mm, surface_module.voxel_mesh))
    monkeypatch.setattr(surface_module, "signed_distances_mm", searches)
    monkeypatch.setattr(surface_module, "voxel_mesh", meshes)
    surface = surface_of(replace(whole, voxels=voxels))
    filled = np.asarray(ndimage.binary_fill_holes(voxels))
    cavities = ndimage.label(filled & ~voxels)[1]
    assert cavities > 250
    assert searches.call_count <= cavities + 1
    assert meshes.call_count < cavities / 5
    assert len(without_cavities(surface)[1]) == cavities
    assert voxelize(surface, grid)[filled].sum() == pytest.approx(voxels.sum(), rel=0.01)


def test_the_linear_algebra_library_has_one_thread_inside_and_as_many_as_before_outside(mask_of, ball, monkeypatch):
    fit, inside = surface_module.fit_level_set, []

    def observed(*args, **options):
        for level_set in fit(*args, **options):
            inside.append(blas_threads())
            yield level_set

    monkeypatch.setattr(surface_module, "fit_level_set", observed)
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        surface_of(mask_of(ball(CENTER, 8.0), grid_around(CENTER)))
        assert blas_threads() == before
    assert inside
    assert set().union(*inside) == {1}


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("apart", [(0, 0, 1), (0, 1, 1), (1, 1, 1)])
def test_a_hollow_part_around_another_keeps_both(mask_of, ball, apart):
    """A ball in a shell: the boxes overlap, the surfaces don't."""
    center = np.add(CENTER, apart)
    shell = lambda points: np.minimum(ball(CENTER, 16.0)(points), -ball(CENTER, 11.0)(points))  # noqa: E731
    mask = mask_of(lambda points: np.maximum(shell(points), ball(center, 6.0)(points)), grid_around(CENTER, **FINE))
    surface = surface_of(mask)
    assert surface.volume_ml == pytest.approx(4 / 3 * np.pi * (16**3 - 11**3 + 6**3) / 1000, rel=0.02)
    where = np.array([center, np.add(CENTER, (13.5, 0, 0)), np.add(center, (-7.5, 0, 0))])
    assert np.array_equal(np.sign(signed_distances_mm(surface, where)), [1, 1, -1])


def test_a_mask_cut_by_the_image_is_closed_at_its_edge(mask_of, ball):
    grid = grid_around(CENTER, **FINE)
    edge = grid.points_at([(0, 35, 36)])[0]
    surface = surface_of(mask_of(ball(edge, 12.0), grid))
    assert is_closed(surface)
    assert surface.volume_ml == pytest.approx(2 / 3 * np.pi * 12**3 / 1000, rel=0.08)


def test_a_fit_that_strays_gives_way_to_the_voxels(mask_of, ball, monkeypatch):
    mask = mask_of(ball(CENTER, 12.0), grid_around(CENTER))
    fast = surface_of(mask, method="fast")
    assert len(surface_of(mask).vertices_mm) != len(fast.vertices_mm)
    fit = surface_module.fit_level_set
    monkeypatch.setattr(
        surface_module,
        "fit_level_set",
        lambda *args, **options: (replace(one, coefficients=one.coefficients + 3.0) for one in fit(*args, **options)),
    )
    assert np.array_equal(surface_of(mask).vertices_mm, fast.vertices_mm)


SPIKED = {"shape": (44, 64, 64), "spacing_mm": (1.0, 0.7, 0.7)}


def rod(start: float, stop: float, *, axis: int, half_width: float = 0.8) -> Callable[[np.ndarray], np.ndarray]:
    """Implicit function of a straight rod along an axis through the origin."""

    def inside(points: np.ndarray) -> np.ndarray:
        along, across = points[..., axis], np.linalg.norm(np.delete(points, axis, axis=-1), axis=-1)
        return np.minimum(half_width - across, np.minimum(along - start, stop - along))

    return inside


def farthest_stray_mm(surface: Surface, mask: LabelMask) -> float:
    """How far a voxel center lies on its wrong side of a surface; 0 if none does."""
    stray = voxelize(surface, mask.geometry) != mask.voxels
    return float(
        distances_mm(surface.vertices_mm, surface.triangles, mask.geometry.points_at(np.argwhere(stray))).max(initial=0)
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_spike_of_the_tumor_counts(mask_of, ball, axis):
    """It reaches 14 mm far, so a zone of 18 mm leaves 4."""
    grid = grid_around((0.0, 0.0, 0.0), **SPIKED)
    spiked = lambda points: np.maximum(ball((0, 0, 0), 8.0)(points), rod(0, 14, axis=axis)(points))  # noqa: E731
    mask = mask_of(spiked, grid)
    surface, zone = surface_of(mask), surface_of(mask_of(ball((0, 0, 0), 18.0), grid))
    assert farthest_stray_mm(surface, mask) < 0.75
    assert measure_margin(surface, zone).minimum_mm == pytest.approx(
        4.0, abs=0.75
    )  # half a voxel and the tip's rounding


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_notch_in_the_zone_counts(mask_of, ball, axis):
    """It ends 10 mm from the center, so a tumor of 8 mm has 2 left."""
    grid = grid_around((0.0, 0.0, 0.0), **SPIKED)
    notched = lambda points: np.minimum(ball((0, 0, 0), 18.0)(points), -rod(10, 30, axis=axis)(points))  # noqa: E731
    mask = mask_of(notched, grid)
    zone, tumor = surface_of(mask), surface_of(mask_of(ball((0, 0, 0), 8.0), grid))
    assert farthest_stray_mm(zone, mask) < 0.75
    assert measure_margin(tumor, zone).minimum_mm == pytest.approx(2.0, abs=0.75)


@pytest.mark.parametrize("slices", [1.0, 2.0])
def test_large_fused_zones_stay_smooth(mask_of, ball, slices):
    """Two balls of 21 mm: deep inside, where nothing holds it, the level set dips below zero."""
    grid = grid_around((0.0, 0.0, 0.0), shape=(int(50 / slices), 71, 105), spacing_mm=(slices, 0.7, 0.7))
    fused = lambda points: np.maximum(ball((-12, 0, 0), 21.0)(points), ball((12, 0, 0), 21.0)(points))  # noqa: E731
    surface = surface_of(mask_of(fused, grid))
    nearest = np.abs(np.linalg.norm(np.abs(surface.vertices_mm) - (12, 0, 0), axis=1) - 21)
    away = np.abs(surface.vertices_mm[:, 0]) > 8  # from the crease, which is rounded
    assert nearest[away].max() < 0.25  # the voxels' own mesh: 0.34 and 0.47


def test_jagged_noise_never_makes_the_fit_diverge():
    rng = np.random.default_rng(0)
    grid = Geometry(shape=(8, 30, 30), spacing_mm=(3.0, 0.8, 0.7), origin_mm=(0, 0, 0))
    centers = grid.points_at(np.stack(np.indices(grid.shape), axis=-1))
    radius = 7 + rng.normal(0, 0.8, (8, 1, 1))
    voxels = np.linalg.norm((centers - grid.center_mm)[..., :2], axis=-1) < radius
    mask = LabelMask(voxels=voxels, geometry=grid, structure=Structure.ABLATION_ZONE)
    assert surface_of(mask).volume_ml == pytest.approx(mask.volume_ml, rel=0.1)


def test_large_zones_widen_their_knots(mask_of, ball):
    grid = Geometry(shape=(58, 82, 80), spacing_mm=(1.0, 0.7, 0.7), origin_mm=(-28, -28, -28))
    surface = surface_of(mask_of(ball((0, 0, 0), 25.0), grid))
    assert np.abs(np.linalg.norm(surface.vertices_mm, axis=1) - 25.0).max() < 0.25


def test_the_voxels_order_and_the_grids_place_change_nothing(mask_of, ball):
    """The same voxels stored another way, or on a turned grid, give the same distances."""
    grid = grid_around(CENTER)
    egg = lambda points: ball(CENTER, 10.0)((points - CENTER) * [1.0, 0.8, 1.2] + CENTER)  # noqa: E731
    mask = mask_of(egg, grid)
    probe = np.array(CENTER) + np.random.default_rng(1).normal(0, 6, (200, 3))
    expected = signed_distances_mm(surface_of(mask), probe)
    for axes in ((1, 2, 0), (2, 1, 0), (0, 2, 1)):
        for flipped in (None, 0, 2):
            other = _stored(mask, axes, flipped)
            assert np.abs(signed_distances_mm(surface_of(other), probe) - expected).max() < 0.05
    turned = grid_around(CENTER, orientation="oblique")
    same = surface_of(LabelMask(voxels=mask.voxels, geometry=turned, structure=mask.structure))
    carried = turned.points_at(grid.indices_at(probe))
    assert np.allclose(signed_distances_mm(same, carried), expected, atol=1e-6)


def _stored(mask: LabelMask, axes: tuple[int, int, int], flipped: int | None) -> LabelMask:
    affine, voxels = mask.geometry.affine, mask.voxels.transpose(axes)
    affine[:3, :3] = affine[:3, list(axes)]
    if flipped is not None:
        affine[:3, 3] += affine[:3, flipped] * (voxels.shape[flipped] - 1)
        affine[:3, flipped] *= -1
        voxels = np.flip(voxels, flipped)
    return LabelMask(voxels=voxels, geometry=Geometry.from_affine(affine, voxels.shape), structure=mask.structure)


def test_voxelizing_a_surface_gives_its_mask_back(mask_of, ball, orientation):
    grid = grid_around(CENTER, orientation=orientation)
    surface = surface_of(mask_of(ball(CENTER, 14.0), grid))
    inside = voxelize(surface, grid)
    centers = grid.points_at(np.argwhere(np.ones(grid.shape, bool)))
    near = np.linalg.norm(centers - CENTER, axis=1) < 18
    distances = signed_distances_mm(surface, centers[near])
    clear = np.abs(distances) > 1e-4
    assert np.array_equal(inside.ravel()[near][clear], distances[clear] > 0)
    assert not inside.ravel()[~near].any()
