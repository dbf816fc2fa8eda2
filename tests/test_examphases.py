"""What follows from the contrast phases of two exams, as records and HU tell them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablmargin import examphases
from ablmargin.case import Case, Exam, SeriesRecord
from ablmargin.contrastphase import ContrastPhase, PhaseReading
from ablmargin.examphases import with_phases
from ablmargin.geometry import Geometry
from ablmargin.volume import LabelMask, Structure, Volume

HU = {
    "unenhanced": PhaseReading(aorta_hu=42, vessels_hu=66, liver_hu=56),
    "arterial": PhaseReading(aorta_hu=320, vessels_hu=95, liver_hu=78),
    "portal venous": PhaseReading(aorta_hu=160, vessels_hu=165, liver_hu=112),
    "delayed": PhaseReading(aorta_hu=108, vessels_hu=109, liver_hu=92, kidneys_hu=168),
    "doubtful": PhaseReading(aorta_hu=122, vessels_hu=110, liver_hu=92),
    None: None,
}


@pytest.fixture
def told(monkeypatch):
    """Tells what follows from (what the record says, what HU look like) before and after ablation."""

    def tell(before: tuple[str | None, str | None], after: tuple[str | None, str | None]):
        case = Case(case_id="c", pre=_exam(before[0]), post=_exam(after[0]), lesions=(), zones=())
        looks = {id(case.pre.volume): HU[before[1]], id(case.post.volume): HU[after[1]]}
        monkeypatch.setattr(examphases, "read_phase", lambda volume, _liver: looks[id(volume)])
        return with_phases(case)

    return tell


def _exam(said: str | None) -> Exam:
    grid = Geometry(shape=(2, 2, 2), spacing_mm=(1, 1, 1), origin_mm=(0, 0, 0))
    return Exam(
        volume=Volume(voxels_hu=np.zeros(grid.shape, np.float32), geometry=grid),
        record=SeriesRecord(phase=said, phase_source="header" if said else None),
        liver=LabelMask(voxels=np.ones(grid.shape, np.bool_), geometry=grid, structure=Structure.LIVER),
    )


def _codes(told) -> list[str]:
    return [caution.code for caution in told.cautions]


def test_one_phase_in_both_is_no_matter(told):
    phased = told(("portal venous", "portal venous"), (None, "portal venous"))
    assert not phased.cautions
    assert not phased.hindrances
    assert phased.case.pre.record.phase_source == "header"


def test_a_phase_that_no_record_names_comes_from_hu(told):
    record = told((None, "portal venous"), (None, None)).case.pre.record
    assert (record.phase, record.phase_source) == ("portal venous", "HU")
    assert type(record.phase) is str
    assert record.phase_evidence == "aorta 160 HU, vessels of the liver 165 HU, liver 112 HU"


def test_doubtful_hu_tell_nothing_but_themselves(told):
    record = told((None, "doubtful"), (None, None)).case.pre.record
    assert (record.phase, record.phase_source) == (None, None)
    assert record.phase_evidence.startswith("aorta 122 HU")


def test_nothing_known_hinders_nothing(told):
    phased = told((None, None), (None, "doubtful"))
    assert _codes(phased) == ["PHASE_UNKNOWN"]
    assert "before ablation and of that after ablation can't be told" in phased.cautions[0].message
    assert not phased.hindrances


def test_a_record_that_hu_contradict_stays_and_is_told(told):
    phased = told(("arterial", "portal venous"), ("portal venous", "portal venous"))
    assert _codes(phased) == ["PHASE_CONTRADICTED"]
    for words in ("before ablation", "called arterial", "portal venous", "aorta 160 HU"):
        assert words in phased.cautions[0].message
    assert phased.case.pre.record.phase == "arterial"
    assert phased.case.pre.record.phase_source == "header"
    assert not phased.hindrances


@pytest.mark.parametrize("looks", ["unenhanced", None])
def test_no_verdict_without_contrast_agent(told, looks):
    phased = told(("portal venous", "portal venous"), ("unenhanced", looks))
    assert _codes(phased) == ["PHASES_DIFFER"]
    (reason,) = phased.hindrances
    assert reason.code == "PHASE_UNENHANCED"
    assert reason.sentence.startswith("The CT after ablation is unenhanced")
    assert "ablation zone" in reason.sentence


def test_pixels_outweigh_a_word(told):
    assert not told(("unenhanced", "portal venous"), (None, "portal venous")).hindrances
    assert len(told((None, "unenhanced"), ("portal venous", "unenhanced")).hindrances) == 2


@pytest.mark.parametrize(
    ("before", "after", "hindered"),
    [
        ("portal venous", "arterial", True),
        ("arterial", "delayed", True),
        ("arterial", "arterial", False),
        ("portal venous", "delayed", False),
        ("arterial", None, True),
        (None, "arterial", True),
        ("portal venous", None, False),
        (None, "delayed", False),
    ],
)
def test_an_arterial_exam_carries_no_verdict_beside_another_phase(told, before, after, hindered):
    phased = told((None, before), (None, after))
    unlike = ["PHASE_UNKNOWN"] if None in (before, after) else ["PHASES_DIFFER"]
    assert [reason.code for reason in phased.hindrances] == unlike * hindered
    assert _codes(phased) == ([] if before == after else unlike)


def test_without_a_liver_nothing_is_measured(told):
    case = told((None, "portal venous"), (None, "portal venous")).case
    bare = replace(case, pre=replace(_exam(None), liver=None), post=replace(_exam(None), liver=None))
    assert with_phases(bare).case.pre.record.phase is None


def test_headers_and_hu_speak_of_the_same_phases():
    from ablmargin.dicom.phase import _WORDS

    assert set(_WORDS) == {phase.value for phase in ContrastPhase}
