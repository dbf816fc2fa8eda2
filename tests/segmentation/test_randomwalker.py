"""The random walker on lines short enough to solve by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.segmentation.randomwalker import LEAST_WEIGHT, walk

ENDS = np.zeros((1, 1, 5), np.bool_)


def line(image: list[float], *, prior: float = 0.5, coupling: float = 0.0) -> np.ndarray:
    inside, outside = ENDS.copy(), ENDS.copy()
    inside[..., 0], outside[..., -1] = True, True
    values = np.array(image, np.float32)[None, None]
    return walk(
        values,
        inside=inside,
        outside=outside,
        prior=np.full(values.shape, prior, np.float32),
        edge_sd=1.0,
        coupling=coupling,
        tolerance=1e-6,
    )[0, 0]


def test_without_edges_the_probability_falls_evenly_between_the_seeds():
    assert line([0, 0, 0, 0, 0]) == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-4)


def test_an_edge_takes_the_whole_step():
    # The weight across the edge is LEAST_WEIGHT; those of the three even steps are 1: resistances 1, 1, 1e4, 1.
    step = 1 / (3 + 1 / LEAST_WEIGHT)
    assert line([0, 0, 0, 9, 9]) == pytest.approx([1, 1 - step, 1 - 2 * step, step, 0], abs=1e-3)


def test_a_strong_prior_has_its_way():
    assert line([0, 0, 0, 0, 0], prior=0.9, coupling=1e4)[1:-1] == pytest.approx(0.9, abs=1e-3)
