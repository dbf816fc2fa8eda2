"""The nearest place on triangles, and the voxels inside them, against plain formulas that look at every triangle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablmargin.geometry import Geometry
from ablmargin.metrics import nearest
from ablmargin.metrics.distance import distances_mm, signed_distances_mm, voxelize
from ablmargin.metrics.mesh import joined, marching_cubes
from ablmargin.metrics.nearest import TriangleSearch
from ablmargin.metrics.surface import Surface

ROUNDING_MM = 1e-9
BOX = np.array(
    [
        *[(0, 3, 2), (0, 1, 3), (4, 7, 5), (4, 6, 7), (0, 5, 1), (0, 4, 5)],
        *[(2, 7, 6), (2, 3, 7), (0, 6, 4), (0, 2, 6), (1, 7, 3), (1, 5, 7)],
    ]
)


def box(low, high):
    """A closed box that faces outward."""
    corners = [[(low, high)[bit][axis] for axis, bit in enumerate(bits)] for bits in np.ndindex(2, 2, 2)]
    return np.array(corners, float), BOX


def level(field, *, reach=12.0, step=1.0):
    """The zero level of a field of (x, y, z), mm, that is positive inside."""
    ticks = np.arange(-reach, reach + step / 2, step)
    vertices, triangles = marching_cubes(field(*np.meshgrid(ticks, ticks, ticks, indexing="ij")), (step,) * 3)
    return vertices - reach, triangles[:, ::-1]


SHAPES = {
    "box": box((-4, -6, -3), (5, 2, 8)),
    "ball": level(lambda x, y, z: 9.0 - np.sqrt(x * x + y * y + z * z)),
    "ring": level(lambda x, y, z: 3.0 - np.hypot(np.hypot(x, y) - 7.0, z)),
    "spike": (
        np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0.3, 0.3, 30.0)], float),
        np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]),
    ),
    "shell": joined([box((-9, -9, -9), (9, 9, 9)), (box((-5, -6, -5), (5, 5, 4))[0], BOX[:, ::-1])]),
    "coarse and fine": joined(
        [box((-10, -10, -10), (-2, 10, 10)), level(lambda x, y, z: 2 - np.sqrt((x - 3) ** 2 + y * y + z * z), step=0.5)]
    ),
}


def by_every_triangle(vertices, triangles, points):
    """Distances by projection onto each plane, and to each side where the foot lies outside."""
    best = np.full(len(points), np.inf)
    for a, b, c in vertices[triangles]:
        for start, end in ((a, b), (b, c), (c, a)):
            run = end - start
            share = np.clip((points - start) @ run / max(run @ run, 1e-300), 0, 1)[:, None]
            best = np.minimum(best, np.linalg.norm(points - start - share * run, axis=1))
        normal = np.cross(b - a, c - a)
        if (size := np.linalg.norm(normal)) > 0:
            height = (points - a) @ normal / size
            foot = points - height[:, None] * normal / size
            turns = [np.cross(end - start, foot - start) @ normal for start, end in ((a, b), (b, c), (c, a))]
            best = np.where((np.array(turns) > 0).all(axis=0), np.minimum(best, np.abs(height)), best)
    return best


def winding(vertices, triangles, points):
    """How often a closed surface goes round points: the sum of the solid angles of its triangles."""
    a, b, c = (vertices[triangles[:, corner]] - points[:, None] for corner in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=2) for side in (a, b, c))
    volume = np.einsum("pti,pti->pt", a, np.cross(b, c))
    ab, bc, ca = (np.einsum("pti,pti->pt", first, second) for first, second in ((a, b), (b, c), (c, a)))
    return np.arctan2(volume, la * lb * lc + ab * lc + bc * la + ca * lb).sum(axis=1) / (2 * math.pi)


def probes(vertices, seed=0, count=150):
    """Points in and around a shape, near its surface, at its corners' height, and at its center."""
    rng = np.random.default_rng(seed)
    around = rng.uniform(vertices.min(axis=0) - 8, vertices.max(axis=0) + 8, (count, 3))
    near = vertices[rng.integers(len(vertices), size=count)] + rng.normal(0, 0.3, (count, 3))
    return np.concatenate([around, near, vertices.mean(axis=0, keepdims=True) + 0.01])


@pytest.mark.parametrize("name", SHAPES)
def test_no_triangle_is_nearer_and_the_sign_is_that_of_the_winding(name):
    vertices, triangles = SHAPES[name]
    points = probes(vertices)
    found = signed_distances_mm(Surface(vertices_mm=vertices, triangles=triangles), points)
    assert np.abs(np.abs(found) - by_every_triangle(vertices, triangles, points)).max() < ROUNDING_MM
    assert np.array_equal(found > 0, winding(vertices, triangles, points) > 0.5)
    assert (found > 0).any()
    assert (found < 0).any()


def test_distances_to_a_box_are_what_a_pencil_says():
    vertices, triangles = box((0, 0, 0), (10, 10, 10))
    points = np.array([(5, 5, 1), (5, 5, -2), (13, 14, 5), (11, 12, 12), (5, 5, 5)], float)
    found = signed_distances_mm(Surface(vertices_mm=vertices, triangles=triangles), points)
    assert found.tolist() == pytest.approx([1, -2, -5, -3, 5], abs=ROUNDING_MM)
    inward = signed_distances_mm(Surface(vertices_mm=vertices, triangles=triangles[:, ::-1]), points)
    assert inward.tolist() == pytest.approx([-1, 2, 5, 3, -5], abs=ROUNDING_MM)


@pytest.mark.parametrize("name", SHAPES)
def test_points_on_the_surface_are_at_distance_zero(name):
    vertices, triangles = SHAPES[name]
    shares = np.random.default_rng(1).dirichlet(np.ones(3), len(triangles))
    inner = np.einsum("tc,tcd->td", shares, vertices[triangles])
    sides = (vertices[triangles] + vertices[np.roll(triangles, 1, axis=1)]).reshape(-1, 3) / 2
    for points in (inner, sides, vertices):
        assert (
            np.abs(signed_distances_mm(Surface(vertices_mm=vertices, triangles=triangles), points)).max() < ROUNDING_MM
        )


coordinates = st.floats(-20, 20, width=16)


@given(
    st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=3, max_size=12),
    st.lists(st.tuples(*[st.integers(0, 11)] * 3), min_size=1, max_size=25),
    st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=1, max_size=10),
)
def test_any_triangles_even_without_area_are_searched_exactly(vertices, triangles, points):
    vertices, points = np.array(vertices, float), np.array(points, float)
    triangles = np.array(triangles) % len(vertices)
    expected = by_every_triangle(vertices, triangles, points)
    # 1e-6: the oracle itself loses that much on a triangle far thinner than it is long
    assert np.abs(distances_mm(vertices, triangles, points) - expected).max() < 1e-6


def test_many_equally_near_triangles_are_all_looked_at():
    vertices, triangles = SHAPES["ball"]
    points = np.random.default_rng(2).normal(0, 0.05, (20, 3))
    assert len(vertices) > nearest.MORE_CORNERS * nearest.FIRST_CORNERS
    found = distances_mm(vertices, triangles, points)
    assert np.abs(found - by_every_triangle(vertices, triangles, points)).max() < ROUNDING_MM


def test_a_large_triangle_far_from_all_corners_is_found_among_small_ones():
    fine, small = level(lambda x, y, z: 2 - np.sqrt(x * x + y * y + z * z), step=0.25, reach=3)
    plate = np.array([(-300, -300, 6), (300, -300, 6), (0, 500, 6)], float)
    vertices, triangles = joined([(fine, small), (plate, np.array([(0, 1, 2)]))])
    points = np.array([(0, 0, 4.5), (0, 0, 3.5), (40, 0, 0)], float)
    found = distances_mm(vertices, triangles, points)
    assert found[[0, 2]] == pytest.approx([1.5, 6.0], abs=ROUNDING_MM)
    assert found[1] == pytest.approx(1.5, abs=0.01)  # to the ball, drawn by chords
    assert found[1] < 2.5


def test_splitting_the_work_changes_nothing(monkeypatch):
    vertices, triangles = SHAPES["ring"]
    points = probes(vertices, seed=3)
    whole = TriangleSearch.of(vertices, triangles).signed_distances_mm(points)
    monkeypatch.setattr(nearest, "CORNERS_AT_ONCE", 50)
    assert np.array_equal(TriangleSearch.of(vertices, triangles).signed_distances_mm(points), whole)


def test_vertices_without_a_triangle_do_not_count():
    vertices, triangles = box((0, 0, 0), (10, 10, 10))
    more = np.concatenate([[(5.0, 5.0, 5.0)], vertices])
    assert distances_mm(more, triangles + 1, np.array([(5.0, 5.0, 5.0)])) == pytest.approx(5.0)


def test_no_points_have_no_distances():
    vertices, triangles = SHAPES["box"]
    assert signed_distances_mm(Surface(vertices_mm=vertices, triangles=triangles), np.empty((0, 3))).shape == (0,)
    assert distances_mm(vertices, triangles, np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "directions",
    [((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, -1.0))],
)
def test_voxels_inside_are_those_that_the_surface_goes_round(name, directions):
    vertices, triangles = SHAPES[name]
    corner = np.array([-11.31, -12.13, -10.77]) @ np.array(directions)
    grid = Geometry(shape=(6, 9, 12), spacing_mm=(4.1, 2.7, 1.9), origin_mm=tuple(corner), directions=directions)
    inside = voxelize(Surface(vertices_mm=vertices, triangles=triangles), grid)
    around = winding(vertices, triangles, grid.points_at(np.argwhere(np.ones(grid.shape, bool))))
    assert np.array_equal(inside.ravel(), around > 0.5)
    assert inside.any() or name == "spike"


@pytest.mark.parametrize("lean", [0.0, 0.25])
def test_columns_through_corners_and_sides_are_crossed_once(lean):
    vertices, triangles = box((-4, -4, -4), (4, 4, 4))
    vertices = vertices + lean * vertices[:, [1, 2, 0]]  # corners and sides lie on the voxels' columns
    grid = Geometry(shape=(13, 13, 13), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-6.5, -6.0, -6.0))
    points = grid.points_at(np.argwhere(np.ones(grid.shape, bool)))
    told = voxelize(Surface(vertices_mm=vertices, triangles=triangles), grid).ravel()
    clear = by_every_triangle(vertices, triangles, points) > 1e-6  # on the surface itself either is right
    assert np.array_equal(told[clear], winding(vertices, triangles, points[clear]) > 0.5)
    assert 0 < np.count_nonzero(told) < len(told)


def test_a_grid_beside_the_surface_or_inside_it():
    surface = Surface(vertices_mm=SHAPES["box"][0], triangles=BOX)
    beside = Geometry(shape=(3, 4, 5), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(20.0, 0.0, 0.0))
    within = Geometry(shape=(3, 4, 5), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-1.0, -2.0, 0.0))
    assert not voxelize(surface, beside).any()
    assert voxelize(surface, within).all()
