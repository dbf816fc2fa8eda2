"""What every way to segment takes and gives, so that each can stand in for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ablmargin.errors import Caution
from ablmargin.geometry import Triple
from ablmargin.volume import LabelMask, Volume

Axis = tuple[Triple, Triple]
"""The two ends of a lesion's longest diameter, LPS mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Where a reader pointed, all points (x, y, z), LPS mm.

    Parameters
    ----------
    point_mm : (float, float, float), optional
        A place inside the structure.
    axis_mm : two points, optional
        The ends of its long axis, as readers draw it; tells the size too.
    inside_mm, outside_mm : sequence of points
        More places that are inside or outside for certain: they mend a first result.
    """

    point_mm: Triple | None = None
    axis_mm: Axis | None = None
    inside_mm: tuple[Triple, ...] = ()
    outside_mm: tuple[Triple, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was pointed at: the method has to find the structure by itself."""
        return self.point_mm is None and self.axis_mm is None and not self.inside_mm

    @property
    def all_inside_mm(self) -> tuple[Triple, ...]:
        """Every point that lies inside for certain; of an axis, whose ends lie on the surface, its center."""
        centers = () if self.axis_mm is None else (_center(self.axis_mm),)
        points = () if self.point_mm is None else (self.point_mm,)
        return (*points, *centers, *self.inside_mm)


NO_PROMPT = Prompt()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A proposal: a mask, and what its maker thinks of it.

    Parameters
    ----------
    mask : LabelMask
        On the image's own grid. Its origin tells source, method and version, and isn't reviewed. May be empty.
    doubts : sequence of str
        Why the mask can't be trusted, as sentences with their figures; none if it can.
    cautions : sequence of Caution
        What whoever uses the mask must know although it can be trusted: ``LIVER_TRUNCATED``.
    """

    mask: LabelMask
    doubts: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()

    @property
    def is_trusted(self) -> bool:
        return not self.doubts and not self.mask.is_empty


class Segmenter(Protocol):
    """One way to segment one structure."""

    @property
    def method(self) -> str:
        """Name and version, for the mask's origin: what could reproduce it."""
        ...

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,
        lesions: Sequence[LabelMask] = (),
    ) -> Segmentation:
        """Propose a mask.

        Parameters
        ----------
        volume : Volume
        prompt : Prompt
        liver : LabelMask, optional
            On the volume's grid; helps a tumor or a zone, and may be wrong at the lesion.
        lesions : sequence of LabelMask
            Tumors and zones that are known, on the volume's grid: they belong to the liver.

        Raises
        ------
        InputError
            PROMPT_OUTSIDE if a point lies outside of the image; PROMPT_MISSING if the method needs one.
        MissingExtraError
            If the method's package or its weights aren't installed.
        """
        ...


def _center(axis_mm: Axis) -> Triple:
    (ax, ay, az), (bx, by, bz) = axis_mm
    return ((ax + bx) / 2, (ay + by) / 2, (az + bz) / 2)
