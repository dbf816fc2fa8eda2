"""The list of hazards names tests; each must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.findall(r"`(tests/\S+?\.py)::(\w*)`", (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_control_has_the_tests_it_names(file, name):
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"def {name}\(" if name else r"def test_", source)


def test_each_hazard_names_some():
    rows = re.findall(r"^\| H\d+ .*$", (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 13
    assert all("::" in row for row in rows)
