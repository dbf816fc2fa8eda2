"""What the header of a NIfTI, NRRD or MetaImage file says of space, before any library interprets it.

The only place that knows of RAS+, NIfTI's convention: x and y have the opposite sign of LPS.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ablmargin.geometry import FloatArray, Geometry

_PART_BYTES = 2**20
_FLOATS = {16: "f4", 64: "f8"}
"""NIfTI's codes of the data types that can hold NaN."""
_RIGHT_ANGLE_TOLERANCE = 1e-3
_CONTRADICTION_VOXELS = 0.5
_NRRD_SPACES = {
    "left-posterior-superior",
    "lps",
    "right-anterior-superior",
    "ras",
    "left-anterior-superior",
    "las",
}
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, m, mm, µm; unknown means mm by custom


class HeaderError(Exception):
    """A header that doesn't place its voxels.

    ``code`` is the fault's, if it starts with FILE_, else its end: NO_GEOMETRY, SHEARED, ...
    """

    def __init__(self, code: str, found: str, expected: str) -> None:
        super().__init__(f"{code}: found {found}; expected {expected}")
        self.code, self.found, self.expected = code, found, expected


def geometry_in_header(path: Path) -> Geometry | None:
    """The geometry that a NIfTI header gives; None for NRRD and MetaImage, which ITK reads as they are meant.

    Raises
    ------
    HeaderError
        If the header doesn't say where the voxels lie, contradicts itself or has slanted axes.
    OSError, EOFError, zlib.error, struct.error
        If the file isn't what its name says.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        head = _head(path)
        geometry = _nifti_geometry(head)
        _require_whole_nifti(path, head)
        return geometry
    if name.endswith(".nrrd"):
        _check_nrrd(_head(path))
    else:
        _check_metaimage(_head(path))
    return None


def _head(path: Path) -> bytes:
    return next(_parts(path), b"")


def _parts(path: Path) -> Iterator[bytes]:
    """The content, unpacked if need be; a damaged gzip stream raises at its end at the latest."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as content:
        while part := content.read(_PART_BYTES):
            yield part


def _require_whole_nifti(path: Path, head: bytes) -> None:
    """ITK fills what is missing at the end of a NIfTI file with zeros, and puts zeros in place of NaN; others complain."""
    order = _byte_order(head)
    sizes = struct.unpack_from(order + "3h", head, 42)
    datatype, bits = struct.unpack_from(order + "2h", head, 70)
    start = int(struct.unpack_from(order + "f", head, 108)[0])
    there, pending = 0, b""
    for part in _parts(path):
        if datatype in _FLOATS:
            pending = _finite_rest(pending + part[max(start - there, 0) :], order + _FLOATS[datatype])
        there += len(part)
    needed = start + int(np.prod(sizes, dtype=np.int64)) * bits // 8
    if there < needed:
        raise HeaderError("FILE_TRUNCATED", f"{needed - there} bytes missing", "all voxels")


def _finite_rest(content: bytes, dtype: str) -> bytes:
    """Check all whole numbers in a piece of a file, and return what is left of the last one."""
    whole = len(content) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize
    if not np.isfinite(np.frombuffer(content[:whole], dtype)).all():
        raise HeaderError("NOT_FINITE", "NaN or infinite values", "a number at each voxel")
    return content[whole:]


def _byte_order(head: bytes) -> str:
    return "<" if head[:4] == struct.pack("<i", 348) else ">"


def _nifti_geometry(head: bytes) -> Geometry:
    """Offsets as in the NIfTI-1.1 header, nifti1.h."""
    order = _byte_order(head)
    if struct.unpack_from(order + "i", head, 0)[0] != 348 or head[344:347] != b"n+1":
        raise HeaderError("FILE_FORMAT", "another kind of header", "a NIfTI-1 file with header and voxels in one")
    sizes = struct.unpack_from(order + "8h", head, 40)
    if not 3 <= sizes[0] <= 7 or any(size > 1 for size in sizes[4 : sizes[0] + 1]):
        raise HeaderError("NOT_3D", f"sizes {sizes[1 : sizes[0] + 1]}", "three dimensions")
    if min(sizes[1:4]) < 1:
        raise HeaderError("NO_GEOMETRY", f"sizes {sizes[1:4]}", "one voxel or more along each axis")
    qform_code, sform_code = struct.unpack_from(order + "2h", head, 252)
    qform = _qform(order, head) if qform_code > 0 else None
    sform = np.array(struct.unpack_from(order + "12f", head, 280)).reshape(3, 4) if sform_code > 0 else None
    if sform is not None and not sform[:, :3].any():
        sform = None
    chosen = qform if sform is None else sform
    if chosen is None:
        raise HeaderError("NO_GEOMETRY", "neither a qform nor an sform", "a header that says where the voxels lie")
    shape = (sizes[3], sizes[2], sizes[1])
    if qform is not None and sform is not None:
        _require_agreement(qform, sform, shape)
    return _geometry_of(chosen * _MM_PER_UNIT.get(head[123] & 7, 1.0), shape)


def _qform(order: str, head: bytes) -> FloatArray:
    """3×4 matrix from (i, j, k, 1) to RAS+ of the quaternion, nifti1.h method 2."""
    pixdim = struct.unpack_from(order + "8f", head, 76)
    _require_spacing(pixdim[1:4])
    b, c, d, *offset = struct.unpack_from(order + "6f", head, 256)
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if pixdim[0] < 0 else 1.0
    return np.column_stack([rotation * (pixdim[1], pixdim[2], handedness * pixdim[3]), offset])


def _require_agreement(qform: FloatArray, sform: FloatArray, shape: tuple[int, int, int]) -> None:
    """Both may be stored; where they send a corner of the image to two places, nobody can tell which one is meant."""
    last = np.array(shape[::-1]) - 1
    corners = np.array([(i, j, k, 1) for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
    apart = float(np.linalg.norm(corners @ (qform - sform).T, axis=1).max())
    voxel = float(np.linalg.norm(sform[:, :3], axis=0).min())
    if not apart <= _CONTRADICTION_VOXELS * voxel:
        found = f"a qform and an sform that differ by up to {apart:.1f} mm"
        raise HeaderError("GEOMETRY_CONFLICT", found, "one place for each voxel")


def _geometry_of(matrix: FloatArray, shape: tuple[int, int, int]) -> Geometry:
    if not np.isfinite(matrix).all():
        raise HeaderError("NO_GEOMETRY", "axes that are no numbers", "a header that says where the voxels lie")
    affine = np.eye(4)
    affine[:3] = np.diag([-1.0, -1.0, 1.0]) @ matrix[:, [2, 1, 0, 3]]
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        raise HeaderError("NO_GEOMETRY", "axes of no length", "a header that says where the voxels lie")
    axes = columns / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > _RIGHT_ANGLE_TOLERANCE:
        raise HeaderError("SHEARED", "slanted axes in the sform", "axes at right angles")
    return Geometry.from_affine(_squared(affine), shape)


def _squared(affine: FloatArray) -> FloatArray:
    """The affine with its axes made exactly orthonormal: single precision leaves them a little off."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / lengths)
    squared = affine.copy()
    squared[:3, :3] = (left @ right) * lengths
    return squared


def nrrd_fields(path: Path) -> dict[str, str]:
    """Fields of a NRRD header, ``field: value`` with names in lower case, and its key/value pairs, ``key:=value``.

    Raises
    ------
    HeaderError
        FILE_FORMAT, if it is no NRRD file.
    """
    return _fields(_head(path))


def require_nrrd_space(fields: Mapping[str, str]) -> None:
    """Raise HeaderError unless a NRRD header says where its voxels lie in the patient."""
    space = fields.get("space", "not given").lower()
    if space not in _NRRD_SPACES or not {"space directions", "space origin"} <= fields.keys():
        found = f"space {space!r}, directions or origin missing"
        raise HeaderError("NO_GEOMETRY", found, "the fields space, space directions and space origin")


def _fields(head: bytes) -> dict[str, str]:
    lines = head.replace(b"\r\n", b"\n").split(b"\n\n")[0].decode("utf-8", "replace").split("\n")
    if not lines[0].startswith("NRRD000"):
        raise HeaderError("FILE_FORMAT", "another kind of header", "a NRRD header")
    split = (line.partition(":") for line in lines[1:] if not line.startswith("#"))
    return {
        key if value.startswith("=") else key.strip().lower(): value.removeprefix("=").strip()
        for key, sign, value in split
        if sign
    }


def _check_nrrd(head: bytes) -> None:
    fields = _fields(head)
    if fields.get("dimension") != "3":
        raise HeaderError("NOT_3D", f"dimension {fields.get('dimension', 'unknown')}", "one image of three dimensions")
    require_nrrd_space(fields)


def _check_metaimage(head: bytes) -> None:
    text = head.split(b"ElementDataFile")[0].decode("latin-1").lower()
    fields = {key.strip(): value for key, sign, value in (line.partition("=") for line in text.splitlines()) if sign}
    keys = fields.keys()
    if "ndims" not in keys:
        raise HeaderError("FILE_FORMAT", "another kind of header", "a MetaImage header")
    places = {"offset", "position", "origin"}, {"transformmatrix", "orientation", "rotation"}
    if not all(keys & names for names in places) or not keys & {"elementspacing", "elementsize"}:
        raise HeaderError("NO_GEOMETRY", "no Offset, TransformMatrix or ElementSpacing", "all three of them")
    try:
        _require_spacing([float(word) for word in fields.get("elementspacing", fields.get("elementsize", "")).split()])
    except ValueError:
        raise HeaderError("FILE_FORMAT", "a spacing that is no number", "a MetaImage header") from None


def _require_spacing(spacing_mm: Sequence[float]) -> None:
    """ITK takes a negative spacing for a reversed axis and others take its size: nobody can tell which one is meant."""
    if not all(np.isfinite(value) and value > 0 for value in spacing_mm):
        shown = " × ".join(f"{value:g}" for value in spacing_mm)
        raise HeaderError("NO_GEOMETRY", f"a spacing of {shown} mm", "finite and positive numbers")
