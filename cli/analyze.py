"""``ablmargin analyze``: the main job for one patient."""

from __future__ import annotations

from ablmargin.case import RasMutation
from ablmargin.errors import UsageError
from ablmargin.registration.enginename import EngineName
from ablmargin.report import UNNAMED_CASE

from . import options


def analyze(
    *,
    pre: options.PrePath,
    post: options.PostPath,
    out: options.Out,
    liver_pre: options.LiverPre = None,
    liver_post: options.LiverPost = None,
    tumors: options.Tumors = [],  # noqa: B006 - typer reads it as "none given"
    ablations: options.Ablations = [],  # noqa: B006
    ras_mutation: options.Ras = RasMutation.UNKNOWN,
    pre_series: options.PreSeries = None,
    post_series: options.PostSeries = None,
    landmarks: options.Landmarks = None,
    case_id: options.CaseId = UNNAMED_CASE,
    engine: options.Engine = EngineName.GAUSS_NEWTON,
    threads: options.Threads = 2,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    gate: options.Gate = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Load, register, measure, judge and report one patient's margin."""
    from ablmargin.intake import CaseRequest
    from ablmargin.pipeline import Settings
    from ablmargin.pipeline import analyze as analyze_case

    from .casework import Output, run_case

    if not tumors or not ablations:
        raise UsageError("a lesion needs its tumor and its ablation zone: give --tumor MASK and --ablation MASK")
    request = CaseRequest(
        pre=pre,
        post=post,
        pre_series=pre_series,
        post_series=post_series,
        liver_pre=liver_pre,
        liver_post=liver_post,
        tumors=tuple(tumors),
        ablations=tuple(ablations),
        ras_mutation=ras_mutation,
        case_id=options.plain_case_id(case_id),
        landmarks=landmarks,
    )
    output = Output(folder=out, overwrite=overwrite, as_json=as_json, gate=gate)
    _, code = run_case(request, analyze_case, Settings.of(seed=seed, threads=threads, engine=engine), output)
    return code
