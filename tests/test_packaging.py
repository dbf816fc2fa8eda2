"""What gets installed is what is in the tree."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution, entry_points
from pathlib import Path

import ablmargin

ROOT = Path(__file__).resolve().parents[1]


def test_every_package_in_the_tree_is_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    found = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in (ROOT / "ablmargin").rglob("__init__.py")}
    assert listed == found | {"ablmargin_cli"}


def test_files_that_are_no_modules_are_package_data():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    shipped = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    present = {
        path
        for path in (ROOT / "ablmargin").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and "__pycache__" not in path.parts
    }
    assert present == shipped


def test_no_package_called_cli_is_installed():
    assert (distribution("ablmargin").read_text("top_level.txt") or "").split() == ["ablmargin", "ablmargin_cli"]


def test_the_console_script():
    (script,) = (entry for entry in entry_points(group="console_scripts") if entry.name == "ablmargin")
    assert script.value == "ablmargin_cli.main:script"


def test_every_public_name_can_be_had():
    assert all(getattr(ablmargin, name) is not None for name in ablmargin.__all__)
    assert set(ablmargin.__all__) == {name for names in ablmargin._HOMES.values() for name in names}
