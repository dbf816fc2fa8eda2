"""One call does what the command line does, from files and from what is loaded."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_cases import failed_quality, measured_case

import ablmargin
from ablmargin import Analysis, InputError, LabelMask, RasMutation, Structure, Verdict, Volume
from ablmargin.analysis import Findings
from ablmargin.errors import UsageError
from ablmargin.imagefile import save_volume
from ablmargin.intake import CaseInputs
from ablmargin.loaded import loaded_volume
from ablmargin.notebook import analyze
from ablmargin.pairs import PairFolder, write_pair
from ablmargin.report.record import result_record
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return Analysis(measured_case())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairFolder:
    return write_pair(simulate_phantom("thin-margin", coarse=2.0), tmp_path_factory.mktemp("pair") / "pair")


def without_times(record) -> dict:
    return {name: part for name, part in record.items() if name != "timings_s"}


def arguments(pair: PairFolder) -> dict:
    return {
        "liver_pre": pair.liver_pre,
        "liver_post": pair.liver_post,
        "tumor": pair.tumors[0],
        "ablation": str(pair.ablations[0]),
        "ras_mutation": "wildtype",
        "case_id": "p-1",
    }


@pytest.mark.slow
def test_the_same_numbers_as_the_command_line_from_files_and_from_memory(pair, tmp_path, capsys):
    words = ["--pre", pair.pre, "--post", pair.post, "--liver-pre", pair.liver_pre, "--liver-post", pair.liver_post]
    words += ["--tumor", pair.tumors[0], "--ablation", pair.ablations[0]]
    words += ["--ras-mutation", "wildtype", "--case-id", "p-1", "--json", "--out", tmp_path / "cli"]
    assert main(["analyze", *map(str, words)]) == 0
    told = without_times(json.loads(capsys.readouterr().out))

    from_files = analyze(str(pair.pre), pair.post, **arguments(pair))
    assert without_times(from_files.to_dict()) == told

    pre, post = ablmargin.load_image(pair.pre), ablmargin.load_image(pair.post)
    tumor = ablmargin.load_mask(str(pair.tumors[0]), Structure.TUMOR, onto=pre.volume.geometry)
    zone = ablmargin.load_mask(str(pair.ablations[0]), Structure.ABLATION_ZONE, onto=post.volume.geometry)
    given = arguments(pair) | {"tumor": tumor.voxels, "ablation": [zone]}
    from_memory = analyze(pre, post, **given)
    assert from_memory.to_dict()["lesions"] == told["lesions"]
    assert from_memory.to_dict()["registration"] == told["registration"]

    folder = from_memory.save(tmp_path / "api")
    assert ablmargin.load_results(folder).equals(ablmargin.load_results(tmp_path / "cli").assign(**times(folder)))
    with pytest.raises(UsageError, match="input folder"):
        from_files.save(pair.pre / "result")
    with pytest.raises(UsageError, match="input folder"):
        from_memory.save(pair.post / "result")
    with pytest.raises(UsageError, match="isn't empty"):
        from_memory.save(folder)

    (tmp_path / "key").write_bytes(bytes(range(16)))
    nameless = analyze(pre, post, **given, deidentify_key=tmp_path / "key").to_dict()
    assert nameless["lesions"] == told["lesions"]
    assert nameless["inputs"]["pre"]["series_uid"].startswith("2.25.")
    assert nameless["inputs"]["pre"]["acquired"] != told["inputs"]["pre"]["acquired"]
    assert "DEIDENTIFIED" in {warning["code"] for warning in nameless["warnings"]}


def times(folder: Path) -> dict:
    """What may differ from run to run."""
    table = ablmargin.load_results(folder)
    return {name: table[name] for name in table.columns if name.startswith("timings_s")}


def test_fields_are_those_of_the_contract(analysis):
    record = result_record(analysis.result)
    assert analysis.to_dict() == record
    (lesion,) = analysis.lesions
    assert lesion.mam_mm == record["lesions"][0]["mam_mm"]
    assert lesion.coverage["5"] == record["lesions"][0]["coverage"]["5"]
    assert lesion.mam_location_mm == tuple(record["lesions"][0]["mam_location_mm"])
    assert analysis.registration.liver_dice == 0.972
    assert analysis.verdict == Verdict(record["verdict"])
    assert {"verdict", "lesions", "to_frame"} <= set(dir(analysis))
    assert "mam_mm" in dir(lesion)
    with pytest.raises(AttributeError, match="mam_mm"):
        _ = lesion.minimum_margin


def test_what_is_found_cannot_be_changed_through_a_copy(analysis):
    plain = analysis.to_dict()
    plain["lesions"][0]["mam_mm"] = 99.0
    assert analysis.lesions[0].mam_mm != 99.0
    findings = Findings({"a": [1, {"b": 2}]})
    assert pickle.loads(pickle.dumps(findings)) == copy.copy(findings) == findings


def test_a_table_has_the_columns_of_load_results(analysis):
    table = analysis.to_frame()
    assert table.case_id.tolist() == ["demo-1"]
    assert table.mam_mm[0] == analysis.lesions[0].mam_mm
    assert table.verdict.cat.ordered


def test_at_a_glance(analysis):
    page = analysis._repr_html_()
    (lesion,) = analysis.lesions
    assert f"{lesion.mam_mm:.1f} mm".replace("-", "−") in page
    assert f"{lesion.mam_upper_mm:.1f} mm".replace("-", "−") in page
    assert lesion.verdict in page
    assert "Not a medical device" in page
    assert lesion.verdict in repr(analysis)


def test_a_withheld_case_shows_no_margin():
    case = measured_case(quality=failed_quality())
    page = Analysis(case)._repr_html_()
    assert "withheld" in page
    assert "not known" in page
    assert "registration failed" in page


def some_volume(seed: int) -> Volume:
    hu = np.random.default_rng(seed).choice([-1000.0, -90, 0, 20, 45, 60, 75, 90, 110], (8, 8, 8))
    grid = ablmargin.Geometry(shape=(8, 8, 8), spacing_mm=(2, 1, 1), origin_mm=(0, 0, 0))
    return Volume(voxels_hu=hu[::-1].astype(np.float32), geometry=grid)


VOLUME = some_volume(1)
MASK = np.zeros((8, 8, 8), bool)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tumor": ()}, "give tumor"),
        ({"tumor": MASK[:4]}, r"shape \(4, 8, 8\)"),
        ({"tumor": np.full((8, 8, 8), 3)}, "0 and 1"),
        ({"tumor": np.full((8, 8, 8), 0.5)}, "LabelMask.soft"),
        ({"tumor": 7}, "not int"),
        ({"pre": Path("somewhere"), "tumor": MASK}, "load_image"),
        ({"ras_mutation": "kras"}, "wildtype, mutant, unknown"),
        ({"engine": "magic"}, "engine must be one of"),
        ({"case_id": "../x"}, "case_id"),
        ({"accept": ["ALL"]}, "ALL"),
        ({"post": ablmargin.Settings()}, "Settings go with a Case"),
    ],
)
def test_calls_that_make_no_sense(changes, message):
    call = {"pre": VOLUME, "post": VOLUME, "tumor": MASK, "ablation": MASK} | changes
    with pytest.raises(UsageError, match=message):
        analyze(call.pop("pre"), call.pop("post"), **call)


@pytest.mark.parametrize("given", ["pre", "post", "tumors", "segments", "landmarks"])
def test_nothing_is_saved_around_an_input_however_it_was_given(tmp_path, given):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "file"
    path.touch()
    loaded = replace(loaded_volume(VOLUME, name="x"), source=path)
    values = {"pre": loaded, "post": loaded, "tumors": (str(path),), "segments": str(path), "landmarks": path}
    inputs = CaseInputs(**({"pre": VOLUME, "post": VOLUME} | {given: values[given]}))
    with pytest.raises(UsageError, match="holds the input"):
        Analysis(measured_case(), inputs).save(tmp_path / "in")


def test_a_loaded_image_knows_where_it_came_from(tmp_path):
    save_volume(VOLUME, tmp_path / "ct.nii.gz")
    assert ablmargin.load_image(tmp_path / "ct.nii.gz").source == tmp_path / "ct.nii.gz"


def test_a_mask_of_something_else_is_refused():
    liver = LabelMask(voxels=~MASK, geometry=VOLUME.geometry, structure=Structure.LIVER)
    with pytest.raises(UsageError, match="mask of the tumor, not of the liver"):
        analyze(VOLUME, some_volume(2), tumor=liver, ablation=MASK, ras_mutation=RasMutation.MUTANT)


def test_loaded_volumes_are_checked_as_files_are():
    flat = Volume(voxels_hu=np.ones((8, 8, 8), np.float32), geometry=VOLUME.geometry)
    with pytest.raises(InputError) as caught:
        analyze(flat, flat, tumor=MASK, ablation=MASK)
    assert {fault.code for fault in caught.value.faults} == {"HU_IMPLAUSIBLE"}
    assert {fault.source for fault in caught.value.faults} == {"the CT before ablation", "the CT after ablation"}
