"""Whatever lies in a folder: a right volume, a right volume with a word, or a refusal that names file and reason."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile_ct import CASES
from hostile_phantom import CANARIES, CENTER_MM, PROBES_MM, landmark_errors_mm

from ablmargin.errors import InputError
from ablmargin.intake import CaseRequest, open_case
from ablmargin.loading import load_image
from ablmargin_cli.main import main

LANDMARK_MM = 0.5
"""A fifth of the slices' distance, a third of a pixel."""


def tree_digest(folder: Path) -> str:
    """Names, kinds and bytes of everything under a folder; links and pipes unopened."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=str):
        digest.update(str(path).encode("utf-8", "surrogateescape"))
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def watched(tmp_path, monkeypatch, caplog):
    """An input folder; afterwards nothing may have changed in it or appeared beside it."""
    temporary = tmp_path / "temp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(temporary)
    caplog.set_level(logging.DEBUG)
    return tmp_path / "input" / "given"


def opened(case, folder):
    """The volumes with their motion, and all cautions."""
    if not case.is_pair:
        image = load_image(folder)
        return [(image.volume, (0, 0, 0))], image.cautions
    found = open_case(CaseRequest(pre=folder / "pre", post=folder / "post"))
    pair = [(found.case.pre.volume, (0, 0, 0)), (found.case.post.volume, case.outcome.moved_mm)]
    return pair, found.cautions


def assert_right(volume, moved_mm):
    points = volume.geometry.points_at(np.moveaxis(np.indices(volume.geometry.shape), 0, -1))
    assert max(landmark_errors_mm(volume.voxels_hu, points, moved_mm)) < LANDMARK_MM
    for level_hu, place in PROBES_MM.items():
        index = volume.geometry.indices_at([np.array(place) + CENTER_MM + moved_mm])[0]
        assert volume.voxels_hu[tuple(np.rint(index).astype(int))] == level_hu


def refusal_of(case, folder):
    """The message of a refusal, once it is known to be the right one."""
    wanted = case.outcome
    with pytest.raises(InputError) as caught:
        opened(case, folder)
    faults, told = caught.value.faults, str(caught.value)
    assert wanted.refused <= {fault.code for fault in faults}, told
    assert all(fault.found and fault.expected and fault.remedy for fault in faults)
    assert all(name in told for name in wanted.names), told
    assert wanted.attribute is None or any((f.attribute or "").startswith(wanted.attribute) for f in faults), told
    return told


def words_of_loading(case, folder):
    """The cautions of loading, once volumes and cautions are known to be right."""
    volumes, cautions = opened(case, folder)
    wanted, codes = case.outcome, {caution.code for caution in cautions}
    assert wanted.cautions <= codes <= wanted.cautions | wanted.may_tell, cautions
    for volume, moved_mm in volumes:
        assert_right(volume, moved_mm)
    return "\n".join(caution.message for caution in cautions)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.id)
def test_case(case, watched, caplog, capfd):
    case.build(watched)
    before = tree_digest(watched.parent.parent)
    caplog.clear()
    told = refusal_of(case, watched) if case.outcome.refused else words_of_loading(case, watched)
    out, err = capfd.readouterr()
    everything = told + caplog.text + out + err
    assert not [canary for canary in CANARIES if canary in everything]
    assert "Traceback" not in everything
    assert tree_digest(watched.parent.parent) == before


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.id)
def test_inspect(case, watched, capfd, caplog):
    case.build(watched)
    before = tree_digest(watched.parent.parent)
    capfd.readouterr()
    for words in ([], ["--json"]):
        assert main(["inspect", str(watched), *words]) in {0, 3}
        out, err = capfd.readouterr()
        assert "ZZCANARY" not in out + err + caplog.text
        assert "19331122" not in out + err + caplog.text
        assert "\x1b" not in out
        assert "Traceback" not in out + err
    assert tree_digest(watched.parent.parent) == before
