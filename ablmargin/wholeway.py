"""The whole way from what a user names to a result: open, outline what is missing, run a step of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ablmargin.case import UNNAMED_CASE, Case
from ablmargin.deidentify import deidentified, pseudonyms_for
from ablmargin.intake import CaseInputs, open_case
from ablmargin.loaded import PatientDigest
from ablmargin.pipeline import Settings
from ablmargin.progress import Progress, Stopwatch, silent
from ablmargin.result import CaseResult
from ablmargin.segmentation.methods import Methods
from ablmargin.segmenting import segment_missing, vouched_for

Step = Callable[..., CaseResult]
"""``pipeline.analyze`` or ``pipeline.align``."""


def result_of(
    request: CaseInputs,
    step: Step,
    settings: Settings,
    *,
    methods: Methods | None = None,
    lesion_ids: Sequence[str] = (),
    key: bytes | None = None,
    progress: Progress = silent,
) -> CaseResult:
    """Open a case, outline what it lacks and run one step of the pipeline on it.

    Parameters
    ----------
    lesion_ids : sequence of str, optional
        Names of the lesions, in the order of the request's tumors and then its tumor prompts; else they are numbered.
    key : bytes, optional
        If nothing that identifies the patient may be in the result: what the stand-ins are derived from.

    Raises
    ------
    InputError, UsageError, RegistrationError
        As :func:`ablmargin.intake.open_case`, :func:`ablmargin.segmenting.segment_missing` and the step do.
    """
    watch = Stopwatch()
    progress("loading", 0.0)
    with watch("load"):
        opened = open_case(replace(request, nameless=key is not None))
    progress("loading", 1.0)
    with watch("segment"):
        segmented = segment_missing(
            opened.case,
            tumors=request.tumor_prompts,
            zones=request.ablation_prompts,
            methods=methods,
            accepted=request.accepted,
            progress=progress,
        )
    case = vouched_for(segmented.case) if request.reviewed else segmented.case
    settings = replace(settings, accepted=tuple(sorted({*settings.accepted, *request.accepted})))
    result = step(_named(case, lesion_ids), settings, progress=progress)
    result = replace(
        result,
        cautions=(*opened.cautions, *segmented.cautions, *result.cautions),
        timings_s={**watch.timings_s, **result.timings_s},
    )
    return shareable(result, key, patient=opened.patient, or_else=opened.case.pre.record.sha256)


def shareable(
    result: CaseResult, key: bytes | None, *, patient: PatientDigest | None = None, or_else: str | None
) -> CaseResult:
    """The result as it may be written: without what identifies the patient, if there is a key.

    Parameters
    ----------
    patient : PatientDigest, optional
        Whose stand-ins they are.
    or_else : str, optional
        The hash of an input, to which they belong where the patient isn't known.
    """
    if key is None:
        return result
    return deidentified(result, pseudonyms_for(key, patient, or_else=or_else), unnamed=UNNAMED_CASE)


def _named(case: Case, lesion_ids: Sequence[str]) -> Case:
    if not lesion_ids:
        return case
    pairs = zip(case.lesions, lesion_ids, strict=True)
    return replace(case, lesions=tuple(replace(lesion, lesion_id=name) for lesion, name in pairs))
