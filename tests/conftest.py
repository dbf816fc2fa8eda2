"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from orientations import AXES

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(params=sorted(AXES))
def orientation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def data_folder() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real CT isn't here: {DATA}")
    return DATA
