"""The contrast phase from HU: rules on numbers, phantoms whose phase is known, images that don't show enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ablmargin.contrastphase import ContrastPhase, PhaseReading, read_phase
from ablmargin.geometry import Geometry
from ablmargin.loading import load_image, load_mask
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.simulation.scenarios import SCENARIOS
from ablmargin.volume import LabelMask, Structure, Volume

COARSE = 2.0
"""Voxels of 2.3 x 2.3 x 4 mm: quick, and coarser than most clinical CT."""
CORE_HU = 8.0
"""The aorta's core, 5 mm wide, of an aorta 21 mm wide: only noise, and steps of 2.3 mm, may move it."""

TYPICAL = {
    ContrastPhase.UNENHANCED: PhaseReading(aorta_hu=42, vessels_hu=66, liver_hu=56, kidneys_hu=34),
    ContrastPhase.ARTERIAL: PhaseReading(aorta_hu=320, vessels_hu=110, liver_hu=78, kidneys_hu=150),
    ContrastPhase.PORTAL_VENOUS: PhaseReading(aorta_hu=160, vessels_hu=165, liver_hu=112, kidneys_hu=172),
    ContrastPhase.DELAYED: PhaseReading(aorta_hu=108, vessels_hu=109, liver_hu=92, kidneys_hu=168),
}


@pytest.fixture(scope="module")
def exams() -> dict[str, tuple[Volume, LabelMask]]:
    """An exam in each phase; the liver lies elsewhere in every other one."""
    found = {}
    for seed, (first, second) in enumerate((("portal", "arterial"), ("delayed", "unenhanced")), start=5):
        scenario = replace(SCENARIOS["thin-margin"], phase_pre=first, phase_post=second, noise_post_hu=25.0)
        pair = simulate_phantom(scenario, seed=seed, coarse=COARSE)
        found[pair.phase_pre] = pair.pre, pair.liver_pre
        found[pair.phase_post] = pair.post, pair.liver_post
    return found


@pytest.mark.parametrize("phase", ContrastPhase)
def test_what_is_typical_of_a_phase_tells_it(phase):
    assert TYPICAL[phase].phase is phase


@pytest.mark.parametrize("first", ContrastPhase)
@pytest.mark.parametrize("second", ContrastPhase)
def test_between_two_phases_lies_doubt(first, second):
    """On the straight way from one phase to another, no two follow each other at once."""
    shares = np.linspace(0.0, 1.0, 2001)
    told = [_mixed(TYPICAL[first], TYPICAL[second], share).phase for share in shares]
    pairs = {(one, other) for one, other in pairwise(told) if None not in (one, other)}
    assert all(one is other for one, other in pairs)
    assert first is second or None in told


def _mixed(one: PhaseReading, other: PhaseReading, share: float) -> PhaseReading:
    fields = ("aorta_hu", "vessels_hu", "liver_hu", "kidneys_hu")
    return PhaseReading(**{name: (1 - share) * getattr(one, name) + share * getattr(other, name) for name in fields})


@pytest.mark.parametrize(
    "reading",
    [
        PhaseReading(aorta_hu=70, vessels_hu=72, liver_hu=62),  # hardly any contrast agent, or unenhanced and streaks
        PhaseReading(aorta_hu=45, vessels_hu=110, liver_hu=60),  # bright within the liver alone: not blood
        PhaseReading(aorta_hu=125, vessels_hu=52, liver_hu=48),  # too early, or a weak bolus
        PhaseReading(aorta_hu=230, vessels_hu=148, liver_hu=90),  # between arterial and portal venous
        PhaseReading(aorta_hu=132, vessels_hu=138, liver_hu=96, kidneys_hu=188),  # between portal venous and delayed
        PhaseReading(aorta_hu=105, vessels_hu=109, liver_hu=90),  # delayed, or portal venous with half the dose
        PhaseReading(aorta_hu=150, vessels_hu=138, liver_hu=128),  # a late exam with much contrast agent
        PhaseReading(aorta_hu=105, vessels_hu=90, liver_hu=50),  # weak portal venous, or late and a fatty liver
    ],
)
def test_what_fits_none_or_two_is_not_told(reading):
    assert reading.phase is None


def test_kidneys_tell_a_late_exam_whatever_the_dose():
    usual = TYPICAL[ContrastPhase.DELAYED]
    for dose in (0.7, 1.0, 1.8):
        gains = {"aorta_hu": dose * (usual.aorta_hu - 40) + 40, "kidneys_hu": dose * (usual.kidneys_hu - 34) + 34}
        assert replace(usual, **gains, vessels_hu=gains["aorta_hu"]).phase is ContrastPhase.DELAYED


def test_kidneys_tell_a_weak_portal_venous_exam():
    weak = PhaseReading(aorta_hu=127, vessels_hu=133, liver_hu=105)
    assert weak.phase is None
    assert replace(weak, kidneys_hu=145).phase is ContrastPhase.PORTAL_VENOUS
    assert replace(weak, kidneys_hu=175).phase is None


def test_fat_in_the_liver_does_not_hide_the_portal_venous_phase():
    assert PhaseReading(aorta_hu=160, vessels_hu=165, liver_hu=30).phase is ContrastPhase.PORTAL_VENOUS


def test_words_leave_out_what_was_not_seen():
    """Without contrast agent, the brightest of the liver is no vessel."""
    assert str(PhaseReading(aorta_hu=41.4, vessels_hu=74, liver_hu=57)) == "aorta 41 HU, liver 57 HU"
    assert str(TYPICAL[ContrastPhase.DELAYED]).endswith("vessels of the liver 109 HU, liver 92 HU, kidneys 168 HU")


@pytest.mark.parametrize("phase", ContrastPhase)
def test_phantoms_are_told_right(exams, phase):
    reading = read_phase(*exams[phase])
    assert reading.phase is phase
    true_hu = {"portal venous": 160, "arterial": 310, "delayed": 108, "unenhanced": 42}[phase]
    assert reading.aorta_hu == pytest.approx(true_hu, abs=CORE_HU)
    if phase in {ContrastPhase.PORTAL_VENOUS, ContrastPhase.DELAYED}:
        assert reading.vessels_hu == pytest.approx({"portal venous": 165, "delayed": 108}[phase], abs=15)
        assert reading.kidneys_hu == pytest.approx({"portal venous": 170, "delayed": 168}[phase], abs=CORE_HU)


@pytest.mark.parametrize("shift_hu", range(-30, 121, 15))
def test_shifted_values_are_told_as_what_they_look_like_or_not_at_all(exams, shift_hu):
    """An unenhanced exam in which all is brighter never looks like one in which vessels shine."""
    volume, liver = exams["unenhanced"]
    told = read_phase(replace(volume, voxels_hu=volume.voxels_hu + np.float32(shift_hu)), liver)
    assert told is None or told.phase in {None, ContrastPhase.UNENHANCED}
    if told is not None and abs(shift_hu) <= 10:
        assert told.phase is ContrastPhase.UNENHANCED


def test_the_order_of_the_axes_does_not_matter(exams):
    volume, liver = exams["arterial"]
    straight = read_phase(volume, liver)
    order = _turned(volume.voxels_hu, volume.geometry, Volume), _turned(liver.voxels, liver.geometry, LabelMask)
    turned = read_phase(*order)
    assert turned.phase is straight.phase
    # The working grid may lie half a voxel aside.
    for name in ("aorta_hu", "vessels_hu", "liver_hu"):
        assert getattr(turned, name) == pytest.approx(getattr(straight, name), abs=2.0)


def _turned(array, grid: Geometry, kind):
    """The same in another order of axes: the slices from head to feet as the last one, rows from left to right."""
    slices, rows, columns = grid.directions
    last = (grid.shape[0] - 1, 0, grid.shape[2] - 1)
    turned = replace(
        grid,
        shape=(grid.shape[2], grid.shape[1], grid.shape[0]),
        spacing_mm=grid.spacing_mm[::-1],
        origin_mm=tuple(grid.points_at([last])[0]),
        directions=(tuple(-np.array(columns)), rows, tuple(-np.array(slices))),
    )
    values = array[::-1, :, ::-1].transpose(2, 1, 0)
    if kind is Volume:
        return Volume(voxels_hu=values, geometry=turned)
    return LabelMask(voxels=values, geometry=turned, structure=Structure.LIVER)


@pytest.mark.parametrize("phase", ContrastPhase)
@pytest.mark.parametrize("left_mm", [-60.0, -20.0, 10.0, 30.0])
def test_an_image_that_ends_where_the_aorta_may_run_tells_nothing(exams, phase, left_mm):
    """Cut off to the left of the spine, which lies within 10 mm of the image's middle; the aorta is 16 mm left of it."""
    volume, liver = exams[phase]
    middle = volume.geometry.shape[2] // 2
    stop = (*volume.geometry.shape[:2], middle + round(left_mm / volume.geometry.spacing_mm[2]))
    assert read_phase(volume.cropped((0, 0, 0), stop), _cropped(liver, stop)) is None


def _cropped(mask: LabelMask, stop: tuple[int, int, int]) -> LabelMask:
    part = tuple(slice(0, end) for end in stop)
    return replace(mask, voxels=mask.voxels[part], geometry=mask.geometry.cropped((0, 0, 0), stop))


def test_without_spine_or_liver_nothing_is_told(exams):
    volume, liver = exams["portal venous"]
    front = (volume.geometry.shape[0], volume.geometry.shape[1] // 2, volume.geometry.shape[2])
    assert read_phase(volume.cropped((0, 0, 0), front), _cropped(liver, front)) is None
    assert read_phase(volume, replace(liver, voxels=np.zeros_like(liver.voxels))) is None
    assert read_phase(replace(volume, voxels_hu=np.full_like(volume.voxels_hu, 50.0)), liver) is None
    assert read_phase(replace(volume, voxels_hu=np.full_like(volume.voxels_hu, -1000.0)), liver) is None


@pytest.mark.data
def test_a_real_portal_venous_ct_with_contrast_agent_in_the_stomach(data_folder):
    volume = load_image(data_folder / "hcc048_portal_venous").volume
    liver = load_mask(str(data_folder / "hcc048_liver_consensus.nii.gz"), Structure.LIVER, onto=volume.geometry)
    reading = read_phase(volume, liver)
    assert reading.phase is ContrastPhase.PORTAL_VENOUS
    # By hand: 163 HU at the lower end of the liver, 228 at its dome.
    assert 163 < reading.aorta_hu < 228
