"""``ablmargin segment``: one structure, outlined by the software, for a reader to look at and mend."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablmargin.errors import Caution, UsageError
from ablmargin.segmentation.segmentername import SegmenterName
from ablmargin.volume import Structure

from . import options

if TYPE_CHECKING:
    from ablmargin.segmentation.protocol import Prompt, Segmentation


class Outlined(StrEnum):
    """What can be outlined: these structures of all."""

    LIVER = Structure.LIVER.value
    TUMOR = Structure.TUMOR.value
    ABLATION_ZONE = Structure.ABLATION_ZONE.value


def segment(
    *,
    image: Annotated[Path, typer.Option("--image", help="CT: a DICOM folder or a volume file.", metavar="PATH")],
    structure: Annotated[Outlined, typer.Option("--structure", help="What to outline.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="The mask to write: .nii.gz, .nrrd, .seg.nrrd, .mha, DICOM SEG .dcm or .rtstruct.dcm.",
            metavar="FILE",
        ),
    ],
    point: Annotated[
        str | None, typer.Option("--point", help="A place in the structure, LPS mm.", metavar="X,Y,Z")
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option("--axis", help="The two ends of its long axis: better than a point.", metavar="X,Y,Z,X,Y,Z"),
    ] = None,
    inside: Annotated[
        list[str], typer.Option("--inside", help="One more place that belongs to it; repeatable.", metavar="X,Y,Z")
    ] = [],  # noqa: B006 - typer reads it as "none given"
    outside: Annotated[
        list[str], typer.Option("--outside", help="A place that doesn't; repeatable.", metavar="X,Y,Z")
    ] = [],  # noqa: B006
    liver: Annotated[
        str | None,
        typer.Option(
            "--liver",
            help="The liver on this image, as help for a tumor or a zone; else it is outlined first.",
            metavar="MASK",
        ),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option("--series", help="SeriesInstanceUID or the number that inspect prints.", metavar="SERIES"),
    ] = None,
    segmenter: options.SegmenterChoice = SegmenterName.BUILT_IN,
    model: options.Model = None,
    auto_command: options.AutoCommand = None,
    threads: options.Threads = 2,
    accept: options.Accept = [],  # noqa: B006
    deidentify: options.Deidentify = False,
    deidentify_key: options.DeidentifyKey = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON on standard output.")] = False,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Outline the liver by itself, or a tumor or ablation zone from where you point."""
    from ablmargin.deidentify import pseudonyms_for
    from ablmargin.loading import load_image, load_mask
    from ablmargin.maskfiles import require_writable_mask, save_mask
    from ablmargin.segmentation.methods import Methods
    from ablmargin.segmenting import segment_one

    from .terminal import progress_bars

    accepted, prompt = options.accepted(accept), _prompt(point, axis, inside, outside)
    key = options.deidentification_key(wanted=deidentify, path=deidentify_key)
    _require_free(out, image, liver, overwrite=overwrite)
    require_writable_mask(out, source=image if image.is_dir() else None)
    methods = Methods.chosen(segmenter, model=model, command=auto_command, threads=threads)
    with progress_bars() as progress:
        loaded = load_image(image, series=series, accepted=accepted, progress=progress)
        grid = loaded.volume.geometry
        given = None if liver is None else load_mask(liver, Structure.LIVER, onto=grid, source_name="--liver")
        proposal = segment_one(
            loaded.volume,
            Structure(structure),
            prompt,
            liver=given,
            methods=methods,
            accepted=accepted,
            progress=progress,
        )
        names = None if key is None else pseudonyms_for(key, loaded.identity, or_else=loaded.record.sha256)
        save_mask(proposal.mask, out, source=image if image.is_dir() else None, pseudonyms=names)
    _tell(proposal, out, loaded.cautions, as_json=as_json)
    return 0


def _prompt(point: str | None, axis: str | None, inside: Sequence[str], outside: Sequence[str]) -> Prompt:
    from ablmargin.segmentation.prompts import axis_from, point_from
    from ablmargin.segmentation.protocol import Prompt

    return Prompt(
        point_mm=None if point is None else point_from(point, "--point"),
        axis_mm=None if axis is None else axis_from(axis, "--axis"),
        inside_mm=tuple(point_from(text, "--inside") for text in inside),
        outside_mm=tuple(point_from(text, "--outside") for text in outside),
    )


def _tell(proposal: Segmentation, out: Path, cautions: Sequence[Caution], *, as_json: bool) -> None:
    from .terminal import say

    mask, told = proposal.mask, (*cautions, *proposal.cautions)
    for caution in told:
        say(f"{caution.code}: {caution.message}")
    for doubt in proposal.doubts:
        say(f"Doubted, and accepted on purpose: {doubt}")
    say(f"Written to {out}: {mask.volume_ml:.1f} ml, a proposal. Look at it before anything rests on it.")
    if not as_json:
        return
    record = {
        "schema": "ablmargin.segment/1",
        "structure": mask.structure.value,
        "file": str(out),
        "volume_ml": round(mask.volume_ml, 4),
        "source": mask.origin.source,
        "method": mask.origin.method,
        "reviewed": mask.origin.reviewed,
        "trusted": proposal.is_trusted,
        "doubts": list(proposal.doubts),
        "contour_sd_mm": mask.origin.contour_sd_mm,
        "warnings": [{"code": caution.code, "message": caution.message} for caution in told],
    }
    sys.stdout.write(json.dumps(record, indent=2) + "\n")


def _require_free(out: Path, image: Path, liver: str | None, *, overwrite: bool) -> None:
    from ablmargin.intake import mask_path
    from ablmargin.itk import itk_path
    from ablmargin.outputplace import require_apart

    itk_path(out)
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file")
    if out.exists() and not overwrite:
        raise UsageError(f"--out {out} is there already; name another file, or --overwrite replaces it")
    inputs = [image, *([] if liver is None else [mask_path(liver)])]
    if out.exists() and any(source.exists() and out.samefile(source) for source in inputs):
        raise UsageError(f"--out {out} is an input itself")
    require_apart(out, [image])
