"""Keep pydicom and highdicom from talking: their warnings and log lines quote values, which may name the patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("pydicom", "highdicom")
_SILENCE = logging.CRITICAL + 1


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, pydicom and highdicom neither warn nor log."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_SILENCE)  # loggers of their modules take their level from it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
