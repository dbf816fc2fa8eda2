"""How many threads the numerical libraries may use while an alignment is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

from ablmargin.threads import one_blas_thread


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Give SimpleITK's filters ``threads`` threads and the linear algebra library one, and restore both afterward."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        with one_blas_thread():
            yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
