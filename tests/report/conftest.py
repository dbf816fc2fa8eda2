"""Cases that the report's tests share; each is measured once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_cases import measured_case, withheld_case, without_images

from ablmargin.result import CaseResult

TWO_TUMORS = (
    ("1", (-30.0, 10.0, 80.0), 9.0, 15.0, (2.5, 3.0, -1.0)),
    ("seg-7", (18.0, -5.0, 70.0), 6.0, 24.0, (0.0, 0.0, 0.0)),
)


@pytest.fixture(scope="session")
def result() -> CaseResult:
    """One tumor, 10 mm required, about 2 mm there."""
    return measured_case()


@pytest.fixture(scope="session")
def two_tumors() -> CaseResult:
    return measured_case(TWO_TUMORS)


@pytest.fixture(scope="session")
def masks_only(result: CaseResult) -> CaseResult:
    return without_images(result)


@pytest.fixture(scope="session")
def withheld() -> CaseResult:
    return withheld_case()


@pytest.fixture(scope="session")
def subcapsular(result: CaseResult) -> CaseResult:
    """The tumor judged within the liver, where its thinnest place is on the other side than with nothing excluded."""
    (lesion,) = result.lesions
    rays = lesion.margin.points_mm - lesion.tumor_post.vertices_mm.mean(axis=0)
    thinnest = rays[lesion.margin.margin_mm.argmin()]
    constrained_mm = np.where(rays @ thinnest > 0, 99.0, lesion.margin.margin_mm)
    near = replace(
        lesion,
        capsule=replace(lesion.capsule, subcapsular=True),
        margin=replace(lesion.margin, constrained_mm=constrained_mm),
    )
    return replace(result, lesions=(near,))


@pytest.fixture(scope="session")
def registered(result: CaseResult) -> CaseResult:
    """Two exams that were only registered."""
    return replace(result, lesions=(), zone=None)
