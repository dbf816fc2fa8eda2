"""What killed processes left goes, and nothing else."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

from ablmargin.batch.leftovers import without_leftovers
from ablmargin.report.casefolder import new_folder
from ablmargin_cli.main import main

LEFT = (".a.partial-0123abcd", ".a.partial-x.partial-01234567")
KEPT = (
    ".b.partial-x.partial-01234567",  # another shard's
    ".b.partial-01234567",
    ".a.partial-01234567.partial-89abcdef",
    ".a.partial-mine",
    "a.partial-01234567",
    ".partial-01234567",
)


def jobs(*cases):
    return [SimpleNamespace(case_id=case) for case in cases]


def make(out, *names):
    for name in names:
        (out / name).mkdir(exist_ok=True)
        (out / name / "result.json").touch()


def test_leftovers_of_these_cases_go_before_and_after(tmp_path):
    make(tmp_path, *LEFT, *KEPT)
    with without_leftovers(tmp_path, jobs("a", "a.partial-x")):
        assert {path.name for path in tmp_path.iterdir()} == set(KEPT)
        make(tmp_path, *LEFT)
    assert {path.name for path in tmp_path.iterdir()} == set(KEPT)


def test_the_folder_in_which_another_case_is_written_stays(tmp_path):
    """Its ID may be what a leftover of this one would be called."""
    with new_folder(tmp_path / "a.partial-x", overwrite=False) as folder:
        (folder / "file").touch()
        with without_leftovers(tmp_path, jobs("a")):
            pass
    assert (tmp_path / "a.partial-x" / "file").exists()


def test_they_are_recognized_by_the_name_that_is_given(tmp_path):
    with new_folder(tmp_path / "a", overwrite=False) as folder:
        (folder / "file").touch()
    make(tmp_path, folder.name)
    with without_leftovers(tmp_path, jobs("a")):
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_batch_clears_them(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "again")
    out = tmp_path / "again" / "out"
    make(out, ".c0.partial-01234567", ".c9.partial-01234567")
    assert main(["batch", str(tmp_path / "again" / "broken" / "m.csv"), "--out", str(out), "--workers", "1"]) == 4
    assert [path.name for path in out.glob(".c*")] == [".c9.partial-01234567"]
