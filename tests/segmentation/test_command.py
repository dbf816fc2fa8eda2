"""A program of the user's own: what it gets, what is made of its answer, and how its failures are told."""

from __future__ import annotations

import re
import shlex
import sys
import time

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.errors import EmptyMaskError, InputError, UsageError
from ablmargin.segmentation.command import CommandSegmenter
from ablmargin.segmentation.protocol import Prompt
from ablmargin.volume import Structure, Volume

CENTER_MM = (-40.0, 25.0, 310.0)

THRESHOLD = """
image = sitk.ReadImage(sys.argv[1])
sitk.WriteImage(sitk.Cast(image > 50, sitk.sitkUInt8) * 5, sys.argv[2])
"""


def command(tmp_path, body: str, *, structure=Structure.TUMOR, **changes) -> CommandSegmenter:
    script = tmp_path / "my program.py"
    script.write_text(f"import os, sys, time\nimport SimpleITK as sitk\n{body}", encoding="utf-8")
    template = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{image}} {{mask}}"
    return CommandSegmenter(structure=structure, template=template, **changes)


def bright_box(geometry) -> Volume:
    """100 HU in a box that no axis can be exchanged or mirrored in without notice."""
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[2:5, 10:30, 40:60] = 100.0
    return Volume(voxels_hu=voxels, geometry=geometry)


def fault_of(segmenter, volume):
    with pytest.raises(InputError) as caught:
        segmenter.segment(volume)
    (fault,) = caught.value.faults
    assert "Traceback" not in str(caught.value)
    return fault


def test_the_mask_lies_where_the_program_drew_it(tmp_path, orientation):
    volume = bright_box(grid_around(CENTER_MM, orientation=orientation, frame_uid="1.2.3"))
    proposal = command(tmp_path, THRESHOLD).segment(volume)
    np.testing.assert_array_equal(proposal.mask.voxels, volume.voxels_hu > 50)
    assert proposal.mask.geometry == volume.geometry
    assert proposal.is_trusted
    assert proposal.mask.origin.source == "automatic"
    assert not proposal.mask.origin.reviewed


def test_the_program_sees_hounsfield_units_and_nothing_of_the_patient(tmp_path):
    told = tmp_path / "told.txt"
    body = f"""
import gzip, pathlib
content = gzip.open(sys.argv[1]).read()
largest = sitk.GetArrayFromImage(sitk.ReadImage(sys.argv[1])).max().item()
pathlib.Path({str(told)!r}).write_text(repr((largest, b"1.2.3.4" in content, sorted(os.listdir()))))
{THRESHOLD}"""
    command(tmp_path, body).segment(bright_box(grid_around(CENTER_MM, frame_uid="1.2.3.4")))
    assert told.read_text() == "(100.0, False, ['errors', 'image.nii.gz', 'output'])"


def test_a_turned_and_cropped_mask_is_brought_back_voxel_by_voxel(tmp_path, orientation):
    body = """
image = sitk.ReadImage(sys.argv[1])
image = sitk.PermuteAxes(sitk.Flip(image > 50, [True, False, True]), [2, 0, 1])
sitk.WriteImage(sitk.Crop(image, [0, 2, 3], [1, 0, 2]), sys.argv[2])
"""
    volume = bright_box(grid_around(CENTER_MM, orientation=orientation))
    proposal = command(tmp_path, body).segment(volume)
    np.testing.assert_array_equal(proposal.mask.voxels, volume.voxels_hu > 50)
    assert proposal.cautions == ()


def test_a_mask_on_another_grid_is_resampled_and_told(tmp_path):
    body = """
image = sitk.ReadImage(sys.argv[1])
target = [round(size * spacing / 2) for size, spacing in zip(image.GetSize(), image.GetSpacing())]
fine = sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [2.0] * 3, image.GetDirection())
sitk.WriteImage(fine > 50, sys.argv[2])
"""
    volume = bright_box(grid_around(CENTER_MM, spacing_mm=(2.0, 0.8, 0.7)))
    proposal = command(tmp_path, body).segment(volume)
    assert proposal.mask.geometry == volume.geometry
    assert proposal.cautions[0].code == "MASK_RESAMPLED"
    assert proposal.mask.volume_ml == pytest.approx(
        3 * 20 * 20 * 2 * 0.8 * 0.7 / 1000, rel=0.2
    )  # voxels of 2 mm at its border


def test_of_several_labels_one_is_chosen(tmp_path):
    body = """
image = sitk.ReadImage(sys.argv[1])
sitk.WriteImage(sitk.Cast(image > 50, sitk.sitkUInt8) * 2 + sitk.Cast(image <= 50, sitk.sitkUInt8), sys.argv[2])
"""
    volume = bright_box(grid_around(CENTER_MM))
    fault = fault_of(command(tmp_path, body), volume)
    assert (fault.code, fault.found) == ("MASK_SEVERAL_LABELS", "2 labels: 1, 2")
    chosen = command(tmp_path, body, label=2).segment(volume)
    np.testing.assert_array_equal(chosen.mask.voxels, volume.voxels_hu > 50)
    assert command(tmp_path, body, label=3).segment(volume).doubts == ("No tumor was found.",)


def test_nothing_found_is_a_doubt_and_no_error(tmp_path):
    volume = bright_box(grid_around(CENTER_MM))
    proposal = command(tmp_path, THRESHOLD.replace("> 50", "> 5000"), structure=Structure.LIVER).segment(volume)
    assert proposal.mask.is_empty
    assert proposal.mask.geometry == volume.geometry
    assert proposal.doubts == ("No liver was found.",)
    with pytest.raises(EmptyMaskError):
        proposal.mask.require_not_empty()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("sys.exit('first\\nthe model is \\x1b[31mbroken')", "exit code 1: first; the model is \\x1b[31mbroken"),
        ("raise RuntimeError('no such model')", "RuntimeError: no such model"),
        ("print('on the other stream'); sys.exit(7)", "exit code 7: on the other stream"),
        ("os.kill(os.getpid(), 9)", "an end by signal 9"),
        ("pass", "no file with the mask, although it ended as if all was well"),
    ],
)
def test_a_failure_is_told_with_its_last_lines(tmp_path, body, found):
    fault = fault_of(command(tmp_path, body), bright_box(grid_around(CENTER_MM)))
    assert fault.code == "SEGMENTATION_FAILED"
    assert fault.source == "--auto-command"
    assert found in fault.found


def test_a_file_that_is_no_mask_is_told_without_its_passing_path(tmp_path):
    fault = fault_of(command(tmp_path, "open(sys.argv[2], 'w').write('text')"), bright_box(grid_around(CENTER_MM)))
    assert fault.code.startswith("FILE_")
    assert fault.source == "the mask by --auto-command"


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path):
    alive = tmp_path / "alive"
    body = f"""
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(2); open({str(alive)!r}, 'w')"])
time.sleep(60)
"""
    started = time.monotonic()
    fault = fault_of(command(tmp_path, body, timeout_s=1.2), bright_box(grid_around(CENTER_MM)))
    assert fault.found == "no end after 1.2 s"
    assert time.monotonic() - started < 10
    time.sleep(max(0.0, started + 4 - time.monotonic()))
    assert not alive.exists()


def test_no_shell_reads_the_template(tmp_path):
    made = tmp_path / "made"
    body = THRESHOLD + f"assert sys.argv[3:] == ['$HOME;', 'touch', {str(made)!r}], sys.argv"
    plain = command(tmp_path, body)
    segmenter = CommandSegmenter(structure=Structure.TUMOR, template=f"{plain.template} $HOME; touch {made}")
    assert segmenter.segment(bright_box(grid_around(CENTER_MM))).is_trusted
    assert not made.exists()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("seg -i {image}", r"needs \{mask\} where"),
        ("seg", r"needs \{image\} and \{mask\} where"),
        ("seg 'half {image} {mask}", "can't be split into words"),
    ],
)
def test_a_template_that_can_not_work_is_refused_at_once(template, said):
    with pytest.raises(UsageError, match=said):
        CommandSegmenter(structure=Structure.LIVER, template=template)


def test_a_program_that_is_not_there():
    segmenter = CommandSegmenter(structure=Structure.LIVER, template="/nowhere/seg {image} {mask}")
    with pytest.raises(UsageError, match=r"--auto-command: /nowhere/seg can't be started \(No such file"):
        segmenter.segment(bright_box(grid_around(CENTER_MM)))


def test_the_method_tells_the_program_but_no_folder_and_no_option():
    template = "../jane.doe/ts/bin/seg -i {image} -o {mask} --key=SECRET -w~/doe"
    one, same, other = (
        CommandSegmenter(structure=Structure.LIVER, template=text).method
        for text in (template, template, f"{template} --fast")
    )
    assert re.fullmatch(r"command: seg \([0-9a-f]{8}\)", one)
    assert one == same != other


def test_a_point_outside_is_told_before_anything_runs(tmp_path):
    segmenter = command(tmp_path, "sys.exit(9)")
    with pytest.raises(InputError, match="PROMPT_OUTSIDE"):
        segmenter.segment(bright_box(grid_around(CENTER_MM)), Prompt(point_mm=(0.0, 0.0, 0.0)))
