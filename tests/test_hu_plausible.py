"""Values that were scaled are no Hounsfield units; bodies in unusual views are."""

from __future__ import annotations

import numpy as np
import pytest

from ablmargin.loaded import hu_faults
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.scenarios import SCENARIOS

AIR, LUNG, FAT, MUSCLE, LIVER, BONE = -1000, -780, -105, 55, 110, 600


def image(noise_hu: float = 12, **shares: float) -> np.ndarray:
    """Voxels of tissues by their share, each with its level in HU and noise; shuffled, as their place doesn't matter."""
    rng = np.random.default_rng(3)
    counts = {name: int(share * 40_000) for name, share in shares.items()}
    voxels = np.concatenate([np.full(count, globals()[name.upper()], float) for name, count in counts.items()])
    voxels = rng.permutation(voxels + rng.normal(0, noise_hu, voxels.size))
    return voxels[: voxels.size // 1600 * 1600].astype(np.float32).reshape(-1, 40, 40)


ABDOMEN = {"air": 0.4, "lung": 0.06, "fat": 0.2, "muscle": 0.2, "liver": 0.1, "bone": 0.04}
GOOD = {
    "abdomen": ABDOMEN,
    "chest": {"air": 0.3, "lung": 0.4, "fat": 0.1, "muscle": 0.15, "bone": 0.05},
    "no air around": {"fat": 0.3, "muscle": 0.4, "liver": 0.3},
    "lung and no air around": {"lung": 0.3, "fat": 0.2, "muscle": 0.3, "liver": 0.2},
    "obese": {"air": 0.3, "fat": 0.62, "muscle": 0.06, "bone": 0.02},
    "liver alone": {"liver": 1.0},
}


def codes(voxels: np.ndarray, **known: float) -> list[str]:
    return [fault.code for fault in hu_faults(voxels.astype(np.float32), "ct", **known)]


@pytest.mark.parametrize("noise_hu", [0.5, 12, 40])
@pytest.mark.parametrize("name", GOOD)
def test_bodies_are_taken(name, noise_hu):
    assert codes(image(noise_hu, **GOOD[name])) == []


@pytest.mark.parametrize("noise_hu", [0.5, 12, 40])
@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_a_wrong_slope_is_refused(factor, noise_hu):
    """Whether the intercept was scaled with it or not, and with padding that was scaled as well."""
    voxels = image(noise_hu, **ABDOMEN)
    assert codes(voxels * factor) == ["HU_IMPLAUSIBLE"]
    assert codes((voxels + 1024) * factor - 1024) == ["HU_IMPLAUSIBLE"]
    padded = voxels.copy()
    padded[:, :8] = -3024
    assert codes(padded * factor) == ["HU_IMPLAUSIBLE"]


def test_water_in_air_is_a_phantom_and_taken():
    voxels = np.full((20, 40, 40), -1000.0)
    voxels[:, 8:32, 8:32] = 0.0
    assert codes(voxels) == []


def test_air_without_noise_is_no_padding():
    """Else the lung would be taken for the air, at a wrong level."""
    voxels = np.full((20, 40, 40), -1000.0)
    voxels[:, 8:32, 8:32] = 50.0
    voxels[:, 12:20, 12:20] = -600.0
    assert codes(voxels) == []


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_simulated_patient_is_taken_and_refused_when_scaled(scenario):
    pair = simulate_phantom(scenario, seed=1, coarse=2.0)
    for volume in (pair.pre, pair.post):
        assert codes(volume.voxels_hu) == []
        assert codes(volume.voxels_hu * 0.5) == codes(volume.voxels_hu * 0.1) == ["HU_IMPLAUSIBLE"]
