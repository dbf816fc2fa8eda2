"""What is segmented, in which order, and what becomes of what its maker doubts. The methods are stand-ins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.case import Case, Exam, Lesion, SeriesRecord
from ablmargin.errors import Caution, InputError, UsageError
from ablmargin.segmentation.methods import Methods
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.segmenting import DOUBTED, segment_missing, segment_one, vouched_for
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

GRID = grid_around((0, 0, 0), shape=(20, 40, 40), spacing_mm=(3.0, 2.0, 2.0))
HERE, THERE = Prompt(point_mm=(5, 5, 5)), Prompt(axis_mm=((-10, 0, 0), (-4, 0, 0)))


def ball(center, radius, structure, origin=None) -> LabelMask:
    points = GRID.points_at(np.moveaxis(np.indices(GRID.shape), 0, -1))
    voxels = np.linalg.norm(points - center, axis=-1) < radius
    return LabelMask(voxels=voxels, geometry=GRID, structure=structure, origin=origin or MaskOrigin())


@dataclass
class StandIn:
    """Draws a ball around the prompt, and remembers what it was given."""

    structure: Structure
    doubts: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()
    radius: float = 6.0
    calls: list[dict] = field(default_factory=list)
    method: str = "stand-in 1"

    def segment(self, volume, prompt=NO_PROMPT, *, liver=None, lesions=()):
        self.calls.append({"volume": volume, "prompt": prompt, "liver": liver, "lesions": list(lesions)})
        center = (0, 0, 0) if prompt.is_empty else prompt.all_inside_mm[0]
        origin = MaskOrigin(source="automatic" if prompt.is_empty else "point", method=self.method, reviewed=False)
        mask = ball(center, self.radius, self.structure, origin)
        return Segmentation(mask=mask, doubts=self.doubts, cautions=self.cautions)


def methods(**changes) -> Methods:
    named = {
        "liver": StandIn(Structure.LIVER, radius=18.0),
        "tumor": StandIn(Structure.TUMOR),
        "zone": StandIn(Structure.ABLATION_ZONE, radius=9.0),
    }
    return Methods(**(named | changes))


def exam(liver: LabelMask | None = None) -> Exam:
    volume = Volume(voxels_hu=np.zeros(GRID.shape, np.float32), geometry=GRID)
    return Exam(volume=volume, record=SeriesRecord(), liver=liver)


def case(**changes) -> Case:
    bare = Case(case_id="a", pre=exam(), post=exam(), lesions=(), zones=())
    return replace(bare, **changes)


def test_everything_missing_is_made():
    chosen = methods()
    made = segment_missing(case(), tumors=[HERE, THERE], zones=[HERE], methods=chosen).case
    assert [lesion.lesion_id for lesion in made.lesions] == ["1", "2"]
    assert len(made.zones) == 1
    assert [call["prompt"] for call in chosen.tumor.calls] == [HERE, THERE]
    assert chosen.tumor.calls[0]["liver"].voxels.any()
    for mask in (made.pre.liver, made.post.liver, made.lesions[0].tumor, made.zones[0]):
        assert not mask.origin.reviewed
    assert made.pre.liver.origin.source == "automatic"
    assert made.zones[0].origin.source == "point"


def test_what_is_drawn_stays_and_is_told_to_the_liver():
    tumor = ball((20, 0, 0), 5, Structure.TUMOR)
    given = case(lesions=(Lesion(lesion_id="1", tumor=tumor),), zones=(ball((5, 5, 5), 8, Structure.ABLATION_ZONE),))
    chosen = methods()
    made = segment_missing(given, tumors=[HERE], methods=chosen).case
    assert made.lesions[0].tumor is tumor
    assert made.lesions[1].lesion_id == "2"
    assert chosen.liver.calls[0]["lesions"] == [tumor]
    assert chosen.liver.calls[1]["lesions"] == list(given.zones)
    assert not chosen.zone.calls


def test_what_was_pointed_at_belongs_to_a_proposed_liver_but_a_readers_stays_as_it_is():
    edge = Prompt(point_mm=(19, 0, 0))
    proposed = segment_missing(case(), tumors=[edge], methods=methods()).case
    assert proposed.pre.liver.voxels[proposed.lesions[0].tumor.voxels].all()
    assert proposed.pre.liver.origin.source == "automatic"
    drawn = ball((0, 0, 0), 18, Structure.LIVER)
    kept = segment_missing(case(pre=exam(drawn)), tumors=[edge], methods=methods()).case
    assert kept.pre.liver is drawn
    assert not kept.pre.liver.voxels[kept.lesions[0].tumor.voxels].all()


def test_doubts_are_refused_all_together_and_accepted_by_name():
    chosen = methods(
        tumor=StandIn(Structure.TUMOR, doubts=("The edge is weak.",)),
        zone=StandIn(Structure.ABLATION_ZONE, doubts=("There is no contrast.",)),
    )
    with pytest.raises(InputError) as caught:
        segment_missing(case(), tumors=[HERE], zones=[THERE], methods=chosen)
    assert [fault.code for fault in caught.value.faults] == [DOUBTED, DOUBTED]
    assert "The edge is weak" in str(caught.value)
    assert "5, 5, 5" in str(caught.value)
    taken = segment_missing(case(), tumors=[HERE], zones=[THERE], methods=chosen, accepted={DOUBTED})
    assert len(taken.case.lesions) == 1
    assert [caution.code for caution in taken.cautions] == [DOUBTED, DOUBTED]
    assert "There is no contrast" in taken.cautions[1].message
    assert taken.case.lesions[0].tumor.origin.method == "doubted: stand-in 1", "it goes along into files"


def test_nothing_found_is_never_accepted():
    chosen = methods(tumor=StandIn(Structure.TUMOR, radius=0.0))
    with pytest.raises(InputError, match="SEGMENTATION_EMPTY"):
        segment_missing(case(), tumors=[HERE], methods=chosen, accepted={DOUBTED})
    with pytest.raises(InputError, match="SEGMENTATION_EMPTY"):
        segment_one(exam().volume, Structure.TUMOR, HERE, methods=chosen, accepted={DOUBTED})


def test_cautions_say_what_they_are_about():
    caution = Caution(code="LIVER_TRUNCATED", message="it reaches the last slice")
    told = segment_missing(case(), methods=methods(liver=StandIn(Structure.LIVER, cautions=(caution,)))).cautions
    assert [each.message for each in told] == [
        "the liver before ablation: it reaches the last slice",
        "the liver after ablation: it reaches the last slice",
    ]


def test_all_points_outside_of_their_images_are_told_together():
    far = Prompt(point_mm=(500, 0, 0))
    with pytest.raises(InputError) as caught:
        segment_missing(case(), tumors=[far, HERE], zones=[Prompt(axis_mm=((0, 0, 0), (0, 0, 900)))], methods=methods())
    assert [(fault.code, fault.source) for fault in caught.value.faults] == [
        ("PROMPT_OUTSIDE", "--tumor-point"),
        ("PROMPT_OUTSIDE", "--ablation-axis"),
    ]


def test_a_reader_vouches_for_all_masks():
    made = segment_missing(case(), tumors=[HERE], zones=[HERE], methods=methods()).case
    sure = vouched_for(made)
    masks = (sure.pre.liver, sure.post.liver, sure.lesions[0].tumor, sure.zones[0])
    assert all(mask.origin.reviewed for mask in masks)
    assert sure.zones[0].origin.source == "point"


class TestOneStructure:
    volume = exam().volume

    def test_the_liver_needs_no_prompt_and_takes_one(self):
        chosen = methods()
        segment_one(self.volume, Structure.LIVER, NO_PROMPT, methods=chosen)
        segment_one(self.volume, Structure.LIVER, HERE, methods=chosen)
        assert [call["prompt"] for call in chosen.liver.calls] == [NO_PROMPT, HERE]

    def test_a_tumor_gets_a_liver_unless_one_is_given(self):
        chosen = methods()
        segment_one(self.volume, Structure.TUMOR, HERE, methods=chosen)
        given = ball((0, 0, 0), 10, Structure.LIVER)
        segment_one(self.volume, Structure.TUMOR, HERE, liver=given, methods=chosen)
        assert len(chosen.liver.calls) == 1
        assert chosen.tumor.calls[0]["liver"].origin.source == "automatic"
        assert chosen.tumor.calls[1]["liver"] is given

    def test_a_tumor_needs_a_place(self):
        with pytest.raises(UsageError, match="--axis"):
            segment_one(self.volume, Structure.TUMOR, Prompt(outside_mm=((0, 0, 0),)), methods=methods())

    def test_doubts(self):
        chosen = methods(tumor=StandIn(Structure.TUMOR, doubts=("It leaks.",)))
        with pytest.raises(InputError, match="It leaks"):
            segment_one(self.volume, Structure.TUMOR, HERE, methods=chosen)
        taken = segment_one(self.volume, Structure.TUMOR, HERE, methods=chosen, accepted={DOUBTED})
        assert taken.doubts
        assert taken.mask.origin.method == "doubted: stand-in 1"

    def test_a_liver_that_only_helps_is_not_refused_but_told(self):
        cut = Caution(code="LIVER_TRUNCATED", message="it is cut off")
        chosen = methods(liver=StandIn(Structure.LIVER, doubts=("It is small.",), cautions=(cut,)))
        told = segment_one(self.volume, Structure.TUMOR, HERE, methods=chosen).cautions
        assert [caution.code for caution in told] == ["LIVER_TRUNCATED", DOUBTED]
        assert "It is small" in told[1].message

    def test_the_same_advice_is_given_once(self):
        doubts = ("The edge is weak. Draw its long axis.", "It leaks. Draw its long axis.")
        chosen = methods(tumor=StandIn(Structure.TUMOR, doubts=doubts))
        with pytest.raises(InputError) as caught:
            segment_one(self.volume, Structure.TUMOR, HERE, methods=chosen)
        assert caught.value.faults[0].found == "The edge is weak. Draw its long axis. It leaks"
