"""Every estimate that is held against the truth, for one pair of shapes."""

from __future__ import annotations

from dataclasses import dataclass

from ablmargin.cautions import too_small
from ablmargin.metrics.coverage import measure_coverage
from ablmargin.metrics.margin import MarginResult, measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import surface_of
from ablmargin.validation.pairs import Kind, ShapePair
from ablmargin.validation.qam import qam_margin
from ablmargin.validation.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class PairErrors:
    """Estimate minus truth for one pair: mm, and shares 0..1.

    Parameters
    ----------
    number : int
        Of the pair of shapes; the same number at another slice spacing has the same shapes.
    kind : {"sphere", "ellipsoid", "lumpy", "fused", "fused ellipsoids", "three balls"}
    slice_spacing_mm : float
    oblique : bool
    true_mam_mm, true_mean_mm : float
    mam_mm, raw_mm, qam_mm : float
        Errors of the minimum margin: this program's, its raw one from voxel to voxel, and QAM's published method's.
    mean_mm, qam_mean_mm : float
        Errors of the mean margin.
    surface_share, qam_surface_share : float
        Largest error of the four shares of the surface (below 0, 0 to 5, 5 to 10, from 10 mm).
    coverage : float
        Largest error of the ablated shares of the tumor grown by 0, 1 … 10 mm.
    tumor_volume : float
        Error of the tumor's volume, as a share of it.
    """

    number: int
    kind: Kind
    slice_spacing_mm: float
    oblique: bool
    true_mam_mm: float
    true_mean_mm: float
    mam_mm: float
    raw_mm: float
    qam_mm: float
    mean_mm: float
    qam_mean_mm: float
    surface_share: float
    qam_surface_share: float
    coverage: float
    tumor_volume: float


def measure_pair(pair: ShapePair, *, number: int, oblique: bool) -> PairErrors | None:
    """Measure a pair's masks the way a case is measured, and compare with the truth.

    Returns
    -------
    PairErrors or None
        None where a case would get no verdict, since one of the masks has too few voxels to tell its surface.
    """
    tumor_mask, zone_mask, truth = pair.tumor_mask, pair.zone_mask, pair.truth
    if too_small(tumor_mask) or too_small(zone_mask):
        return None
    tumor, zone = surface_of(tumor_mask), surface_of(zone_mask)
    margin, qam = measure_margin(tumor, zone), qam_margin(tumor_mask, zone_mask)
    coverage = measure_coverage(tumor, zone).shares
    return PairErrors(
        number=number,
        kind=pair.kind,
        slice_spacing_mm=pair.grid.spacing_mm[0],
        oblique=oblique,
        true_mam_mm=truth.mam_mm,
        true_mean_mm=truth.margin.mean_mm,
        mam_mm=margin.minimum_mm - truth.mam_mm,
        raw_mm=raw_minimum_mm(tumor_mask, zone_mask) - truth.mam_mm,
        qam_mm=qam.minimum_mm - truth.mam_mm,
        mean_mm=margin.mean_mm - truth.margin.mean_mm,
        qam_mean_mm=qam.mean_mm - truth.margin.mean_mm,
        surface_share=_share_error(margin, truth),
        qam_surface_share=_share_error(qam, truth),
        coverage=max(abs(coverage[k] - share) for k, share in truth.coverage.items()),
        tumor_volume=tumor.volume_ml / truth.tumor_volume_ml - 1,
    )


def _share_error(margin: MarginResult, truth: Truth) -> float:
    exact = truth.margin.surface_shares()
    return max(abs(share - exact[name]) for name, share in margin.surface_shares().items())
