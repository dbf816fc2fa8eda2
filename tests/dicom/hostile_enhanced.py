"""Enhanced CT: the same slices in one file, and what can be wrong with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from hostile_cases import each, refused, right
from hostile_phantom import AXIAL, POST, PRE, SHAPE, exam, heights, hu, stack, store, write, write_one
from orientations import rotation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
)

COUNT = SHAPE[0]
GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
}


def group(target: Dataset, name: str, **values: object) -> None:
    """Add attributes to a functional group of a frame, or of all."""
    if name not in target:
        setattr(target, name, Items([Dataset()]))
    for keyword, value in values.items():
        setattr(target[name].value[0], keyword, value)


def enhanced(slices: Sequence[Dataset] | None = None, *, own: Iterable[str] = ("PlanePositionSequence",)) -> Dataset:
    """One multi-frame object of slices, in their order; ``own``: groups that each frame has for itself."""
    slices = stack() if slices is None else list(slices)
    shared, frames = Dataset(), [Dataset() for _ in slices]
    for name, keywords in GROUPS.items():
        for target, one in zip(frames, slices, strict=True) if name in own else [(shared, slices[0])]:
            group(target, name, **{keyword: one[keyword].value for keyword in keywords if keyword in one})
    d = Dataset()
    d.update({element.tag: element for element in slices[0] if element.keyword not in sum(GROUPS.values(), ())})
    d.SOPClassUID, d.SOPInstanceUID = EnhancedCTImageStorage, "1.2.3.99"
    del d.InstanceNumber
    d.NumberOfFrames = len(slices)
    d.SharedFunctionalGroupsSequence, d.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    d.PixelData = b"".join(one.PixelData for one in slices)
    d["PixelData"].VR = "OW"
    return d


def frames_of(d: Dataset) -> Sequence[Dataset]:
    return d.PerFrameFunctionalGroupsSequence


def shared_of(d: Dataset) -> Dataset:
    return d.SharedFunctionalGroupsSequence[0]


def save(folder: Path, d: Dataset, name: str = "ct.dcm", syntax: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_one(folder / name, d, *([syntax] if syntax else []))
    return folder / name


@right()
def px_enhanced(folder):
    save(folder, enhanced())


@right()
def px_enhanced_shuffled(folder):
    slices = stack()
    save(folder, enhanced([slices[index] for index in np.random.default_rng(1).permutation(COUNT)]))


@refused("GEOM_MISSING_TAG", names=["sc.dcm"], attribute="ImagePositionPatient")
def px_multiframe_no_geometry(folder):
    d = enhanced()
    d.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    del d.SharedFunctionalGroupsSequence, d.PerFrameFunctionalGroupsSequence
    save(folder, d, "sc.dcm")


@refused("MULTI_FRAME", names=["ct.dcm"], attribute="NumberOfFrames")
def enh_classic_with_frames(folder):
    d = stack()[0]
    d.NumberOfFrames, d.PixelData = 4, 4 * d.PixelData
    save(folder, d)


@right()
def enh_legacy(folder):
    d = enhanced()
    d.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    group(shared_of(d), "UnassignedSharedConvertedAttributesSequence", ConvolutionKernel="B30f", AcquisitionNumber=3)
    save(folder, d)


@right()
def enh_everything_per_frame(folder):
    d = enhanced(own=GROUPS)
    del d.SharedFunctionalGroupsSequence
    save(folder, d)


@right()
def enh_rescale_per_frame(folder):
    slices = stack()
    for d in slices[1::2]:
        store(d, hu(d) + 2000, intercept=-2000)
    for d in slices[::4]:
        store(d, 2 * (hu(d) + 1024), intercept=-1024, slope=0.5)
    save(folder, enhanced(slices, own=("PlanePositionSequence", "PixelValueTransformationSequence")))


@right()
def enh_oblique(folder):
    save(folder, enhanced(stack(axes=(rotation(20, 0, 10) @ AXIAL.T).T)))


@right("GEOM_TILT")
def enh_gantry_tilt(folder):
    turned = np.array([[1, 0, 0], [0, np.cos(np.radians(15)), -np.sin(np.radians(15))], [0, 0, 1]])
    save(folder, enhanced(stack(axes=turned, heights_mm=heights(30))))


@right()
def enh_misleading_head(folder):
    """Attributes of a classic slice where they don't belong, all wrong."""
    (d,) = each(
        [enhanced()],
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[0, 1, 0, 1, 0, 0],
        PixelSpacing=[9, 9],
        SliceThickness=99,
        RescaleSlope=-3,
        RescaleIntercept=77,
        SpacingBetweenSlices=1,
    )
    save(folder, d)


@right()
def enh_implicit(folder):
    save(folder, enhanced(), syntax=ImplicitVRLittleEndian)


@right()
def enh_deflated(folder):
    save(folder, enhanced(), syntax=DeflatedExplicitVRLittleEndian)


@right()
def enh_big_endian(folder):
    d = enhanced()
    d.PixelData = np.frombuffer(d.PixelData, "<u2").astype(">u2").tobytes()
    d["PixelData"].VR = "OW"
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    folder.mkdir(parents=True)
    d.save_as(folder / "ct.dcm", enforce_file_format=True, implicit_vr=False, little_endian=False)


@right()
def enh_undefined_lengths(folder):
    """All sequences and items end with a delimiter; among them some that nobody knows, one without a VR."""
    d = enhanced()
    for frame in frames_of(d):
        inner = Dataset()
        group(inner, "PixelMeasuresSequence", PixelSpacing=[9, 9])
        frame.add_new(0x00291010, "SQ", Items([inner]))
        group(frame, "FrameAnatomySequence", AnatomicRegionSequence=Items([inner]), FrameLaterality="U")
    _open_ended(d)
    path = save(folder, d)
    data = path.read_bytes()
    at = data.index(b"\x20\x00\x13\x91SQ")  # PlanePositionSequence of the first frame
    start, end = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    unknown = b"\x19\x00\x10\x10UN\0\0\xff\xff\xff\xff" + start + b"\x18\x00\x50\x00\4\0\0\x002.5 " + end
    path.write_bytes(data[:at] + unknown + data[at:])


def _open_ended(d: Dataset) -> None:
    for element in d:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _open_ended(item)


def _packed(syntax: str, slices: Sequence[Dataset] | None = None, *, has_bot: bool = True) -> Dataset:
    slices = stack() if slices is None else slices
    frames: list[bytes] = []
    for one in slices:
        one.file_meta = FileMetaDataset()
        values = np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns)
        one.compress(syntax, values, generate_instance_uid=False)
        frames += generate_frames(one.PixelData, number_of_frames=1)
    d = enhanced(slices)
    d.PixelData = encapsulate(frames, has_bot=has_bot)
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True
    return d


@right()
def enh_rle(folder):
    save(folder, _packed(RLELossless), syntax=RLELossless)


@right()
def enh_rle_without_offsets(folder):
    save(folder, _packed(RLELossless, has_bot=False), syntax=RLELossless)


@right()
def enh_jpegls(folder):
    save(folder, _packed(JPEGLSLossless), syntax=JPEGLSLossless)


@right()
def enh_one_frame_a_file(folder):
    for number, one in enumerate(stack()):
        d = enhanced([one])
        d.SOPInstanceUID += f".{number}"
        save(folder, d, f"ct{number}.dcm")


def _parts(slices: Sequence[Dataset], size: int) -> list[Dataset]:
    """A concatenation."""
    starts = range(0, len(slices), size)
    parts = [enhanced(slices[start : start + size]) for start in starts]
    for number, (start, d) in enumerate(zip(starts, parts, strict=True), start=1):
        d.SOPInstanceUID += f".{number}"
        d.ConcatenationUID = "1.2.3.4"
        d.InConcatenationNumber, d.InConcatenationTotalNumber = number, len(parts)
        d.ConcatenationFrameOffsetNumber = start
    return parts


@right()
def enh_concatenation(folder):
    for number, d in enumerate(_parts(stack(), 9)):
        save(folder, d, f"part{2 - number}.dcm")


@right("SERIES_INCOMPLETE")
def enh_concatenation_without_end(folder):
    for number, d in enumerate(_parts(stack(heights_mm=heights(30)), 13)[:2]):
        save(folder, d, f"part{number}.dcm")


@refused("GEOM_GAP", names=["frame 9 of part0.dcm", "frame 1 of part2.dcm"], attribute="ImagePositionPatient")
def enh_concatenation_without_middle(folder):
    first, _, last = _parts(stack(), 9)
    save(folder, first, "part0.dcm")
    save(folder, last, "part2.dcm")


@right("DUPLICATE_INSTANCE")
def enh_duplicate_file(folder):
    shutil.copy(save(folder, enhanced()), folder / "again.dcm")


@right("NON_AXIAL_DROPPED")
def enh_localizer_among_frames(folder):
    scouts = stack(heights_mm=[0.0], axes=np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]))
    d = enhanced([*scouts, *stack()], own=("PlanePositionSequence", "PlaneOrientationSequence"))
    for number, frame in enumerate(frames_of(d)):
        kind = "VOLUME" if number else "LOCALIZER"
        group(frame, "CTImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", kind, "NONE"])
    save(folder, d)


@right(pair=True)
def enh_pair(folder):
    """Enhanced before, classic after."""
    save(folder / "pre", enhanced(stack(PRE)))
    write(folder / "post", stack(POST))


@refused("GEOM_GAP", names=["frame 11 of ct.dcm", "frame 12 of ct.dcm"], attribute="ImagePositionPatient")
def enh_gap(folder):
    slices = stack()
    save(folder, enhanced(slices[:11] + slices[12:]))


@refused("GEOM_INPLANE_SHIFT", names=["frame 10 of ct.dcm", "12.0 mm"], attribute="ImagePositionPatient")
def enh_inplane_shift(folder):
    slices = stack()
    slices[9].ImagePositionPatient[0] += 12
    save(folder, enhanced(slices))


def _twice(mark: Callable[[Dataset, int], None]) -> Dataset:
    """Two passes over the body in one object, frame by frame in turn."""
    both = [d for pair in zip(stack(), stack(exam(seed=5)), strict=True) for d in pair]
    d = enhanced(both)
    for number, frame in enumerate(frames_of(d)):
        mark(frame, number % 2)
    return d


@refused("SERIES_AMBIGUOUS", names=["2 CT volumes in one series", "24 slices"], attribute="TemporalPosition")
def enh_two_times(folder):
    save(folder, _twice(lambda frame, one: group(frame, "FrameContentSequence", TemporalPositionIndex=one + 1)))


@refused("SERIES_AMBIGUOUS", names=["2 images at each of 24 positions"])
def enh_two_times_compressed(folder):
    """Where frames can't be told apart by their bytes, none is taken for a copy of another."""
    save(folder, _packed(RLELossless, [*stack(), *stack(exam(seed=5))]), syntax=RLELossless)


@refused("SERIES_AMBIGUOUS", names=["09:30:00", "09:31:10"], attribute="AcquisitionTime")
def enh_two_clocks(folder):
    moments = ("20310203093000.125+0100", "20310203093110.5")
    save(
        folder,
        _twice(lambda frame, one: group(frame, "FrameContentSequence", FrameAcquisitionDateTime=moments[one])),
    )


@refused("SERIES_AMBIGUOUS", names=["MONOCHROMATIC"], attribute="ImageType")
def enh_two_kinds(folder):
    kinds = (["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], ["DERIVED", "PRIMARY", "VOLUME", "MONOCHROMATIC"])
    save(folder, _twice(lambda frame, one: group(frame, "CTImageFrameTypeSequence", FrameType=kinds[one])))


@refused("SERIES_AMBIGUOUS", names=["StackID 1", "StackID 2"], attribute="StackID")
def enh_two_stacks(folder):
    save(folder, _twice(lambda frame, one: group(frame, "FrameContentSequence", StackID=str(one + 1))))


@refused("SERIES_AMBIGUOUS", names=["2 images at each of 24 positions"])
def enh_two_of_each_unexplained(folder):
    save(folder, _twice(lambda frame, one: None))


@refused("SERIES_AMBIGUOUS", names=["24 slices"], attribute="SOPInstanceUID")
def enh_two_files_at_one_place(folder):
    save(folder, enhanced(), "a.dcm")
    other = enhanced(stack(exam(seed=5)))
    other.SOPInstanceUID += ".1"
    save(folder, other, "b.dcm")


@refused("SERIES_AMBIGUOUS", names=["24 slices"], attribute="SOPClassUID")
def enh_beside_its_classic_files(folder):
    write(folder, stack())
    save(folder, enhanced())


@refused("GEOM_MISSING_TAG", names=["frame 1 of ct.dcm", "and 21 more"], attribute="PixelSpacing")
def enh_no_pixel_measures(folder):
    d = enhanced()
    del shared_of(d).PixelMeasuresSequence
    d.PixelSpacing = [1.6, 1.6]
    save(folder, d)


@refused("GEOM_MISSING_TAG", names=["frame 5 of ct.dcm"], attribute="ImagePositionPatient")
def enh_no_position_one(folder):
    d = enhanced()
    del frames_of(d)[4].PlanePositionSequence
    save(folder, d)


@refused("GEOM_MISSING_TAG", names=["frame 5 of ct.dcm"], attribute="ImagePositionPatient")
def enh_empty_group(folder):
    d = enhanced()
    frames_of(d)[4].PlanePositionSequence = Items([])
    save(folder, d)


@refused("FILE_MALFORMED", names=["ct.dcm", "twice"], attribute="PlanePositionSequence")
def enh_two_positions_of_a_frame(folder):
    d = enhanced()
    frames_of(d)[4].PlanePositionSequence.append(frames_of(d)[5].PlanePositionSequence[0])
    save(folder, d)


@refused("FILE_MALFORMED", names=["ct.dcm", "contradict"], attribute="PixelSpacing")
def enh_contradiction(folder):
    d = enhanced()
    group(frames_of(d)[7], "PixelMeasuresSequence", PixelSpacing=[1.7, 1.6])
    save(folder, d)


@refused("GEOM_BAD_VALUE", names=["frame 1 of ct.dcm", "'1,6\\\\1,6'"], attribute="PixelSpacing")
def enh_bad_number(folder):
    set_text_of_group(save(folder, enhanced()), b"1.6\\1.6 ", b"1,6\\1,6 ")


def set_text_of_group(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


@refused("HU_UNKNOWN", names=["frame 1 of ct.dcm"], attribute="RescaleSlope")
def enh_no_rescale(folder):
    d = enhanced()
    del shared_of(d).PixelValueTransformationSequence
    d.RescaleSlope, d.RescaleIntercept = 1, -1024
    save(folder, d)


@refused("HU_UNKNOWN", names=["Z_EFF"], attribute="RescaleType")
def enh_another_quantity(folder):
    save(folder, enhanced(each(stack(), RescaleType="Z_EFF")))


@refused("IMAGE_PROJECTION", names=["MAX_IP"], attribute="ImageType")
def enh_projection(folder):
    d = enhanced()
    kind = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    group(shared_of(d), "CTImageFrameTypeSequence", FrameType=kind, VolumeBasedCalculationTechnique="MAX_IP")
    save(folder, d)


@refused("FILE_MALFORMED", names=["ct.dcm", "24 frames and describes 23"], attribute="NumberOfFrames")
def enh_too_few_descriptions(folder):
    d = enhanced()
    del frames_of(d)[-1]
    save(folder, d)


@refused("FILE_MALFORMED", names=["ct.dcm", "20 frames and describes 24"], attribute="NumberOfFrames")
def enh_too_many_descriptions(folder):
    save(folder, *each([enhanced()], NumberOfFrames=20))


@refused("FILE_MALFORMED", names=["ct.dcm", "more than the 24 frames"], attribute="PixelData")
def enh_surplus_pixels(folder):
    d = enhanced()
    d.PixelData += d.PixelData[: 2 * SHAPE[1] * SHAPE[2]]
    save(folder, d)


@refused("FILE_MALFORMED", names=["ct.dcm", "2000000000 frames and describes 24"], attribute="NumberOfFrames")
def enh_huge_number(folder):
    save(folder, *each([enhanced()], NumberOfFrames=2_000_000_000))


@refused("FILE_MALFORMED", names=["ct.dcm", "no frames"], attribute="NumberOfFrames")
def enh_no_number(folder):
    d = enhanced()
    del d.NumberOfFrames
    save(folder, d)


@refused("FILE_TRUNCATED", names=["frame 15 of ct.dcm", "bytes missing"], attribute="PixelData")
def enh_truncated_pixels(folder):
    path = save(folder, enhanced())
    frame_bytes = 2 * SHAPE[1] * SHAPE[2]
    os.truncate(path, path.stat().st_size - 10 * frame_bytes + 100)


@refused("FILE_TRUNCATED", names=["ct.dcm"])
def enh_truncated_descriptions(folder):
    path = save(folder, enhanced())
    os.truncate(path, path.read_bytes().index(b"\x00\x52\x30\x92SQ") + 900)


@refused("FILE_MALFORMED", names=["ct.dcm"])
def enh_deep_nesting(folder):
    path = save(folder, enhanced())
    data = path.read_bytes()
    at = data.index(b"\x20\x00\x13\x91SQ")  # PlanePositionSequence of the first frame, whose item has a length
    sequence = b"\x18\x00\x12\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(data[:at] + sequence * 20000 + data[at:])


@refused("RESOURCE_LIMIT", names=["ct.dcm", "16384 frames"])
def enh_items_without_end(folder):
    path = save(folder, enhanced())
    data = path.read_bytes()
    at = data.index(b"\x00\x52\x30\x92SQ")
    head = (
        b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 400_000 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    path.write_bytes(data[:at] + head + data[data.index(b"\xe0\x7f\x10\x00OW") :])


@refused("SERIES_TOO_SHORT", names=["2 slices"])
def enh_two_frames(folder):
    save(folder, enhanced(stack()[:2]))
