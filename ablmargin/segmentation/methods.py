"""Which method outlines which structure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ablmargin.segmentation.lesion import LesionSegmenter
from ablmargin.segmentation.liver import LiverWalker
from ablmargin.segmentation.protocol import Segmenter
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

    def of(self, structure: Structure) -> Segmenter:
        """The method for a structure."""
        return {Structure.LIVER: self.liver, Structure.TUMOR: self.tumor, Structure.ABLATION_ZONE: self.zone}[structure]
