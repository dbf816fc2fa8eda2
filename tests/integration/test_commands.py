"""The commands, in process, on one small simulated patient."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk

from ablmargin import result
from ablmargin.pairs import PairFolder, write_pair
from ablmargin.pipeline import Settings, provenance
from ablmargin.registration import elastix
from ablmargin.registration.enginename import EngineName
from ablmargin.segmenting import DOUBTED
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin_cli.main import main


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairFolder:
    folder = tmp_path_factory.mktemp("pair") / "two-lesions"
    return write_pair(simulate_phantom("two-lesions", seed=2, coarse=1.8), folder)


@pytest.fixture(scope="module")
def analyzed(pair: PairFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "case"
    assert main(["analyze", *options(pair), "--ras-mutation", "wildtype", "--case-id", "p-1", "--out", str(out)]) == 0
    return out


def options(pair: PairFolder, **other: str) -> list[str]:
    named = {
        "--pre": pair.pre,
        "--post": pair.post,
        "--liver-pre": pair.liver_pre,
        "--liver-post": pair.liver_post,
    }
    words = [text for name, value in named.items() for text in (name, str(other.get(name, value)))]
    for tumor in pair.tumors:
        words += ["--tumor", str(tumor)]
    for ablation in pair.ablations:
        words += ["--ablation", str(ablation)]
    return words


def result_in(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_the_case_folder_holds_what_the_readme_promises(analyzed):
    for name in (
        "result.json",
        "report.html",
        "margins.csv",
        "lesion-1.vtp",
        "lesion-2.vtp",
        "provenance.json",
        "registration/pre_to_post.tfm",
        "registration/pre_to_post_displacement.nrrd",
        "masks/liver-pre.nii.gz",
        "masks/liver-post.nii.gz",
    ):
        assert (analyzed / name).stat().st_size > 0, name
    assert not [path for path in analyzed.parent.iterdir() if path != analyzed], "nothing else is left beside it"


def test_result_validates_against_the_shipped_schema(analyzed):
    schema = json.loads((files("ablmargin.report") / "result.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(result_in(analyzed), schema)


def test_the_numbers_are_about_the_truth(analyzed, pair):
    truth = json.loads(pair.truth.read_text(encoding="utf-8"))
    result = result_in(analyzed)
    assert result["registration"]["quality"] != "failed"
    for lesion, true_lesion in zip(result["lesions"], truth["lesions"], strict=True):
        assert lesion["mam_mm"] == pytest.approx(true_lesion["mam_mm"], abs=2.5)  # voxels of 2 x 2 x 4.5 mm
        assert lesion["mam_lower_mm"] <= lesion["mam_mm"] <= lesion["mam_upper_mm"]


def test_the_displacement_field_maps_points(analyzed, pair):
    image = sitk.ReadImage(str(analyzed / "registration" / "pre_to_post_displacement.nrrd"))
    assert image.GetNumberOfComponentsPerPixel() == 3
    truth = json.loads(pair.truth.read_text(encoding="utf-8"))
    errors = []
    for pre, post in zip(truth["landmarks"]["pre_mm"], truth["landmarks"]["post_mm"], strict=True):
        index = image.TransformPhysicalPointToIndex(pre)
        errors.append(np.linalg.norm(np.array(pre) + image.GetPixel(index) - np.array(post)))
    assert np.mean(errors) < 4


def test_json_is_the_file(analyzed, pair, tmp_path, capsys):
    words = [
        "--tumor",
        str(pair.tumors[0]),
        "--ablation",
        str(pair.tumors[0]),
        "--json",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["margin", *words]) == 0
    assert capsys.readouterr().out == (tmp_path / "out" / "result.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_liver_that_leaves_its_targets_out_will_do_but_not_one_far_away(pair, tmp_path, capsys):
    liver, tumor = sitk.ReadImage(str(pair.liver_pre)), sitk.ReadImage(str(pair.tumors[0]))
    without = liver & (1 - sitk.BinaryDilate(tumor, [1, 1, 1]))
    sitk.WriteImage(without, str(tmp_path / "without.nii.gz"))
    far = sitk.Image(liver) * 0
    far[2:6, 2:6, 2:6] = 1
    sitk.WriteImage(far, str(tmp_path / "far.nii.gz"))
    good = {"--liver-pre": str(tmp_path / "without.nii.gz")}
    bad = {"--liver-pre": str(tmp_path / "far.nii.gz")}
    assert main(["analyze", *options(pair, **bad), "--out", str(tmp_path / "bad")]) == 3
    assert capsys.readouterr().err.count("TARGET_OUTSIDE_LIVER") == 2  # both tumors
    assert main(["analyze", *options(pair, **good), "--out", str(tmp_path / "good")]) == 0


def test_missing_livers_are_outlined_and_told_as_proposals(pair, tmp_path):
    words = options(pair)
    without = words[: words.index("--liver-pre")] + words[words.index("--liver-post") + 2 :]
    assert main(["analyze", *without, "--out", str(tmp_path / "out")]) == 0
    result = result_in(tmp_path / "out")
    livers = [mask for mask in result["masks"] if mask["structure"] == "liver"]
    assert [(mask["exam"], mask["source"], mask["reviewed"]) for mask in livers] == [
        ("pre", "automatic", False),
        ("post", "automatic", False),
    ]
    assert result["registration"]["liver_dice"] > 0.9
    assert result["timings_s"]["segment"] > 0
    for name, given in (("liver-pre", pair.liver_pre), ("liver-post", pair.liver_post)):
        found, true = (
            sitk.GetArrayFromImage(sitk.ReadImage(path)) > 0
            for path in (tmp_path / "out" / "masks" / f"{name}.nii.gz", given)
        )
        assert 2 * np.count_nonzero(found & true) / (found.sum() + true.sum()) > 0.9


def test_a_verdict_waits_until_proposals_are_reviewed(pair, tmp_path, capsys):
    tumor, zone = (long_axis(path) for path in (pair.tumors[0], pair.ablations[0]))
    words = [text for text in options(pair) if text not in {"--tumor", "--ablation"}]
    for path in (*pair.tumors, *pair.ablations):
        words.remove(str(path))
    words += ["--tumor-axis", tumor, "--ablation-axis", zone, "--ras-mutation", "wildtype", "--accept", DOUBTED]
    assert main(["analyze", *words, "--out", str(tmp_path / "first")]) == 0
    first = result_in(tmp_path / "first")
    assert first["verdict"] == "indeterminate"
    assert "and not reviewed" in " ".join(first["lesions"][0]["reasons"])
    hindering = {"ZONE_NOT_REVIEWED", "TUMOR_NOT_REVIEWED"}
    assert hindering <= set(first["lesions"][0]["reason_codes"])
    assert {mask["source"] for mask in first["masks"]} == {"reader", "point"}
    assert main(["analyze", *words, "--reviewed", "--out", str(tmp_path / "second")]) == 0
    second = result_in(tmp_path / "second")
    assert "and not reviewed" not in " ".join(second["lesions"][0]["reasons"])
    assert not hindering & set(second["lesions"][0]["reason_codes"])
    assert all(mask["reviewed"] for mask in second["masks"])
    assert second["lesions"][0]["mam_mm"] == first["lesions"][0]["mam_mm"]


def long_axis(path: Path) -> str:
    """The long axis of a mask in its largest slice, as a reader draws it, as text."""
    image = sitk.ReadImage(path)
    voxels = sitk.GetArrayFromImage(image) > 0
    k = int(voxels.sum(axis=(1, 2)).argmax())
    points = np.array([image.TransformIndexToPhysicalPoint((int(i), int(j), k)) for j, i in np.argwhere(voxels[k])])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    ends = points[list(np.unravel_index(apart.argmax(), apart.shape))]
    return ",".join(f"{value:.2f}" for value in ends.ravel())


def test_nothing_is_overwritten_unless_asked(analyzed, pair, capsys):
    before = (analyzed / "result.json").read_bytes()
    assert main(["analyze", *options(pair), "--out", str(analyzed)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (analyzed / "result.json").read_bytes() == before


def test_out_inside_an_input_folder_is_refused(pair, capsys):
    assert main(["analyze", *options(pair), "--out", str(pair.pre / "out")]) == 2
    assert not (pair.pre / "out").exists()
    assert "inside the input folder" in capsys.readouterr().err


def test_out_that_holds_an_input_is_refused_even_with_overwrite(pair, capsys):
    folder = pair.pre.parent
    before = sorted(folder.rglob("*"))
    assert main(["analyze", *options(pair), "--out", str(folder), "--overwrite"]) == 2
    words = ["--tumor", str(pair.tumors[0]), "--ablation", str(pair.ablations[0])]
    assert main(["margin", *words, "--out", str(folder / "masks"), "--overwrite"]) == 2
    assert "holds the input" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_overwrite_only_replaces_finished_cases(pair, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    words = ["--tumor", str(pair.tumors[0]), "--ablation", str(pair.ablations[0])]
    assert main(["margin", *words, "--out", str(tmp_path), "--overwrite"]) == 2
    assert "no finished case" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


def test_faults_of_all_masks_are_told_together(pair, tmp_path, capsys):
    empty = sitk.ReadImage(str(pair.liver_pre)) * 0
    sitk.WriteImage(empty, str(tmp_path / "empty.nii.gz"))
    elsewhere = sitk.ReadImage(str(pair.liver_post))
    elsewhere.SetOrigin([value + 400 for value in elsewhere.GetOrigin()])
    sitk.WriteImage(elsewhere, str(tmp_path / "elsewhere.nii.gz"))
    words = options(
        pair, **{"--liver-pre": str(tmp_path / "empty.nii.gz"), "--liver-post": str(tmp_path / "elsewhere.nii.gz")}
    )
    assert main(["analyze", *words, "--out", str(tmp_path / "out")]) == 3
    errors = capsys.readouterr().err
    assert "MASK_EMPTY" in errors
    assert "MASK_OUTSIDE_IMAGE" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_the_same_series_twice_is_refused(pair, tmp_path, capsys):
    assert main(["analyze", *options(pair, **{"--post": str(pair.pre)}), "--out", str(tmp_path / "out")]) == 3
    assert "SAME_SERIES" in capsys.readouterr().err


def test_a_lesion_needs_its_tumor_and_its_zone(pair, tmp_path, capsys):
    words = ["--pre", str(pair.pre), "--post", str(pair.post), "--out", str(tmp_path / "out")]
    assert main(["analyze", *words, "--tumor", str(pair.tumors[0])]) == 2
    assert "--ablation" in capsys.readouterr().err


def test_no_patient_identity_in_any_output(analyzed):
    for path in analyzed.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"PHANTOM^ABLMARGIN" not in content, path
            assert b"SIM-0002" not in content, path


def test_margin_of_registered_masks(pair, tmp_path, capsys):
    words = ["--tumor", str(pair.tumors[0]), "--ablation", str(pair.tumors[0]), "--json"]
    assert main(["margin", *words]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["lesions"][0]["mam_mm"] == pytest.approx(0, abs=0.05)  # a shape against itself
    assert record["lesions"][0]["mam_lower_mm"] is None
    assert record["verdict"] == "indeterminate"
    assert main(["margin", *words, "--registration-sd", "0.5", "--gate"]) == 10
    assert json.loads(capsys.readouterr().out)["lesions"][0]["mam_upper_mm"] < 10


@pytest.mark.slow
def test_register_alone(pair, tmp_path, capsys):
    words = ["--pre", str(pair.pre), "--post", str(pair.post), "--liver-pre", str(pair.liver_pre)]
    words += ["--liver-post", str(pair.liver_post), "--exclude-post", str(pair.ablations[0])]
    truth = json.loads(pair.truth.read_text())["landmarks"]
    rows = [[*before, *after] for before, after in zip(truth["pre_mm"], truth["post_mm"], strict=True)]
    marked = tmp_path / "marked.csv"
    np.savetxt(marked, rows, delimiter=",", header="pre_x,pre_y,pre_z,post_x,post_y,post_z", comments="")
    words += ["--landmarks", str(marked)]
    assert main(["register", *words, "--out", str(tmp_path / "out"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["lesions"] == []
    assert record["registration"]["landmarks"]["count"] == len(rows)
    assert 0 < record["registration"]["landmarks"]["tre_mean_mm"] < 1.5
    assert "Error at the marked places" in (tmp_path / "out" / "report.html").read_text()
    assert record["registration"]["liver_dice"] > 0.9
    assert (tmp_path / "out" / "registration" / "pre_to_post_displacement.nrrd").exists()


def test_inspect_lists_series(pair, capsys):
    assert main(["inspect", str(pair.pre.parent), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert [series["usable"] for series in findings["series"]] == [True, True]
    assert main(["inspect", str(pair.pre.parent)]) == 0
    assert "pre ablation" in capsys.readouterr().out


def test_two_series_in_one_folder_need_a_choice(pair, tmp_path, capsys):
    both = tmp_path / "both"
    shutil.copytree(pair.pre, both / "a")
    shutil.copytree(pair.post, both / "b")
    assert main(["analyze", *options(pair, **{"--pre": str(both)}), "--out", str(tmp_path / "out")]) == 3
    assert "SERIES_AMBIGUOUS" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyze", "register"])
def test_an_engine_that_is_not_installed_is_told_before_an_image_is_opened(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(elastix, "version", _no_package)
    config, out = tmp_path / "options.toml", tmp_path / "out"
    config.write_text('engine = "elastix"\n')
    masks = ["--tumor", "t.nii.gz", "--ablation", "z.nii.gz"] if command == "analyze" else []
    words = [command, "--pre", "absent", "--post", "absent", "--out", str(out), *masks]
    for choice in (["--engine", "elastix"], ["--config", str(config)]):
        assert main([*words, *choice]) == 2
        assert 'pip install "ablmargin[elastix]"' in capsys.readouterr().err
    assert not out.exists()


def _no_package(name: str) -> str:
    raise PackageNotFoundError(name)


def test_an_unknown_engine_is_refused_with_the_list(tmp_path, capsys):
    config = tmp_path / "options.toml"
    config.write_text('engine = "demons"\n')
    for choice in (["--engine", "demons"], ["--config", str(config)]):
        assert main(["register", "--pre", "a", "--post", "b", "--out", str(tmp_path / "out"), *choice]) == 2
        told = capsys.readouterr().err
        assert "demons" in told
        assert "'gauss-newton', 'elastix'" in told


def test_the_engine_stands_in_the_provenance(analyzed):
    record = json.loads((analyzed / "provenance.json").read_text(encoding="utf-8"))
    assert record["settings"]["registration"]["engine"] == "gauss-newton"
    assert "itk-elastix" not in record["software"]


def test_the_version_of_an_engine_that_is_an_extra_stands_in_the_provenance(monkeypatch):
    monkeypatch.setattr(result, "version", lambda package: f"version of {package}")
    kept = provenance(Settings.of(seed=0, threads=1, engine=EngineName.ELASTIX), started="")
    assert kept.software["itk-elastix"] == "version of itk-elastix"
    assert json.loads(json.dumps(kept.settings))["registration"]["engine"] == "elastix"


def test_config_gives_defaults_and_refuses_unknown_options(pair, tmp_path, capsys):
    config = tmp_path / "options.toml"
    config.write_text(f'tumor = ["{pair.ablations[0]}"]\nablation = ["{pair.ablations[0]}"]\ncase-id = "from-config"\n')
    assert main(["margin", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["case_id"] == "from-config"
    config.write_text(f'tumor = "{pair.ablations[0]}"\nablation = "{pair.ablations[0]}"\n')
    assert main(["margin", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lesions"][0]["mam_mm"] is not None
    config.write_text("registration-sd = 0.5\njson = true\n")
    words = ["--tumor", str(pair.ablations[0]), "--ablation", str(pair.ablations[0])]
    assert main(["margin", *words, "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["lesions"][0]["mam_upper_mm"] is not None
    config.write_text("no-such-option = 1\n")
    assert main(["margin", "--config", str(config)]) == 2
    assert "no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["analyze"], ["analyze", "--nonsense"], ["demo", "--threads", "0"]]
)
def test_wrong_usage_exits_with_2(words, capsys):
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert "Not a medical device" in capsys.readouterr().out
    for command in ("demo", "analyze", "margin", "register", "simulate", "inspect"):
        assert main([command, "--help"]) == 0
        assert "--" in capsys.readouterr().out


def test_a_wrong_scenario_names_the_right_ones(tmp_path, capsys):
    assert main(["simulate", "--scenario", "nonsense", "--out", str(tmp_path / "out")]) == 2
    assert "thin-margin" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_json_goes_to_standard_output_though_progress_is_drawn_on_a_terminal(pair):
    import pty

    terminal, standard_error = pty.openpty()
    words = ["--tumor", str(pair.tumors[0]), "--ablation", str(pair.tumors[0]), "--json"]
    command = [sys.executable, "-m", "ablmargin_cli.main", "margin", *words]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=standard_error, check=True, timeout=120)
    os.close(standard_error)
    os.close(terminal)
    assert json.loads(finished.stdout)["schema"] == "ablmargin.result/1"
