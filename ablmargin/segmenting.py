"""What a case lacks is segmented: the livers by themselves, tumors and zones from where a reader pointed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ablmargin.case import Case, Exam, Lesion
from ablmargin.errors import Caution, Fault, InputError, UsageError
from ablmargin.exampair import check_sides
from ablmargin.hazards import sifted
from ablmargin.progress import Progress, silent
from ablmargin.segmentation.methods import Methods
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.protocol import Prompt, Segmentation
from ablmargin.volume import LabelMask, Structure, Volume

DOUBTED = "SEGMENTATION_DOUBTED"
"""A mask that its own maker doesn't trust: refused, unless the reader accepts it by this name."""
EMPTY = "SEGMENTATION_EMPTY"
"""A mask without a voxel: always refused."""

_REMEDIES = {
    Structure.LIVER: "Point into it (segment --structure liver --point), or give analyze its outline (--liver-pre, --liver-post).",
    Structure.TUMOR: "Check that points are LPS mm; an axis (--tumor-axis; --axis of segment) tells more than a point. Else give "
    "analyze its outline (--tumor).",
    Structure.ABLATION_ZONE: "Check that points are LPS mm; an axis (--ablation-axis; --axis of segment) tells more than a point. "
    "Else give analyze its outline (--ablation).",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentedCase:
    """A case with every mask that an analysis needs, and what is to know of those that the software made."""

    case: Case
    cautions: tuple[Caution, ...]


def segment_missing(
    case: Case,
    *,
    tumors: Sequence[Prompt] = (),
    zones: Sequence[Prompt] = (),
    methods: Methods | None = None,
    accepted: Collection[str] = (),
    progress: Progress = silent,
) -> SegmentedCase:
    """Segment livers that aren't given, and a lesion or a zone for each prompt.

    Parameters
    ----------
    case : Case
        With the masks that there are. They stay as they are, but for a liver that the software outlined: its lesions
        belong to it.
    tumors, zones : sequences of Prompt
        On the exam before and after ablation. New lesions are numbered on.
    accepted : collection of str
        ``SEGMENTATION_DOUBTED``: take a mask although its own maker doubts it.

    Raises
    ------
    InputError
        PROMPT_OUTSIDE, SEGMENTATION_DOUBTED and SEGMENTATION_EMPTY, with all masks that they apply to; SIDES_MIRRORED.
    """
    _require_imaged(case, tumors, zones)
    chosen = methods or Methods()
    drawn = [lesion.tumor for lesion in case.lesions]
    before = _Task(exam=case.pre, when="before ablation", drawn=drawn, prompts=tumors, structure=Structure.TUMOR)
    after = _Task(
        exam=case.post, when="after ablation", drawn=case.zones, prompts=zones, structure=Structure.ABLATION_ZONE
    )
    pre, post = _completed(before, chosen, progress), _completed(after, chosen, progress)
    doubted = [*pre.doubted, *post.doubted]
    taken = _taken(doubted, accepted)
    livers = (*pre.livers, *post.livers)
    given = case.pre.liver is not None and case.post.liver is not None
    sides = () if given else check_sides(case.pre.volume, case.post.volume, (livers[0], livers[1]), accepted)
    lesions = [
        Lesion(lesion_id=str(number), tumor=tumor) for number, tumor in enumerate(pre.masks, start=len(drawn) + 1)
    ]
    return SegmentedCase(
        case=replace(
            case,
            pre=pre.exam,
            post=post.exam,
            lesions=(*case.lesions, *lesions),
            zones=(*case.zones, *post.masks),
        ),
        cautions=(*pre.cautions, *post.cautions, *sides, *taken),
    )


def segment_one(
    volume: Volume,
    structure: Structure,
    prompt: Prompt,
    *,
    liver: LabelMask | None = None,
    methods: Methods | None = None,
    accepted: Collection[str] = (),
    progress: Progress = silent,
) -> Segmentation:
    """Segment one structure of one image.

    Parameters
    ----------
    prompt : Prompt
        May be empty for the liver.
    liver : LabelMask, optional
        On the volume's grid. Where it is missing, the liver is outlined first, as help for a tumor or a zone.
    accepted : collection of str
        As for :func:`segment_missing`.

    Raises
    ------
    UsageError
        If a tumor or a zone is asked for without a place in it.
    InputError
        PROMPT_OUTSIDE, SEGMENTATION_DOUBTED, SEGMENTATION_EMPTY.
    """
    chosen, is_liver = methods or Methods(), structure is Structure.LIVER
    if prompt.is_empty and not is_liver:
        raise UsageError(f"the {structure} needs --axis, the two ends of its long axis, or a --point in it")
    require_imaged(prompt, volume.geometry, source="--point, --axis, --inside or --outside")
    cautions: tuple[Caution, ...] = ()
    if liver is None and not is_liver:
        progress("outlining the liver", 0.0)
        help_by = chosen.liver.segment(volume)
        liver, cautions = help_by.mask, _about_help(help_by)
        progress("outlining the liver", 1.0)
    step = f"outlining the {structure}"
    progress(step, 0.0)
    proposal = chosen.of(structure).segment(volume, prompt, liver=None if liver is None or liver.is_empty else liver)
    progress(step, 1.0)
    if not proposal.is_trusted:
        _taken([_doubt(f"the {structure}", proposal)], accepted)
    return replace(proposal, mask=_marked(proposal), cautions=(*cautions, *proposal.cautions))


def vouched_for(case: Case) -> Case:
    """The case with all its masks reviewed: a reader answers for them."""
    return replace(
        case,
        pre=replace(case.pre, liver=case.pre.liver and case.pre.liver.reviewed()),
        post=replace(case.post, liver=case.post.liver and case.post.liver.reviewed()),
        lesions=tuple(replace(lesion, tumor=lesion.tumor.reviewed()) for lesion in case.lesions),
        zones=tuple(zone.reviewed() for zone in case.zones),
        anatomy=case.anatomy and case.anatomy.reviewed(),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """One exam, what is drawn on it, and where a reader pointed."""

    exam: Exam
    when: str
    drawn: Sequence[LabelMask]
    prompts: Sequence[Prompt]
    structure: Structure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Completed:
    """The exam with its liver, a mask for each prompt, and what is to know of them."""

    exam: Exam
    masks: tuple[LabelMask, ...]
    cautions: tuple[Caution, ...]
    doubted: tuple[Fault, ...]

    @property
    def livers(self) -> tuple[LabelMask, ...]:
        return () if self.exam.liver is None else (self.exam.liver,)


def _completed(task: _Task, methods: Methods, progress: Progress) -> _Completed:
    proposals: list[tuple[str, Segmentation]] = []
    liver = task.exam.liver
    if liver is None:
        step = f"outlining the liver {task.when}"
        progress(step, 0.0)
        proposals.append((f"the liver {task.when}", methods.liver.segment(task.exam.volume, lesions=task.drawn)))
        liver = _marked(proposals[0][1])
        progress(step, 1.0)
    found = [
        (f"the {task.structure} at {_place(prompt)} mm", _outlined(task, prompt, liver, methods, progress))
        for prompt in task.prompts
    ]
    masks = tuple(_marked(proposal) for _, proposal in found)
    if task.exam.liver is None:
        liver = replace(liver.union(*masks), origin=liver.origin)
    proposals += found
    return _Completed(
        exam=replace(task.exam, liver=liver),
        masks=masks,
        cautions=tuple(
            replace(caution, message=f"{name}: {caution.message}")
            for name, proposal in proposals
            for caution in proposal.cautions
        ),
        doubted=tuple(_doubt(name, proposal) for name, proposal in proposals if not proposal.is_trusted),
    )


def _outlined(task: _Task, prompt: Prompt, liver: LabelMask, methods: Methods, progress: Progress) -> Segmentation:
    step = f"outlining the {task.structure} at {_place(prompt)} mm"
    progress(step, 0.0)
    proposal = methods.of(task.structure).segment(task.exam.volume, prompt, liver=None if liver.is_empty else liver)
    progress(step, 1.0)
    return proposal


def _marked(proposal: Segmentation) -> LabelMask:
    """The mask, its method saying that it was doubted: that goes along into files and reports."""
    mask = proposal.mask
    if not proposal.doubts:
        return mask
    return replace(mask, origin=replace(mask.origin, method=f"doubted: {mask.origin.method}"))


def _about_help(liver: Segmentation) -> tuple[Caution, ...]:
    """What is wrong with a liver that only helps to find something in it."""
    doubts = [Caution(code=DOUBTED, message=" ".join(liver.doubts))] if liver.doubts else []
    told = [*liver.cautions, *doubts]
    return tuple(replace(caution, message=f"the liver, as help: {caution.message}") for caution in told)


def _doubt(name: str, proposal: Segmentation) -> Fault:
    """What speaks against a mask; one without a voxel has a code of its own, which nobody can accept."""
    return Fault(
        code=EMPTY if proposal.mask.is_empty else DOUBTED,
        source=name,
        found=" ".join(_once(proposal.doubts)).rstrip(".") or "nothing",
        expected="an outline that can be trusted",
        remedy=_REMEDIES[proposal.mask.structure],
    )


def _taken(doubted: Sequence[Fault], accepted: Collection[str]) -> tuple[Caution, ...]:
    """A word on each doubted mask that was accepted; InputError with all that weren't."""
    refused, taken = list[Fault](), list[Caution]()
    for fault in doubted:
        faults, cautions = sifted([fault], accepted)
        refused += faults
        taken += [replace(caution, message=f"{fault.source}: {caution.message}") for caution in cautions]
    if refused:
        raise InputError(*refused)
    return tuple(taken)


def _once(doubts: Sequence[str]) -> list[str]:
    """The sentences of all doubts, each once: several may give the same advice."""
    return list(dict.fromkeys(sentence for doubt in doubts for sentence in re.split(r"(?<=[.!]) (?=[A-Z])", doubt)))


def _require_imaged(case: Case, tumors: Sequence[Prompt], zones: Sequence[Prompt]) -> None:
    faults: list[Fault] = []
    for prompts, exam, option in ((tumors, case.pre, "tumor"), (zones, case.post, "ablation")):
        for prompt in prompts:
            kind = "axis" if prompt.axis_mm else "point"
            try:
                require_imaged(prompt, exam.volume.geometry, source=f"--{option}-{kind}")
            except InputError as error:
                faults += error.faults
    if faults:
        raise InputError(*faults)


def _place(prompt: Prompt) -> str:
    return ", ".join(f"{value:.0f}" for value in prompt.all_inside_mm[0])
