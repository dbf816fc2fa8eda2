"""What one analysis is about: one patient's liver before and after ablation.

Not called "study": in DICOM the two exams are two studies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from ablmargin.geometry import FloatArray
from ablmargin.volume import LabelMask, Structure, Volume

UNNAMED_CASE = "case"
"""The ID of a case that nobody gave one; no report shows it."""
CASE_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A case or lesion ID becomes part of file names, so only these characters are allowed."""

PhaseSource = Literal["header", "HU"]
"""Who told the contrast phase: whoever described the series, or its Hounsfield units."""


class RasMutation(StrEnum):
    """Mutation of the RAS genes (KRAS, NRAS). Nothing to do with the RAS+ axis convention."""

    WILD_TYPE = "wildtype"
    MUTANT = "mutant"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """What is known of the series that a volume was read from. Nothing here identifies the patient.

    ``acquired`` is the acquisition's date and time as ISO 8601 text; ``phase`` the contrast phase in words, ``phase_source``
    who told it, ``phase_evidence`` what was measured to tell it. Unknown things are None; a volume that isn't from DICOM
    knows little more than its hash.
    """

    modality: str = "CT"
    series_uid: str | None = None
    slices: int = 0
    slice_thickness_mm: float | None = None
    phase: str | None = None
    phase_source: PhaseSource | None = None
    phase_evidence: str | None = None
    acquired: str | None = None
    sha256: str | None = None
    name: str = ""
    """The file or folder, as the user named it; only for messages."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """One CT with the liver drawn on it. The liver's mask lies on the volume's own grid."""

    volume: Volume
    record: SeriesRecord
    liver: LabelMask | None = None

    def __post_init__(self) -> None:
        _require_on_grid(self.liver, Structure.LIVER, self.volume)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesion:
    """One index tumor, drawn on the CT before ablation."""

    lesion_id: str
    tumor: LabelMask

    def __post_init__(self) -> None:
        require_plain_name(self.lesion_id, "a lesion ID")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Landmarks:
    """The same places in both exams, shape (n, 3) each, in the frame of the exam, LPS mm."""

    pre_mm: FloatArray
    post_mm: FloatArray

    def __post_init__(self) -> None:
        if self.pre_mm.shape != self.post_mm.shape or self.pre_mm.ndim != 2 or self.pre_mm.shape[1:] != (3,):
            raise ValueError(f"landmarks must be pairs of points, not {self.pre_mm.shape} and {self.post_mm.shape}")
        if not len(self.pre_mm):
            raise ValueError("there must be at least one pair of landmarks")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """Segments and vessels of the liver, drawn on the exam before ablation.

    Only reports tell of them: no margin, no registration and no verdict depends on them.

    Parameters
    ----------
    segments : mapping of str to LabelMask
        Couinaud segments by their Roman numerals, IVa and IVb among them; each on any grid in the tumors' frame. Empty if
        none are known.
    vessels : LabelMask, optional
        Hepatic and portal veins, on any grid in the tumors' frame.
    """

    segments: Mapping[str, LabelMask] = field(default_factory=dict)
    vessels: LabelMask | None = None

    def __post_init__(self) -> None:
        expected = {Structure.LIVER_SEGMENT} if self.segments else set()
        if {mask.structure for mask in self.segments.values()} != expected:
            raise ValueError("expected masks of segments of the liver")
        if self.vessels is not None and self.vessels.structure is not Structure.VESSELS:
            raise ValueError(f"expected a mask of the vessels, not of the {self.vessels.structure}")

    def reviewed(self) -> Anatomy:
        """The same, a reader vouching for all masks."""
        return Anatomy(
            segments={name: mask.reviewed() for name, mask in self.segments.items()},
            vessels=self.vessels and self.vessels.reviewed(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Both exams of one patient, the tumors (on pre) and the ablation zones (on post).

    Zones aren't assigned to tumors: each tumor is judged against the union of all zones, as overlapping ablations
    treat together. Tumors and zones may be absent where exams are only to be registered. ``landmarks`` only measure the
    registration; they don't guide it.
    """

    case_id: str
    pre: Exam
    post: Exam
    lesions: tuple[Lesion, ...]
    zones: tuple[LabelMask, ...]
    ras_mutation: RasMutation = RasMutation.UNKNOWN
    landmarks: Landmarks | None = None
    anatomy: Anatomy | None = None

    def __post_init__(self) -> None:
        require_plain_name(self.case_id, "a case ID")
        if len({lesion.lesion_id for lesion in self.lesions}) != len(self.lesions):
            raise ValueError("lesion IDs must differ from each other")
        for lesion in self.lesions:
            _require_on_grid(lesion.tumor, Structure.TUMOR, self.pre.volume)
        for zone in self.zones:
            _require_on_grid(zone, Structure.ABLATION_ZONE, self.post.volume)

    @property
    def ablated(self) -> LabelMask:
        """The union of all ablation zones, on the post grid."""
        return self.zones[0].union(*self.zones[1:])


def require_plain_name(text: str, what: str) -> None:
    """Raise ValueError unless the text is safe as part of a file name."""
    if not CASE_ID_PATTERN.fullmatch(text):
        raise ValueError(f"{what} may hold letters, digits, '.', '_' and '-' (64 at most), not {text!r}")


def _require_on_grid(mask: LabelMask | None, structure: Structure, volume: Volume) -> None:
    if mask is None:
        return
    if mask.structure is not structure:
        raise ValueError(f"expected a mask of the {structure}, not of the {mask.structure}")
    if not mask.geometry.same_grid_as(volume.geometry):
        raise ValueError(f"the {structure} mask must lie on its image's grid")
