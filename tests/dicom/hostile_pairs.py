"""Two exams that don't belong together, or whose headers don't say so. A pair lies in pre/ and post/."""

from __future__ import annotations

from pathlib import Path

from hostile_cases import each, refused, right
from hostile_phantom import (
    POST,
    PRE,
    Exam,
    exam,
    heights,
    stack,
    write,
)


def pair(folder: Path, pre: Exam = PRE, post: Exam = POST) -> tuple[list[Path], list[Path]]:
    return write(folder / "pre", stack(pre)), write(folder / "post", stack(post))


@right(pair=True)
def id_clean_pair(folder):
    pair(folder)


@refused("PATIENT_MISMATCH", names=["PatientID", "PatientBirthDate", "PatientSex"], attribute="PatientID", pair=True)
def id_other_patient(folder):
    pair(folder, post=exam(POST, name="ZZCANARYB", patient_id="ZZCANARYOTHER", birth_date="19450101", sex="M"))


@refused("PATIENT_MIXED", names=["IM0001.dcm", "IM0006.dcm"], attribute="PatientID")
def id_mixed_in_folder(folder):
    slices = stack()
    each(slices[:5], PatientID="ZZCANARYOTHER")
    write(folder, slices)


@refused("PATIENT_MIXED", names=["IM0001.dcm"], attribute="PatientBirthDate")
def id_mixed_birth_date(folder):
    slices = stack()
    each(slices[:5], PatientBirthDate="19331123")
    write(folder, slices)


@refused("PATIENT_MIXED", names=["IM0001.dcm"], attribute="PatientName")
def id_mixed_names_without_id(folder):
    slices = each(stack(), PatientID="")
    each(slices[:5], PatientName="ZZCANARYB^EVA")
    write(folder, slices)


@right()
def id_absent_in_some_slices(folder):
    slices = stack()
    each(slices[:3], PatientSex="", PatientBirthDate="", PatientID="")
    each(slices[7:9], PatientName="ZZCANARYNAME^ADAA")
    write(folder, slices)


@refused("FRAME_OF_REFERENCE_MIXED", attribute="FrameOfReferenceUID")
def id_mixed_study_for(folder):
    slices = stack()
    each(slices[12:], FrameOfReferenceUID="1.2.3.4", StudyInstanceUID="1.2.3.5")
    write(folder, slices)


@refused("ORDER_SUSPECT", names=["26 days"], attribute="AcquisitionDate", pair=True)
def id_swapped(folder):
    pair(folder, pre=POST, post=PRE)


@refused("SAME_SERIES", attribute="SeriesInstanceUID", pair=True)
def id_same_series_twice(folder):
    pair(folder, post=PRE)


@right(pair=True, moved_mm=(0.0, 0.0, 0.0))
def id_post_is_pre_repeat(folder):
    """Nothing in the headers tells; without a zone that a reader or the software draws there is no margin."""
    pair(folder, post=exam(POST, zone=False, moved_mm=(0.0, 0.0, 0.0)))


@right(pair=True)
def id_same_for_shifted(folder):
    pair(folder, post=exam(POST, extra={"FrameOfReferenceUID": f"{PRE.root}.8"}))


@right("FRAME_OF_REFERENCE_MISSING")
def id_no_for(folder):
    slices = stack()
    for d in slices:
        del d.FrameOfReferenceUID
    write(folder, slices)


@right("ORDER_UNKNOWN", pair=True)
def id_no_dates(folder):
    pair(folder, exam(date="", time=""), exam(POST, date="", time=""))


@right("PATIENT_UNVERIFIED", pair=True)
def id_empty_identity(folder):
    nobody = {"name": "", "patient_id": "", "birth_date": "", "sex": ""}
    pair(folder, exam(**nobody), exam(POST, **nobody))


@right("UID_DUPLICATE")
def id_same_sop_uid_all(folder):
    write(folder, each(stack(), SOPInstanceUID="1.2.3.4"))


@right(pair=True)
def id_charsets(folder):
    pre = each(stack(), SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
    post = each(stack(POST), PatientName="Yamada^Tarou=山田^太郎", StudyDescription="marker")
    write(folder / "pre", pre)
    for number, path in enumerate(write(folder / "post", post)):
        data = path.read_bytes().replace(b"marker", b"\xff\xfe\x80rk ")
        path.write_bytes(data.replace(b"ISO_IR 192", b"ISO_IR 999") if number % 2 else data)


@refused("SAME_SERIES", names=["pixels"], attribute="PixelData", pair=True)
def id_same_pixels_new_uids(folder):
    write(folder / "pre", stack())
    write(folder / "post", stack(exam(PRE, date="20310301", root=POST.root), series=1))


@right(pair=True)
def cov_target_cut(folder):
    """The images are right; that a zone reaches their border is seen when it is loaded."""
    write(folder / "pre", stack())
    write(folder / "post", stack(POST, heights_mm=heights(30)[9:]))
