"""docs/dicom.md names every code that reading CT can tell, and none that it can't."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ablmargin.hazards import ACCEPTABLE

ROOT = Path(__file__).resolve().parents[2]
READERS = [
    *(f"dicom/{name}.py" for name in ("bounded", "checks", "choose", "decimals", "discover", "enhanced")),
    *(f"dicom/{name}.py" for name in ("codec/process", "filechecks", "framegroups", "groups", "header", "nested")),
    *(f"dicom/{name}.py" for name in ("kinds", "levels", "load", "placement", "regularity", "split", "stack", "walk")),
    *("exampair.py", "examphases.py", "hazards.py", "intake.py", "itk.py", "loaded.py", "loading.py"),
]
NO_CODES = {"HU_MOD", "MAX_IP", "MIN_IP", "STD_DEVIATION", "SURFACE_RENDER", "VOLUME_RENDER"}
"""Values of DICOM attributes that look like codes."""
VARIABLES = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
"""Of the decoding process's environment."""
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")


def codes_in(path: Path) -> set[str]:
    """All text constants that look like a code. Those of masks are told elsewhere."""
    texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text) and not text.startswith("MASK_")}


@pytest.fixture(scope="module")
def documented() -> list[str]:
    page = (ROOT / "docs" / "dicom.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([A-Z_]+)` \|", page.partition("## Accepting")[2], re.MULTILINE)


def test_every_code_of_the_source_is_documented_and_no_other(documented):
    of_source = set.union(*(codes_in(ROOT / "ablmargin" / name) for name in READERS)) - NO_CODES - VARIABLES
    assert set(documented) == of_source


def test_what_can_be_accepted_is_told_in_the_same_words():
    page = (ROOT / "docs" / "dicom.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|$", page.partition("## Codes that refuse")[0], re.MULTILINE))
    assert told == ACCEPTABLE
