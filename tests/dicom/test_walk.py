"""Which files are opened: those in the folder or in the DICOMDIR's list, and none elsewhere."""

from __future__ import annotations

import io
import os
import zlib

import pytest
from hostile_files import dicomdir
from hostile_phantom import heights, stack, write

from ablmargin.dicom import bounded, walk
from ablmargin.dicom.bounded import BoundedReader, TooLargeError, TooShortError
from ablmargin.dicom.discover import discover
from ablmargin.errors import DicomError
from ablmargin.loading import load_image
from ablmargin_cli.main import main

COUNT = 8


@pytest.fixture
def medium(tmp_path):
    """A disc as hospitals hand it out: a DICOMDIR, files without ending, and a folder beside it."""
    folder = tmp_path / "disc"
    write(folder / "DICOM" / "S1", stack(heights_mm=heights(COUNT)), names="I{:04d}".format)
    write(tmp_path / "outside", stack(heights_mm=heights(COUNT), series=7), names="O{:04d}".format)
    return folder


def listed(folder, extra=()):
    names = [("DICOM", "S1", f"I{number:04d}") for number in range(1, COUNT + 1)]
    return dicomdir(folder, [*names, *extra])


def skipped(path):
    return {file.source: file.code for file in discover(path).skipped}


class TestDicomdir:
    def test_its_files_are_read(self, medium):
        image = load_image(listed(medium))
        assert image.volume.geometry.shape[0] == COUNT
        assert image.cautions == ()

    def test_only_its_files_are_read(self, medium):
        write(medium / "OTHER", stack(heights_mm=heights(COUNT), series=3))
        assert len(discover(listed(medium)).series) == 1
        assert len(discover(medium).series) == 2

    def test_small_letters_on_the_disc(self, medium):
        directory = listed(medium)
        (medium / "DICOM" / "S1").rename(medium / "DICOM" / "s1")
        (medium / "DICOM").rename(medium / "dicom")
        assert load_image(directory).volume.geometry.shape[0] == COUNT

    @pytest.mark.parametrize("name", ["i{:04d}.;1", "I{:04d};1", "I{:04d}.", "i{:04d}.;12"])
    def test_names_as_a_cd_has_them(self, medium, name):
        """ISO 9660 adds a version, which some systems show."""
        directory = listed(medium)
        for number in range(1, COUNT + 1):
            (medium / "DICOM" / "S1" / f"I{number:04d}").rename(medium / "DICOM" / "S1" / name.format(number))
        assert load_image(directory).volume.geometry.shape[0] == COUNT

    @pytest.mark.parametrize(
        "away",
        [
            ("..", "outside", "O0001"),
            ("DICOM", "..", "..", "outside", "O0001"),
            ("../outside/O0001",),
            ("/etc/passwd",),
        ],
    )
    def test_it_never_leads_out_of_its_folder(self, medium, away):
        directory = listed(medium, [away])
        assert skipped(directory) == {f"DICOMDIR, record {COUNT + 1}": "OUTSIDE_FOLDER"}
        image = load_image(directory)
        assert [caution.code for caution in image.cautions] == ["FILE_UNREADABLE"]
        assert image.volume.geometry.shape[0] == COUNT

    def test_nor_through_a_link(self, medium):
        (medium / "LINK").symlink_to(medium.parent / "outside")
        assert set(skipped(listed(medium, [("LINK", "O0001")])).values()) == {"NOT_A_FILE"}

    def test_a_file_that_is_not_there_may_be_a_slice(self, medium):
        directory = listed(medium)
        (medium / "DICOM" / "S1" / "I0001").unlink()
        with pytest.raises(DicomError) as caught:
            load_image(directory)
        assert [fault.code for fault in caught.value.faults] == ["FILE_MISSING"]
        assert "Copy the whole medium" in caught.value.faults[0].remedy
        image = load_image(directory, accepted=["FILE_MISSING"])
        assert image.volume.geometry.shape[0] == COUNT - 1

    def test_none_is_there(self, medium):
        directory = listed(medium)
        (medium / "DICOM").rename(medium / "ELSEWHERE")
        with pytest.raises(DicomError) as caught:
            load_image(directory)
        (fault,) = caught.value.faults
        assert fault.source == "DICOMDIR, record 1, DICOMDIR, record 2, DICOMDIR, record 3 and 5 more"
        assert (fault.code, fault.remedy.partition(",")[0]) == ("FILE_MISSING", "Copy the whole medium")

    def test_nothing_is_written_into_its_folder(self, medium, tmp_path, capsys):
        command = ["register", "--pre", str(listed(medium)), "--post", str(tmp_path / "outside")]
        assert main([*command, "--out", str(medium / "out")]) == 2
        assert "lies inside the input folder" in capsys.readouterr().err

    @pytest.mark.parametrize("junk", [b"", b"junk", bytes(128) + b"DICM" + b"\x02\x00" * 40])
    def test_a_damaged_one_is_told(self, medium, junk):
        (medium / "DICOMDIR").write_bytes(junk)
        with pytest.raises(DicomError):
            load_image(medium / "DICOMDIR")
        assert load_image(medium).volume.geometry.shape[0] == COUNT

    def test_nested_without_end(self, medium):
        directory = listed(medium)
        level = b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        data = directory.read_bytes()
        at = data.index(b"\x04\x00\x20\x12SQ")
        directory.write_bytes(data[:at] + level * 20000)
        assert skipped(directory) == {"DICOMDIR": "FILE_MALFORMED"}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(DicomError, match="NOT_A_FILE"):
        load_image(tmp_path / "pipe.dcm")


def test_a_folder_of_too_many_files_is_refused(medium, monkeypatch):
    monkeypatch.setattr(walk, "MOST_FILES", 5)
    with pytest.raises(DicomError, match="RESOURCE_LIMIT"):
        discover(medium)


@pytest.mark.parametrize("head", [b"PK\3\4", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\7", bytes(257) + b"ustar"])
def test_archives_are_named_and_never_opened(medium, head):
    (medium / "study.bin").write_bytes(head + bytes(600))
    assert skipped(medium) == {"study.bin": "ARCHIVE_UNSAFE"}
    assert "1 × archive" in load_image(medium).cautions[0].message


class TestBounds:
    def test_no_memory_for_more_than_there_is(self):
        reader = BoundedReader(io.BytesIO(bytes(100)), 100)
        assert len(reader.read(40)) == 40
        with pytest.raises(TooShortError):
            reader.read(2**40)
        assert len(reader.read(60)) == 60

    @pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
    def test_deflated_data_may_swell_to_the_limit(self, monkeypatch, size, fits):
        monkeypatch.setattr(bounded, "INFLATED_BYTES", 1000)
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = packer.compress(bytes(size)) + packer.flush()
        reader = BoundedReader(io.BytesIO(data), len(data))
        if fits:
            assert reader.read() == data
        else:
            with pytest.raises(TooLargeError):
                reader.read()
