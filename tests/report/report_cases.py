"""Measured cases for the report's tests: an ellipsoid of liver, round tumors and zones, a known map between the exams."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from ablmargin.case import Case, Exam, Lesion, RasMutation, SeriesRecord
from ablmargin.errors import Caution
from ablmargin.geometry import FloatArray, Geometry
from ablmargin.measurement import measure_lesion
from ablmargin.metrics.surface import surface_of
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.local_error import LocalError
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.registration.transform import RigidTransform, SplineTransform
from ablmargin.result import CaseResult, MaskRecord, Outlines, Provenance
from ablmargin.target import Rule, Target
from ablmargin.volume import LabelMask, Structure, Volume

PRE = Geometry(shape=(44, 76, 84), spacing_mm=(3.0, 1.8, 1.8), origin_mm=(-80.0, -70.0, 10.0), frame_uid="1.2.3")
POST = Geometry(shape=(56, 84, 92), spacing_mm=(2.5, 1.8, 1.8), origin_mm=(-54.0, -100.0, 26.0), frame_uid="1.2.4")
LIVER_CENTER_MM, LIVER_RADII_MM = np.array([-5.0, -2.0, 75.0]), np.array([62.0, 52.0, 48.0])


class Bend:
    """A shift, and a bend of x along z: invertible by hand."""

    shift_mm = np.array([30.0, -25.0, 20.0])

    def map_points(self, points_mm: FloatArray) -> FloatArray:
        return points_mm + self.shift_mm + self._bend(points_mm)

    def back(self, points_mm: FloatArray) -> FloatArray:
        before = points_mm - self.shift_mm
        return before - self._bend(before)

    @staticmethod
    def _bend(points_mm: FloatArray) -> FloatArray:
        bend = np.zeros_like(points_mm)
        bend[..., 0] = 5.0 * np.sin((points_mm[..., 2] - 75.0) / 30.0)
        return bend


def spline_of(bend: Bend) -> SplineTransform:
    """The same map as alignments have it, to 0.01 mm around the liver."""
    knot_mm, counts = 12.0, (18, 18, 18)
    origin_mm = (-90.0, -90.0, -15.0)
    z_mm = origin_mm[2] + knot_mm * (np.arange(counts[2]) - 1.0)
    smoothing = 1.0 + knot_mm**2 / (6.0 * 30.0**2)  # a spline with these coefficients is flatter than the sine by that
    coefficients = np.zeros((*counts, 3))
    coefficients[..., 0] = smoothing * 5.0 * np.sin((z_mm - 75.0) / 30.0)
    still = RigidTransform(rotation=np.eye(3), translation_mm=tuple(bend.shift_mm.tolist()))
    return SplineTransform(rigid=still, origin_mm=origin_mm, knot_mm=knot_mm, coefficients_mm=coefficients)


class Shift:
    def map_points(self, points_mm: FloatArray) -> FloatArray:
        return points_mm + Bend.shift_mm


def grid_points(geometry: Geometry) -> FloatArray:
    return geometry.points_at(np.stack(np.indices(geometry.shape), axis=-1))


def ball(geometry: Geometry, points_mm: FloatArray, center_mm, radius_mm, structure: Structure) -> LabelMask:
    voxels = (((points_mm - np.array(center_mm)) / radius_mm) ** 2).sum(axis=-1) <= 1
    return LabelMask(voxels=voxels, geometry=geometry, structure=structure)


def good_quality(**changes) -> RegistrationQuality:
    quality = RegistrationQuality(
        method="free-form deformation",
        liver_dice=0.972,
        liver_hd95_mm=2.31,
        liver_asd_mm=0.71,
        jacobian_min=0.81,
        folded_share=0.0,
        inverse_consistency_mm=0.52,
        sd_mm=0.61,
        quality="good",
        reasons=(),
    )
    return replace(quality, **changes)


def failed_quality() -> RegistrationQuality:
    overlap = Reason(code=ReasonCode.LIVERS_OVERLAP_LITTLE, sentence="The livers overlap by only 0.41 (Dice).")
    return good_quality(quality="failed", liver_dice=0.41, reasons=(overlap,))


def withheld_case() -> CaseResult:
    """One tumor after a registration that failed."""
    quality = failed_quality()
    sentence = f"The registration failed: {quality.reasons[0]}"
    failed = Reason(code=ReasonCode.REGISTRATION_QUALITY_FAILED, sentence=sentence)
    return measured_case(quality=quality, hindrances=(failed,))


def measured_case(
    tumors=(("1", (-30.0, 10.0, 80.0), 9.0, 15.0, (2.5, 3.0, -1.0)),),
    *,
    ras_mutation: RasMutation = RasMutation.UNKNOWN,
    with_images: bool = True,
    quality: RegistrationQuality | None = None,
    hindrances: tuple[Reason, ...] = (),
) -> CaseResult:
    """Measure tumors given as (ID, center before ablation, radius, zone radius, zone's offset), mm."""
    bend = Bend()
    pre_mm, post_mm = grid_points(PRE), bend.back(grid_points(POST))
    livers = [ball(g, p, LIVER_CENTER_MM, LIVER_RADII_MM, Structure.LIVER) for g, p in ((PRE, pre_mm), (POST, post_mm))]
    lesions = tuple(
        Lesion(lesion_id=name, tumor=ball(PRE, pre_mm, center, radius, Structure.TUMOR))
        for name, center, radius, _, _ in tumors
    )
    zones = tuple(
        ball(POST, post_mm, np.add(center, offset), radius, Structure.ABLATION_ZONE)
        for _, center, _, radius, offset in tumors
    )
    case = Case(
        case_id="demo-1",
        pre=Exam(
            volume=_ct(PRE, livers[0], [lesion.tumor for lesion in lesions]),
            record=_series("1.2.3.1", 3.0),
            liver=livers[0],
        ),
        post=Exam(volume=_ct(POST, livers[1], zones), record=_series("1.2.4.1", 2.5), liver=livers[1]),
        lesions=lesions,
        zones=zones,
        ras_mutation=ras_mutation,
    )
    target = Target.of(case.ablated, livers[1])
    rule = Rule(ras_mutation=ras_mutation, contour_sd_mm=0.5, hindrances=hindrances)
    error = LocalError(sd_mm=0.61, correlation_length_mm=30.0)
    results = tuple(
        measure_lesion(
            lesion, surface_of(lesion.tumor), target, rule, error=error, post_from_pre=bend, rigid_post_from_pre=Shift()
        )
        for lesion in lesions
    )
    drawn_on = [("pre", livers[0]), ("post", livers[1]), *(("post", zone) for zone in zones)]
    masks = [MaskRecord(structure=m.structure, exam=exam, lesion=None, origin=m.origin) for exam, m in drawn_on]
    result = CaseResult(
        case_id=case.case_id,
        ras_mutation=ras_mutation,
        lesions=results,
        masks=(
            *masks,
            *(
                MaskRecord(structure=Structure.TUMOR, exam="pre", lesion=x.lesion_id, origin=x.tumor.origin)
                for x in lesions
            ),
        ),
        provenance=Provenance(
            settings={"seed": 0, "registration": {"seed": 0, "threads": 2}, "contour_sd_mm": 0.5},
            software={"ablmargin": "0.1.0", "python": "3.12.1", "numpy": "2.1.0"},
            started="2026-01-10T10:00:00+00:00",
            finished="2026-01-10T10:00:41+00:00",
        ),
        zone=target.zone,
        case=case,
        alignment=SimpleNamespace(post_from_pre=spline_of(bend), rigid_post_from_pre=Shift()),
        quality=quality or good_quality(),
        cautions=(Caution(code="PHASE_UNKNOWN", message="The contrast phase of the CT after ablation isn’t known."),),
        timings_s={"register": 21.0, "measure": 3.5},
    )
    return result if with_images else without_images(result)


def without_images(result: CaseResult) -> CaseResult:
    """The same lesions as masks in one frame: the tumor as it lies after ablation, its mask on the grid before."""
    case, shift = result.case, Bend.shift_mm
    moved = replace(PRE, origin_mm=tuple(np.add(PRE.origin_mm, shift).tolist()))
    drawn = tuple(replace(lesion, tumor=replace(lesion.tumor, geometry=moved)) for lesion in case.lesions)
    lesions = tuple(
        replace(lesion, tumor_pre=lesion.tumor_post, rigid_minimum_mm=None, bounds=None) for lesion in result.lesions
    )
    return replace(
        result,
        lesions=lesions,
        case=None,
        outlines=Outlines(lesions=drawn, zones=case.zones, liver=case.post.liver),
        alignment=None,
        quality=None,
        cautions=(),
    )


def _ct(geometry: Geometry, liver: LabelMask, inside) -> Volume:
    noise = np.random.default_rng(7).normal(0, 14, geometry.shape)
    hu = np.where(liver.voxels, 110.0, -20.0)
    for mask in inside:
        hu[mask.voxels] = 55.0
    return Volume(voxels_hu=(hu + noise).astype(np.float32), geometry=geometry)


def _series(uid: str, thickness_mm: float) -> SeriesRecord:
    return SeriesRecord(
        series_uid=uid, slices=50, slice_thickness_mm=thickness_mm, phase="portal venous", sha256="ab" * 32
    )
