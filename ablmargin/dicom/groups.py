"""Slices grouped by what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from ablmargin.dicom.filechecks import ORIENTATION_TOLERANCE
from ablmargin.dicom.header import SliceHeader
from ablmargin.geometry import FloatArray


def orientation_of(header: SliceHeader) -> Sequence[float] | None:
    """The six direction cosines; None if absent."""
    return header.row_direction and header.column_direction and (*header.row_direction, *header.column_direction)


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
    groups: list[tuple[FloatArray, list[SliceHeader]]] = []
    for header in headers:
        numbers = key(header)
        if numbers is None:
            continue
        value = np.array(numbers)
        for first, members in groups:
            if np.abs(value - first).max() <= tolerance:
                members.append(header)
                break
        else:
            groups.append((value, [header]))
    return [members for _, members in groups]
