import pytest

from ablmargin.simulation.phantom import simulate_phantom


@pytest.fixture(scope="session")
def thin():
    """A pair on a coarse grid; treat as read-only."""
    return simulate_phantom("thin-margin", seed=1, coarse=3.0)


@pytest.fixture(scope="session")
def subcapsular():
    return simulate_phantom("subcapsular", seed=2, coarse=3.0)
