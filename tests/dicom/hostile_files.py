"""Files that want to lead a reader astray, exhaust it or break it."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from hostile_cases import each, refused, right
from hostile_phantom import (
    SHAPE,
    exam,
    stack,
    write,
    write_one,
)
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
)


@right("FILES_SKIPPED")
def sec_junk_files(folder):
    write(folder, stack())
    for name in ("Thumbs.db", ".DS_Store", "letter.pdf", "photo.jpg", "AUTORUN.INF", "false.dcm"):
        (folder / name).write_bytes(b"%PDF junk " * 30)
    (folder / "empty").mkdir()


def dicomdir(folder: Path, names: Iterable[Sequence[str]]) -> Path:
    """A media directory that refers to files by the parts of their paths."""
    d = Dataset()
    records = []
    for name in names:
        record = Dataset()
        record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
        record.RecordInUseFlag, record.DirectoryRecordType = 0xFFFF, "IMAGE"
        with config.disable_value_validation():
            record.add_new("ReferencedFileID", "CS", list(name))
        record.ReferencedSOPClassUIDInFile = CTImageStorage
        records.append(record)
    d.FileSetID, d.FileSetConsistencyFlag = "ZZCANARYSET", 0
    d.DirectoryRecordSequence = Items(records)
    d.SOPClassUID, d.SOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3.4"
    write_one(folder / "DICOMDIR", d)
    return folder / "DICOMDIR"


@right()
def sec_dicomdir(folder):
    write(folder / "DICOM" / "S1", stack(), names="I{:04d}".format)
    dicomdir(folder, [("DICOM", "S1", f"I{number:04d}") for number in range(1, SHAPE[0] + 1)])


@right()
def sec_dicomdir_traversal(folder):
    write(folder / "DICOM", stack(), names="I{:04d}".format)
    outside = folder.parent / "outside"
    write(outside, stack(exam(patient_id="ZZCANARYOUT"), series=7))
    dicomdir(
        folder, [("..", "outside", "IM0001.dcm"), ("/etc/passwd",), ("DICOM", "..", "..", "outside", "IM0002.dcm")]
    )


@right(may_tell=["PATIENT_UNVERIFIED"])
def sec_tag_traversal(folder):
    slices = each(stack(), PatientID="../../ZZCANARY", SeriesDescription="/etc/../x\x00\ny", StudyID="..\\..\\x")
    write(folder, slices)


@right()
def sec_html_injection(folder):
    script = "<script>alert(1)</script>[red]\x1b[31m=cmd|'/C calc'!A0"
    write(folder, each(stack(), PatientName=script, SeriesDescription=script, ConvolutionKernel="<b>=1+1"))


@right()
def sec_bad_names(folder):
    odd = [
        "é ü 漢字.dcm",
        "new\nline.dcm",
        "-rf.dcm",
        "quote'\".dcm",
        "x" * 246 + ".dcm",
        "[red]b.dcm",
        "a#1.dcm",
        "%s.dcm",
    ]
    paths = write(folder, stack())
    for path, name in zip(paths, odd, strict=False):
        path.rename(folder / name)
    paths[10].rename(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm"))


@right("FILE_UNREADABLE")
def sec_symlinks(folder):
    write(folder, stack())
    write(folder.parent / "outside", stack(exam(patient_id="ZZCANARYOUT")))
    (folder / "loop").symlink_to(".")
    (folder / "outside.dcm").symlink_to(folder.parent / "outside" / "IM0001.dcm")
    (folder / "dangling").symlink_to(folder / "nothing")


@right("FILE_UNREADABLE")
def sec_fifo(folder):
    write(folder, stack())
    os.mkfifo(folder / "pipe.dcm")


@refused("RESOURCE_LIMIT", names=["bomb.dcm"])
def sec_deflate_bomb(folder):
    write(folder, stack())
    d = stack(series=3)[0]
    del d.PixelData
    bomb = folder / "bomb.dcm"
    write_one(bomb, d, DeflatedExplicitVRLittleEndian)
    head, body = _split_deflated(bomb.read_bytes())
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 256 * 2**20
    data = [packer.compress(body + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little"))]
    data += [packer.compress(bytes(2**20)) for _ in range(size >> 20)]
    bomb.write_bytes(head + b"".join(data) + packer.flush())
    assert bomb.stat().st_size < 2**20


def _split_deflated(data: bytes) -> tuple[bytes, bytes]:
    """What stands before a deflated data set, and the data set inflated."""
    length = int.from_bytes(data[140:144], "little") + 144
    return data[:length], zlib.decompress(data[length:], -zlib.MAX_WBITS)


@refused("RESOURCE_LIMIT", names=["huge.dcm"], attribute="Rows")
def sec_huge_rows(folder):
    d = stack(series=3)[0]
    d.Rows = d.Columns = 65535
    d.PixelData = bytes(1024)
    write(folder, [d], names=lambda _: "huge.dcm")


@refused("FILE_TRUNCATED", names=["IM0004.dcm", "IM0008.dcm"])
def sec_huge_length(folder):
    """A text that claims 4 GB, and pixels that do."""
    paths = write(folder, stack())
    for path, mark, offset in ((paths[3], b"\x08\x00\x70\x00LO", 6), (paths[7], b"\xe0\x7f\x10\x00OW\0\0", 8)):
        data = bytearray(path.read_bytes())
        at = data.index(mark)
        if mark.endswith(b"LO"):  # explicit VR with a long length: as UT
            data[at + 4 : at + 8] = b"UT\0\0"
            data[at + 8 : at + 12] = (0xFFFFFFF0).to_bytes(4, "little")
        else:
            data[at + offset : at + offset + 4] = (0xFFFFFFF0).to_bytes(4, "little")
            del data[at + 2000 :]
        path.write_bytes(bytes(data))


@refused("FILE_MALFORMED", names=["deep.dcm"])
def sec_deep_nesting(folder):
    write(folder, stack())
    shutil.copy(folder / "IM0001.dcm", folder / "deep.dcm")
    data = (folder / "deep.dcm").read_bytes()
    at = data.index(b"\x20\x00\x0d\x00UI")  # StudyInstanceUID: before it the nested sequences of group 0018
    sequence = b"\x18\x00\x12\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    (folder / "deep.dcm").write_bytes(data[:at] + sequence * 20000 + data[at:])


@refused("ARCHIVE_UNSAFE", names=["study.zip"])
def sec_zip_slip(folder):
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside/evil.dcm", b"x")
        archive.writestr("/tmp/ablmargin-evil.dcm", b"x")
        archive.writestr("bomb", bytes(2**20))
