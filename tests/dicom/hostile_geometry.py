"""Slices where they shouldn't be."""

from __future__ import annotations

import shutil

import numpy as np
from hostile_cases import each, refused, right, set_text
from hostile_phantom import (
    AXIAL,
    SHAPE,
    heights,
    hu,
    stack,
    store,
    write,
    write_one,
)
from orientations import rotation


@refused("GEOM_GAP", names=["IM0011.dcm", "IM0013.dcm", "1 slice is missing"], attribute="ImagePositionPatient")
def geo_missing_slice(folder):
    write(folder, stack())[11].unlink()


@right("SERIES_INCOMPLETE")
def geo_missing_ends(folder):
    for path in write(folder, stack(heights_mm=heights(30)))[:3]:
        path.unlink()


@refused("GEOM_VARIABLE_SPACING", names=["2.50", "5.00"], attribute="ImagePositionPatient")
def geo_variable_spacing(folder):
    write(folder, stack(heights_mm=[*np.arange(-30, 0, 2.5), *np.arange(0, 40, 5.0)]))


@right()
def geo_jitter_rounding(folder):
    jitter = np.random.default_rng(0).choice([-0.005, 0.0, 0.005], SHAPE[0])
    write(folder, stack(heights_mm=heights() + jitter))


@refused("GEOM_INPLANE_SHIFT", names=["IM0010.dcm", "12.0 mm"], attribute="ImagePositionPatient")
def geo_inplane_shift(folder):
    slices = stack()
    slices[9].ImagePositionPatient[0] += 12
    write(folder, slices)


@right("DUPLICATE_INSTANCE")
def geo_duplicate_file(folder):
    shutil.copy(write(folder, stack())[7], folder / "again.dcm")


@refused("GEOM_DUPLICATE_POSITION", names=["IM0008.dcm", "other.dcm"], attribute="ImagePositionPatient")
def geo_duplicate_position(folder):
    slices = stack()
    write(folder, slices)
    store(slices[7], hu(slices[7]) + 1030)
    slices[7].SOPInstanceUID += ".7"
    write_one(folder / "other.dcm", slices[7])


@right("GEOM_COARSE")
def geo_overlapping_recon(folder):
    write(folder, each(stack(), SliceThickness=5))


@right("GEOM_COARSE")
def geo_thick_slices(folder):
    write(folder, each(stack(heights_mm=heights(13, 10.0)), SliceThickness=10))


@right("GEOM_TILT")
def geo_gantry_tilt(folder):
    turned = np.array([[1, 0, 0], [0, np.cos(np.radians(15)), -np.sin(np.radians(15))], [0, 0, 1]])
    write(folder, each(stack(axes=turned, heights_mm=heights(30)), GantryDetectorTilt=15))


@right()
def geo_negative_spacing_tag(folder):
    write(folder, each(stack(), SpacingBetweenSlices=-2.5))


@right()
def geo_instance_reversed(folder):
    slices = stack()
    for number, d in enumerate(slices):
        d.InstanceNumber, d.SliceLocation = len(slices) - number, -d.SliceLocation
    write(folder, slices)


@right()
def geo_instance_garbage(folder):
    rng = np.random.default_rng(3)
    slices = stack()
    for number, d in enumerate(slices):
        del d.SliceLocation
        d.InstanceNumber = int(rng.integers(1, 12))
        if number % 5 == 0:
            del d.InstanceNumber
    write(folder, [slices[index] for index in rng.permutation(len(slices))])


@refused("GEOM_BAD_ORIENTATION", names=["IM0001.dcm"], attribute="ImageOrientationPatient")
def geo_iop_not_unit(folder):
    write(folder, each(stack(), ImageOrientationPatient=[0.9, 0, 0, 0.2, 1, 0]))


@refused("GEOM_MIXED_ORIENTATION", attribute="ImageOrientationPatient")
def geo_mixed_orientation(folder):
    coronal = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    both = [*stack(heights_mm=heights(12)), *stack(heights_mm=heights(12), axes=coronal)]
    for number, d in enumerate(both):
        d.SOPInstanceUID = f"1.2.3.{number}"
    write(folder, both)


@right()
def geo_oblique(folder):
    write(folder, stack(axes=(rotation(20, 0, 10) @ AXIAL.T).T))


@right()
def geo_prone(folder):
    write(folder, each(stack(axes=np.diag([-1.0, -1.0, 1.0])), PatientPosition="HFP"))


@right()
def geo_feet_first(folder):
    write(folder, each(stack(axes=AXIAL, heights_mm=heights()[::-1]), PatientPosition="FFS"))


@right()
def geo_anisotropic_pixels(folder):
    write(folder, stack(matrix=(64, 52), pixel_mm=(2.0, 2.5)))


@refused("GEOM_MISSING_TAG", names=["IM0005.dcm"], attribute="ImagePositionPatient")
def geo_no_ipp_one(folder):
    slices = stack()
    del slices[4].ImagePositionPatient
    write(folder, slices)


@refused("GEOM_MISSING_TAG", names=["IM0001.dcm"], attribute="PixelSpacing")
def geo_no_pixelspacing(folder):
    slices = each(stack(), ImagerPixelSpacing=[1.6, 1.6])
    for d in slices:
        del d.PixelSpacing
    write(folder, slices)


@refused("GEOM_BAD_VALUE", names=["IM0001.dcm", "'1,6\\\\1,6'"], attribute="PixelSpacing")
def geo_bad_numbers(folder):
    paths = write(folder, stack())
    set_text(paths[0], "PixelSpacing", "1,6\\1,6")
    set_text(paths[1], "ImagePositionPatient", "NaN\\0\\0")
    set_text(paths[2], "ImagePositionPatient", "inf\\0\\0")
    set_text(paths[3], "ImageOrientationPatient", "1e400\\0\\0\\0\\1\\0")


@refused("GEOM_MIXED_GRID", names=["IM0009.dcm"], attribute="Rows")
def geo_rows_differ(folder):
    slices = stack()
    slices[8].Rows, slices[8].Columns = SHAPE[1] // 2, SHAPE[2] // 2
    slices[8].PixelData = slices[8].PixelData[: len(slices[8].PixelData) // 4]
    write(folder, slices)


@refused("SERIES_TOO_SHORT", names=["1 slice"])
def geo_single_slice(folder):
    write(folder, stack()[:1])
