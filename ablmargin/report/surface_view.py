"""The tumor's surface colored by its margin: from the thinnest side, from the opposite, and unrolled as a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablmargin.geometry import FloatArray
from ablmargin.metrics.mesh import vertex_normals
from ablmargin.metrics.surface import Surface
from ablmargin.report.numbers import percent
from ablmargin.report.palette import BAND_EDGES_MM, BANDS, INK, MUTED
from ablmargin.report.png import png_bytes
from ablmargin.result import LesionResult

FINE_TRIANGLES = 20_000
"""Coarser meshes are split, so that the border between two colors doesn't follow single triangles."""

LIGHT = np.array([-0.35, 0.45, 0.82])  # right, up, toward the viewer
LEAST_LETTER_LENGTH = 0.55
"""A direction that looks shorter than this share of its length points at or away from the viewer."""
LETTER_WIDTH = 0.25
"""Closer than this to each other on the unit circle, letters would touch."""
MAP_STEP_DEG = 2.0
MAP_BLUR = 0.06
"""Standard deviation of the map's bell curve on the unit sphere: about 3.5°."""
AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
"""Names of both ends of the x, y and z axis."""


def draw_surface(lesion: LesionResult) -> bytes:
    """Draw one lesion's tumor surface (exam after ablation) in the bands of its margin, as PNG."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.02)
    figure = Figure(figsize=(10.2, 3.35), layout=layout, facecolor="white")
    grid = figure.add_gridspec(1, 3, width_ratios=(1.0, 1.0, 1.75))
    toward_thinnest = _direction_of_thinnest(lesion)
    thinnest = "Thinnest side within the liver" if lesion.judges_constrained else "From the thinnest side"
    _draw_side(figure.add_subplot(grid[0, 0]), lesion, toward_thinnest, thinnest)
    _draw_side(figure.add_subplot(grid[0, 1]), lesion, -toward_thinnest, "From the opposite side")
    _draw_map(figure.add_subplot(grid[0, 2], projection="mollweide"), lesion)
    _draw_legend(figure, lesion)
    return png_bytes(figure)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Camera:
    """Parallel projection onto a picture; ``axes`` are the unit vectors right, up and toward the viewer, LPS."""

    axes: FloatArray

    @classmethod
    def looking_from(cls, direction: FloatArray) -> Camera:
        """Look from a direction, shape (3,), at the tumor: the head is up, or the front when looking along the body.

        >>> Camera.looking_from(np.array([0.0, -1.0, 0.0])).axes[0].astype(int).tolist()
        [1, 0, 0]
        """
        toward = _unit(direction)
        upright = np.array([0.0, 0.0, 1.0]) if abs(toward[2]) < 0.9 else np.array([0.0, -1.0, 0.0])
        right = _unit(np.cross(upright, toward))
        return cls(axes=np.array([right, np.cross(toward, right), toward]))


def band_index(margin_mm: FloatArray) -> NDArray[np.intp]:
    """Which of the BANDS each margin lies in; a margin on an edge belongs to the band that starts there.

    >>> band_index(np.array([-1.0, 0.0, 4.9, 10.0])).tolist()
    [0, 1, 1, 3]
    """
    return np.digitize(margin_mm, BAND_EDGES_MM)


def _thinnest_mm(lesion: LesionResult) -> FloatArray:
    """The place that the verdict is about, shape (3,)."""
    return np.asarray(lesion.margin.points_mm[lesion.judged_index])


def _direction_of_thinnest(lesion: LesionResult) -> FloatArray:
    vertices = lesion.tumor_post.vertices_mm
    direction = _thinnest_mm(lesion) - vertices.mean(axis=0)
    return direction if np.linalg.norm(direction) > 1e-6 else np.array([0.0, -1.0, 0.0])


def _draw_side(axis: Axes, lesion: LesionResult, direction: FloatArray, title: str) -> None:
    camera = Camera.looking_from(direction)
    center_mm = lesion.tumor_post.vertices_mm.mean(axis=0)
    mesh = _fine(lesion.tumor_post, lesion.margin.margin_mm)
    corners, normals = (mesh.corners_mm - center_mm) @ camera.axes.T, mesh.normals @ camera.axes.T
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    front = np.flatnonzero(facing > 0)
    order = front[np.argsort(corners[front, :, 2].mean(axis=1))]
    colors = _shaded(mesh.margin_mm[order], normals[order])
    axis.add_collection(
        PolyCollection(list(corners[order, :, :2]), facecolors=colors, edgecolors=colors, linewidths=0.4)
    )
    half = 1.3 * float(np.abs(corners).max())
    axis.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axis.set_axis_off()
    axis.set_title(title, fontsize=10.5, color=INK)
    _draw_letters(axis, camera, half)
    right, up, toward = (_thinnest_mm(lesion) - center_mm) @ camera.axes.T
    if toward > 0:
        _draw_mark(axis, right, up)


def _shaded(margin_mm: FloatArray, normals: FloatArray) -> FloatArray:
    base = np.array([to_rgb(band.color) for band in BANDS])[band_index(margin_mm)]
    lit = 0.66 + 0.38 * np.clip(normals @ _unit(LIGHT), 0, 1)
    return np.asarray(np.clip(base * lit[:, None], 0, 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Mesh:
    """Triangles one by one: corners (m, 3, 3), and the mean margin (m,) and outward direction (m, 3) of each."""

    corners_mm: FloatArray
    margin_mm: FloatArray
    normals: FloatArray


def _fine(surface: Surface, margin_mm: FloatArray) -> _Mesh:
    """Split each triangle in four until there are enough; directions run smoothly over the edges."""
    columns = np.column_stack([surface.vertices_mm, margin_mm, vertex_normals(surface.vertices_mm, surface.triangles)])
    corners = columns[surface.triangles]
    while len(corners) < FINE_TRIANGLES:
        corners = _quartered(corners)
    means = corners.mean(axis=1)
    return _Mesh(corners_mm=corners[..., :3], margin_mm=means[:, 3], normals=_unit(means[:, 4:]))


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _quartered(corners: FloatArray) -> FloatArray:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    quarters = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])


def letters_around(camera: Camera) -> list[tuple[str, float, float]]:
    """The body's directions that don't point at the viewer, with the unit vector right and up of each.

    Those that would be printed over each other share a place, the longer one first:

    >>> [letters for letters, _, _ in letters_around(Camera.looking_from(np.array([1.0, -1.1, 0.0])))]
    ['I', 'S', 'RA', 'LP']
    """
    arrows = [
        (letter, sign * camera.axes[:2, column])
        for column, letters in enumerate(AXIS_LETTERS)
        for letter, sign in zip(letters, (-1.0, 1.0), strict=True)
    ]
    placed: list[tuple[str, FloatArray]] = []
    for letter, arrow in sorted(arrows, key=lambda named: -round(float(np.linalg.norm(named[1])), 6)):
        if np.linalg.norm(arrow) <= LEAST_LETTER_LENGTH:
            continue
        there = _unit(arrow)
        near = [index for index, (_, other) in enumerate(placed) if np.linalg.norm(other - there) < LETTER_WIDTH]
        if near:
            letters, other = placed[near[0]]
            placed[near[0]] = (letters + letter, _unit(other + there))
        else:
            placed.append((letter, there))
    return [(letters, float(right), float(up)) for letters, (right, up) in placed]


def _draw_letters(axis: Axes, camera: Camera, half_mm: float) -> None:
    for letters, right, up in letters_around(camera):
        x, y = 0.93 * half_mm * right, 0.93 * half_mm * up
        axis.text(x, y, letters, fontsize=9.5, color=MUTED, ha="center", va="center", weight="bold")


def _draw_mark(axis: Axes, x: float, y: float) -> None:
    for color, width in (("white", 3.2), (INK, 1.4)):
        axis.plot(x, y, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=color, markeredgewidth=width)


def _draw_map(axis: Axes, lesion: LesionResult) -> None:
    """Unroll the surface as seen from the tumor's center: the front in the middle, the back at both ends."""
    longitude = np.radians(np.arange(-180, 180 + MAP_STEP_DEG, MAP_STEP_DEG))
    latitude = np.radians(np.arange(-90, 90 + MAP_STEP_DEG, MAP_STEP_DEG))
    margin_mm = _margin_toward(lesion, *np.meshgrid(longitude, latitude))
    colors = ListedColormap([band.color for band in BANDS])
    levels = [-1e4, *BAND_EDGES_MM, 1e4]
    axis.contourf(longitude, latitude, margin_mm, levels=levels, cmap=colors, norm=BoundaryNorm(levels, colors.N))
    axis.set(xticks=np.radians([-90, 0, 90]), yticks=[0.0])
    axis.tick_params(labelbottom=False, labelleft=False)
    axis.grid(visible=True, color="white", linewidth=0.8, alpha=0.7)
    axis.spines[:].set_color(MUTED)
    axis.set_title("All around, seen from the tumor's center", fontsize=10.5, color=INK, pad=18)
    _draw_map_letters(axis)
    x, y, z = _direction_of_thinnest(lesion)
    _draw_mark(axis, float(np.arctan2(x, -y)), float(np.arctan2(z, np.hypot(x, y))))


def _draw_map_letters(axis: Axes) -> None:
    places = (
        ("S", 0.5, 1.06),
        ("I", 0.5, -0.06),
        ("A", 0.53, 0.455),
        ("R", 0.22, 0.455),
        ("L", 0.78, 0.455),
        ("P", -0.025, 0.5),
        ("P", 1.025, 0.5),
    )
    for letter, x, y in places:
        color = INK if 0 < x < 1 and 0 < y < 1 else MUTED
        axis.text(
            x, y, letter, transform=axis.transAxes, fontsize=9.5, color=color, ha="center", va="center", weight="bold"
        )


def _margin_toward(lesion: LesionResult, longitude: FloatArray, latitude: FloatArray) -> FloatArray:
    """Margin in each direction from the center, the surface points nearest in angle weighted by a narrow bell curve."""
    vertices_mm = lesion.tumor_post.vertices_mm
    rays = _unit(vertices_mm - vertices_mm.mean(axis=0))
    flat = np.cos(latitude)
    directions = np.stack([flat * np.sin(longitude), -flat * np.cos(longitude), np.sin(latitude)], axis=-1)
    found = cKDTree(rays).query(directions, k=range(1, min(12, len(rays)) + 1))
    distance, index = np.asarray(found[0]), np.asarray(found[1])
    weight = np.exp(-0.5 * ((distance - distance[..., :1]) / MAP_BLUR) ** 2)
    return np.asarray((weight * lesion.margin.margin_mm[index]).sum(axis=-1) / weight.sum(axis=-1))


def _draw_legend(figure: Figure, lesion: LesionResult) -> None:
    shares = lesion.margin.surface_shares()
    patches = [Patch(color=band.color, label=f"{band.label}: {percent(shares[band.key])}") for band in BANDS]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=9.5, labelcolor=INK)
