"""Slices grouped by what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime

import numpy as np

from ablmargin.dicom.filechecks import ORIENTATION_TOLERANCE
from ablmargin.dicom.header import SliceHeader


def orientation_of(header: SliceHeader) -> Sequence[float] | None:
    """The six direction cosines; None if absent."""
    return header.row_direction and header.column_direction and (*header.row_direction, *header.column_direction)


def acquired_s(header: SliceHeader) -> float | None:
    """When a slice was acquired, in seconds from a moment that is the same for all; None without a date and a time."""
    moment = header.acquired
    if moment is None or "T" not in moment:
        return None
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def equal_groups(headers: Sequence[SliceHeader], key: Callable[[SliceHeader], Hashable]) -> list[list[SliceHeader]]:
    """Group by equality, in the order found."""
    groups: dict[Hashable, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(key(header), []).append(header)
    return list(groups.values())


def close_groups(
    headers: Sequence[SliceHeader],
    key: Callable[[SliceHeader], Sequence[float] | None],
    tolerance: float = ORIENTATION_TOLERANCE,
) -> list[list[SliceHeader]]:
    """Group by closeness to each group's first member; headers without the value belong to no group."""
    placed = [(header, numbers) for header in headers if (numbers := key(header)) is not None]
    values = np.array([numbers for _, numbers in placed], np.float64)
    left = np.arange(len(placed))
    groups = []
    while left.size:
        near = np.abs(values[left] - values[left[0]]).max(axis=1) <= tolerance
        groups.append([placed[index][0] for index in left[near].tolist()])
        left = left[~near]
    return groups
