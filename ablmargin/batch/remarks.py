"""What several cases of a manifest share that each usually has of its own: often a row was copied and not changed in full."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence

from ablmargin.intake import CaseRequest

SHOWN = 5


def remarks_on(requests: Sequence[CaseRequest]) -> tuple[str, ...]:
    """Sentences about masks that cases with different images share, and about cases that are the same.

    Neither is refused: the same outlines may be measured on two reconstructions, the same case with two outlines of its liver.
    """
    return (*_borrowed(requests), *_the_same(requests))


def _borrowed(requests: Sequence[CaseRequest]) -> Iterator[str]:
    for exam, structure in (("pre", "tumor"), ("post", "ablation")):
        users: dict[str, dict[str, str]] = {}
        for one in requests:
            image = _place(getattr(one, exam))
            for mask in one.tumors if structure == "tumor" else one.ablations:
                users.setdefault(_place(mask), {}).setdefault(image, one.case_id)
        shared = [tuple(cases.values()) for cases in users.values() if len(cases) > 1]
        if shared:
            yield f"The same {structure} mask on different {exam} images: {_told(shared)}"


def _the_same(requests: Sequence[CaseRequest]) -> Iterator[str]:
    groups: dict[Hashable, list[str]] = {}
    for one in requests:
        groups.setdefault(_inputs(one), []).append(one.case_id)
    twins = [tuple(group) for group in groups.values() if len(group) > 1]
    if twins:
        yield f"The same images, tumors and zones, so the same lesions again: {_told(twins)}"


def _inputs(request: CaseRequest) -> Hashable:
    """Images, tumors and zones, wherever they were named from."""
    images = (_place(request.pre), _place(request.post), request.pre_series, request.post_series)
    masks = (frozenset(map(_place, request.tumors)), frozenset(map(_place, request.ablations)))
    return (*images, *masks, frozenset(map(repr, (*request.tumor_prompts, *request.ablation_prompts))))


def _place(named: object) -> str:
    return os.path.normpath(str(named))


def _told(groups: Collection[Iterable[str]]) -> str:
    told = [" and ".join(group) for group in groups]
    return "; ".join(told[:SHOWN]) + (f" and {len(told) - SHOWN} more" if len(told) > SHOWN else "")
