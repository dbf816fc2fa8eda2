"""From what the user names (folders, files, options) to a case that can be analyzed, or to everything wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ablmargin.anatomy import load_anatomy
from ablmargin.case import Anatomy, Case, Exam, Landmarks, Lesion, RasMutation
from ablmargin.errors import Caution, Fault, InputError, UsageError
from ablmargin.exampair import check_pair, check_sides
from ablmargin.geometry import Geometry
from ablmargin.landmarks import read_landmarks, require_imaged
from ablmargin.loaded import LoadedImage, PatientDigest, loaded_volume
from ablmargin.loading import check_target, fitted_mask, load_image, load_mask, path_and_label, without_words
from ablmargin.regrid import moved_onto
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import LabelMask, Structure, Volume

Loaded = TypeVar("Loaded")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInputs:
    """What one case consists of: files that are named, or what is loaded already.

    Masks are texts, ``path`` or ``path#segment``, see ``loading.load_mask``, or label masks in their exam's frame. Prompts are
    where lesions without a mask lie. ``reviewed``: the reader vouches for all masks. ``accepted``: hazards that are taken on
    purpose, by their codes, see :mod:`ablmargin.hazards`. ``nameless``: no name of a file, and no free text in one, may get
    into the result.
    """

    pre: Path | Volume | LoadedImage
    post: Path | Volume | LoadedImage
    pre_series: str | None = None
    post_series: str | None = None
    liver_pre: str | LabelMask | None = None
    liver_post: str | LabelMask | None = None
    tumors: tuple[str | LabelMask, ...] = ()
    ablations: tuple[str | LabelMask, ...] = ()
    ras_mutation: RasMutation = RasMutation.UNKNOWN
    case_id: str = "case"
    landmarks: Path | None = None
    tumor_prompts: tuple[Prompt, ...] = ()
    ablation_prompts: tuple[Prompt, ...] = ()
    reviewed: bool = False
    accepted: frozenset[str] = frozenset()
    segments: str | None = None
    vessels: str | None = None
    nameless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRequest(CaseInputs):
    """What a user names for one case, all of it files."""

    pre: Path
    post: Path
    liver_pre: str | None = None
    liver_post: str | None = None
    tumors: tuple[str, ...] = ()
    ablations: tuple[str, ...] = ()

    @property
    def masks(self) -> tuple[str, ...]:
        """All mask texts of the request."""
        single = (self.liver_pre, self.liver_post, self.segments, self.vessels)
        return (*(text for given in single for text in _one(given)), *self.tumors, *self.ablations)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedCase:
    """A case, what whoever reads its result must know about its input, and whose it is, as far as an exam tells."""

    case: Case
    cautions: tuple[Caution, ...]
    patient: PatientDigest | None = None


def open_case(request: CaseInputs) -> OpenedCase:
    """Load and check everything that a request names or holds.

    Raises
    ------
    InputError
        With all faults found: of both images together, then of their pairing, then of all masks together.
    """
    pre, post = _all_or_faults(
        partial(_image, request.pre, request.pre_series, request.accepted, name="the CT before ablation"),
        partial(_image, request.post, request.post_series, request.accepted, name="the CT after ablation"),
    )
    cautions = [
        *_about("the CT before ablation", pre.cautions),
        *_about("the CT after ablation", post.cautions),
        *check_pair(pre, post, request.accepted),
    ]
    nameless = request.nameless
    on_pre = partial(_masks, onto=pre.volume.geometry, cautions=cautions, nameless=nameless)
    on_post = partial(_masks, onto=post.volume.geometry, cautions=cautions, nameless=nameless)
    grid = pre.volume.geometry
    (liver_pre, liver_post, tumors, zones), anatomy = _both_or_faults(
        lambda: _all_or_faults(
            partial(on_pre, _one(request.liver_pre), Structure.LIVER, "--liver-pre"),
            partial(on_post, _one(request.liver_post), Structure.LIVER, "--liver-post"),
            partial(on_pre, request.tumors, Structure.TUMOR, "--tumor"),
            partial(on_post, request.ablations, Structure.ABLATION_ZONE, "--ablation"),
        ),
        lambda: load_anatomy(
            request.segments, request.vessels, onto=grid, frame=grid, cautions=cautions, nameless=nameless
        ),
    )
    cautions += _liver_cautions(pre.volume, post.volume, (*liver_pre, *liver_post), request.accepted)
    landmarks = _landmarks(request.landmarks, pre.volume.geometry, post.volume.geometry)
    case = Case(
        case_id=request.case_id,
        pre=Exam(volume=pre.volume, record=pre.record, liver=next(iter(liver_pre), None)),
        post=Exam(volume=post.volume, record=post.record, liver=next(iter(liver_post), None)),
        lesions=_lesions(tumors),
        zones=zones,
        ras_mutation=request.ras_mutation,
        landmarks=landmarks,
        anatomy=anatomy,
    )
    return OpenedCase(case=case, cautions=tuple(cautions), patient=_known(pre.identity, post.identity))


def _known(*patients: PatientDigest | None) -> PatientDigest | None:
    """The first whose PatientID is known."""
    return next((patient for patient in patients if patient and not patient.is_unknown), None)


def _image(
    given: Path | Volume | LoadedImage, series: str | None, accepted: frozenset[str], *, name: str
) -> LoadedImage:
    if isinstance(given, LoadedImage):
        return given
    if isinstance(given, Volume):
        return loaded_volume(given, name=name, accepted=accepted)
    return load_image(given, series=series, accepted=accepted)


def _liver_cautions(pre: Volume, post: Volume, livers: Sequence[LabelMask], accepted: frozenset[str]) -> list[Caution]:
    """Whether livers reach the border of their image, and, if there are both, whether they lie on one side."""
    cautions = [
        Caution(
            code="LIVER_TOUCHES_EDGE",
            message=f"{liver.origin.name} reaches the border of its image: nothing is known of what lies beyond",
        )
        for liver in livers
        if liver.touches_border()
    ]
    if len(livers) == 2:
        cautions += check_sides(pre, post, (livers[0], livers[1]), accepted)
    return cautions


def _landmarks(path: Path | None, pre: Geometry, post: Geometry) -> Landmarks | None:
    if path is None:
        return None
    landmarks = read_landmarks(path)
    require_imaged(landmarks, path, pre=pre, post=post)
    return landmarks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedMasks:
    """Masks that share one frame, for a margin without images. The zones and the liver lie on one grid."""

    lesions: tuple[Lesion, ...]
    zones: tuple[LabelMask, ...]
    liver: LabelMask | None
    cautions: tuple[Caution, ...]
    anatomy: Anatomy | None = None


def open_masks(
    *,
    tumors: Sequence[str],
    ablations: Sequence[str],
    liver: str | None,
    segments: str | None = None,
    vessels: str | None = None,
    reviewed: bool = False,
    nameless: bool = False,
) -> OpenedMasks:
    """Load masks that were registered before. Zones and liver go onto the first zone's grid; the others keep their own.

    ``reviewed``: the reader vouches for all of them. ``nameless``: as for :class:`CaseRequest`.

    Raises
    ------
    InputError
        With all faults of all masks.
    """
    cautions: list[Caution] = []
    drawn = partial(_masks, onto=None, cautions=cautions, nameless=nameless)
    tumor_masks, zones, livers = _all_or_faults(
        partial(drawn, tumors, Structure.TUMOR, "--tumor"),
        partial(drawn, ablations, Structure.ABLATION_ZONE, "--ablation"),
        partial(drawn, _one(liver), Structure.LIVER, "--liver"),
    )
    named = [*zip([f"--ablation {text}" for text in ablations], zones, strict=True)]
    named += [(f"--liver {liver}", mask) for mask in livers]
    grid = zones[0].geometry
    moved, anatomy = _both_or_faults(
        lambda: _all_or_faults(*(partial(_on_grid, mask, grid, name, cautions) for name, mask in named)),
        lambda: load_anatomy(segments, vessels, onto=None, frame=grid, cautions=cautions, nameless=nameless),
    )
    zones, livers = moved[: len(zones)], moved[len(zones) :]
    if reviewed:
        anatomy = anatomy and anatomy.reviewed()
        tumor_masks, zones, livers = (
            tuple(mask.reviewed() for mask in masks) for masks in (tumor_masks, zones, livers)
        )
    lesions = _lesions(tumor_masks)
    return OpenedMasks(
        lesions=lesions, zones=zones, liver=next(iter(livers), None), cautions=tuple(cautions), anatomy=anatomy
    )


def mask_path(text: str) -> Path:
    """The file of a mask text, ``path`` or ``path#label``."""
    return path_and_label(text)[0]


def _masks(
    texts: Sequence[str | LabelMask],
    structure: Structure,
    option: str,
    *,
    onto: Geometry | None,
    cautions: list[Caution],
    nameless: bool,
) -> tuple[LabelMask, ...]:
    load = partial(_mask, structure=structure, option=option, onto=onto, cautions=cautions)
    called = [f"{option} ({number})" if len(texts) > 1 else option for number in range(1, len(texts) + 1)]
    loaders = [partial(load, text, called=name if nameless else "") for text, name in zip(texts, called, strict=True)]
    return _all_or_faults(*loaders)


def _mask(
    given: str | LabelMask,
    structure: Structure,
    option: str,
    *,
    onto: Geometry | None,
    cautions: list[Caution],
    called: str,
) -> LabelMask:
    if isinstance(given, str):
        return _checked(load_mask(given, structure, onto=onto, source_name=option, cautions=cautions, called=called))
    if given.structure is not structure:
        raise UsageError(f"{option} needs a mask of the {structure}, not of the {given.structure}")
    usual = replace(given, origin=replace(given.origin, name=given.origin.name or option))
    named = without_words(given, called) if called else usual
    return _checked(fitted_mask(named, onto=onto, name=named.origin.name, cautions=cautions))


def _on_grid(mask: LabelMask, onto: Geometry, name: str, cautions: list[Caution]) -> LabelMask:
    return _checked(moved_onto(mask, onto, name=name, cautions=cautions))


def _checked(mask: LabelMask) -> LabelMask:
    mask.require_not_empty()
    if mask.structure is not Structure.LIVER:
        check_target(mask)
    return mask


def _about(exam: str, cautions: Sequence[Caution]) -> list[Caution]:
    return [replace(caution, message=f"{exam}: {caution.message}") for caution in cautions]


def _lesions(tumors: Sequence[LabelMask]) -> tuple[Lesion, ...]:
    return tuple(Lesion(lesion_id=str(number), tumor=tumor) for number, tumor in enumerate(tumors, start=1))


def _one(given: Loaded | None) -> tuple[Loaded, ...]:
    return () if given is None else (given,)


def _all_or_faults(*loaders: Callable[[], Loaded]) -> tuple[Loaded, ...]:
    """The outcomes of all loaders, or one error with the faults of all of them."""
    outcomes: list[Loaded] = []
    faults: list[Fault] = []
    for load in loaders:
        try:
            outcomes.append(load())
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return tuple(outcomes)


def _both_or_faults(first: Callable[[], Loaded], second: Callable[[], Other]) -> tuple[Loaded, Other]:
    """The outcomes of two loaders of different things, or one error with the faults of both."""
    outcomes: tuple[Any, ...] = _all_or_faults(first, second)
    return outcomes[0], outcomes[1]
