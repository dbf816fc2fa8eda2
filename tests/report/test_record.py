from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablmargin.reasons import Reason, ReasonCode
from ablmargin.report.record import result_record, schema, shares_to_one, validate

# Spelled out here once more: the layout is promised to other programs.
CASE_FIELDS = [
    "schema",
    "case_id",
    "status",
    "verdict",
    "ras_mutation",
    "required_margin_mm",
    "point_of_reference",
    "inputs",
    "registration",
    "lesions",
    "masks",
    "warnings",
    "timings_s",
    "software",
]
LESION_FIELDS = [
    "id",
    "tumor_volume_ml",
    "ablation_volume_ml",
    "mam_mm",
    "mam_raw_mm",
    "mam_lower_mm",
    "mam_upper_mm",
    "mam_corrected_mm",
    "mam_location_mm",
    "mam_direction",
    "bounds_of",
    "mam_rigid_mm",
    "subcapsular",
    "mam_constrained_mm",
    "depth_limited_share",
    "shortfall_mm",
    "percentiles_mm",
    "mean_mm",
    "surface_share",
    "coverage",
    "residual_tumor_ml",
    "required_margin_mm",
    "point_verdict",
    "probability_adequate",
    "verdict",
    "reasons",
    "verdicts_by_threshold",
    "completion",
]
ADDED_FIELDS = [
    "reason_codes",
    "deficit",
    "shortfall_doubt_mm",
    "liver_segments",
    "outside_segments_share",
    "vessel_distance_mm",
    "vessel_distance_location_mm",
    "thinnest_at_vessel",
]
"""Later than the first release of the layout: files without them stay valid."""
SERIES_FIELDS = ["series_uid", "modality", "slices", "spacing_mm", "slice_thickness_mm", "phase", "acquired", "sha256"]
ADDED_SERIES_FIELDS = ["phase_source", "phase_evidence"]
REGISTRATION_FIELDS = [
    "method",
    "liver_dice",
    "liver_hd95_mm",
    "liver_asd_mm",
    "jacobian_min",
    "folded_share",
    "inverse_consistency_mm",
    "sd_mm",
    "quality",
    "reasons",
    "engine_distance_mm",
    "landmarks",
]
ADDED_REGISTRATION_FIELDS = ["reason_codes"]


@pytest.fixture(scope="module")
def record(result):
    return result_record(result)


def test_a_second_engine_is_told_of_only_where_it_ran(record, result):
    assert record["registration"]["engine_distance_mm"] is None
    both = result_record(replace(result, quality=replace(result.quality, engine_distance_mm=0.61234)))
    assert both["registration"]["engine_distance_mm"] == 0.612
    validate(both)


def test_record_has_the_promised_layout(record):
    validate(record)
    assert list(record) == CASE_FIELDS
    assert set(record["lesions"][0]) == {*LESION_FIELDS, *ADDED_FIELDS}
    assert list(record["inputs"]["pre"]) == [*SERIES_FIELDS, *ADDED_SERIES_FIELDS]
    assert set(record["registration"]) == {*REGISTRATION_FIELDS, *ADDED_REGISTRATION_FIELDS}
    assert list(record["timings_s"]) == ["load", "segment", "register", "measure", "report", "total"]
    assert record["lesions"][0]["percentiles_mm"].keys() == {"1", "5", "25", "50", "75", "95"}
    assert record["lesions"][0]["coverage"].keys() == {str(mm) for mm in range(11)}
    assert record["lesions"][0]["verdicts_by_threshold"].keys() == {"5", "10"}


def test_record_tells_what_was_measured(record, result):
    lesion, measured = record["lesions"][0], result.lesions[0]
    assert lesion["mam_mm"] == pytest.approx(measured.margin.minimum_mm, abs=5e-4)
    assert lesion["mam_location_mm"] == pytest.approx(list(measured.margin.location_mm), abs=5e-4)
    assert record["inputs"]["pre"]["spacing_mm"] == [3.0, 1.8, 1.8]  # slice, row, column
    assert lesion["surface_share"] == pytest.approx(measured.margin.surface_shares(), abs=3e-5)
    assert sum(lesion["surface_share"].values()) == pytest.approx(1.0, abs=1e-12)
    assert lesion["percentiles_mm"]["5"] == pytest.approx(measured.margin.percentile_mm(5), abs=5e-4)
    assert lesion["coverage"]["10"] == pytest.approx(measured.coverage.shares[10], abs=5e-6)
    assert lesion["mam_lower_mm"] < lesion["mam_mm"] < lesion["mam_upper_mm"]
    assert record["verdict"] == "inadequate"
    assert record["required_margin_mm"] == 10.0


def test_each_reason_has_its_code_at_the_same_place(result):
    tiny = Reason(code=ReasonCode.MASK_TINY, sentence="The tumor mask has only 1 voxel.")
    coarse = Reason(code=ReasonCode.GEOM_COARSE, sentence="With slices of 5.0 mm nothing can be told.")
    (lesion,), (numbers,) = result.lesions, result.lesions[0].judgement.reasons
    hindered = replace(lesion, judgement=replace(lesion.judgement, reasons=(tiny, coarse, tiny, numbers)))
    (told,) = result_record(replace(result, lesions=(hindered,)))["lesions"]
    assert told["reasons"] == [tiny.sentence, coarse.sentence, tiny.sentence, numbers.sentence]
    assert told["reason_codes"] == ["MASK_TINY", "GEOM_COARSE", "MASK_TINY", "UPPER_BOUND_BELOW"]


def test_record_tells_the_doubt_about_the_shortfall_and_files_without_it_stay_valid(result):
    lesion = result.lesions[0]
    doubted = replace(lesion, capsule=replace(lesion.capsule, shortfall_doubt_mm=0.4567))
    record = result_record(replace(result, lesions=(doubted, *result.lesions[1:])))
    assert record["lesions"][0]["shortfall_doubt_mm"] == 0.457
    validate(record)
    del record["lesions"][0]["shortfall_doubt_mm"]
    validate(record)


def test_record_is_plain_json_without_nan(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_infinite_error_becomes_null(result):
    lost = replace(result, quality=replace(result.quality, sd_mm=float("inf"), liver_asd_mm=float("nan")))
    registration = result_record(lost)["registration"]
    assert registration["sd_mm"] is None
    assert registration["liver_asd_mm"] is None


def test_masks_without_images_have_no_inputs_and_no_registration(masks_only):
    record = result_record(masks_only)
    validate(record)
    assert record["inputs"] == {"pre": None, "post": None}
    assert record["registration"] is None
    assert record["lesions"][0]["mam_rigid_mm"] is None
    assert record["lesions"][0]["mam_lower_mm"] is None
    assert record["lesions"][0]["probability_adequate"] is None


def test_registration_only_has_no_verdict(registered):
    record = result_record(registered)
    validate(record)
    assert record["lesions"] == []
    assert record["verdict"] is None


def test_failed_registration_is_withheld(withheld):
    record = result_record(withheld)
    validate(record)
    assert record["status"] == "withheld"
    lesion = record["lesions"][0]
    assert lesion["verdict"] == "indeterminate"
    assert lesion["reason_codes"] == ["REGISTRATION_QUALITY_FAILED"]
    assert len(lesion["reasons"]) == 1, "bounds aren't told in words either"
    assert record["registration"]["reason_codes"] == ["LIVERS_OVERLAP_LITTLE"]
    assert lesion["tumor_volume_ml"] > 0
    for field in ("mam_mm", "mam_lower_mm", "mam_upper_mm", "point_verdict", "probability_adequate", "mean_mm"):
        assert lesion[field] is None, field
    for field in ("percentiles_mm", "surface_share", "coverage"):
        assert set(lesion[field].values()) == {None}, field


def test_what_is_missing_and_what_would_complete_it_are_told(record, result):
    told, (measured,) = record["lesions"][0], result.lesions
    deficit, completion = measured.deficit, measured.completion
    assert told["deficit"] == {
        "area_mm2": pytest.approx(deficit.area_mm2, abs=6e-3),
        "share": pytest.approx(deficit.share, abs=6e-6),
        "direction": deficit.direction,
        "clock_face": deficit.clock_face,
        "axial_offset_mm": pytest.approx(deficit.axial_offset_mm, abs=6e-4),
    }
    assert told["completion"] == {
        "center_mm": pytest.approx(list(completion.center_mm), abs=6e-4),
        "radius_mm": pytest.approx(completion.radius_mm, abs=6e-4),
        "added_volume_ml": pytest.approx(completion.added_volume_ml, abs=6e-5),
        "capsule_distance_mm": pytest.approx(completion.capsule_distance_mm, abs=6e-4),
        "leaves_liver": completion.leaves_liver,
    }


def test_the_ball_lies_on_the_side_that_has_too_little(result):
    (lesion,) = result.lesions
    assert lesion.deficit.share > 0.9  # 10 mm asked for, 2 to 10 mm there
    places, missing = lesion.margin.points_mm, lesion.margin.margin_mm < 10.0
    reach = np.linalg.norm(places[missing] - np.array(lesion.completion.center_mm), axis=1)
    assert (reach < lesion.completion.radius_mm).all()


def test_nothing_is_told_to_be_missing_where_nothing_is(result):
    (lesion,) = result.lesions
    plenty = replace(lesion.margin, margin_mm=np.full_like(lesion.margin.margin_mm, 12.0), constrained_mm=None)
    record = result_record(replace(result, lesions=(replace(lesion, margin=plenty, completion=None),)))
    validate(record)
    assert record["lesions"][0]["deficit"] is None
    assert record["lesions"][0]["completion"] is None


def test_a_withheld_case_proposes_nothing(withheld):
    assert withheld.lesions[0].completion is not None
    (told,) = result_record(withheld)["lesions"]
    assert told["deficit"] is None
    assert told["completion"] is None


def test_files_from_before_the_additions_stay_valid(record):
    older = deepcopy(record)
    (lesion,) = older["lesions"]
    for field in ADDED_FIELDS:
        del lesion[field]
    for field in ADDED_REGISTRATION_FIELDS:
        del older["registration"][field]
    lesion["completion"] = {name: lesion["completion"][name] for name in ("center_mm", "radius_mm", "added_volume_ml")}
    validate(older)


@pytest.mark.parametrize("field", CASE_FIELDS)
def test_schema_misses_no_field_of_a_case(record, field):
    with pytest.raises(ValueError, match=field):
        validate({name: value for name, value in record.items() if name != field})


@pytest.mark.parametrize("field", LESION_FIELDS)
def test_schema_misses_no_field_of_a_lesion(record, field):
    damaged = deepcopy(record)
    del damaged["lesions"][0][field]
    with pytest.raises(ValueError, match=field):
        validate(damaged)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "done"),
        (("verdict",), "fine"),
        (("ras_mutation",), "wild type"),
        (("point_of_reference",), "pre"),
        (("lesions", 0, "point_verdict"), "indeterminate"),
        (("lesions", 0, "mam_mm"), "2.1"),
        (("lesions", 0, "reason_codes"), []),
        (("lesions", 0, "reason_codes"), ["The tumor is tiny."]),
        (("registration", "reason_codes"), ["lower_case"]),
        (("lesions", 0, "surface_share", "below_0"), 1.2),
        (("lesions", 0, "mam_location_mm"), [1.0, 2.0]),
        (("lesions", 0, "verdicts_by_threshold", "10"), None),
        (("registration", "quality"), "bad"),
        (("inputs", "post", "spacing_mm"), [1.0, 1.0, 0.0]),
        (("masks", 0, "source"), "somebody"),
        (("lesions", 0, "deficit", "clock_face"), 13),
        (("lesions", 0, "deficit", "share"), 1.1),
        (("lesions", 0, "completion", "center_mm"), [1.0, 2.0]),
        (("lesions", 0, "completion", "capsule_distance_mm"), -1.0),
    ],
)
def test_schema_refuses_other_values(record, path, value):
    damaged = deepcopy(record)
    place = damaged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=str(path[-1])):
        validate(damaged)


def test_all_faults_are_told_together(record):
    with pytest.raises(ValueError, match=r"(?s)status.*verdict"):
        validate(record | {"status": "done", "verdict": "fine"})


def test_more_fields_are_allowed(record):
    validate(record | {"site": "somewhere"})


def test_every_field_of_the_schema_is_described():
    undescribed = []

    def walk(node, path):
        for name, field in node.get("properties", {}).items():
            if not ("description" in field or "$ref" in field or "anyOf" in field):
                undescribed.append(f"{path}.{name}")
            walk(field, f"{path}.{name}")
        for name, part in node.get("$defs", {}).items():
            assert "description" in part
            walk(part, name)

    walk(schema(), "$")
    assert undescribed == []


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4).filter(lambda parts: sum(parts) > 1e-6))
def test_rounded_shares_sum_to_one(parts):
    shares = {str(number): part / sum(parts) for number, part in enumerate(parts)}
    rounded_shares = shares_to_one(shares)
    assert sum(rounded_shares.values()) == pytest.approx(1.0, abs=1e-12)
    for name, share in shares.items():
        assert rounded_shares[name] == pytest.approx(
            share, abs=3e-5
        )  # half a unit of the last digit, or what is left over


def test_shares_that_nobody_knows():
    assert shares_to_one({"a": float("nan"), "b": 0.5}) == {"a": None, "b": None}
