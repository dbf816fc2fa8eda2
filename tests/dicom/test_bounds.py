"""No file makes the reader take more memory than a CT needs, however large it is or says it is. All of these are sparse."""

from __future__ import annotations

import shutil
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pydicom
import pytest
from hostile_phantom import heights, stack, write, write_one
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from ablmargin.dicom.discover import discover
from ablmargin.errors import DicomError
from ablmargin.loading import load_image

MB = 2**20
LONG = 1500 * MB


@contextmanager
def at_most(megabytes):
    """Fails if Python takes more at any time; numpy and pydicom take theirs from it."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MB
    finally:
        tracemalloc.stop()


def written(folder):
    return write(folder, stack(heights_mm=heights(4)))


def codes(folder):
    return [(file.source, file.code) for file in discover(folder).skipped]


def test_a_deflated_file_with_much_behind_it(tmp_path):
    written(tmp_path)
    write_one(tmp_path / "long.dcm", stack(series=3)[0], DeflatedExplicitVRLittleEndian)
    assert codes(tmp_path) == []
    with (tmp_path / "long.dcm").open("r+b") as file:
        file.truncate(LONG)
    with at_most(50):
        assert codes(tmp_path) == [("long.dcm", "RESOURCE_LIMIT")]


@pytest.mark.parametrize("declared", [LONG, 0xFFFFFFFF])
@pytest.mark.parametrize("keyword", ["SeriesDescription", "PatientID", "PixelSpacing"])
def test_a_long_text(tmp_path, keyword, declared):
    """``declared``: its length, or that it has none but a delimiter."""
    path = written(tmp_path)[0]
    dataset = pydicom.dcmread(path)
    dataset.add_new(keyword, "UT", "Q" * 8)
    dataset.save_as(path)
    before, after = path.read_bytes().split(b"Q" * 8)
    with path.open("wb") as file:
        file.write(before[:-4] + declared.to_bytes(4, "little"))
        file.seek(LONG, 1)
        file.write((b"\xfe\xff\xdd\xe0\0\0\0\0" if declared == 0xFFFFFFFF else b"") + after)
    with at_most(50):
        assert codes(tmp_path) == [("IM0001.dcm", "RESOURCE_LIMIT")]


def test_many_texts_of_sane_length_are_read(tmp_path):
    for path in written(tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.add_new("SeriesDescription", "UT", "liver " * 5000)
        dataset.save_as(path)
    assert codes(tmp_path) == []
    assert discover(tmp_path).series[0].description.startswith("liver liver")


def compressed(path):
    dataset = pydicom.dcmread(path)
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.compress(RLELossless, pixels, generate_instance_uid=False)
    dataset.save_as(path)
    return path.read_bytes().partition(b"\xe0\x7f\x10\x00OB")


@pytest.mark.parametrize("parts", [1, 3])
def test_a_long_compressed_stream(tmp_path, parts):
    """In one fragment, or in several of which only all together are too long."""
    path = written(tmp_path)[1]
    before, tag, _ = compressed(path)
    with path.open("wb") as file:
        file.write(before + tag + b"\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0")
        for _ in range(parts):
            file.write(b"\xfe\xff\x00\xe0" + (LONG // parts).to_bytes(4, "little"))
            file.seek(LONG // parts, 1)
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")
    with at_most(50), pytest.raises(DicomError) as caught:
        load_image(tmp_path)
    assert [(fault.code, fault.source) for fault in caught.value.faults] == [("PIXEL_DECODE", "IM0002.dcm")]
    assert "a compressed stream of more than" in caught.value.faults[0].found


def test_long_copies_are_compared_piece_by_piece(tmp_path):
    path = written(tmp_path)[1]
    compressed(path)
    with path.open("r+b") as file:
        file.truncate(100 * MB)
    shutil.copy(path, tmp_path / "copy.dcm")
    with at_most(50):
        assert "DUPLICATE_INSTANCE" in [caution.code for caution in load_image(tmp_path).cautions]
