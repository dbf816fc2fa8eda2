"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from orientations import AXES

# A loaded machine is no failure; and what is checked before landing must not depend on luck.
settings.register_profile("calm", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("calm")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(params=sorted(AXES))
def orientation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def data_folder() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real CT isn't here: {DATA}")
    return DATA
