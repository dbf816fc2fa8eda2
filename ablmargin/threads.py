"""How many threads the linear algebra library may use.

The matrices here are small, or tall with three columns: several threads spin on them without helping (three times the CPU
time was measured), and the last digits of sums would depend on their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the linear algebra library to one thread; also a decorator, ``@one_blas_thread()``."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
