"""docs/reasons.md names every reason that the source can give, in the words of a cohort's page, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ablmargin.reasons import WORDS, Reason, ReasonCode

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
WIDEST = 52
"""Letters in a line of the flow diagram, behind a number of lesions."""


def test_every_code_is_documented_once_in_the_order_of_the_source():
    assert [code for code, _, _ in ROWS] == [code.value for code in ReasonCode]


def test_the_page_says_what_a_cohort_says():
    assert {code: words for code, words, _ in ROWS} == dict(WORDS)


@pytest.mark.parametrize("code", ReasonCode)
def test_every_code_is_given_somewhere(code):
    givers = [
        path for path in (ROOT / "ablmargin").rglob("*.py") if path.name != "reasons.py" and "cohort" not in path.parts
    ]
    assert any(re.search(rf"\bReasonCode\.{code}\b", path.read_text(encoding="utf-8")) for path in givers)


def test_a_code_is_one_word_that_a_table_can_join_by_blanks():
    assert all(code.value == code.name and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", code) for code in ReasonCode)


def test_each_code_has_one_line_of_its_own_in_words():
    assert len(set(WORDS.values())) == len(WORDS)
    assert max(len(words) for words in WORDS.values()) <= WIDEST - len("1,000 ")


def test_a_code_that_is_a_warning_too_is_one_that_warnings_have():
    """By which a reader of both columns finds them together."""
    sentence = re.search(r"These are codes of warnings as well: (.*?)\.", PAGE, re.DOTALL)
    shared = set(re.findall(r"`([A-Z_]+)`", sentence[1]))
    pattern = re.compile(r'Caution\(\s*code="([A-Z_]+)"')
    warned = {code for path in (ROOT / "ablmargin").rglob("*.py") for code in pattern.findall(path.read_text("utf-8"))}
    assert shared == warned & set(ReasonCode)


@pytest.mark.parametrize(
    ("codes", "waits", "too_wide"),
    [
        (["ZONE_NOT_REVIEWED", "TUMOR_NOT_REVIEWED", "LOWER_BOUND_REACHES"], True, False),
        (["ZONE_NOT_REVIEWED", "GEOM_COARSE", "REQUIRED_BETWEEN_BOUNDS"], False, False),
        (["REQUIRED_BETWEEN_BOUNDS"], False, True),
        (["BOUNDS_UNKNOWN"], False, False),
    ],
)
def test_the_example_tells_what_waits_for_a_reader_from_bounds_too_wide(tmp_path, monkeypatch, codes, waits, too_wide):
    (tmp_path / "results" / "case-17").mkdir(parents=True)
    record = {"lesions": [{"reason_codes": codes}]}
    (tmp_path / "results" / "case-17" / "result.json").write_text(json.dumps(record), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, bool] = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], names)
    assert (names["waits_for_a_reader"], names["bounds_too_wide"]) == (waits, too_wide)


def test_a_reason_reads_as_its_sentence():
    assert f"{Reason(code=ReasonCode.GEOM_COARSE, sentence='Thick.')}" == "Thick."
