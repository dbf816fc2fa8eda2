"""What a file says of who drew its mask."""

from __future__ import annotations

from dataclasses import replace

import pydicom
import pytest
import SimpleITK as sitk
from ct_files import grid
from mask_files import ball, series, soft_ball

from ablmargin.loading import load_mask
from ablmargin.maskfiles import save_mask
from ablmargin.originnote import LONGEST, checksum_of, note_of, with_note
from ablmargin.volume import MaskOrigin, Structure

PROPOSAL = MaskOrigin(source="point", method="rays and walker 1 (long axis)", reviewed=False, contour_sd_mm=0.62)
FORMATS = ["nii.gz", "nrrd", "mha", "seg.nrrd", "dcm", "rtstruct.dcm"]


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return series(tmp_path_factory.mktemp("ct") / "s")


def reloaded(mask, ct, path):
    save_mask(mask, path, source=ct[0])
    return load_mask(str(path), Structure.TUMOR, onto=ct[1])


def told(mask):
    return (mask.origin.source, mask.origin.method, mask.origin.reviewed, mask.origin.contour_sd_mm, mask.origin.edited)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("source", ["point", "automatic"])
def test_a_proposal_stays_one_through_a_file(ct, tmp_path, ending, source):
    origin = replace(PROPOSAL, source=source)
    loaded = reloaded(ball(ct[1], origin=origin), ct, tmp_path / f"m.{ending}")
    assert told(loaded) == (source, PROPOSAL.method, False, 0.62, False)
    assert loaded.origin.sha256


@pytest.mark.parametrize("ending", ["nrrd", "dcm"])
def test_a_proposal_stays_one_in_every_orientation(tmp_path, ending, orientation):
    ct = series(tmp_path / "ct", grid((9, 30, 34), (5.0, 0.8, 0.7), orientation=orientation))
    loaded = reloaded(ball(ct[1], origin=PROPOSAL), ct, tmp_path / f"m.{ending}")
    assert not loaded.origin.edited


@pytest.mark.parametrize("ending", FORMATS)
def test_a_readers_mask_says_nothing_and_stays_a_readers(ct, tmp_path, ending):
    loaded = reloaded(ball(ct[1]), ct, tmp_path / f"m.{ending}")
    assert told(loaded) == ("reader", "given as a file", True, None, False)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "dcm"])
def test_a_soft_proposal_stays_one(ct, tmp_path, ending):
    loaded = reloaded(replace(soft_ball(ct[1]), origin=PROPOSAL), ct, tmp_path / f"m.{ending}")
    assert told(loaded) == told(replace(soft_ball(ct[1]), origin=PROPOSAL))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_review_is_kept_where_changes_would_show(ct, tmp_path, ending):
    """Contours give the voxels back nearly, so nobody could tell whether they were changed."""
    origin = reloaded(ball(ct[1], origin=replace(PROPOSAL, reviewed=True)), ct, tmp_path / f"m.{ending}").origin
    assert origin.reviewed is (ending != "rtstruct.dcm")
    assert origin.source == "point"


def test_one_changed_voxel_is_an_edit_and_ends_the_review(ct, tmp_path):
    path = tmp_path / "m.nii.gz"
    save_mask(ball(ct[1], origin=replace(PROPOSAL, reviewed=True)), path)
    image = sitk.ReadImage(path)
    k, j, i = (int(index[0]) for index in ball(ct[1]).voxels.nonzero())
    image[i, j, k] = 0
    sitk.WriteImage(image, path)
    origin = load_mask(str(path), Structure.TUMOR, onto=ct[1]).origin
    assert (origin.edited, origin.reviewed) == (True, False)


@pytest.mark.parametrize(("kind", "source"), [("AUTOMATIC", "automatic"), ("MANUAL", "reader")])
@pytest.mark.parametrize("ending", ["dcm", "rtstruct.dcm"])
def test_what_other_programs_made_by_themselves_is_automatic(ct, tmp_path, ending, kind, source):
    path = tmp_path / f"m.{ending}"
    save_mask(ball(ct[1]), path, source=ct[0])
    dataset = pydicom.dcmread(path)
    if ending == "dcm":
        dataset.SegmentSequence[0].SegmentAlgorithmType = kind
        dataset.SegmentSequence[0].SegmentAlgorithmName = "someone's network"
    else:
        dataset.StructureSetROISequence[0].ROIGenerationAlgorithm = kind
    dataset.save_as(path)
    origin = load_mask(str(path), Structure.TUMOR, onto=ct[1]).origin
    assert (origin.source, origin.reviewed) == (source, source == "reader")
    if ending == "dcm" and kind == "AUTOMATIC":
        assert origin.method == "someone's network"


def test_the_longest_line_fits_into_a_nifti_description(ct):
    origin = replace(PROPOSAL, source="automatic", method="é" * 200)
    mask = ball(ct[1], origin=origin)
    assert len(note_of(mask)) == LONGEST
    assert with_note(ball(ct[1]), note_of(mask)).origin.source == "automatic"


def test_the_checksum_does_not_know_the_grid_around_the_mask(ct):
    mask = ball(ct[1])
    start, stop = mask.bounding_box(pad_mm=3)
    assert checksum_of(mask) == checksum_of(mask.cropped(start, stop))
    assert checksum_of(mask) != checksum_of(ball(ct[1], "zone"))


@pytest.mark.parametrize("text", ["", "ablmargin:somebody:no:-:-:x", "made by ablmargin", "ablmargin:point:no:1:-:x"])
def test_other_text_changes_nothing(ct, text):
    mask = ball(ct[1])
    assert with_note(mask, text) is mask
