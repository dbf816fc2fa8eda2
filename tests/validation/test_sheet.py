from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from ablmargin.geometry import Geometry
from ablmargin.validation import pairs as pairs_module
from ablmargin.validation import sheet as sheet_module
from ablmargin.validation.measure import PairErrors, measure_pair
from ablmargin.validation.pairs import ALL_KINDS, ShapePair
from ablmargin.validation.shapes import Ball
from ablmargin.validation.sheet import GROUP_TITLES, GROUPS, AccuracySheet, Spread, measure_accuracy
from ablmargin.validation.text import ERROR_NAMES, pairs_csv, sheet_markdown, sheet_record
from ablmargin.validation.truth import truth_of

GOOD = PairErrors(
    number=0,
    kind="sphere",
    slice_spacing_mm=1.0,
    oblique=False,
    true_mam_mm=4.0,
    true_mean_mm=6.0,
    mam_mm=0.05,
    raw_mm=-0.5,
    qam_mm=-0.5,
    mean_mm=0.02,
    qam_mean_mm=-0.3,
    surface_share=0.004,
    qam_surface_share=0.1,
    coverage=0.002,
    tumor_volume=-0.01,
)
CREASED = replace(GOOD, number=1, kind="fused", mam_mm=-0.06)


def sheet_of(*rows: PairErrors) -> AccuracySheet:
    return AccuracySheet(rows=rows, seed=0, elapsed_s=1.0)


@pytest.fixture(scope="module")
def measured() -> AccuracySheet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet_module, "SLICE_SPACINGS_MM", (1.0, 5.0))
        return measure_accuracy(pairs=6, seed=0)


def test_spread():
    assert Spread.of([3.0, -4.0]) == Spread(p95=3.95, largest=4.0, bias=-0.5)


def test_groups_and_slices_are_kept_apart():
    sheet = sheet_of(GOOD, CREASED, replace(GOOD, slice_spacing_mm=5.0, mam_mm=0.3))
    assert sheet.errors("mam_mm", 1.0, "smooth") == [0.05]
    assert sheet.errors("mam_mm", 1.0, "creases") == [-0.06]
    assert sheet.errors("mam_mm", 1.0) == [0.05, -0.06]
    assert sheet.errors("mam_mm", 5.0) == [0.3]
    assert sheet.spread("mam_mm", 5.0, "creases") is None  # and no figure is made up for them
    assert "smooth shapes" in {check.name.split(", ")[1] for check in sheet.checks if check.slice_spacing_mm == 5.0}
    assert "0.30 / 0.30 / +0.30 | – |" in sheet_markdown(sheet, disclaimer="")
    assert sheet_record(sheet)["slice_spacings"][1]["minimum_margin"]["mam_error_mm"]["creases"] is None


def test_every_kind_is_in_one_group_and_in_all():
    assert sorted((*GROUPS["smooth"], *GROUPS["creases"])) == sorted(GROUPS["all"]) == sorted(ALL_KINDS)
    assert GROUPS.keys() == GROUP_TITLES.keys()


def test_good_figures_meet_their_limits():
    sheet = sheet_of(GOOD, CREASED)
    assert sheet.is_within_limits
    assert {check.slice_spacing_mm for check in sheet.checks} == {1.0}
    assert "All figures are within their limits." in sheet_markdown(sheet, disclaimer="Not a device.")


@pytest.mark.parametrize(
    ("field", "value", "spacing", "missed"),
    [
        ("mam_mm", 0.2, 1.0, {"smooth shapes, p95", "bias"}),
        ("mam_mm", -2.0, 5.0, {"smooth shapes, p95", "all shapes, p95", "bias", "largest"}),
        ("mean_mm", -0.2, 1.0, {"mean margin"}),
        ("surface_share", 0.03, 1.0, {"shares of the surface"}),
        ("coverage", 0.011, 1.0, {"coverage"}),
        ("coverage", 0.011, 2.0, set()),  # only asked at 1 mm
    ],
)
def test_each_limit_can_be_missed(field, value, spacing, missed):
    rows = [replace(row, slice_spacing_mm=spacing, **{field: value}) for row in (GOOD, CREASED)]
    sheet = sheet_of(*rows)
    failed = [check for check in sheet.checks if not check.met]
    assert sheet.is_within_limits is not bool(missed)
    assert len(failed) == len(missed)
    assert all(any(part in check.name for check in failed) for part in missed)
    assert ("NOT MET" in sheet_markdown(sheet, disclaimer="Not a device.")) is bool(missed)
    assert sheet_record(sheet)["within_limits"] is not bool(missed)


def test_a_few_real_pairs(measured):
    """Six pairs prove no limit, but a mistake in the truth or the measuring would show."""
    assert measured.slice_spacings_mm == (1.0, 5.0)
    assert tuple(row.kind for row in measured.rows if row.slice_spacing_mm == 1.0) == ALL_KINDS
    assert len(measured.rows) + len(measured.left_out_mm) == 12
    for row in measured.rows:
        assert abs(row.mam_mm) < (0.5 if row.slice_spacing_mm < 5 else 1.5)
        assert abs(row.coverage) < 0.05
        assert row.raw_mm == pytest.approx(row.qam_mm)
    mine, voxels = measured.spread("mam_mm", 5.0), measured.spread("qam_mm", 5.0)
    assert mine.p95 < voxels.p95 / 2
    assert voxels.bias < -0.5


def test_the_seed_and_the_number_alone_make_a_pair(monkeypatch):
    def shown(pair, *, number, oblique):
        return replace(GOOD, number=number, oblique=oblique, true_mam_mm=pair.grid.origin_mm[0])

    ball = Ball(center_mm=(0.0, 0.0, 0.0), radius_mm=8.0)
    truth = truth_of(ball, replace(ball, radius_mm=12.0))
    monkeypatch.setattr(pairs_module, "truth_of", lambda *_: truth)  # only where shapes and grids lie matters here
    monkeypatch.setattr(sheet_module, "measure_pair", shown)
    few, more, other = (measure_accuracy(pairs=n, seed=seed).rows for n, seed in ((6, 0), (7, 0), (6, 1)))
    assert more[: len(few)] == few
    assert [row.oblique for row in more] == [False] * 24 + [True] * 4
    assert len({row.true_mam_mm for row in (*more, *other)}) == 52  # other shapes, other grids


def test_too_few_pairs():
    with pytest.raises(ValueError, match="at least 4"):
        measure_accuracy(pairs=3)


def test_texts_tell_the_same_figures(measured):
    record = json.loads(json.dumps(sheet_record(measured), allow_nan=False))
    text = sheet_markdown(measured, disclaimer="Not a device.")
    rows = list(csv.DictReader(io.StringIO(pairs_csv(measured))))
    assert len(rows) == len(measured.rows)
    assert float(rows[3]["mam_error_mm"]) == pytest.approx(measured.rows[3].mam_mm, abs=1e-5)
    assert record["pairs"] == 6
    assert [at["measured"] + at["left_out"] for at in record["slice_spacings"]] == [6, 6]
    spread = record["slice_spacings"][0]["minimum_margin"]["mam_error_mm"]["all"]
    assert f"{spread['p95']:.2f} / {spread['largest']:.2f} / {spread['bias']:+.2f}" in text
    assert "not of a patient's result" in text
    assert "Not a device." in text
    assert "10.3389/fonc.2021.623098" in text


def test_no_error_is_named_like_a_value():
    """Columns that describe a pair or its truth keep their names; all others say that they are errors."""
    head = pairs_csv(sheet_of(GOOD)).splitlines()[0].split(",")
    described = ["number", "kind", "slice_spacing_mm", "oblique", "true_mam_mm", "true_mean_mm"]
    assert head == [*described, *ERROR_NAMES.values()]
    assert all("error" in name for name in ERROR_NAMES.values())


def test_every_figure_has_its_unit():
    text = sheet_markdown(sheet_of(replace(GOOD, surface_share=0.0123), CREASED), disclaimer="")
    assert "| 1 mm | shares of the surface, p95 | 1.2 % | 2.0 % | met |" in text
    assert "| 1 mm | mean margin, p95 | 0.020 mm | 0.060 mm | met |" in text
    assert "surface shares, %" in text
    assert " 1.2 / 1.2 " in text  # the same share among the other errors


def thin_pair(radius_mm: float) -> ShapePair:
    """A tumor around the plane between two slices of 5 mm: four of them cut it from a radius of 7.5 mm on."""
    ball = Ball(center_mm=(0.0, 0.0, 0.0), radius_mm=radius_mm)
    wide = replace(ball, radius_mm=14.0)
    side = 60
    grid = Geometry(shape=(10, side, side), spacing_mm=(5.0, 0.7, 0.7), origin_mm=(-0.35 * side, -0.35 * side, -22.5))
    return ShapePair(kind="sphere", tumor=ball, zone=wide, grid=grid, truth=truth_of(ball, wide))


def test_a_pair_that_gets_no_verdict_is_left_out():
    assert measure_pair(thin_pair(7.0), number=0, oblique=False) is None  # two slices, though of 500 voxels
    judged = measure_pair(thin_pair(8.0), number=0, oblique=False)
    assert judged is not None
    assert abs(judged.mam_mm) < 0.75


def test_what_is_left_out_is_told(monkeypatch):
    def some(pair, *, number, oblique):
        spacing = pair.grid.spacing_mm[0]
        return None if spacing == 5.0 and number < 2 else replace(GOOD, number=number, slice_spacing_mm=spacing)

    ball = Ball(center_mm=(0.0, 0.0, 0.0), radius_mm=8.0)
    truth = truth_of(ball, replace(ball, radius_mm=12.0))
    monkeypatch.setattr(pairs_module, "truth_of", lambda *_: truth)
    monkeypatch.setattr(sheet_module, "measure_pair", some)
    sheet = measure_accuracy(pairs=6)
    assert sheet.left_out_mm == (5.0, 5.0)
    assert len(sheet.errors("mam_mm", 5.0)) == 4
    assert "Left out, too few voxels to judge: 2 at slices of 5 mm." in sheet_markdown(sheet, disclaimer="")
    assert [at["left_out"] for at in sheet_record(sheet)["slice_spacings"]] == [0, 0, 0, 2]
    assert "None was left out." in sheet_markdown(sheet_of(GOOD), disclaimer="")
