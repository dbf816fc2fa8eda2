"""The colors of the report. Told apart by lightness as well as by hue, so that color-blind readers and gray prints keep them."""

from __future__ import annotations

from dataclasses import dataclass

TUMOR = "#ffb000"
ZONE = "#4fc3ff"
RING = "#ffffff"
BALL = "#7dd87d"
LIVER = "#4a4038"
VESSELS = "#ff8ad8"
INK = "#1d2733"
MUTED = "#667380"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of margins, mm: ``key`` as in ``surface_share`` of result.json, its lower end and its color."""

    key: str
    label: str
    from_mm: float
    color: str


BANDS = (
    Band(key="below_0", label="below 0 mm (not ablated)", from_mm=float("-inf"), color="#7a0f2b"),
    Band(key="0_to_5", label="0 to 5 mm", from_mm=0.0, color="#ec7a32"),
    Band(key="5_to_10", label="5 to 10 mm", from_mm=5.0, color="#f6dc85"),
    Band(key="from_10", label="10 mm or more", from_mm=10.0, color="#2f7fb8"),
)
"""The bands in which every picture and table shows margins."""

BAND_EDGES_MM = tuple(band.from_mm for band in BANDS[1:])
