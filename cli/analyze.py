"""``ablmargin analyze``: the main job for one patient."""

from __future__ import annotations

from ablmargin.case import UNNAMED_CASE, RasMutation
from ablmargin.errors import UsageError
from ablmargin.registration.enginename import EngineName
from ablmargin.segmentation.segmentername import SegmenterName

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
    tumor_points: options.TumorPoints = [],  # noqa: B006
    tumor_axes: options.TumorAxes = [],  # noqa: B006
    ablation_points: options.AblationPoints = [],  # noqa: B006
    ablation_axes: options.AblationAxes = [],  # noqa: B006
    segments: options.Segments = None,
    vessels: options.Vessels = None,
    ras_mutation: options.Ras = RasMutation.UNKNOWN,
    pre_series: options.PreSeries = None,
    post_series: options.PostSeries = None,
    landmarks: options.Landmarks = None,
    segmenter: options.SegmenterChoice = SegmenterName.BUILT_IN,
    model: options.Model = None,
    auto_command: options.AutoCommand = None,
    reviewed: options.Reviewed = False,
    accept: options.Accept = [],  # noqa: B006
    case_id: options.CaseId = UNNAMED_CASE,
    engine: options.Engine = EngineName.GAUSS_NEWTON,
    threads: options.Threads = 2,
    seed: options.Seed = 0,
    deidentify: options.Deidentify = False,
    deidentify_key: options.DeidentifyKey = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    gate: options.Gate = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Load, segment what is missing, register, measure, judge and report one patient's margin."""
    from ablmargin.intake import CaseRequest
    from ablmargin.pipeline import Settings
    from ablmargin.pipeline import analyze as analyze_case
    from ablmargin.segmentation.methods import Methods

    from .casework import Output, run_case

    tumor_prompts = options.prompts(tumor_points, tumor_axes, structure="tumor")
    ablation_prompts = options.prompts(ablation_points, ablation_axes, structure="ablation")
    if not (tumors or tumor_prompts) or not (ablations or ablation_prompts):
        raise UsageError(
            "a lesion needs its tumor and its ablation zone, each as a MASK (--tumor, --ablation), by its long axis "
            "(--tumor-axis, --ablation-axis) or by a point in it (--tumor-point, --ablation-point)"
        )
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
        tumor_prompts=tumor_prompts,
        ablation_prompts=ablation_prompts,
        reviewed=reviewed,
        accepted=options.accepted(accept),
        segments=segments,
        vessels=vessels,
    )
    key = options.deidentification_key(wanted=deidentify, path=deidentify_key)
    output = Output(folder=out, overwrite=overwrite, as_json=as_json, gate=gate, key=key)
    methods = Methods.chosen(segmenter, model=model, command=auto_command, threads=threads)
    settings = Settings.of(seed=seed, threads=threads, engine=engine)
    _, code = run_case(request, analyze_case, settings, output, methods=methods)
    return code
