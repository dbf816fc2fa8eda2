import numpy as np
import pytest

from ablmargin.geometry import Geometry
from ablmargin.simulation.ct import PHASES, blend, ct_noise, grid_points

GRID = Geometry(shape=(12, 96, 80), spacing_mm=(2.5, 0.9, 0.8), origin_mm=(-30.0, 5.0, 100.0))


def test_noise_has_its_size_and_no_offset():
    noise = ct_noise(np.random.default_rng(0), GRID, sd_hu=12.0)
    middle = noise[:, 24:72, 20:60]
    assert middle.std() == pytest.approx(12.0, rel=0.15)
    assert abs(noise.mean()) < 0.3


def test_noise_is_grainy_within_a_slice():
    noise = ct_noise(np.random.default_rng(0), GRID, sd_hu=10.0)
    near = np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]
    far = np.corrcoef(noise[:, :, :-12].ravel(), noise[:, :, 12:].ravel())[0, 1]
    assert near > 0.2
    assert abs(far) < 0.1


def test_grid_points_are_the_voxel_centers():
    oblique = Geometry(
        shape=(3, 4, 5),
        spacing_mm=(5.0, 0.8, 0.7),
        origin_mm=(-10.0, 20.0, 30.0),
        directions=((0.0, -0.6, 0.8), (0.0, 0.8, 0.6), (-1.0, 0.0, 0.0)),
    )
    index = np.argwhere(np.ones((2, 4, 5), bool)) + np.array([1, 0, 0])
    assert grid_points(oblique, 1, 3) == pytest.approx(oblique.points_at(index), abs=1e-4)


def test_blending_ends_at_either_tissue():
    assert blend(np.array([10.0, 10.0, 10.0]), np.array([0.0, 0.5, 1.0]), 50.0).tolist() == [10.0, 30.0, 50.0]


def test_phases_differ_as_contrast_does():
    portal, arterial, plain = PHASES["portal"], PHASES["arterial"], PHASES["unenhanced"]
    assert arterial.aorta > portal.aorta > plain.aorta
    assert arterial.hepatic_vein < arterial.liver < portal.liver < portal.hepatic_vein
    assert plain.portal_vein < plain.liver  # blood is darker than liver without contrast agent
    assert plain.rim == 0


def test_later_blood_loses_contrast_agent_and_kidneys_keep_it():
    portal, delayed, plain = PHASES["portal"], PHASES["delayed"], PHASES["unenhanced"]
    assert plain.aorta < delayed.aorta < portal.aorta
    assert plain.liver < delayed.liver < portal.liver
    assert delayed.hepatic_vein - delayed.liver < portal.hepatic_vein - portal.liver
    gains = [(phase.medulla - plain.medulla) / (phase.aorta - plain.aorta) for phase in (portal, delayed)]
    assert gains[1] > 1.5 * gains[0]
