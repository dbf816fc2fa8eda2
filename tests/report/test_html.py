from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ablmargin.case import UNNAMED_CASE
from ablmargin.clinical.criteria import EVIDENCE
from ablmargin.clinical.direction import Deficit
from ablmargin.errors import Caution
from ablmargin.metrics.completion import Completion
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.report import DISCLAIMER, html
from ablmargin.report.html import report_html
from ablmargin.report.mending import mending_sentences
from ablmargin.report.numbers import lesion_numbers, percent, registration_numbers, signed_mm
from ablmargin.report.record import result_record
from ablmargin.result import LesionResult

VOID = {"meta", "img", "br", "circle", "path", "rect"}


class Page(HTMLParser):
    """Checks that tags close in order, and keeps the text and every address."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.pieces, self.addresses, self.alternatives, self.tags = [], [], [], [], set()
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in {"href", "src", "data", "action"}]
        self.alternatives += [value for name, value in attributes if name == "alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.pieces))


@pytest.fixture(scope="module")
def page(result) -> Page:
    return Page(report_html(result))


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(html, "_pictures", lambda result, lesion: iter(()))


def test_answer_comes_first(page, result):
    lesion = result.lesions[0]
    start = page.text[:900]
    for words in (
        "Case demo-1",
        DISCLAIMER,
        "Inadequate",
        str(lesion.judgement.reasons[0]),
        lesion.direction_at(lesion.judged_index),
        "RAS status not known",
    ):
        assert words in start
    for length in (lesion.margin.minimum_mm, lesion.bounds.lower_mm, lesion.bounds.upper_mm, 10.0):
        assert signed_mm(length).removesuffix(".0 mm") in start
    assert "Against 5 mm:" in start
    assert "Against 10 mm:" in start


def test_page_needs_nothing_from_outside(page):
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object", "form"}


def test_three_pictures_with_words_for_those_who_cannot_see_them(page):
    assert sum(address.startswith("data:") for address in page.addresses) == 3
    assert len(set(page.alternatives)) == 3
    assert all(page.alternatives)


def test_evidence_and_its_contradiction_are_told(page):
    for source in EVIDENCE:
        assert source.finding in page.text
        assert source.doi in page.text
    assert "by construction no larger" in page.text


def test_everything_that_others_need_is_there(page):
    for words in (
        "Dice",
        "portal venous",
        "3.00 mm",
        "PHASE_UNKNOWN",
        "registration.threads",
        "numpy 2.1.0",
        "ablation zone",
    ):
        assert words in page.text
    assert "Acquired" not in page.text  # nothing is known of it


@pytest.mark.usefixtures("no_pictures")
def test_date_is_shown_where_it_is_known(result):
    exam = replace(result.case.pre, record=replace(result.case.pre.record, acquired="2026-01-10T10:12:00"))
    text = Page(report_html(replace(result, case=replace(result.case, pre=exam)))).text
    assert "Acquired" in text
    assert "2026-01-10T10:12:00" in text


@pytest.mark.usefixtures("no_pictures")
def test_text_from_outside_stays_text(result):
    hostile = Caution(code="X", message="<script>alert(1)</script> & more")
    page = report_html(replace(result, cautions=(hostile,), case_id="<b>x"))
    assert "<script" not in page
    assert "<b>x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_withheld_case_gives_no_margin(withheld):
    page = Page(report_html(withheld))
    lesion = withheld.lesions[0]
    assert "Withheld" in page.text[:300]
    assert "The livers overlap by only 0.41 (Dice)." in page.text[:600]
    assert (
        sum(address.startswith("data:") for address in page.addresses) == 1
    )  # the images, so that the failure can be seen
    for words in (
        signed_mm(lesion.margin.minimum_mm),
        lesion.direction_at(lesion.judged_index),
        "Minimal ablative margin",
        "All numbers",
        "Against 5 mm",
    ):
        assert words not in page.text
    assert not re.search(r"\b(adequate|inadequate)\b", page.text, re.IGNORECASE)


def sentences(lesion) -> str:
    return " ".join(mending_sentences(lesion))


def test_what_is_missing_is_said_on_the_page(page, result):
    (lesion,) = result.lesions
    said = mending_sentences(lesion)
    assert len(said) == 3
    assert all(sentence in page.text for sentence in said)
    assert "not a treatment plan" in page.text
    assert f"{lesion.completion.radius_mm:.1f} mm radius" in page.text
    assert page.text.index("What is missing") < page.text.index("All numbers")


@pytest.mark.usefixtures("no_pictures")
def test_a_withheld_page_says_nothing_of_it(withheld):
    text = Page(report_html(withheld)).text
    assert "What is missing" not in text
    assert "one more ablation" not in text


DEFICIT = Deficit(area_mm2=300.0, share=0.4, direction="posterior and caudal", clock_face=7, axial_offset_mm=-4.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "40 % of the tumor’s surface, mainly posterior and caudal (inferior), at 7 o’clock on the axial slice, on average 4 mm",
        ),
        ({}, "4 mm caudal of"),
        ({"axial_offset_mm": 4.2}, "4 mm cranial (superior) of"),
        ({"axial_offset_mm": 0.3}, "slice."),
        ({"direction": "caudal", "clock_face": None}, "mainly caudal (inferior), on average"),
        ({"direction": "all around", "clock_face": None}, "surface, all around."),
    ],
)
def test_where_it_is_missing_in_words(result, changes, words, monkeypatch):
    monkeypatch.setattr(LesionResult, "deficit", replace(DEFICIT, **changes))
    assert words in sentences(result.lesions[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capsule_distance_mm": 14.2}, "(LPS), 14 mm below the capsule, 3.10 ml of new tissue."),
        ({"capsule_distance_mm": 25.0}, "more than 25 mm below the capsule"),
        ({"capsule_distance_mm": None}, "(LPS), 3.10 ml"),
        ({"capsule_distance_mm": 8.0}, "Part of that ball lies beyond the capsule."),
        ({}, "To reach 10 mm: one more ablation of 12.0 mm radius centered at x −20.0 mm, y 4.5 mm, z 80.0 mm (LPS)"),
    ],
)
def test_what_would_complete_it_in_words(result, changes, words):
    ball = Completion(center_mm=(-20.0, 4.5, 80.0), radius_mm=12.0, added_volume_ml=3.1, capsule_distance_mm=14.2)
    assert words in sentences(replace(result.lesions[0], completion=replace(ball, **changes)))
    assert ("beyond the capsule" in sentences(replace(result.lesions[0], completion=ball))) is False


def test_what_is_missing_within_the_liver_says_so(subcapsular, result):
    assert "Less than 10 mm within the liver on" in sentences(subcapsular.lesions[0])
    assert "within the liver" not in sentences(result.lesions[0])


def test_without_a_ball_the_page_says_why(result):
    (lesion,) = result.lesions
    assert "outside of the liver or of the exam" in sentences(replace(lesion, completion=None))
    hair = replace(lesion.margin, margin_mm=np.full_like(lesion.margin.margin_mm, 9.9), constrained_mm=None)
    assert "short by 0.15 mm at most" in sentences(replace(lesion, completion=None, margin=hair))
    plenty = replace(hair, margin_mm=np.full_like(lesion.margin.margin_mm, 10.0))
    assert mending_sentences(replace(lesion, completion=None, margin=plenty)) == ()


@pytest.mark.usefixtures("no_pictures")
def test_several_tumors_start_with_a_table(two_tumors):
    page = Page(report_html(two_tumors))
    assert "(the worst of 2 tumors)" in page.text[:300]
    assert {"#lesion-1", "#lesion-seg-7"} <= set(page.addresses)
    for lesion in two_tumors.lesions:
        assert signed_mm(lesion.judged_minimum_mm) in page.text[:1200]


@pytest.mark.usefixtures("no_pictures")
def test_unknown_bounds_are_said_to_be_unknown(masks_only):
    text = Page(report_html(masks_only)).text
    assert "95 % bounds: not known" in text
    assert "without images" in text


def test_registration_alone_promises_no_margin(registered):
    text = Page(report_html(registered)).text
    assert "no margin was measured" in text
    assert "Dice" in text
    assert "Where the required margin comes from" not in text


@pytest.fixture(scope="module")
def subcapsular_text(subcapsular) -> str:
    return Page(report_html(subcapsular)).text


def test_subcapsular_tumor_is_said_to_be_judged_within_the_liver(subcapsular_text, subcapsular):
    (lesion,) = subcapsular.lesions
    assert "Minimal ablative margin, within the liver" in subcapsular_text
    assert "The verdict rests on it" in subcapsular_text
    assert f"nothing excluded: {signed_mm(lesion.margin.minimum_mm)}" in subcapsular_text


def test_the_place_shown_is_the_one_within_the_liver_and_says_so(subcapsular_text, subcapsular):
    (lesion,) = subcapsular.lesions
    place = lesion.direction_at(lesion.judged_index)
    assert f"Thinnest place, within the liver {place} side of the tumor" in subcapsular_text
    assert "through the thinnest place within the liver (cross)" in subcapsular_text
    assert "The circle marks the thinnest place within the liver" in subcapsular_text
    assert "The thinnest place within the liver lies at x" in subcapsular_text


def test_elsewhere_no_liver_is_named_with_the_place(page):
    assert "thinnest place within the liver" not in page.text
    assert "Thinnest place, within" not in page.text


@pytest.mark.usefixtures("no_pictures")
def test_among_several_tumors_the_one_judged_within_the_liver_says_so(two_tumors, subcapsular):
    mixed = replace(two_tumors, lesions=(*subcapsular.lesions, two_tumors.lesions[1]))
    summary = Page(report_html(mixed)).text.split("Against 10 mm")[1].split("RAS status")[0]
    assert summary.count("within the liver") == 1


@pytest.mark.usefixtures("no_pictures")
def test_without_a_constrained_margin_no_verdict_rests_on_it(subcapsular):
    (lesion,) = subcapsular.lesions
    near = replace(lesion, margin=replace(lesion.margin, constrained_mm=None))
    assert "The verdict rests on it" not in Page(report_html(replace(subcapsular, lesions=(near,)))).text


def test_masks_alone_are_told_where_the_dotted_line_ends(masks_only):
    assert "the dotted line, which ends where the liver (brown) ends." in Page(report_html(masks_only)).text
    bare = replace(masks_only, outlines=replace(masks_only.outlines, liver=None))
    text = Page(report_html(bare)).text
    assert "The ablation zone should reach the dotted line." in text
    assert "brown" not in text


def test_a_case_that_nobody_named_has_no_name_on_the_page(masks_only):
    page = report_html(replace(masks_only, case_id=UNNAMED_CASE))
    assert "<title>Ablative margin</title>" in page
    assert "Case case" not in Page(page).text
    assert "Case demo-1" in Page(report_html(masks_only)).text


@pytest.mark.usefixtures("no_pictures")
def test_one_minus_sign_all_over_the_page(result):
    (lesion,) = result.lesions
    sentence = "The required 10 mm lies between the margin's 95 % bounds, -3.0 and 8.5 mm."
    told = Reason(code=ReasonCode.REQUIRED_BETWEEN_BOUNDS, sentence=sentence)
    lesion = replace(lesion, judgement=replace(lesion.judgement, reasons=(told,)))
    caution = Caution(code="X", message="its volume changed by -12%")
    text = Page(report_html(replace(result, lesions=(lesion,), cautions=(caution,)))).text
    assert "bounds, −3.0 and 8.5 mm" in text
    assert "by −12%" in text
    assert not re.search(r"(?<![\w.)-])-\d", text)


def test_no_report_promises_files_that_may_not_be_there(masks_only, registered):
    for result in (masks_only, registered):
        assert not re.search(r"masks/|\.nii|\.nrrd|\.vtp|\.csv", Page(report_html(result)).text)


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (1.0, "100 %"), (0.004, "under 1 %"), (0.996, "over 99 %")])
def test_almost_all_is_not_all(share, text):
    assert percent(share) == text


def test_negative_margin_keeps_its_sign():
    assert signed_mm(-3.14) == "−3.1 mm"
    assert signed_mm(-0.04) == "0.0 mm"


def test_unablated_tumor_is_the_same_on_the_page_and_in_the_record(result):
    """After a map that grows the tumor, what is left of it is still told as part of its volume before."""
    (lesion,) = result.lesions
    half = replace(
        lesion, tumor_volume_ml=2.0, coverage=replace(lesion.coverage, shares={**lesion.coverage.shares, 0: 0.5})
    )
    (row,) = [row for rows in lesion_numbers(half).values() for row in rows if row.name == "Unablated tumor"]
    assert half.residual_tumor_ml == 1.0
    assert row.value == "1.00 ml"
    assert result_record(replace(result, lesions=(half,)))["lesions"][0]["residual_tumor_ml"] == 1.0


@pytest.mark.parametrize(("doubt_mm", "said"), [(0.46, "It may be off by 0.5 mm"), (0.0, None)])
def test_a_shortfall_that_the_slices_leave_in_doubt_says_so(result, doubt_mm, said):
    lesion = result.lesions[0]
    doubted = replace(lesion, capsule=replace(lesion.capsule, shortfall_mm=1.2, shortfall_doubt_mm=doubt_mm))
    (row,) = [row for rows in lesion_numbers(doubted).values() for row in rows if row.name == "Shortfall"]
    assert row.value == "1.2 mm"
    assert ("may be off" in row.meaning) == (said is not None)
    assert (said or "as much as possible.") in row.meaning
    assert row.meaning == row.meaning.strip()


def test_two_engines_have_a_line_of_their_own_only_if_both_ran(result):
    quality = replace(result.quality, engine_distance_mm=0.61)
    (line,) = (number for number in registration_numbers(quality) if "engines" in number.name)
    assert line.value == signed_mm(0.61)
    assert not any("engines" in number.name for number in registration_numbers(result.quality))
