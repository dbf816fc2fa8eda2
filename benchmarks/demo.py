"""What ``ablmargin demo`` costs from an empty cache: wall time, CPU time, peak memory.

``python benchmarks/demo.py`` prints them and exits with 1 if the demo takes more than 90 s or 4 GB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WALL_LIMIT_S, MEMORY_LIMIT_GB = 90.0, 4.0


def main() -> int:
    """Run the demo once in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [str(Path(sys.executable).parent / "ablmargin"), "demo", "--out", f"{scratch}/demo"]
        start = time.perf_counter()
        subprocess.run(command, check=True, env=os.environ | {"ABLMARGIN_CACHE": f"{scratch}/cache"})
        wall_s = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory_gb = used.ru_maxrss / 1024**2
    print(
        f"wall {wall_s:.0f} s (limit {WALL_LIMIT_S:.0f}), CPU {used.ru_utime + used.ru_stime:.0f} s, peak {memory_gb:.2f} GB"
    )
    return 0 if wall_s <= WALL_LIMIT_S and memory_gb <= MEMORY_LIMIT_GB else 1


if __name__ == "__main__":
    sys.exit(main())
