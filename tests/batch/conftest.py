"""Three small cases on disk, and one batch of them that tests look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from batch_cases import Row, write_case, write_manifest

from ablmargin_cli.main import main


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cases c0, c1 and c2, and their manifest m.csv."""
    folder = tmp_path_factory.mktemp("cases")
    write_manifest(
        folder / "m.csv", [row for number in range(3) for row in write_case(folder / f"c{number}", seed=number)]
    )
    return folder


@pytest.fixture(scope="session")
def rows(cases: Path) -> list[Row]:
    """The rows of the manifest, as dictionaries of their own."""
    header, *lines = (cases / "m.csv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


@pytest.fixture(scope="session")
def finished(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a batch of two good cases and one that is refused; not to be changed."""
    folder = tmp_path_factory.mktemp("batch")
    broken = folder / "broken"
    shutil.copytree(cases, broken)
    (broken / "c2" / "tumor-1.nii.gz").write_bytes(b"no volume")
    assert main(["batch", str(broken / "m.csv"), "--out", str(folder / "out"), "--workers", "2"]) == 4
    return folder
