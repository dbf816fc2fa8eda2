"""Write simulated patients into this folder: ``python sample_data/generate.py [SCENARIO ...]``."""

import sys
from pathlib import Path

from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.scenarios import SCENARIOS


def main(names: list[str]) -> None:
    """Write the named scenarios, or all of them."""
    for name in names or SCENARIOS:
        folder = Path(__file__).parent / name
        if folder.exists():
            print(f"{folder} is there already")
            continue
        write_pair(simulate_phantom(name), folder)
        print(f"{folder} written")


if __name__ == "__main__":
    main(sys.argv[1:])
