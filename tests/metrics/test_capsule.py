from __future__ import annotations

import numpy as np
import pytest
from orientations import AXES, grid_around

from ablmargin.metrics.capsule import measure_capsule
from ablmargin.metrics.coverage import measure_coverage
from ablmargin.metrics.depth import DEEPEST_MM, LiverDepth
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import surface_of
from ablmargin.volume import LabelMask, Structure

TUMOR, ZONE = 8.0, 15.0
ACROSS = {"shape": (54, 76, 80), "spacing_mm": (1.0, 0.8, 0.7)}


def scene(mask_of, ball, *, gap, offset=0.0, clipped=True, tilt=(0.0, 0.0, 1.0), **options):
    """A tumor ``gap`` mm under a flat capsule; the zone ``offset`` mm deeper. Returns surfaces and liver."""
    inward = np.array(tilt) / np.linalg.norm(tilt)
    grid = grid_around(tuple(10 * inward), **{**ACROSS, **options})
    center = (TUMOR + gap) * inward
    depth = lambda points: points @ inward  # noqa: E731
    tumor = mask_of(lambda p: np.minimum(ball(center, TUMOR)(p), depth(p)), grid)
    whole = ball(center + offset * inward, ZONE)
    zone = mask_of((lambda p: np.minimum(whole(p), depth(p))) if clipped else whole, grid, Structure.ABLATION_ZONE)
    return surface_of(tumor), surface_of(zone), mask_of(depth, grid, Structure.LIVER)


@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize(
    ("gap", "offset", "truth"),
    # truth: smallest distance from the tumor to the zone's sphere below the capsule
    [(2.0, 0.0, 7.0), (0.0, 4.0, 4.05), (4.0, 4.0, 3.0)],
)
def test_the_constrained_margin_ends_at_the_zone_inside_the_liver(mask_of, ball, *, clipped, gap, offset, truth):
    tumor, zone, liver = scene(mask_of, ball, gap=gap, offset=offset, clipped=clipped)
    result = measure_margin(tumor, zone, liver=liver)
    assert result.constrained_minimum_mm == pytest.approx(truth, abs=0.35)
    assert (result.constrained_mm >= result.margin_mm - 1e-9).all()


@pytest.mark.parametrize("tilt", [(0, 0, 1), (1, 0, 0)])
@pytest.mark.parametrize(("offset", "truth"), [(8.0, -1.0), (10.0, -3.0)])
@pytest.mark.parametrize("slices_mm", [1.0, 5.0])
def test_unablated_tumor_at_the_capsule_is_never_hidden(mask_of, ball, *, tilt, offset, truth, slices_mm):
    options = {"shape": (12, 76, 80), "spacing_mm": (5.0, 0.8, 0.7)} if slices_mm == 5 else {}
    tumor, zone, liver = scene(mask_of, ball, gap=0.0, offset=offset, tilt=tilt, **options)
    result = measure_margin(tumor, zone, liver=liver)
    assert result.constrained_minimum_mm == pytest.approx(truth, abs=0.15 * slices_mm**0.5 + 0.1)


def test_the_capsule_is_the_same_in_every_orientation(mask_of, ball, orientation):
    inward = tuple(np.array(AXES[orientation])[2] + 0.3 * np.array(AXES[orientation])[1])
    options = {"orientation": orientation, "shape": (12, 76, 90), "spacing_mm": (5.0, 0.8, 0.7)}
    tumor, zone, liver = scene(mask_of, ball, gap=2.0, offset=4.0, tilt=inward, **options)
    result = measure_margin(tumor, zone, liver=liver)
    assert result.constrained_minimum_mm == pytest.approx(3.37, abs=0.6)
    assert result.depth_mm.min() == pytest.approx(2.0, abs=0.5)


def test_depth_share_and_shortfall(mask_of, ball):
    tumor, zone, liver = scene(mask_of, ball, gap=2.0, offset=4.0, clipped=False)
    capsule = measure_capsule(measure_margin(tumor, zone, liver=liver), required_mm=5.0)
    assert capsule.subcapsular
    # depth 2 + 8 (1 - cos) < 5 on the part of the sphere with cos > 5/8
    assert capsule.depth_limited_share == pytest.approx((1 - 5 / 8) / 2, abs=0.02)
    # at polar angle a: min(5, depth) less the margin, largest where the depth reaches 5
    angle = np.linspace(0, np.pi, 2000)
    height = 10 + 8 * -np.cos(angle)
    margin = 15 - np.hypot(8 * np.sin(angle), height - 14)
    assert capsule.shortfall_mm == pytest.approx((np.minimum(5, height) - margin).max(), abs=0.3)


def test_as_much_as_the_anatomy_allows_is_no_shortfall(mask_of, ball):
    tumor, zone, liver = scene(mask_of, ball, gap=2.0)
    capsule = measure_capsule(measure_margin(tumor, zone, liver=liver), required_mm=5.0)
    assert capsule.subcapsular
    assert capsule.shortfall_mm < 0.3


def test_deep_tumors_are_not_subcapsular(mask_of, ball):
    tumor, zone, liver = scene(mask_of, ball, gap=8.0)
    result = measure_margin(tumor, zone, liver=liver)
    assert not measure_capsule(result, required_mm=5.0).subcapsular
    assert result.constrained_minimum_mm == pytest.approx(result.minimum_mm)


def test_without_a_liver_nothing_is_constrained(mask_of, ball):
    tumor, zone, _ = scene(mask_of, ball, gap=2.0)
    result = measure_margin(tumor, zone)
    assert result.depth_mm is None
    assert result.constrained_mm is None
    assert result.constrained_minimum_mm is None


def test_the_edge_of_the_image_and_holes_are_no_capsule(mask_of, ball):
    tumor, zone, liver = scene(mask_of, ball, gap=2.0)
    everywhere = LabelMask(voxels=np.ones_like(liver.voxels), geometry=liver.geometry, structure=liver.structure)
    hollow = (
        everywhere.voxels & ~mask_of(ball((0, 0, 10), ZONE + 1), liver.geometry).voxels
    )  # the zone and a rim left out
    for voxels in (everywhere.voxels, hollow):
        around = LabelMask(voxels=voxels, geometry=liver.geometry, structure=liver.structure)
        assert (LiverDepth.around(around, tumor, zone).at(tumor.vertices_mm) == DEEPEST_MM).all()


def test_a_liver_that_is_ablated_whole_leaves_the_plain_margin(mask_of, ball):
    grid = grid_around((0.0, 0.0, 0.0), **ACROSS)
    tumor, zone = (surface_of(mask_of(ball((0, 0, 0), radius), grid)) for radius in (TUMOR, ZONE))
    liver = mask_of(ball((0, 0, 0), ZONE), grid, Structure.LIVER)
    result = measure_margin(tumor, zone, liver=liver)
    assert result.constrained_minimum_mm is None
    assert result.depth_mm.min() == pytest.approx(ZONE - TUMOR, abs=0.5)


class TestCoverage:
    def test_concentric_spheres(self, mask_of, ball):
        grid = grid_around((0.0, 0.0, 0.0), **ACROSS)
        tumor, zone = (surface_of(mask_of(ball((0, 0, 0), radius), grid)) for radius in (8.0, 12.0))
        coverage = measure_coverage(tumor, zone)
        assert list(coverage.shares) == list(range(11))
        for margin_mm, share in coverage.shares.items():
            assert share == pytest.approx(min((12 / (8 + margin_mm)) ** 3, 1.0), abs=0.012)
        assert coverage.shares[0] == 1.0

    def test_a_half_ablated_tumor(self, mask_of, ball):
        grid = grid_around((0.0, 0.0, 0.0), **ACROSS)
        tumor = surface_of(mask_of(ball((0, 0, 0), 8.0), grid))
        zone = surface_of(mask_of(lambda p: np.minimum(p[..., 0], ball((0, 0, 0), 20.0)(p)), grid))
        coverage = measure_coverage(tumor, zone)
        assert coverage.shares[0] == pytest.approx(0.5, abs=0.02)

    def test_tissue_beyond_the_capsule_is_not_asked_for(self, mask_of, ball):
        tumor, zone, liver = scene(mask_of, ball, gap=2.0)  # 7 mm of margin but for the capsule
        assert measure_coverage(tumor, zone, liver=liver).shares[6] > 0.985
        # a cap of height 4 above the capsule is cut from the tumor grown to a radius of 14
        cap = np.pi * 4**2 * (14 - 4 / 3) / (4 / 3 * np.pi * 14**3)
        assert measure_coverage(tumor, zone).shares[6] == pytest.approx(1 - cap, abs=0.012)
