"""The phantom's liver: its outline, which differs by seed, and what leaves its mark on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Triple, triple
from ablmargin.simulation.fields import (
    Points,
    Values,
    WaveField,
    ellipsoid_level,
    smooth_common,
    smooth_union,
)
from ablmargin.simulation.trunk import cavity_level

SURFACE_MM = 2.2
"""Standard deviation of the liver's individual outline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An axis-aligned ellipsoid, LPS mm."""

    center_mm: Triple
    radii_mm: Triple

    def level(self, points_mm: Points) -> Values:
        """Negative inside."""
        return ellipsoid_level(points_mm, self.center_mm, self.radii_mm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiverShape:
    """Right and left lobe melted together, cut by what lies around them. All in the pre frame."""

    right: Ellipsoid
    left: Ellipsoid
    gallbladder: Ellipsoid
    outline: WaveField

    @classmethod
    def random(cls, rng: np.random.Generator) -> LiverShape:
        """A liver of its own for each generator state."""
        size = rng.uniform(0.95, 1.04)
        return cls(
            right=Ellipsoid(
                center_mm=triple(np.array([-57.0, -3.0, -4.0]) + rng.uniform(-3, 3, 3)),
                radii_mm=triple(np.array([74.0, 72.0, 80.0]) * size * rng.uniform(0.97, 1.03, 3)),
            ),
            left=Ellipsoid(
                center_mm=triple(np.array([20.0, -40.0, 24.0]) + rng.uniform(-5, 5, 3)),
                radii_mm=triple(np.array([72.0, 36.0, 36.0]) * size * rng.uniform(0.9, 1.08, 3)),
            ),
            gallbladder=Ellipsoid(
                center_mm=triple(np.array([-36.0, -46.0, -58.0]) + rng.uniform(-4, 4, 3)),
                radii_mm=triple(np.array([13.0, 17.0, 25.0]) * rng.uniform(0.85, 1.1)),
            ),
            outline=WaveField.random(rng, correlation_mm=22.0),
        )

    def level(self, points_mm: Points) -> Values:
        """Level of the liver's surface: negative inside, exact at zero, near to a distance around it."""
        level = self.smooth_level(points_mm)
        level += points_mm.dtype.type(SURFACE_MM) * self.outline.scalar(points_mm)
        return np.asarray(smooth_common(level, 1.5 - self.gallbladder.level(points_mm), 4.0))

    def smooth_level(self, points_mm: Points) -> Values:
        """The outline without its individual bumps and without the gallbladder's bed."""
        x, _, z = points_mm.T
        level = smooth_union(self.right.level(points_mm), self.left.level(points_mm), 25.0)
        level = smooth_common(level, 0.45 * x - 0.89 * z - 62.0, 16.0)
        level = smooth_common(level, cavity_level(points_mm) + 3.0, 10.0)
        for center, radii, width in _IMPRESSIONS:
            level = smooth_common(level, -ellipsoid_level(points_mm, center, radii), width)
        return level


_IMPRESSIONS = (
    ((0.0, 60.0, 0.0), (40.0, 36.0, 400.0), 10.0),  # spine and crura
    ((-62.0, 54.0, -86.0), (31.0, 31.0, 58.0), 10.0),  # right kidney
    ((8.0, -72.0, -12.0), (5.0, 34.0, 34.0), 6.0),  # fissure of the round ligament
    ((62.0, -14.0, 8.0), (44.0, 40.0, 54.0), 12.0),  # stomach
    ((-11.0, 31.0, 10.0), (13.5, 13.0, 120.0), 4.0),  # cava
    ((2.0, 8.0, -36.0), (30.0, 24.0, 24.0), 12.0),  # hilum
)
