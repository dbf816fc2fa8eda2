from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_cases import measured_case

from ablmargin_cli.terminal import print_summary


@pytest.fixture(scope="module")
def result():
    return measured_case()


def test_both_minima_are_printed_where_they_differ(result, capsys):
    (lesion,) = result.lesions
    far = lesion.margin.minimum_mm + 3
    margin = replace(lesion.margin, constrained_mm=np.maximum(lesion.margin.margin_mm, far))
    near = replace(lesion, margin=margin, capsule=replace(lesion.capsule, subcapsular=True))
    print_summary(replace(result, lesions=(near,)))
    said = capsys.readouterr().out
    assert f"minimum margin within the liver {far:.1f} mm" in said
    assert f"with nothing excluded {lesion.margin.minimum_mm:.1f} mm" in said
    print_summary(result)
    assert "nothing excluded" not in capsys.readouterr().out
