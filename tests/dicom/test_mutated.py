"""The benchmark of damaged files, on a few of them; and that it notices what it looks for."""

from __future__ import annotations

import mutated
import numpy as np
import pytest
from mutations import mutated as damaged


def test_a_few_damaged_files(capsys):
    assert mutated.main(["--seeds", "5"]) == 0
    told = capsys.readouterr().out
    assert "figures reached" in told
    assert sum(int(line.split()[0]) for line in told.splitlines() if line.startswith(" ")) == 30


def test_a_reader_that_dies_is_noticed(monkeypatch, capsys):
    monkeypatch.setattr(mutated, "__file__", "/nowhere/reader.py")
    assert mutated.main(["--seeds", "2", "--encodings", "uncompressed"]) == 1
    assert "DIED" in capsys.readouterr().out


def test_a_foreign_error_is_noticed(monkeypatch, tmp_path):
    def fails(_):
        raise IndexError

    monkeypatch.setattr(mutated, "load_image", fails)
    assert mutated._loaded(tmp_path) == {"what": "FOREIGN IndexError", "bad": True}


@pytest.mark.parametrize("name", mutated.ENCODINGS)
def test_every_seed_damages_in_its_own_way(tmp_path, name):
    (data, *_) = (path.read_bytes() for path in mutated.series(tmp_path, mutated.ENCODINGS[name]))
    seeds = range(60)
    files = [damaged(data, seed, deflated=name == "deflated") for seed in seeds]
    again = [damaged(data, seed, deflated=name == "deflated") for seed in seeds]
    assert files == again
    assert len(set(files)) > 50  # a swap of equals or zeros over zeros changes nothing
    assert np.mean([file != data for file in files]) > 0.9
