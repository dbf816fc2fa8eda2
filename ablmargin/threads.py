"""How many threads the linear algebra library may use.

The matrices here are small, or tall with three columns: several threads spin on them without helping (three times the CPU
time was measured), and the last digits of sums would depend on their number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the linear algebra library to one thread; also a decorator, ``@one_blas_thread()``."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def available_cores() -> int:
    """How many cores this process may use: job schedulers and containers often give less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
