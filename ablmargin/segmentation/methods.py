"""Which method outlines which structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ablmargin.errors import UsageError
from ablmargin.segmentation.command import CommandSegmenter
from ablmargin.segmentation.lesion import LesionSegmenter
from ablmargin.segmentation.liver import LiverWalker
from ablmargin.segmentation.protocol import Segmenter
from ablmargin.segmentation.segmentername import SegmenterName
from ablmargin.volume import Structure


def _tumor() -> Segmenter:
    return LesionSegmenter(structure=Structure.TUMOR)


def _zone() -> Segmenter:
    return LesionSegmenter(structure=Structure.ABLATION_ZONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """A method for each structure; those that are built in, unless others are given."""

    liver: Segmenter = field(default_factory=LiverWalker)
    tumor: Segmenter = field(default_factory=_tumor)
    zone: Segmenter = field(default_factory=_zone)

    @classmethod
    def chosen(
        cls,
        name: SegmenterName = SegmenterName.BUILT_IN,
        *,
        model: Path | None = None,
        command: str | None = None,
        threads: int = 0,
    ) -> Methods:
        """One of the networks where it has something to say, the built-in methods elsewhere.

        Parameters
        ----------
        name : SegmenterName
            TotalSegmentator outlines livers and tumors.
        model : Path, optional
            An ONNX file with its TOML file: outlines what it has labels for.
        command : str, optional
            A command line, see :class:`~ablmargin.segmentation.command.CommandSegmenter`: outlines livers; with
            ``{structure}`` in it, everything.
        threads : int
            Of the ONNX model; 0 for all cores.

        Raises
        ------
        UsageError
            If more than one network is chosen.
        MissingExtraError, InputError
            If it isn't installed or can't be used.
        """
        picked = [name is not SegmenterName.BUILT_IN, model is not None, command is not None]
        if sum(picked) > 1:
            raise UsageError("choose one of --segmenter, --model and --auto-command")
        if name is SegmenterName.TOTALSEGMENTATOR:
            return _total_segmentator()
        if model is not None:
            return _of_model(model, threads)
        if command is not None:
            return _of_command(command)
        return cls()

    def of(self, structure: Structure) -> Segmenter:
        """The method for a structure."""
        return {Structure.LIVER: self.liver, Structure.TUMOR: self.tumor, Structure.ABLATION_ZONE: self.zone}[structure]


def _total_segmentator() -> Methods:
    from ablmargin.segmentation.totalsegmentator import TotalSegmentator  # noqa: PLC0415 - an extra

    liver = TotalSegmentator(structure=Structure.LIVER)
    liver.require_installed()
    return Methods(liver=liver, tumor=TotalSegmentator(structure=Structure.TUMOR))


def _of_model(path: Path, threads: int) -> Methods:
    from ablmargin.segmentation.onnxmodel import OnnxModel  # noqa: PLC0415 - an extra

    model = OnnxModel.load(path, threads=threads)
    known = set(model.sheet.labels.values())
    usual = Methods()
    return Methods(
        liver=model.segmenter(Structure.LIVER) if Structure.LIVER in known else usual.liver,
        tumor=model.segmenter(Structure.TUMOR) if Structure.TUMOR in known else usual.tumor,
        zone=model.segmenter(Structure.ABLATION_ZONE) if Structure.ABLATION_ZONE in known else usual.zone,
    )


def _of_command(template: str) -> Methods:
    liver, tumor, zone = (
        CommandSegmenter(structure=structure, template=template)
        for structure in (Structure.LIVER, Structure.TUMOR, Structure.ABLATION_ZONE)
    )
    return Methods(liver=liver, tumor=tumor, zone=zone) if "{structure}" in template else Methods(liver=liver)
