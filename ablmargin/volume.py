"""Voxels on a grid: CT in Hounsfield units, and masks of one structure.

Both lock a copy of their voxels, so that what was checked once stays true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablmargin.errors import EmptyMaskError, Fault
from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, Triple

INSIDE_SHARE = 0.5
"""A voxel that lies inside by at least this share counts as one of the structure's."""

FAINTEST_SHARE = 1 / 255
"""A smaller share of a voxel says nothing: the least that an 8-bit drawing can hold."""


class Structure(StrEnum):
    """What a mask is a mask of."""

    LIVER = "liver"
    TUMOR = "tumor"
    ABLATION_ZONE = "ablation"
    LIVER_SEGMENT = "liver segment"
    VESSELS = "vessels"


MaskSource = Literal["reader", "point", "automatic"]
"""Who drew a mask: a reader, the software from where a reader pointed, or the software alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskOrigin:
    """Where a mask comes from; it decides whether a verdict may rest on it."""

    source: MaskSource = "reader"
    method: str = "given as a file"
    reviewed: bool = True
    name: str = ""
    """The option and the last name of the file; only for messages."""
    sha256: str | None = None
    drawn_spacing_mm: Triple | None = None
    """Spacing of the grid that it was drawn on, where it was brought onto another: what it can't show, no finer grid adds."""
    contour_sd_mm: float | None = None
    """Standard deviation of the contour per component, where its maker estimates it: by how much other prompts move it."""
    edited: bool = False
    """Whether somebody changed the mask after the software had made it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """A CT image.

    Parameters
    ----------
    voxels_hu : ndarray of float32, shape (slices, rows, columns)
        Hounsfield units; a locked copy is kept.
    geometry : Geometry
        Its shape must be the voxels' shape.
    """

    voxels_hu: NDArray[np.float32]
    geometry: Geometry

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels_hu", _locked(self.voxels_hu, np.float32, self.geometry))
        if not np.isfinite(self.voxels_hu.sum(dtype=np.float64)):
            raise ValueError("a CT volume must be finite everywhere; it holds NaN or infinite values")

    def cropped(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
        """The part between two (k, j, i) indices, ``stop`` excluded."""
        return Volume(voxels_hu=self.voxels_hu[_slices(start, stop)], geometry=self.geometry.cropped(start, stop))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMask:
    """The voxels that belong to one structure.

    Parameters
    ----------
    voxels : ndarray of bool, shape (slices, rows, columns)
        A locked copy is kept. May be empty; whoever needs it not to be says so with :meth:`require_not_empty`.
    geometry : Geometry
    structure : Structure
    origin : MaskOrigin
    fractions : ndarray of float32, shape (slices, rows, columns), optional
        For a soft mask, the share of each voxel that lies inside, 0..1; a locked copy is kept. ``voxels`` are those of
        a share of 0.5 or more: make such a mask with :meth:`soft`.

    Examples
    --------
    >>> grid = Geometry(shape=(1, 1, 3), spacing_mm=(10, 10, 10), origin_mm=(0, 0, 0))
    >>> mask = LabelMask.soft(np.array([[[0.25, 1.0, 0.5]]]), geometry=grid, structure=Structure.TUMOR)
    >>> mask.voxels.tolist(), mask.volume_ml
    ([[[False, True, True]]], 1.75)
    """

    voxels: BoolArray
    geometry: Geometry
    structure: Structure
    origin: MaskOrigin = field(default_factory=MaskOrigin)
    fractions: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if np.asarray(self.voxels).dtype != np.bool_:
            raise TypeError(f"a mask's voxels must be bool, not {np.asarray(self.voxels).dtype}")
        object.__setattr__(self, "voxels", _locked(self.voxels, np.bool_, self.geometry))
        if self.fractions is not None:
            object.__setattr__(self, "fractions", _locked(self.fractions, np.float32, self.geometry))
            _require_shares(self.fractions, self.voxels)

    @classmethod
    def soft(
        cls, fractions: Array, *, geometry: Geometry, structure: Structure, origin: MaskOrigin | None = None
    ) -> LabelMask:
        """A mask that knows the share of each voxel that lies inside.

        Parameters
        ----------
        fractions : ndarray, shape (slices, rows, columns)
            Between 0 and 1; kept as float32.
        """
        shares = _locked(np.asarray(fractions), np.float32, geometry)
        return cls(
            voxels=_frozen(shares >= INSIDE_SHARE),
            geometry=geometry,
            structure=structure,
            origin=origin or MaskOrigin(),
            fractions=shares,
        )

    @property
    def volume_ml(self) -> float:
        """Volume of the voxels, each by its share if the mask is soft."""
        inside = np.count_nonzero(self.voxels) if self.fractions is None else self.fractions.sum(dtype=np.float64)
        return float(inside) * self.geometry.voxel_volume_ml

    @property
    def coarsest_spacing_mm(self) -> float:
        """The largest voxel spacing of its grid, or of the one that it was drawn on."""
        return max(*self.geometry.spacing_mm, *(self.origin.drawn_spacing_mm or ()))

    @property
    def is_empty(self) -> bool:
        return not self.voxels.any()

    @property
    def touched(self) -> BoolArray:
        """All voxels that the structure reaches into; for a soft mask more than ``voxels``."""
        return self.voxels if self.fractions is None else self.fractions >= FAINTEST_SHARE

    def bounding_box(self, *, pad_mm: float = 0.0) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """First index and one past the last (k, j, i) that the mask touches, padded and cut at the grid's border."""
        self.require_not_empty()
        touched = self.touched
        start, stop = [], []
        for axis, (size, spacing) in enumerate(zip(self.geometry.shape, self.geometry.spacing_mm, strict=True)):
            others = tuple(other for other in range(3) if other != axis)
            used = np.flatnonzero(touched.any(axis=others))
            touched = np.moveaxis(np.moveaxis(touched, axis, 0)[used[0] : used[-1] + 1], 0, axis)  # the rest is quicker
            pad = int(np.ceil(pad_mm / spacing))
            start.append(max(int(used[0]) - pad, 0))
            stop.append(min(int(used[-1]) + 1 + pad, size))
        return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])

    def cropped(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> LabelMask:
        """The part between two (k, j, i) indices, ``stop`` excluded."""
        part = _slices(start, stop)
        return replace(
            self,
            voxels=self.voxels[part],
            geometry=self.geometry.cropped(start, stop),
            fractions=None if self.fractions is None else self.fractions[part],
        )

    def touches_border(self) -> bool:
        """Whether the mask reaches the outermost voxels of its grid: it may then go on outside the image."""
        touched = self.touched
        return any(
            bool(face.any()) for axis in range(3) for face in (touched.take(0, axis=axis), touched.take(-1, axis=axis))
        )

    def voxel_centers_mm(self, *, step: int = 1) -> FloatArray:
        """Centers of the mask's voxels, or of every ``step``-th, shape (n, 3), LPS mm."""
        flat = np.flatnonzero(self.voxels)[::step]
        return self.geometry.points_at(np.stack(np.unravel_index(flat, self.geometry.shape), axis=-1))

    def union(self, *others: LabelMask) -> LabelMask:
        """This mask with the voxels of others on the same grid added; of two shares of a voxel the larger one counts."""
        if not all(self.geometry.same_grid_as(other.geometry) for other in others):
            raise ValueError("masks can only be joined on the same grid")
        voxels = self.voxels.copy()
        for other in others:
            voxels |= other.voxels
        coarsest = max((self, *others), key=lambda mask: mask.coarsest_spacing_mm)
        drawn = coarsest.origin.drawn_spacing_mm or coarsest.geometry.spacing_mm
        return replace(
            self,
            voxels=_frozen(voxels),
            origin=replace(
                self.origin,
                drawn_spacing_mm=drawn,
                reviewed=all(mask.origin.reviewed for mask in (self, *others)),
                contour_sd_mm=max(mask.origin.contour_sd_mm or 0.0 for mask in (self, *others)) or None,
            ),
            fractions=_joined_fractions((self, *others)),
        )

    def reviewed(self) -> LabelMask:
        """The same mask, a reader vouching for it."""
        return replace(self, origin=replace(self.origin, reviewed=True))

    def require_not_empty(self) -> None:
        """Raise EmptyMaskError if no voxel is set."""
        if self.is_empty:
            raise EmptyMaskError(
                Fault(
                    code="MASK_EMPTY",
                    source=self.origin.name or f"the {self.structure} mask",
                    found="no voxel set",
                    expected=f"the {self.structure}",
                    remedy="Check that the right file and the right label were given.",
                )
            )


def _slices(start: tuple[int, int, int], stop: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    first, second, third = (slice(a, b) for a, b in zip(start, stop, strict=True))
    return first, second, third


def _joined_fractions(masks: Sequence[LabelMask]) -> NDArray[np.float32] | None:
    """The largest share of each voxel, a hard mask's being 0 or 1; None if all are hard."""
    if all(mask.fractions is None for mask in masks):
        return None
    joined = np.zeros(masks[0].geometry.shape, np.float32)
    for mask in masks:
        np.maximum(joined, mask.voxels if mask.fractions is None else mask.fractions, out=joined)
    return _frozen(joined)


def _require_shares(fractions: NDArray[np.float32], voxels: BoolArray) -> None:
    if fractions.size and not (fractions.min() >= 0 and fractions.max() <= 1):
        raise ValueError("the shares of a soft mask's voxels must lie between 0 and 1")
    if not np.array_equal(voxels, fractions >= INSIDE_SHARE):
        raise ValueError(f"a soft mask's voxels must be those of a share of {INSIDE_SHARE} or more")


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A fresh array, locked, so that it needn't be copied once more."""
    array.setflags(write=False)
    return array


def _locked(voxels: NDArray[Any], dtype: type[np.generic], geometry: Geometry) -> NDArray[Any]:
    if voxels.shape != geometry.shape:
        raise ValueError(f"voxels have shape {voxels.shape}, their geometry {geometry.shape}")
    if voxels.dtype == dtype and _nobody_can_write(voxels):
        return voxels  # a crop of something locked: no copy
    copy = np.array(voxels, dtype=dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy


def _nobody_can_write(voxels: NDArray[Any]) -> bool:
    array: object = voxels
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None
