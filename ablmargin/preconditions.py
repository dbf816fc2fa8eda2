"""What masks must have in common before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ablmargin.case import Case, Lesion
from ablmargin.errors import Fault, InputError
from ablmargin.volume import LabelMask

LIVER_REACH_MM = 6.0
"""A tumor or zone that a liver's outline leaves out lies at least this close to it."""

WIDEST_LIVER_MM = 250.0
"""No two places in one liver lie farther apart than this."""


def require_together(lesions: Sequence[Lesion], zones: Sequence[LabelMask], liver: LabelMask | None) -> None:
    """Refuse masks that can't share a frame, and a liver that none of its targets lies in."""
    tumors = [lesion.tumor for lesion in lesions]
    faults = [] if liver is None else [*_outside_faults("shared frame", liver, [*tumors, *zones])]
    faults += [_apart_fault(tumor, zones) for tumor in tumors if _distance_mm(tumor, zones) > WIDEST_LIVER_MM]
    if faults:
        raise InputError(*faults)


def _distance_mm(tumor: LabelMask, zones: Sequence[LabelMask]) -> float:
    """Between the middles of a tumor and of the nearest zone."""
    middle = tumor.voxel_centers_mm().mean(axis=0)
    return min(float(np.linalg.norm(zone.voxel_centers_mm().mean(axis=0) - middle)) for zone in zones)


def _apart_fault(tumor: LabelMask, zones: Sequence[LabelMask]) -> Fault:
    return Fault(
        code="MASKS_APART",
        source=tumor.origin.name or "the tumor mask",
        found=f"the nearest ablation zone {_distance_mm(tumor, zones):.0f} mm away",
        expected="both in one liver and one frame",
        remedy="Use masks that were registered to each other; check that one of them isn't mirrored (LPS, RAS) or shifted.",
    )


def livers_around_targets(case: Case) -> tuple[LabelMask, LabelMask]:
    """Both livers with their targets: readers and networks often leave tumors and zones out of them."""
    exams = (
        ("pre", case.pre.liver, tuple(lesion.tumor for lesion in case.lesions)),
        ("post", case.post.liver, case.zones),
    )
    faults = [fault for exam, liver, targets in exams for fault in _liver_faults(exam, liver, targets)]
    if faults:
        raise InputError(*faults)
    before, after = (liver.union(*targets) for _, liver, targets in exams if liver is not None)
    return before, after


def _liver_faults(exam: str, liver: LabelMask | None, targets: Iterable[LabelMask]) -> Iterator[Fault]:
    if liver is None:
        yield Fault(
            code="LIVER_MISSING",
            source=f"the {exam} exam",
            found="no liver mask",
            expected=f"one, as --liver-{exam}",
            remedy="Let ablmargin.segment_missing outline it, or draw it; a few mm of error do no harm.",
        )
        return
    yield from _outside_faults(f"{exam} exam", liver, targets)


def _outside_faults(where: str, liver: LabelMask, targets: Iterable[LabelMask]) -> Iterator[Fault]:
    for target in targets:
        if not _has_near(liver, target, LIVER_REACH_MM):
            yield Fault(
                code="TARGET_OUTSIDE_LIVER",
                source=target.origin.name or f"the {target.structure} mask",
                found=f"no liver within {LIVER_REACH_MM:.0f} mm of it",
                expected=f"the {target.structure} in or at the liver of the {where}",
                remedy="Check that both masks were drawn on this exam and aren't mirrored.",
            )


def _has_near(liver: LabelMask, target: LabelMask, reach_mm: float) -> bool:
    """Whether any of the liver lies in the box around a target, along the liver's axes."""
    grid = liver.geometry
    index, pad = grid.indices_at(target.voxel_centers_mm()), reach_mm / np.array(grid.spacing_mm)
    start = np.clip(np.floor(index.min(axis=0) - pad), 0, grid.shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0) + pad) + 1, 0, grid.shape).astype(int)
    box = tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
    return bool(liver.voxels[box].any())
