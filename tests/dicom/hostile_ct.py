"""CT as scanners, archives and attackers may deliver it: every case with what must come of it, collected from its files."""

from __future__ import annotations

import hostile_enhanced
import hostile_files
import hostile_geometry
import hostile_mixing
import hostile_pairs
import hostile_pixels
from hostile_cases import CASES

FAMILIES = (hostile_geometry, hostile_mixing, hostile_pixels, hostile_enhanced, hostile_pairs, hostile_files)
__all__ = ["CASES", "FAMILIES"]
