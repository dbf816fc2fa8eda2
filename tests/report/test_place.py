"""Where a tumor lies, as record, page and table tell it."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from ablmargin.case import Anatomy
from ablmargin.clinical.couinaud import SegmentShare
from ablmargin.report import html
from ablmargin.report.casefolder import _named_masks
from ablmargin.report.html import report_html
from ablmargin.report.place import place_numbers, place_sentences
from ablmargin.report.planes import views_at_thinnest
from ablmargin.report.record import result_record, validate
from ablmargin.report.slices import draw_slices
from ablmargin.result import CaseResult, LesionResult, SegmentShares, Surroundings, VesselFinding, anatomy_records
from ablmargin.volume import LabelMask, Structure

VIII_AND_VII = SegmentShares(
    told=(SegmentShare(segment="VIII", share=0.8), SegmentShare(segment="VII", share=0.19)), outside=0.01
)
VESSEL = VesselFinding(
    distance_mm=4.21,
    pre_mm=np.array([1.0, 2.0, 3.0]),
    post_mm=np.array([31.0, -23.0, 23.0]),
    from_thinnest_mm=4.6,
    at_thinnest=True,
)


def placed(lesion: LesionResult, segments=VIII_AND_VII, vessel=VESSEL) -> LesionResult:
    return replace(lesion, surroundings=Surroundings(segments=segments, vessel=vessel))


def with_place(result: CaseResult, **place) -> CaseResult:
    return replace(result, lesions=tuple(placed(lesion, **place) for lesion in result.lesions))


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(html, "_pictures", lambda result, lesion: iter(()))


class TestSentences:
    def test_segments_and_vessel_in_one_sentence(self, result):
        first, runs, thinnest = place_sentences(placed(result.lesions[0]))
        assert first == "In segment VIII, reaching into VII; 4.2 mm from a vessel of 3 mm or more."
        assert "within the 10 mm around the tumor" in runs
        assert thinnest == "The margin is thinnest at such a vessel."

    def test_nothing_given_is_nothing_said(self, result):
        assert place_sentences(result.lesions[0]) == ()
        assert place_numbers(result.lesions[0]) == {}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"distance_mm": -1.26}, "a vessel of 3 mm or more reaches 1.3 mm into the tumor"),
            ({"distance_mm": 0.02}, "a vessel of 3 mm or more touches the tumor"),
            ({"distance_mm": 14.0, "at_thinnest": False}, "14.0 mm from a vessel of 3 mm or more"),
        ],
    )
    def test_how_near_a_vessel_is(self, result, changes, words):
        assert words in place_sentences(placed(result.lesions[0], vessel=replace(VESSEL, **changes)))[0]

    def test_a_vessel_beyond_the_required_margin_is_no_heat_sink(self, result):
        vessel = replace(VESSEL, distance_mm=10.4, at_thinnest=False)
        assert len(place_sentences(placed(result.lesions[0], vessel=vessel))) == 1

    def test_no_vessel_near_is_said(self, result):
        (sentence,) = place_sentences(placed(result.lesions[0], vessel=VesselFinding()))
        assert sentence.endswith("reaching into VII; no vessel of 3 mm or more within 30 mm.")
        (sentence,) = place_sentences(placed(result.lesions[0], segments=None, vessel=VesselFinding()))
        assert sentence == "No vessel of 3 mm or more within 30 mm."

    def test_a_tumor_partly_outside_of_all_segments_says_so(self, result):
        segments = SegmentShares(told=VIII_AND_VII.told[:1], outside=0.2)
        assert "20 % of the tumor lies in none" in place_sentences(placed(result.lesions[0], segments, None))[1]

    def test_within_the_liver_is_said_where_that_is_judged(self, subcapsular):
        assert place_sentences(placed(subcapsular.lesions[0]))[-1].startswith("The margin is thinnest within the liver")

    def test_rows_of_the_table(self, result):
        rows = place_numbers(placed(result.lesions[0]))["Place in the liver"]
        assert [(row.name, row.value) for row in rows[:3]] == [
            ("Segment VIII", "80 %"),
            ("Segment VII", "19 %"),
            ("In no segment", "1 %"),
        ]
        assert [row.value for row in rows[3:]] == ["4.2 mm", "4.6 mm"]
        (row,) = place_numbers(placed(result.lesions[0], None, VesselFinding()))["Place in the liver"]
        assert row.value == "over 30 mm"


@pytest.mark.usefixtures("no_pictures")
class TestPage:
    def test_place_stands_before_what_is_missing(self, result):
        page = report_html(with_place(result))
        assert page.index("Where the tumor lies") < page.index("What is missing")
        assert "In segment VIII, reaching into VII; 4.2 mm" in page
        assert "Where the tumor lies" not in report_html(result)

    def test_a_withheld_page_tells_the_place_but_no_thinnest_one(self, withheld):
        page = report_html(with_place(withheld))
        assert "In segment VIII, reaching into VII" in page
        assert "thinnest at such a vessel" not in page
        assert "Place in the liver" not in page

    def test_masks_are_listed_with_where_they_come_from(self, result):
        masks = anatomy_records(anatomy(result), exam="pre")
        page = report_html(replace(result, masks=(*result.masks, *masks)))
        assert "segments of the liver, before ablation" in page
        assert "vessels, before ablation" in page


class TestRecord:
    def test_place_is_told(self, result):
        record = result_record(with_place(result))
        validate(record)
        (lesion,) = record["lesions"]
        assert lesion["liver_segments"] == [{"segment": "VIII", "share": 0.8}, {"segment": "VII", "share": 0.19}]
        assert lesion["outside_segments_share"] == 0.01
        assert lesion["vessel_distance_mm"] == 4.21
        assert lesion["vessel_distance_location_mm"] == [31.0, -23.0, 23.0]
        assert lesion["thinnest_at_vessel"] is True

    def test_what_is_not_known_is_null(self, result):
        names = ("vessel_distance_mm", "vessel_distance_location_mm", "thinnest_at_vessel")
        for record in (result_record(result), result_record(with_place(result, segments=None, vessel=VesselFinding()))):
            validate(record)
            (lesion,) = record["lesions"]
            assert lesion["liver_segments"] is None
            assert lesion["outside_segments_share"] is None
            assert [lesion[name] for name in names] == [None, None, None]

    def test_only_what_rests_on_the_registration_is_withheld(self, withheld):
        record = result_record(with_place(withheld))
        validate(record)
        (lesion,) = record["lesions"]
        assert lesion["liver_segments"][0]["segment"] == "VIII"
        assert lesion["vessel_distance_mm"] == 4.21
        assert lesion["vessel_distance_location_mm"] is None
        assert lesion["thinnest_at_vessel"] is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("liver_segments", [{"segment": "IX", "share": 0.5}]),
            ("liver_segments", [{"segment": "V", "share": 1.2}]),
            ("liver_segments", [{"segment": "V"}]),
            ("outside_segments_share", -0.1),
            ("vessel_distance_mm", 31.0),
            ("vessel_distance_location_mm", [1.0, 2.0]),
            ("thinnest_at_vessel", "yes"),
        ],
    )
    def test_schema_refuses_other_values(self, result, name, value):
        damaged = deepcopy(result_record(with_place(result)))
        damaged["lesions"][0][name] = value
        with pytest.raises(ValueError, match=name):
            validate(damaged)

    def test_masks_of_the_case_folder(self, result):
        known = replace(result, case=replace(result.case, anatomy=anatomy(result)))
        assert {"liver-segment-VIII", "vessels"} <= {name for name, _ in _named_masks(known)}


def anatomy(result: CaseResult) -> Anatomy:
    liver = result.case.pre.liver

    def drawn(structure: Structure) -> LabelMask:
        return LabelMask(voxels=liver.voxels, geometry=liver.geometry, structure=structure)

    return Anatomy(segments={"VIII": drawn(Structure.LIVER_SEGMENT)}, vessels=drawn(Structure.VESSELS))


class TestPlanes:
    def test_vessels_are_cut_where_they_are_drawn_before_ablation(self, result):
        """A slab of 20 mm beside the tumor, at the middle of the patient."""
        known = with_vessels(result, lambda points: np.abs(points[..., 0]) <= 10.0)
        axial, coronal, sagittal = views_at_thinnest(known, known.lesions[0])
        center_mm = known.lesions[0].tumor_pre.vertices_mm.mean(axis=0)
        for view in (axial, coronal):
            along = view.outline_axis_mm + center_mm[0]
            middle = view.vessels[len(along) // 2]
            assert middle[np.abs(along) < 8.0] == pytest.approx(1)
            assert middle[np.abs(along) > 12.0] == pytest.approx(0)
        assert sagittal.vessels.max() == 0
        assert views_at_thinnest(result, result.lesions[0])[0].vessels is None

    def test_vessels_are_outlined_and_named_in_the_legend(self, result):
        known = with_vessels(result, lambda points: np.abs(points[..., 0]) <= 10.0)
        drawn, plain = (draw_slices(views_at_thinnest(x, x.lesions[0]), required_mm=10.0) for x in (known, result))
        assert has_pink(drawn)
        assert not has_pink(plain)


def with_vessels(result: CaseResult, inside) -> CaseResult:
    geometry = result.case.pre.volume.geometry
    points = geometry.points_at(np.stack(np.indices(geometry.shape), axis=-1))
    vessels = LabelMask(voxels=inside(points), geometry=geometry, structure=Structure.VESSELS)
    return replace(result, case=replace(result.case, anatomy=Anatomy(vessels=vessels)))


def has_pink(png: bytes) -> bool:
    red, green, blue = np.moveaxis(imread(io.BytesIO(png))[..., :3], -1, 0)
    return np.count_nonzero((red > 0.9) & (green < 0.65) & (blue > 0.75)) > 100
