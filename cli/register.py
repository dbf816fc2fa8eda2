"""``ablmargin register``: where the liver went, and how well that is known."""

from __future__ import annotations

from ablmargin.case import UNNAMED_CASE
from ablmargin.registration.enginename import EngineName
from ablmargin.segmentation.segmentername import SegmenterName

from . import options


def register(
    *,
    pre: options.PrePath,
    post: options.PostPath,
    out: options.Out,
    liver_pre: options.LiverPre = None,
    liver_post: options.LiverPost = None,
    exclude_pre: options.ExcludePre = [],  # noqa: B006 - typer reads it as "none given"
    exclude_post: options.ExcludePost = [],  # noqa: B006
    pre_series: options.PreSeries = None,
    post_series: options.PostSeries = None,
    landmarks: options.Landmarks = None,
    segmenter: options.SegmenterChoice = SegmenterName.BUILT_IN,
    model: options.Model = None,
    auto_command: options.AutoCommand = None,
    accept: options.Accept = [],  # noqa: B006 - typer reads it as "none given"
    case_id: options.CaseId = UNNAMED_CASE,
    engine: options.Engine = EngineName.GAUSS_NEWTON,
    threads: options.Threads = 2,
    seed: options.Seed = 0,
    deidentify: options.Deidentify = False,
    deidentify_key: options.DeidentifyKey = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Register two exams and tell how well: displacement field, overlap, folding, error estimate."""
    from ablmargin.intake import CaseRequest
    from ablmargin.pipeline import Settings, align
    from ablmargin.segmentation.methods import Methods

    from .casework import Output, run_case

    request = CaseRequest(
        pre=pre,
        post=post,
        pre_series=pre_series,
        post_series=post_series,
        liver_pre=liver_pre,
        liver_post=liver_post,
        tumors=tuple(exclude_pre),
        ablations=tuple(exclude_post),
        case_id=options.plain_case_id(case_id),
        landmarks=landmarks,
        accepted=options.accepted(accept),
    )
    key = options.deidentification_key(wanted=deidentify, path=deidentify_key)
    output = Output(folder=out, overwrite=overwrite, as_json=as_json, key=key)
    methods = Methods.chosen(segmenter, model=model, command=auto_command, threads=threads)
    settings = Settings.of(seed=seed, threads=threads, engine=engine)
    _, code = run_case(request, align, settings, output, methods=methods)
    return code
