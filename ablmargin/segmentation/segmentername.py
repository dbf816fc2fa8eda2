"""The segmenters' names, apart from their code: a command line that lists them mustn't load it."""

from __future__ import annotations

from enum import StrEnum


class SegmenterName(StrEnum):
    """Methods that need no file of the user's."""

    BUILT_IN = "built-in"
    TOTALSEGMENTATOR = "totalsegmentator"
