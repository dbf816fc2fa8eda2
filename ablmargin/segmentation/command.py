"""A program of the user's own segments: ``--auto-command``, for networks that live in another environment."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from ablmargin.errors import Caution, Fault, InputError, UsageError
from ablmargin.geometry import Array
from ablmargin.regrid import moved_onto
from ablmargin.segmentation.process import Program, labels_by
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.proposal import proposed
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

OPTION = "--auto-command"
PLACES = ("{image}", "{mask}")
"""What stands in a template for the paths of the image and of the mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSegmenter:
    """One command that reads an image in HU and writes a label map, both ``.nii.gz``.

    Parameters
    ----------
    structure : Structure
    template : str
        The command line, with ``{image}`` and ``{mask}`` where the two paths belong, and ``{structure}`` (liver, tumor or
        ablation) where it helps. It is split into words as a shell does, but no shell runs it.
    label : int, optional
        The structure's label; None if the label map holds no other.
    timeout_s : float
        When to end it, s.

    Raises
    ------
    UsageError
        If the template can't be split or lacks a place.
    """

    structure: Structure
    template: str
    label: int | None = None
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        lacking = [place for place in PLACES if not any(place in word for word in _words(self.template))]
        if lacking:
            raise UsageError(f"{OPTION} needs {' and '.join(lacking)} where the path belongs: {self.template!r}")

    @property
    def method(self) -> str:
        """The program's name, and a hash that tells two commands apart: folders and options may hold names or keys."""
        program = PurePath(_words(self.template)[0]).name
        return f"command: {program} ({hashlib.sha256(self.template.encode()).hexdigest()[:8]})"

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,  # noqa: ARG002 - commands see the image alone
        lesions: Sequence[LabelMask] = (),
    ) -> Segmentation:
        """Run the command on an image; the mask is brought onto the image's grid by its place in space.

        Raises
        ------
        UsageError
            If the program can't be started.
        InputError
            PROMPT_OUTSIDE; SEGMENTATION_FAILED if the command fails; MASK_SEVERAL_LABELS if there are several and none was
            chosen; MASK_OUTSIDE_IMAGE if the mask doesn't lie in the image.
        """
        require_imaged(prompt, volume.geometry)
        labels, geometry = labels_by(Program(name=OPTION, command=self._command, timeout_s=self.timeout_s), volume)
        origin = MaskOrigin(source="automatic", method=self.method, reviewed=False)
        mask = LabelMask(
            voxels=self._chosen(labels),
            geometry=geometry,
            structure=self.structure,
            origin=replace(origin, name=OPTION),
        )
        cautions: list[Caution] = []
        if mask.is_empty:
            mask = replace(mask, voxels=np.zeros(volume.geometry.shape, np.bool_), geometry=volume.geometry)
        mask = moved_onto(mask, volume.geometry, name=f"the mask by {OPTION}", cautions=cautions)
        return proposed(replace(mask, origin=origin), prompt, lesions, tuple(cautions))

    def _command(self, image: Path, mask: Path) -> list[str]:
        words = [word.replace("{structure}", self.structure) for word in _words(self.template)]
        return [word.replace("{image}", str(image)).replace("{mask}", str(mask)) for word in words]

    def _chosen(self, labels: Array) -> Array:
        if self.label is not None:
            return np.asarray(labels == self.label)
        present = np.unique(labels[labels != 0]).tolist()
        if len(present) > 1:
            raise InputError(
                Fault(
                    code="MASK_SEVERAL_LABELS",
                    source=f"the mask by {OPTION}",
                    found=f"{len(present)} labels: {', '.join(map(str, present[:20]))}",
                    expected=f"the {self.structure} alone, or the choice of a label",
                    remedy="Choose the structure's label, or let the command write it alone.",
                )
            )
        return np.asarray(labels != 0)


def _words(template: str) -> list[str]:
    try:
        return shlex.split(template)
    except ValueError as error:
        raise UsageError(f"{OPTION} can't be split into words ({error}): {template!r}") from None
