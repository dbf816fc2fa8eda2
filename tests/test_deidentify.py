"""A result that identifies nobody says the same, and only what identifies differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_cases import measured_case

from ablmargin.case import UNNAMED_CASE
from ablmargin.deidentify import deidentified, plain_command, pseudonyms_for
from ablmargin.loaded import PatientDigest
from ablmargin.pseudonyms import Pseudonyms
from ablmargin.report.html import report_html
from ablmargin.report.record import result_record, validate

NAMES = Pseudonyms(key=b"k" * 16, subject="4711")


@pytest.fixture(scope="module")
def result():
    """With both exams acquired, masks from files, and the case unnamed."""
    result = measured_case()
    case = result.case
    exams = {
        "pre": replace(case.pre, record=replace(case.pre.record, acquired="2031-02-03T09:30:00", sha256="a" * 64)),
        "post": replace(case.post, record=replace(case.post.record, acquired="2031-02-04T09:41:00", sha256="b" * 64)),
    }
    origins = [replace(mask, origin=replace(mask.origin, name="ada.nrrd", sha256="c" * 64)) for mask in result.masks]
    return replace(result, case_id=UNNAMED_CASE, case=replace(case, **exams), masks=tuple(origins))


@pytest.fixture(scope="module")
def made(result):
    return deidentified(result, NAMES, unnamed=UNNAMED_CASE)


def test_only_what_identifies_differs_in_the_record(result, made):
    before, after = result_record(result), result_record(made)
    validate(after)
    assert after.pop("case_id") == NAMES.name
    assert after.pop("warnings")[0]["code"] == "DEIDENTIFIED"
    assert (before.pop("case_id"), len(before.pop("warnings"))) == (UNNAMED_CASE, len(result.cautions))
    for exam in ("pre", "post"):
        differing = {key for key in before["inputs"][exam] if before["inputs"][exam][key] != after["inputs"][exam][key]}
        assert differing == {"series_uid", "acquired", "sha256"}
    before.pop("inputs"), after.pop("inputs")
    assert before == after


def test_the_exams_keep_their_interval_to_the_minute(made):
    pre, post = (exam["acquired"] for exam in (result_record(made)["inputs"][name] for name in ("pre", "post")))
    assert pre == NAMES.moment("2031-02-03T09:30:00")
    assert post == NAMES.moment("2031-02-04T09:41:00")


def test_a_name_that_the_user_gave_stays(result):
    named = replace(result, case_id="P-07")
    assert deidentified(named, NAMES, unnamed=UNNAMED_CASE).case_id == "P-07"


def test_masks_have_stand_ins_and_the_day_of_the_run_is_left_out(result, made):
    assert {mask.origin.sha256 for mask in made.masks} == {NAMES.digest("c" * 64)}
    assert not any(mask.origin.name for mask in made.masks)
    assert (made.provenance.started, made.provenance.finished) == (None, None)
    assert "Computed from 2026-01-10" in report_html(result)
    assert "Computed from" not in report_html(made)


def test_a_patient_is_known_by_the_id_and_else_by_the_input():
    ada = PatientDigest.of(patient_id="ada", birth_date="", sex="")
    nobody = PatientDigest.of(patient_id="", birth_date="", sex="")
    key = b"k" * 16
    assert pseudonyms_for(key, ada, or_else="a").name == pseudonyms_for(key, ada, or_else="b").name
    assert pseudonyms_for(key, nobody, or_else="a").name != pseudonyms_for(key, nobody, or_else="b").name
    assert pseudonyms_for(key, None, or_else="a").name == pseudonyms_for(key, nobody, or_else="a").name


def test_commands_keep_numbers_and_words_of_ours():
    command = [
        "/home/ada/bin/ablmargin",
        "analyze",
        "--pre",
        "ada/1",
        "--post=ada/2",
        "--tumor",
        "t.dcm#Ada",
        "--reviewed",
    ]
    command += ["--tumor-point", "-5,3,2", "--seed=3", "--case-id", "P-07", "--config", "ada.toml", "--out", "ada-out"]
    words = plain_command(command)
    assert words[:7] == ["ablmargin", "analyze", "--pre", "(withheld)", "--post=(withheld)", "--tumor", "(withheld)"]
    assert words[7:13] == ["--reviewed", "--tumor-point", "-5,3,2", "--seed=3", "--case-id", "P-07"]
    assert words[13:] == ["--config", "(withheld)", "--out", "(withheld)"]
    assert "ada" not in " ".join(words).lower()


def test_no_word_slips_through_in_the_place_of_a_command():
    assert plain_command(["x", "ada", "smith"]) == ["ablmargin", "(withheld)", "(withheld)"]
