"""The TOML file of a network: read as meant, or refused with everything that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from model_sheets import sheet_file

from ablmargin.errors import InputError
from ablmargin.segmentation.modelsheet import Normalization, read_sheet
from ablmargin.volume import Structure

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "segmentation.md"


def faults_of(path) -> dict[str, tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        read_sheet(path)
    assert all(fault.remedy for fault in caught.value.faults)
    return {fault.attribute or fault.code: (fault.code, fault.found) for fault in caught.value.faults}


def test_what_is_written_is_what_is_read(tmp_path):
    sheet = read_sheet(sheet_file(tmp_path))
    assert (sheet.version, sheet.axis_order, sheet.spacing_mm) == ("1.0", "SPL", (2.5, 1.0, 1.0))
    assert (sheet.window_hu, sheet.patch, sheet.overlap) == ((-160.0, 240.0), (32, 96, 64), 0.5)
    assert sheet.labels == {1: Structure.LIVER, 2: Structure.TUMOR, 3: Structure.ABLATION_ZONE}
    assert sheet.activation == "softmax"
    np.testing.assert_array_equal(sheet.directions_mm, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ('"none"', [-160.0, -160.0, 40.0, 240.0]),
        ('"unit"', [0.0, 0.0, 0.5, 1.0]),
        ("{ mean_hu = 40, sd_hu = 50 }", [-4.0, -4.0, 0.0, 4.0]),
    ],
)
def test_hounsfield_units_become_what_the_network_wants(tmp_path, normalization, expected):
    sheet = read_sheet(sheet_file(tmp_path, normalization=normalization))
    values = sheet.normalized(np.array([-1000.0, -160.0, 40.0, 900.0], np.float32))
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert values.dtype == np.float32


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "1"),
        ("version", '""'),
        ("axis_order", '"zyx"'),
        ("axis_order", '"SIL"'),
        ("axis_order", '"SPLR"'),
        ("axis_order", "3"),
        ("spacing_mm", "[1, 1]"),
        ("spacing_mm", "[1, 1, 0]"),
        ("spacing_mm", "[1, 1, nan]"),
        ("spacing_mm", "[1, 1, true]"),
        ("window_hu", "[240, -160]"),
        ("normalization", '"zscore"'),
        ("normalization", "{ mean_hu = 40 }"),
        ("normalization", "{ mean_hu = 40, sd_hu = 0 }"),
        ("patch", "[32, 32, 1.5]"),
        ("patch", "[32, 32, 0]"),
        ("overlap", "1.0"),
        ("overlap", "-0.1"),
        ("labels", '["liver"]'),
        ("labels", '{ 0 = "liver" }'),
        ("labels", '{ 1 = "spleen" }'),
        ("labels", '{ 1 = "liver", 2 = "liver" }'),
        ("labels", "{ 1 = [1] }"),
        ("labels", "{}"),
        ("activation", '"relu"'),
    ],
)
def test_a_wrong_value_is_told_with_what_is_expected(tmp_path, key, value):
    assert list(faults_of(sheet_file(tmp_path, **{key: value}))) == [key]


def test_everything_that_is_wrong_is_told_together(tmp_path):
    faults = faults_of(
        sheet_file(tmp_path, patch=None, overlap="2", spacings_mm="[1, 1, 1]", window_hu="3", nonsense="1")
    )
    assert set(faults) == {"patch", "overlap", "spacings_mm", "window_hu", "nonsense"}
    assert {code for code, _ in faults.values()} == {"MODEL_SHEET"}
    assert faults["patch"][1] == "nothing"
    assert faults["overlap"][1] == "2"


def test_an_unknown_key_gets_the_nearest_one_as_advice(tmp_path):
    with pytest.raises(InputError, match=r"Did you mean overlap\?"):
        read_sheet(sheet_file(tmp_path, overlapp="0.5"))


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    assert list(faults_of(tmp_path / "none.toml")) == ["PATH_MISSING"]
    path = tmp_path / "broken.toml"
    path.write_text("patch = [1,", encoding="utf-8")
    assert list(faults_of(path)) == ["FILE_UNREADABLE"]
    path.write_bytes(b"\xff\xfe\x00")
    assert list(faults_of(path)) == ["FILE_UNREADABLE"]


def test_the_documented_example_is_a_sheet(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    sheet = read_sheet(path)
    assert sheet.normalization == Normalization(center_hu=99.4, scale_hu=39.4)
