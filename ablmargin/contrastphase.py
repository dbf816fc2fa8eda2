"""The contrast phase of a CT of the liver, told from Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, Geometry, triple
from ablmargin.itk import resample
from ablmargin.segmentation.aorta import aorta_hu
from ablmargin.segmentation.kidneys import kidneys_hu
from ablmargin.segmentation.spine import find_spine
from ablmargin.segmentation.workgrid import WorkImage, work_image
from ablmargin.volume import LabelMask, Volume


class _Least(NamedTuple):
    """How bright the aorta is at least, HU, and how much brighter than the liver."""

    aorta: float
    above_liver: float


SPACING_MM = 2.5
INSIDE_MM = 5.0
"""So far from its border the liver's tissue and vessels are measured."""
SMOOTHED_OVER = 3
"""Voxels, against noise."""
LEAST_LIVER_ML = 100.0
VESSEL_PERCENTILE = 99.0
VESSEL_SHARE = 0.5
"""How much of its contrast with the liver a vessel there keeps at that percentile of voxels smoothed like this: 0.44 to 0.57 in a real
portal venous CT and in phantoms."""

BLOOD_HU = 40.0
"""Without contrast agent."""
PLAIN_BLOOD_HU, CONTRAST_BLOOD_HU = 60.0, 80.0
"""Blood is surely without contrast agent below the first, surely with it from the second on."""
ARTERIAL_HU = 150.0
ARTERIAL_RATIO, VENOUS_RATIO = 2.0, 1.5
"""How many times as much contrast agent as the vessels of the liver the aorta holds: at least, and at most."""
PORTAL_HU, PORTAL_BESIDE_KIDNEYS_HU = _Least(aorta=130.0, above_liver=32.0), _Least(aorta=120.0, above_liver=15.0)
"""Where kidneys tell that it isn't late, less is asked of the blood."""
PLAIN_KIDNEY_HU = 34.0
PORTAL_KIDNEY_RATIO, DELAYED_KIDNEY_RATIO = 1.55, 1.8
"""How many times as much contrast agent as the aorta the kidneys hold: at most, and at least. They gather what blood loses."""
PLAIN_VESSELS_HU, PLAIN_ABOVE_LIVER_HU = 80.0, 40.0
"""Without contrast agent, vessels of the liver stay below one of these, noise included."""


class ContrastPhase(StrEnum):
    """When after the injection a CT was taken."""

    UNENHANCED = "unenhanced"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal venous"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReading:
    """What a CT shows of its contrast phase.

    Parameters
    ----------
    aorta_hu, vessels_hu, liver_hu : float
        Median of the aorta's core; the vessels within the liver, estimated, if there is contrast agent in them; median of the
        liver's inside.
    kidneys_hu : float, optional
        Median of both kidneys, where they hold contrast agent and lie at the liver's height.
    """

    aorta_hu: float
    vessels_hu: float
    liver_hu: float
    kidneys_hu: float | None = None

    @property
    def phase(self) -> ContrastPhase | None:
        """The phase, or None near a border between two or where none fits.

        Notes
        -----
        Unenhanced: blood below 60 HU. Arterial: the aorta holds at least twice as much contrast agent as the vessels of the
        liver. Portal venous and delayed: at most 1.5 times as much. Portal venous: aorta at least 130 HU and 32 HU above the
        liver; or 120 and 15 HU, and kidneys with at most 1.55 times as much contrast agent as the aorta. Delayed: kidneys with
        at least 1.8 times as much, whatever the dose. Without kidneys that isn't told: with half the dose, a portal venous
        exam looks the same.

        By Goshima 2006, blood and liver of 171 patients gain in the arterial phase 300 to 336 HU in the aorta, 75 to 104 in
        the portal vein, 24 to 51 in hepatic veins and 15 to 25 in the liver; in the portal venous phase 117 to 125 in the
        aorta and 59 to 63 in the liver. With the same injection kidneys gain about 145 to 175 HU at that time, and keep them while
        the aorta loses half of its own.

        References
        ----------
        Goshima S et al. MDCT of the liver and hypervascular hepatocellular carcinomas: optimizing scan delays for
        bolus-tracking techniques of hepatic arterial and portal venous phases. AJR 2006;187:W25-W32.
        doi:10.2214/AJR.04.1878

        Multi-detector row CT of the kidney: optimizing scan delays for bolus tracking techniques of arterial, corticomedullary,
        and nephrographic phases. Eur J Radiol 2007;63:420-426. doi:10.1016/j.ejrad.2007.02.005

        That medians of aorta, vessels and liver tell the phase: Baldini G et al. Addressing the contrast media recognition
        challenge. Invest Radiol 2024. doi:10.1097/RLI.0000000000001071

        Examples
        --------
        >>> PhaseReading(aorta_hu=310, vessels_hu=105, liver_hu=76).phase
        <ContrastPhase.ARTERIAL: 'arterial'>
        >>> PhaseReading(aorta_hu=122, vessels_hu=118, liver_hu=94).phase is None
        True
        """
        if self.aorta_hu < CONTRAST_BLOOD_HU:
            return ContrastPhase.UNENHANCED if self._is_plain else None
        gained, in_vessels = self.aorta_hu - BLOOD_HU, self.vessels_hu - BLOOD_HU
        if gained >= ARTERIAL_RATIO * in_vessels:
            return ContrastPhase.ARTERIAL if self.aorta_hu >= ARTERIAL_HU else None
        return None if gained > VENOUS_RATIO * in_vessels else self._venous

    @property
    def _is_plain(self) -> bool:
        plain_vessels_hu = max(PLAIN_VESSELS_HU, self.liver_hu + PLAIN_ABOVE_LIVER_HU)
        return self.aorta_hu < PLAIN_BLOOD_HU and self.vessels_hu < plain_vessels_hu

    @property
    def _venous(self) -> ContrastPhase | None:
        in_aorta = self.aorta_hu - BLOOD_HU
        in_kidneys = None if self.kidneys_hu is None else self.kidneys_hu - PLAIN_KIDNEY_HU
        if in_kidneys is not None and in_kidneys > PORTAL_KIDNEY_RATIO * in_aorta:
            return ContrastPhase.DELAYED if in_kidneys >= DELAYED_KIDNEY_RATIO * in_aorta else None
        least = PORTAL_HU if in_kidneys is None else PORTAL_BESIDE_KIDNEYS_HU
        is_clear = self.aorta_hu >= least.aorta and self.aorta_hu - self.liver_hu >= least.above_liver
        return ContrastPhase.PORTAL_VENOUS if is_clear else None

    def __str__(self) -> str:
        seen = {"aorta": self.aorta_hu}
        if self.aorta_hu >= CONTRAST_BLOOD_HU:
            seen["vessels of the liver"] = self.vessels_hu
        seen["liver"] = self.liver_hu
        if self.kidneys_hu is not None:
            seen["kidneys"] = self.kidneys_hu
        return ", ".join(f"{name} {hu:.0f} HU" for name, hu in seen.items())


def read_phase(volume: Volume, liver: LabelMask) -> PhaseReading | None:
    """Measure what tells the contrast phase, at the liver's height.

    Parameters
    ----------
    volume : Volume
    liver : LabelMask
        Roughly is enough: 5 mm within its border count, and medians.

    Returns
    -------
    PhaseReading or None
        None where there is less than 100 ml of liver, or no aorta beside a spine.
    """
    image = work_image(volume, SPACING_MM)
    inside = _on_work_grid(liver, image.geometry)
    slices = np.flatnonzero(inside.any(axis=(1, 2)))
    if np.count_nonzero(inside) * image.voxel_ml < LEAST_LIVER_ML:
        return None
    first = int(slices[0])
    spine = find_spine(image, first, int(slices[-1]) + 1)
    aorta = None if spine is None else aorta_hu(image, first, spine)
    tissue_hu = _inner_hu(image, inside)
    if spine is None or aorta is None or not tissue_hu.size:
        return None
    bright, middle = np.percentile(tissue_hu, (VESSEL_PERCENTILE, 50.0))
    vessels = middle + (bright - middle) / VESSEL_SHARE
    return PhaseReading(
        aorta_hu=aorta,
        vessels_hu=float(vessels),
        liver_hu=float(middle),
        kidneys_hu=kidneys_hu(image, first, spine, inside),
    )


def _inner_hu(image: WorkImage, liver: BoolArray) -> Array:
    """HU well within the liver, smoothed, shape (n,)."""
    smooth = ndimage.uniform_filter(image.hu, SMOOTHED_OVER, mode="nearest")
    return smooth[ndimage.binary_erosion(liver, iterations=round(INSIDE_MM / image.spacing_mm))]


def _on_work_grid(mask: LabelMask, grid: Geometry) -> BoolArray:
    """Which voxels of a grid lie in a mask, by every so many voxels of the mask's own as fit into one of the grid."""
    own = mask.geometry
    steps = [max(1, int(SPACING_MM / spacing)) for spacing in own.spacing_mm]
    thin = mask.voxels[:: steps[0], :: steps[1], :: steps[2]]
    shape = (thin.shape[0], thin.shape[1], thin.shape[2])
    thinned = replace(own, shape=shape, spacing_mm=triple(np.array(own.spacing_mm) * steps))
    return np.asarray(resample(thin, thinned, grid) >= 0.5)
