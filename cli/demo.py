"""``ablmargin demo``: the main job on a simulated patient whose true margin is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options

DEMO_SCENARIO, DEMO_SEED = "thin-margin", 1


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="The case folder to make.", metavar="DIR")] = Path(
        "ablmargin-demo"
    ),
    threads: options.Threads = 2,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> int:
    """Run the main job on the embedded sample: pre and post CT as DICOM, to a finished case folder."""
    from ablmargin.case import RasMutation
    from ablmargin.intake import CaseRequest
    from ablmargin.pairs import cached_phantom, landmark_errors_mm, read_truth
    from ablmargin.pipeline import Settings, analyze

    from .casework import Output, run_case
    from .terminal import progress_bars, say

    output = Output(folder=out, overwrite=overwrite, as_json=as_json)
    output.require_writable([])
    with progress_bars() as progress:
        pair = cached_phantom(DEMO_SCENARIO, seed=DEMO_SEED, progress=progress)
    request = CaseRequest(
        pre=pair.pre,
        post=pair.post,
        liver_pre=str(pair.liver_pre),
        liver_post=str(pair.liver_post),
        tumors=tuple(str(path) for path in pair.tumors),
        ablations=tuple(str(path) for path in pair.ablations),
        ras_mutation=RasMutation.WILD_TYPE,
        case_id="demo",
    )
    result, code = run_case(request, analyze, Settings.of(seed=seed, threads=threads), output)
    truth = read_truth(pair.truth)
    for lesion, true_lesion in zip(result.lesions, truth["lesions"], strict=True):
        say(
            f"This patient is simulated: the true minimum margin is {true_lesion['mam_mm']:.1f} mm, "
            f"{lesion.margin.minimum_mm:.1f} mm was measured."
        )
    if result.alignment is not None:
        errors = landmark_errors_mm(result.alignment.post_from_pre, truth)
        say(f"Registration error at {len(errors)} landmarks in the liver: {errors.mean():.1f} mm on average.")
    say(f"The sample as DICOM: {pair.pre.parent}")
    return code
