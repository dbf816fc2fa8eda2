"""Simulated tumors and ablation zones as fine meshes, and smooth random errors: what ``calibration.py`` draws from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from ablmargin.geometry import Array, FloatArray, Geometry, triple
from ablmargin.metrics.mesh import vertex_normals
from ablmargin.metrics.surface import Surface
from ablmargin.simulation.fields import WaveField, sphere_directions
from ablmargin.simulation.star import Lobe, StarShape, random_wobble
from ablmargin.volume import LabelMask, Structure

WAVES = 400
"""So many that a field's own standard deviation wanders by 4 % only."""
LIVER_SPACING_MM = 1.0
CURVED_RADIUS_MM = 80.0

Cut = Callable[[FloatArray], FloatArray]
"""How deep points, shape (n, 3), lie below a capsule, mm."""


def _sphere_mesh(count: int) -> tuple[FloatArray, Array]:
    directions = sphere_directions(count)
    triangles = ConvexHull(directions).simplices
    a, b, c = (directions[triangles[:, corner]] for corner in range(3))
    inward = np.einsum("nd,nd->n", np.cross(b - a, c - a), a) < 0
    triangles[inward] = triangles[inward, ::-1]
    return directions, triangles


TUMOR_MESH, ZONE_MESH = _sphere_mesh(600), _sphere_mesh(6000)


def mesh_of(shape: StarShape, mesh: tuple[FloatArray, Array]) -> Surface:
    """A shape's surface in the directions of a sphere's mesh."""
    return Surface(vertices_mm=shape.surface_along(mesh[0]), triangles=mesh[1])


def lesion(kind: str, rng: np.random.Generator) -> tuple[Surface, Surface]:
    """A tumor of 5 to 20 mm radius at the origin and a zone 0 to 12 mm wider."""
    radius = rng.uniform(5, 20)
    tumor, zone = _SHAPES[kind](radius, radius + rng.uniform(0, 12), rng)
    return mesh_of(tumor, TUMOR_MESH), mesh_of(zone, ZONE_MESH)


def _concentric(radius: float, reach: float, _: np.random.Generator) -> tuple[StarShape, StarShape]:
    return _star(_ball(radius)), _star(_ball(reach))


def _off_center(radius: float, reach: float, rng: np.random.Generator) -> tuple[StarShape, StarShape]:
    return _star(_ball(radius)), _star(_ball(reach), center=direction(rng) * rng.uniform(1, 8))


def _ellipsoids(radius: float, reach: float, rng: np.random.Generator) -> tuple[StarShape, StarShape]:
    center = direction(rng) * rng.uniform(0, 6)
    return _star(_ellipsoid(radius, 0.3, rng)), _star(_ellipsoid(reach, 0.3, rng), center=center)


def _lumpy(radius: float, reach: float, rng: np.random.Generator) -> tuple[StarShape, StarShape]:
    center = direction(rng) * rng.uniform(0, 6)
    zone = _star(_ellipsoid(reach, 0.2, rng), center=center, wobble=random_wobble(rng, share=0.06))
    return _lumpy_tumor(radius, rng), zone


def _pear(radius: float, reach: float, rng: np.random.Generator) -> tuple[StarShape, StarShape]:
    """A lumpy tumor in two fused balls."""
    half = direction(rng) * rng.uniform(0.15, 0.4) * reach
    lobes = (_ball(reach, half), _ball(reach * rng.uniform(0.75, 1.0), -half))
    return _lumpy_tumor(radius, rng), _star(*lobes, center=direction(rng) * rng.uniform(0, 4))


def _clover(radius: float, reach: float, rng: np.random.Generator) -> tuple[StarShape, StarShape]:
    """An ellipsoid in three fused balls: a shape that no constant of the rule was set on."""
    frame = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    angles = rng.uniform(0, 2 * np.pi) + np.array([0.0, 2.0, 4.1])
    places = rng.uniform(0.25, 0.5) * reach * (np.cos(angles)[:, None] * frame[0] + np.sin(angles)[:, None] * frame[1])
    lobes = [_ball(reach * rng.uniform(0.75, 1.0), place) for place in places]
    return _star(_ellipsoid(radius, 0.3, rng)), _star(*lobes, center=direction(rng) * rng.uniform(0, 4))


_SHAPES = {
    "concentric": _concentric,
    "off-center": _off_center,
    "ellipsoids": _ellipsoids,
    "lumpy": _lumpy,
    "pear": _pear,
    "clover": _clover,
}
KINDS = tuple(_SHAPES)


def _lumpy_tumor(radius: float, rng: np.random.Generator) -> StarShape:
    return _star(_ellipsoid(radius, 0.2, rng), wobble=random_wobble(rng, share=0.08))


def _star(*lobes: Lobe, center: FloatArray | None = None, wobble: WaveField | None = None) -> StarShape:
    return StarShape(center_mm=triple(np.zeros(3) if center is None else center), lobes=lobes, wobble=wobble)


def _ball(radius: float, offset: FloatArray | None = None) -> Lobe:
    return Lobe(
        radii_mm=(radius, radius, radius),
        offset_mm=triple(np.zeros(3) if offset is None else offset),
        axes=np.eye(3),
    )


def _ellipsoid(radius: float, spread: float, rng: np.random.Generator) -> Lobe:
    """With the volume of a ball."""
    radii = rng.uniform(1 - spread, 1 + spread, 3)
    return Lobe(
        radii_mm=triple(radius * radii / radii.prod() ** (1 / 3)),
        axes=Rotation.from_quat(rng.normal(size=4)).as_matrix(),
    )


def direction(rng: np.random.Generator) -> FloatArray:
    """A random unit vector."""
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def random_field(
    points_mm: FloatArray, rng: np.random.Generator, *, correlation_mm: float, components: int = 3
) -> FloatArray:
    """Gaussian values of unit standard deviation at points (n, 3), shape (n, components); the same at all if ``inf``."""
    if np.isinf(correlation_mm):
        return np.broadcast_to(rng.normal(size=components), (len(points_mm), components))
    return WaveField.random(rng, correlation_mm=correlation_mm, components=components, waves=WAVES)(points_mm)


def bulged(surface: Surface, rng: np.random.Generator, *, sd_mm: float, correlation_mm: float) -> Surface:
    """A surface drawn with a smooth error along its normals."""
    points, triangles = surface.vertices_mm, surface.triangles
    error = random_field(points, rng, correlation_mm=correlation_mm, components=1)
    return Surface(vertices_mm=points + sd_mm * error * vertex_normals(points, triangles), triangles=triangles)


def capsule_lesion(rng: np.random.Generator, *, curved: bool) -> tuple[Surface, Surface, LabelMask, Cut]:
    """A tumor just below the capsule, its zone cut there, the liver around and its depth."""
    radius = rng.uniform(5, 12)
    deep = radius + rng.uniform(0.5, 4)
    wide = CURVED_RADIUS_MM - deep

    def depth(points_mm: FloatArray) -> FloatArray:
        if not curved:
            return np.asarray(deep - points_mm[..., 2])
        return np.asarray(CURVED_RADIUS_MM - np.linalg.norm(points_mm + np.array([0, 0, wide]), axis=-1))

    shift = direction(rng) * rng.uniform(0, 4)
    zone = mesh_of(_star(_ball(radius + rng.uniform(4, 12)), center=shift), ZONE_MESH)
    return mesh_of(_star(_ball(radius)), TUMOR_MESH), _cut(zone, shift, depth), _liver(zone, depth), depth


def _cut(zone: Surface, center: FloatArray, depth: Cut) -> Surface:
    """The zone's rays from its center, ended at the capsule."""
    near, far = np.zeros(len(zone.vertices_mm)), np.ones(len(zone.vertices_mm))
    for _ in range(40):
        middle = (near + far) / 2
        inside = depth(center + middle[:, None] * (zone.vertices_mm - center)) > 0
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    ends = np.where(depth(zone.vertices_mm) > 0, 1.0, near)
    return Surface(vertices_mm=center + ends[:, None] * (zone.vertices_mm - center), triangles=zone.triangles)


def _liver(zone: Surface, depth: Cut) -> LabelMask:
    low, high = zone.vertices_mm.min(axis=0) - 20, zone.vertices_mm.max(axis=0) + 20
    sizes = np.ceil((high - low) / LIVER_SPACING_MM).astype(int) + 1
    grid = Geometry(
        shape=(int(sizes[2]), int(sizes[1]), int(sizes[0])),
        spacing_mm=(LIVER_SPACING_MM,) * 3,
        origin_mm=triple(low),
    )
    centers = grid.points_at(np.stack(np.indices(grid.shape), axis=-1))
    return LabelMask(voxels=depth(centers) > 0, geometry=grid, structure=Structure.LIVER)
