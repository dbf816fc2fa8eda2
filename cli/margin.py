"""``ablmargin margin``: masks that already share one frame, without images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablmargin.case import UNNAMED_CASE, RasMutation
from ablmargin.errors import UsageError

from . import options


def margin(
    *,
    tumors: options.SharedTumors = [],  # noqa: B006 - typer reads it as "none given"
    ablations: options.SharedAblations = [],  # noqa: B006
    liver: options.SharedLiver = None,
    segments: options.Segments = None,
    vessels: options.Vessels = None,
    ras_mutation: options.Ras = RasMutation.UNKNOWN,
    registration_sd_mm: Annotated[
        float | None,
        typer.Option(
            "--registration-sd",
            help="How far off the masks' registration is at the tumor: standard deviation per component, mm. "
            "Without it the margin gets no bounds and no verdict.",
            min=0.0,
            max=100.0,
            metavar="MM",
        ),
    ] = None,
    reviewed: options.Reviewed = False,
    case_id: options.CaseId = UNNAMED_CASE,
    seed: options.Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Also write a case folder.", metavar="DIR")] = None,
    deidentify: options.Deidentify = False,
    deidentify_key: options.DeidentifyKey = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    gate: options.Gate = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Measure and judge the margin between masks that were registered before."""
    from ablmargin.intake import mask_path, open_masks
    from ablmargin.pipeline import Settings, measure_masks
    from ablmargin.wholeway import shareable

    from .casework import Output, tell, write
    from .terminal import progress_bars

    if not tumors or not ablations:
        raise UsageError("give the tumor with --tumor MASK and the ablation zone with --ablation MASK")
    key = options.deidentification_key(wanted=deidentify, path=deidentify_key)
    output = Output(folder=out, overwrite=overwrite, as_json=as_json, gate=gate, key=key)
    texts = [*tumors, *ablations, *(text for text in (liver, segments, vessels) if text is not None)]
    output.require_writable([mask_path(text) for text in texts])
    with progress_bars() as progress:
        masks = open_masks(
            tumors=tumors,
            ablations=ablations,
            liver=liver,
            segments=segments,
            vessels=vessels,
            reviewed=reviewed,
            nameless=key is not None,
        )
        result = measure_masks(
            masks.lesions,
            masks.zones,
            liver=masks.liver,
            ras_mutation=ras_mutation,
            settings=Settings.of(seed=seed, threads=1, registration_sd_mm=registration_sd_mm),
            case_id=options.plain_case_id(case_id),
            cautions=masks.cautions,
            anatomy=masks.anatomy,
        )
        result = shareable(result, output.key, or_else=masks.lesions[0].tumor.origin.sha256)
        write(result, output, progress)
    return tell(result, output)
