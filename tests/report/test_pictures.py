from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.lines import Line2D
from report_cases import LIVER_CENTER_MM, LIVER_RADII_MM, PRE, Bend, grid_points

from ablmargin.case import Case, Exam, SeriesRecord
from ablmargin.geometry import Geometry
from ablmargin.report import ruler, slices, surface_view
from ablmargin.report.numbers import signed_mm
from ablmargin.report.palette import BANDS
from ablmargin.report.planes import PLANES, cut, sample_hu, views_at_thinnest
from ablmargin.report.ruler import draw_ruler, label_side
from ablmargin.report.slices import draw_slices
from ablmargin.report.surface_view import Camera, _margin_toward, band_index, draw_surface, letters_around
from ablmargin.volume import Volume

PNG = b"\x89PNG\r\n\x1a\n"
DIRECTIONS = {"R": (-1, 0, 0), "L": (1, 0, 0), "A": (0, -1, 0), "P": (0, 1, 0), "I": (0, 0, -1), "S": (0, 0, 1)}


@pytest.fixture(scope="module")
def views(result):
    return views_at_thinnest(result, result.lesions[0])


def with_volumes(result, pre: Volume, post: Volume):
    exams = {name: Exam(volume=volume, record=SeriesRecord()) for name, volume in (("pre", pre), ("post", post))}
    return replace(result, case=Case(case_id="x", lesions=(), zones=(), **exams))


def ramp(geometry: Geometry, weights_hu_per_mm, points_mm) -> Volume:
    return Volume(voxels_hu=(points_mm @ np.array(weights_hu_per_mm)).astype(np.float32), geometry=geometry)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.name)
def test_letters_name_the_edges(plane):
    left, right, top, bottom = plane.letters
    assert DIRECTIONS[right] == plane.right
    assert DIRECTIONS[bottom] == plane.down
    assert DIRECTIONS[left] == tuple(-value for value in plane.right)
    assert DIRECTIONS[top] == tuple(-value for value in plane.down)
    assert left in "RA"  # radiological convention: the patient's right, and the front, are on the left


def test_cut_of_a_surface_is_a_closed_line_on_it(result):
    surface = result.lesions[0].tumor_pre
    normal = np.array([0.48, -0.6, 0.64])
    pieces = cut(surface, surface.vertices_mm.mean(axis=0), normal)
    assert np.abs((pieces - surface.vertices_mm.mean(axis=0)) @ normal).max() < 1e-9
    ends, counts = np.unique(pieces.reshape(-1, 3).round(6), axis=0, return_counts=True)
    assert (counts == 2).all()  # each piece goes on in exactly one other
    radii = np.linalg.norm(ends - surface.vertices_mm.mean(axis=0), axis=1)
    assert radii == pytest.approx(np.full(len(radii), 9.0), abs=1.0)  # a ball of 9 mm on 3 mm slices


def test_cut_beside_the_surface_is_empty(result):
    surface = result.lesions[0].tumor_pre
    assert cut(surface, surface.vertices_mm.max(axis=0) + 1.0, np.array([1.0, 0, 0])).shape == (0, 2, 3)


def test_sampling_a_ramp_is_exact_on_an_oblique_grid():
    c, s = np.cos(0.3), np.sin(0.3)
    geometry = Geometry(
        shape=(9, 12, 15),
        spacing_mm=(5.0, 0.8, 0.7),
        origin_mm=(3.0, -7.0, 40.0),
        directions=((0, -s, c), (0, c, s), (1, 0, 0)),
    )
    volume = ramp(geometry, (3.0, -2.0, 1.5), grid_points(geometry))
    inside = geometry.points_at(np.random.default_rng(1).uniform(0, 8, (50, 3)))
    assert sample_hu(volume, inside) == pytest.approx(inside @ [3.0, -2.0, 1.5], abs=1e-3)
    assert sample_hu(volume, np.array([[500.0, 0, 0]])).tolist() == [-1024.0]


def test_both_exams_show_the_same_tissue_at_the_same_place(result):
    bend = Bend()
    post_geometry = result.case.post.volume.geometry
    weights = (2.0, 3.0, -1.0)
    before = ramp(PRE, weights, grid_points(PRE))
    after = ramp(post_geometry, weights, bend.back(grid_points(post_geometry)))
    lesion = result.lesions[0]
    for view in views_at_thinnest(with_volumes(result, before, after), lesion):
        seen = (view.before_hu > -1000) & (view.after_hu > -1000)
        assert seen.mean() > 0.7
        assert (
            np.abs(view.before_hu - view.after_hu)[seen].max() < 1.0
        )  # 0.5 mm: the bend between voxels is not straight


def test_rows_of_a_picture_run_along_the_planes_axes(result):
    place_mm, _ = result.thinnest_place(result.lesions[0])
    weights = np.array([1.0, 10.0, 100.0])
    volume = ramp(PRE, weights, grid_points(PRE))
    for view in views_at_thinnest(with_volumes(result, volume, volume), result.lesions[0]):
        size = len(view.before_hu)
        across = np.gradient(view.before_hu, axis=1)[size // 2, size // 2] / 0.5
        along = np.gradient(view.before_hu, axis=0)[size // 2, size // 2] / 0.5
        assert across == pytest.approx(weights @ view.plane.right, rel=1e-3)
        assert along == pytest.approx(weights @ view.plane.down, rel=1e-3)
        column, row = ((np.array(view.thinnest) + view.half_field_mm) / 0.5).round().astype(int)
        tolerance = 0.25 * (weights @ np.abs(view.plane.right) + weights @ np.abs(view.plane.down)) + 0.1
        assert view.before_hu[row, column] == pytest.approx(weights @ place_mm, abs=tolerance)


def test_outlines_are_where_they_were_measured(result, views):
    lesion = result.lesions[0]
    for view in views:
        where = view.outline_axis_mm
        assert view.zone_mm.shape == (len(where), len(where))
        column, row = (np.abs(where - mm).argmin() for mm in view.thinnest)
        assert view.zone_mm[row, column] == pytest.approx(lesion.margin.minimum_mm, abs=0.75)  # half a pixel's diagonal
        assert view.grown_mm[row, column] == pytest.approx(lesion.judgement.required_margin_mm, abs=0.75)


def test_the_proposed_ball_is_where_it_was_computed(result, views):
    """Where the ball's center comes to lie before ablation, the picture of the plane through it says: a radius deep."""
    (lesion,) = result.lesions
    completion = lesion.completion
    assert completion is not None
    center_mm = Bend().back(np.array(completion.center_mm))
    place_mm, _ = result.thinnest_place(lesion)
    for view in views:
        middle_mm = lesion.tumor_pre.vertices_mm.mean(axis=0)
        right, down = np.array([view.plane.right, view.plane.down]) @ (center_mm - middle_mm)
        away = abs(float(view.plane.normal @ (center_mm - place_mm)))
        where = view.outline_axis_mm
        column, row = (np.abs(where - mm).argmin() for mm in (right, down))
        # half a pixel's diagonal, and the bend between the planes
        assert view.ball_mm[row, column] == pytest.approx(completion.radius_mm - away, abs=0.75 + 0.2 * away)


def test_no_ball_is_drawn_where_none_is_proposed(result, monkeypatch):
    labels = []
    monkeypatch.setattr(slices, "Line2D", lambda *place, label, **style: labels.append(label) or Line2D(*place))
    (lesion,) = result.lesions
    for completion, drawn in ((lesion.completion, True), (None, False)):
        views = views_at_thinnest(result, replace(lesion, completion=completion))
        assert all((view.ball_mm is not None) == drawn for view in views)
        labels.clear()
        assert draw_slices(views, required_mm=10.0).startswith(PNG)
        assert ("further ablation" in labels) == drawn
        assert draw_slices(views, required_mm=10.0, measured=False).startswith(PNG)


def test_a_ball_beside_the_planes_is_no_fault(result):
    """Nothing to outline: matplotlib would warn."""
    (lesion,) = result.lesions
    far = replace(lesion.completion, center_mm=(900.0, 900.0, 900.0))
    views = views_at_thinnest(result, replace(lesion, completion=far))
    assert draw_slices(views, required_mm=10.0).startswith(PNG)


def test_every_picture_marks_the_place_that_the_verdict_is_about(subcapsular, monkeypatch):
    (lesion,) = subcapsular.lesions
    judged_mm = lesion.margin.points_mm[lesion.judged_index]
    assert np.linalg.norm(judged_mm - lesion.margin.location_mm) > 5.0
    for view in views_at_thinnest(subcapsular, lesion):
        column, row = (np.abs(view.outline_axis_mm - mm).argmin() for mm in view.thinnest)
        depth_mm = lesion.judgement.required_margin_mm - view.grown_mm[row, column]
        assert depth_mm == pytest.approx(0.0, abs=0.75)  # on the tumor's surface
        assert view.zone_mm[row, column] == pytest.approx(lesion.margin.margin_mm[lesion.judged_index], abs=0.75)
    marks = []
    monkeypatch.setattr(surface_view, "_draw_mark", lambda axis, x, y: marks.append((x, y)))
    draw_surface(lesion)
    (front, (longitude, latitude)) = marks  # seen from its own side, and on the map
    x, y, z = judged_mm - lesion.tumor_post.vertices_mm.mean(axis=0)
    assert np.hypot(*front) < 1e-6
    assert (longitude, latitude) == pytest.approx((np.arctan2(x, -y), np.arctan2(z, np.hypot(x, y))))


def test_field_holds_the_zone(views):
    view = views[0]
    assert 100 <= 2 * view.half_field_mm <= 180
    rim = np.concatenate([view.zone_mm[0], view.zone_mm[-1], view.zone_mm[:, 0], view.zone_mm[:, -1]])
    assert rim.max() < 0


def test_another_tumors_zone_does_not_widen_the_field(two_tumors, views):
    together = views_at_thinnest(two_tumors, two_tumors.lesions[0])[0]
    assert together.half_field_mm == views[0].half_field_mm


def test_no_margin_is_asked_for_outside_the_liver(result, views):
    lesion = result.lesions[0]
    liver = result.case.pre.liver
    for view in views:
        center_mm = lesion.tumor_pre.vertices_mm.mean(axis=0)
        place_mm = result.thinnest_place(lesion)[0]
        in_plane = np.array([view.plane.right, view.plane.down]).T
        where = view.outline_axis_mm
        for row, column in [(0, 0), (len(where) // 2, len(where) // 2), (-1, len(where) // 2)]:
            point = center_mm + view.plane.normal * ((place_mm - center_mm) @ view.plane.normal)
            point = point + in_plane @ [where[column], where[row]]
            k, j, i = np.rint(liver.geometry.indices_at(point)).astype(int)
            inside = (
                all(0 <= n < size for n, size in zip((k, j, i), liver.voxels.shape, strict=True))
                and liver.voxels[k, j, i]
            )
            assert np.isnan(view.grown_mm[row, column]) != inside


def test_without_images_the_liver_is_drawn_and_ends_the_dotted_line(masks_only):
    """The liver is an ellipsoid: what lies well outside of it, or inside, is known without the mask."""
    lesion, outlines = masks_only.lesions[0], masks_only.outlines
    place_mm, center_mm = masks_only.thinnest_place(lesion)[0], lesion.tumor_pre.vertices_mm.mean(axis=0)
    for view in views_at_thinnest(masks_only, lesion):
        normal, axes = view.plane.normal, np.array([view.plane.right, view.plane.down])
        across, down = np.meshgrid(view.outline_axis_mm, view.outline_axis_mm)
        points_mm = center_mm + normal * ((place_mm - center_mm) @ normal)
        points_mm = points_mm + across[..., None] * axes[0] + down[..., None] * axes[1]
        size = np.linalg.norm((Bend().back(points_mm) - LIVER_CENTER_MM) / LIVER_RADII_MM, axis=-1)
        assert view.in_liver[(size < 0.95) & outlines.liver.geometry.contains(points_mm)].all()
        outside = (size > 1.05) & (view.zone_mm < 0)
        assert not view.in_liver[outside].any()
        assert np.isnan(view.grown_mm[outside]).all()


def test_a_liver_that_leaves_out_its_targets_still_asks_for_margin_there(masks_only):
    lesion, outlines = masks_only.lesions[0], masks_only.outlines
    hollow = replace(outlines.liver, voxels=outlines.liver.voxels & ~outlines.zones[0].voxels)
    for view in views_at_thinnest(replace(masks_only, outlines=replace(outlines, liver=hollow)), lesion):
        inside = view.zone_mm > 0
        assert inside.any()
        assert view.in_liver[inside].all()
        assert np.isfinite(view.grown_mm[inside]).all()


def test_without_a_liver_margin_is_asked_for_everywhere(masks_only):
    bare = replace(masks_only, outlines=replace(masks_only.outlines, liver=None))
    for view in views_at_thinnest(bare, bare.lesions[0]):
        assert view.in_liver is None
        assert np.isfinite(view.grown_mm).all()


@given(direction=st.tuples(*3 * [st.floats(-1, 1)]).filter(lambda d: np.linalg.norm(d) > 0.1))
def test_no_letter_is_printed_over_another(direction):
    placed = letters_around(Camera.looking_from(np.array(direction)))
    points = np.array([place for _, *place in placed])
    assert np.linalg.norm(points, axis=1) == pytest.approx(1.0)
    apart = np.linalg.norm(points[:, None] - points, axis=-1) + 9 * np.eye(len(points))
    assert apart.min() > 0.12  # a letter's height, on a circle of 0.93 half pictures
    assert len({letter for letters, *_ in placed for letter in letters}) == sum(len(letters) for letters, *_ in placed)


def test_letters_at_45_degrees_are_joined():
    letters = {letters for letters, *_ in letters_around(Camera.looking_from(np.array([1.0, -1.0, 0.0])))}
    assert {frozenset(pair) for pair in letters} == {frozenset("S"), frozenset("I"), frozenset("LP"), frozenset("RA")}


def test_the_side_shown_is_said_to_be_thinnest_within_the_liver_only_where_that_is_judged(
    subcapsular, result, monkeypatch
):
    titles = []
    monkeypatch.setattr(surface_view, "_draw_side", lambda axis, lesion, direction, title: titles.append(title))
    draw_surface(subcapsular.lesions[0])
    draw_surface(result.lesions[0])
    assert titles == [
        "Thinnest side within the liver",
        "From the opposite side",
        "From the thinnest side",
        "From the opposite side",
    ]


@given(
    value=st.floats(-25, 30), low=st.integers(-25, -2), high=st.integers(13, 30), required=st.sampled_from([5.0, 10.0])
)
def test_no_label_lies_on_the_required_margins_line(value, low, high, required):
    """A label is no wider than a tenth of the scale."""
    assume(low <= value <= high)
    width = 0.1 * (high - low)
    share = {"left": (0, 1), "center": (-0.5, 0.5), "right": (-1, 0)}[label_side(value, low, high, required)]
    start, end = value + share[0] * width, value + share[1] * width
    assert not start < required < end
    assert low <= end
    assert start <= high


def test_far_off_values_do_not_stretch_the_scale(result, monkeypatch):
    figures = []
    monkeypatch.setattr(ruler, "png_bytes", lambda figure: figures.append(figure) or b"")
    (lesion,) = result.lesions
    far = replace(
        lesion,
        margin=replace(lesion.margin, margin_mm=lesion.margin.margin_mm - 1800),
        bounds=replace(lesion.bounds, lower_mm=-1810.2, upper_mm=-1790.1),
    )
    draw_ruler(far)
    axis = figures[0].axes[0]
    assert axis.get_xlim()[0] == ruler.LOWEST_MM
    texts = [text.get_text() for text in axis.texts]
    assert signed_mm(far.judged_minimum_mm) in texts
    assert "−1810.2 to −1790.1" in texts
    places = [(text.xy[0], text.xy[1]) for text in axis.texts if hasattr(text, "xy")]
    assert len(places) == len(set(places))


def test_pictures_can_be_drawn(result, views):
    assert draw_slices(views, required_mm=10.0).startswith(PNG)
    assert draw_surface(result.lesions[0]).startswith(PNG)
    assert draw_ruler(result.lesions[0]).startswith(PNG)


def test_masks_without_images_have_outlines(masks_only):
    lesion = masks_only.lesions[0]
    views = views_at_thinnest(masks_only, lesion)
    assert all(view.before_hu is None and view.after_hu is None for view in views)
    assert draw_slices(views, required_mm=10.0).startswith(PNG)
    assert draw_ruler(lesion).startswith(PNG)  # without bounds


def test_same_lesion_same_bytes(result):
    assert draw_ruler(result.lesions[0]) == draw_ruler(result.lesions[0])


def test_bands_are_those_of_the_surface_shares(result):
    lesion = result.lesions[0]
    index = band_index(lesion.margin.margin_mm)
    shares = lesion.margin.surface_shares()
    for number, band in enumerate(BANDS):
        area = lesion.margin.area_mm2[index == number].sum() / lesion.margin.area_mm2.sum()
        assert area == pytest.approx(shares[band.key], abs=1e-9)


@pytest.mark.parametrize("direction", [*DIRECTIONS.values(), (1, -2, 0.5)])
def test_camera_is_right_handed_and_looks_from_there(direction):
    right, up, toward = Camera.looking_from(np.array(direction, float)).axes
    assert np.cross(right, up) == pytest.approx(toward)
    assert toward @ direction > 0


def test_seen_from_the_front_the_patients_left_is_on_the_right():
    right, up, _ = Camera.looking_from(np.array([0.0, -1.0, 0.0])).axes
    assert right.tolist() == [1, 0, 0]
    assert up.tolist() == [0, 0, 1]


def test_map_shows_each_margin_in_its_direction(result):
    lesion = result.lesions[0]
    rays = lesion.tumor_post.vertices_mm - lesion.tumor_post.vertices_mm.mean(axis=0)
    x, y, z = rays.T
    shown = _margin_toward(lesion, np.arctan2(x, -y), np.arctan2(z, np.hypot(x, y)))
    assert (
        np.abs(shown - lesion.margin.margin_mm).max() < 0.8
    )  # smoothed over about 3.5° of a 9 mm ball, 10 mm of range
