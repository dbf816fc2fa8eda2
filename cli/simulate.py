"""``ablmargin simulate``: a pair of CT series with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablmargin.errors import UsageError

from . import options


def simulate(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to make; see truth.json in it.", metavar="DIR")],
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Of the digital phantom; a wrong name lists them.", metavar="NAME")
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="A real CT to make the pair from instead.", metavar="PATH")
    ] = None,
    liver: Annotated[str | None, typer.Option("--liver", help="The liver on that CT.", metavar="MASK")] = None,
    series: Annotated[
        str | None, typer.Option("--series", help="Which series, where --image holds several.", metavar="SERIES")
    ] = None,
    margin_mm: Annotated[
        float, typer.Option("--margin", help="About the minimum margin to make, mm (with --image).", min=-10, max=15)
    ] = 3.0,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another anatomy and motion.", min=0)] = 1,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Make a pre/post pair as DICOM with exact truth, from the digital phantom or from a real CT."""
    from ablmargin.pairs import pair_from_ct, write_pair
    from ablmargin.simulation.phantom import simulate_phantom
    from ablmargin.simulation.scenarios import DEFAULT_SCENARIO, SCENARIOS

    from .casework import Output
    from .terminal import progress_bars, say

    if image is not None and scenario is not None:
        raise UsageError("give --scenario or --image, not both")
    if (image is None) != (liver is None):
        raise UsageError("--image and --liver go together")
    name = scenario or DEFAULT_SCENARIO
    if name not in SCENARIOS:
        raise UsageError(f"there is no scenario {name!r}; there are: {', '.join(SCENARIOS)}")
    Output(folder=out, can_overwrite=False).require_writable([] if image is None else [image])
    with progress_bars() as progress:
        if image is None or liver is None:
            pair = simulate_phantom(name, seed=seed, progress=progress)
        else:
            pair = pair_from_ct(image, liver, series=series, seed=seed, nominal_mam_mm=margin_mm, progress=progress)
        progress("writing", 0.0)
        write_pair(pair, out)
        progress("writing", 1.0)
    for lesion in pair.truth.lesions:
        say(f"lesion {lesion.lesion_id}: true minimum margin {lesion.mam_mm:.2f} mm")
    say(f"Written to {out}")
    return 0
