from __future__ import annotations

import pytest

from ablmargin.clinical.couinaud import SEGMENTS, SegmentShare, largest_first, place_in_words, segment_named


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize(
    "spelling",
    [
        "liver_segment_{}",
        "Segment {}",
        "S{}",
        "s{}",
        "{}",
        "Couinaud {}",
        "Couinaud hepatic segment {}",
        "seg. {}",
        "Sg-{}",
    ],
)
def test_every_usual_spelling_names_its_segment(number, spelling):
    roman = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")[number - 1]
    assert segment_named(spelling.format(number)) == roman
    assert segment_named(spelling.format(roman)) == roman
    assert segment_named(spelling.format(roman.lower())) == roman
    assert roman in SEGMENTS


@pytest.mark.parametrize("text", ["IVa", "4a", "Segment IVA", "S4a", "liver_segment_4a", "segment IV a", "Seg 4-A"])
def test_the_fourth_segment_may_come_in_halves(text):
    assert segment_named(text) == "IVa"
    assert segment_named(text[:-1] + ("b" if text[-1] == "a" else "B")) == "IVb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "liver",
        "segment",
        "0",
        "9",
        "S10",
        "44",
        "segment_18",
        "IX",
        "IIII",
        "VIIII",
        "Va",
        "5b",
        "IIa",
        "tumor 1",
        "vein",
        "S4 and S5",
        "IV-V",
        "1 2",
        "Segment 4c",
    ],
)
def test_other_names_name_none(text):
    assert segment_named(text) is None


def test_what_is_smaller_than_contours_differ_is_left_out():
    told = largest_first(("I", "V", "VII", "VIII"), (0.0, 0.0099, 0.41, 0.58))
    assert told == (SegmentShare(segment="VIII", share=0.58), SegmentShare(segment="VII", share=0.41))


def test_a_place_without_segments_says_so():
    assert place_in_words(()) == "in none of the segments that were given"
