"""Options that several commands share, each with its help told once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablmargin.case import RasMutation, require_plain_name
from ablmargin.errors import UsageError
from ablmargin.registration.enginename import EngineName
from ablmargin.segmentation.segmentername import SegmenterName

from .configfile import read_config

if TYPE_CHECKING:
    from ablmargin.segmentation.protocol import Prompt

_MASK = (
    "NIfTI, NRRD, MetaImage, .seg.nrrd, DICOM SEG or RTSTRUCT; one of several is named after a hash: plan.dcm#Tumor 1."
)

Out = Annotated[Path, typer.Option("--out", help="The case folder to make.", metavar="DIR")]
PrePath = Annotated[
    Path, typer.Option("--pre", help="CT before ablation: a DICOM folder or a volume file.", metavar="PATH")
]
PostPath = Annotated[
    Path, typer.Option("--post", help="CT after ablation: a DICOM folder or a volume file.", metavar="PATH")
]
PreSeries = Annotated[
    str | None,
    typer.Option("--pre-series", help="SeriesInstanceUID or the number that inspect prints.", metavar="SERIES"),
]
PostSeries = Annotated[str | None, typer.Option("--post-series", help="The same, after ablation.", metavar="SERIES")]
LiverPre = Annotated[str | None, typer.Option("--liver-pre", help=f"Liver on the pre image. {_MASK}", metavar="MASK")]
LiverPost = Annotated[str | None, typer.Option("--liver-post", help="Liver on the post image.", metavar="MASK")]
Tumors = Annotated[
    list[str], typer.Option("--tumor", help="Tumor on the pre image; repeat for each lesion.", metavar="MASK")
]
Ablations = Annotated[
    list[str], typer.Option("--ablation", help="Ablation zone on the post image; repeatable.", metavar="MASK")
]
ExcludePre = Annotated[
    list[str],
    typer.Option(
        "--exclude-pre", help="Tissue on the pre image not to compare, as a tumor; repeatable.", metavar="MASK"
    ),
]
ExcludePost = Annotated[
    list[str],
    typer.Option("--exclude-post", help="Tissue on the post image not to compare: the ablation zone.", metavar="MASK"),
]
SharedTumors = Annotated[
    list[str], typer.Option("--tumor", help=f"Tumor; repeat for each lesion. {_MASK}", metavar="MASK")
]
SharedAblations = Annotated[
    list[str], typer.Option("--ablation", help="Ablation zone, in the same frame; repeatable.", metavar="MASK")
]
SharedLiver = Annotated[
    str | None,
    typer.Option("--liver", help="Liver, in the same frame: for the margin below the capsule.", metavar="MASK"),
]
Segments = Annotated[
    str | None,
    typer.Option(
        "--segments",
        help="Couinaud segments of the liver, before ablation, for the report: one file with all, as labels 1 to 8 or named "
        "(Segment IVa, S8).",
        metavar="MASK",
    ),
]
Vessels = Annotated[
    str | None,
    typer.Option(
        "--vessels",
        help="Hepatic and portal veins, before ablation: the report tells how far one of 3 mm or more is.",
        metavar="MASK",
    ),
]
TumorPoints = Annotated[
    list[str],
    typer.Option(
        "--tumor-point",
        help="A place in a tumor on the pre image, LPS mm: it is outlined from there; repeat for each lesion.",
        metavar="X,Y,Z",
    ),
]
TumorAxes = Annotated[
    list[str],
    typer.Option(
        "--tumor-axis",
        help="The two ends of a tumor's long axis: tells its size too, better than a point; repeatable.",
        metavar="X,Y,Z,X,Y,Z",
    ),
]
AblationPoints = Annotated[
    list[str],
    typer.Option("--ablation-point", help="A place in the ablation zone on the post image.", metavar="X,Y,Z"),
]
AblationAxes = Annotated[
    list[str],
    typer.Option("--ablation-axis", help="The two ends of the ablation zone's long axis.", metavar="X,Y,Z,X,Y,Z"),
]
SegmenterChoice = Annotated[
    SegmenterName,
    typer.Option(
        "--segmenter",
        help='What outlines livers and tumors that aren\'t given. TotalSegmentator is an extra, "ablmargin\\[auto]", whose '
        "weights you place; see docs/segmentation.md.",
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help='A network of your own, as ONNX with a TOML file beside it (extra "ablmargin\\[onnx]"): outlines what it '
        "has labels for.",
        metavar="FILE.onnx",
    ),
]
AutoCommand = Annotated[
    str | None,
    typer.Option(
        "--auto-command",
        help="A program of your own that outlines the liver, or with {structure} in it everything: "
        '"PROGRAM -i {image} -o {mask}".',
        metavar="TEXT",
    ),
]
Reviewed = Annotated[
    bool,
    typer.Option(
        "--reviewed",
        help="You have looked at the masks and vouch for them: a verdict may rest on those that the software made.",
    ),
]
Accept = Annotated[
    list[str],
    typer.Option(
        "--accept", help="Take a named hazard on purpose; it is recorded. See the code in the message.", metavar="CODE"
    ),
]
Ras = Annotated[
    RasMutation,
    typer.Option("--ras-mutation", help="RAS status of the tumor. Unknown asks for 10 mm, as mutant does."),
]
Landmarks = Annotated[
    Path | None,
    typer.Option(
        "--landmarks",
        help="The same places in both exams, to measure the registration by: CSV with pre_x, pre_y, pre_z, post_x, post_y, "
        "post_z, LPS mm.",
        metavar="FILE",
    ),
]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help='What deforms. elastix is an extra: pip install "ablmargin\\[elastix]"; it tells how far the two are apart.',
    ),
]
CaseId = Annotated[
    str, typer.Option("--case-id", help="Letters, digits, '.', '_' and '-'. Printed in every result.", metavar="TEXT")
]
Threads = Annotated[int, typer.Option("--threads", help="The numbers don't depend on it.", min=1)]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same numbers.", min=0)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished case; the old one is kept beside it.")]
Deidentify = Annotated[
    bool,
    typer.Option(
        "--deidentify",
        help="Write nothing that identifies the patient: other UIDs, moved dates, no names of files. The margin is the same.",
    ),
]
DeidentifyKey = Annotated[
    Path | None,
    typer.Option(
        "--deidentify-key",
        help="A project's secret for --deidentify, 16 random bytes or more: the same patient, series and interval then "
        "fit together in all its results. Without it each run stands alone.",
        metavar="FILE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Gate = Annotated[
    bool, typer.Option("--gate", help="Exit with 10 if a lesion is inadequate, with 11 if one is indeterminate.")
]


def plain_case_id(text: str) -> str:
    """The case ID, if it can be part of file names; else UsageError."""
    try:
        require_plain_name(text, "--case-id")
    except ValueError as error:
        raise UsageError(str(error)) from error
    return text


def deidentification_key(*, wanted: bool, path: Path | None) -> bytes | None:
    """The key of what is written without names; None if names may stay. A key that is given wants it too."""
    from ablmargin.pseudonyms import read_key

    return read_key(path) if wanted or path is not None else None


def prompts(points: Sequence[str], axes: Sequence[str], *, structure: str) -> tuple[Prompt, ...]:
    """A prompt for each ``--<structure>-point`` and then each ``--<structure>-axis``."""
    from ablmargin.segmentation.prompts import axis_from, point_from
    from ablmargin.segmentation.protocol import Prompt

    return (
        *(Prompt(point_mm=point_from(text, f"--{structure}-point")) for text in points),
        *(Prompt(axis_mm=axis_from(text, f"--{structure}-axis")) for text in axes),
    )


def accepted(codes: Sequence[str]) -> frozenset[str]:
    """The codes of hazards, if all of them can be accepted; else UsageError."""
    from ablmargin.hazards import require_acceptable

    return require_acceptable(codes)


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Options from a TOML file; those on the command line win. Of a repeatable one, such as --accept, they replace "
        "all that the file gives.",
        metavar="FILE",
        callback=read_config,
        is_eager=True,
    ),
]
