"""The CT series that an outline was drawn on, as written DICOM objects refer to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from ablmargin.dicom.checks import check_series
from ablmargin.dicom.deidentify import nameless_header
from ablmargin.dicom.discover import discover
from ablmargin.dicom.enhanced import is_multi_frame
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.stack import Stack
from ablmargin.errors import DicomError, Fault
from ablmargin.geometry import Geometry
from ablmargin.pseudonyms import Pseudonyms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceSeries:
    """Headers of a CT series, in the order of its grid's slices.

    Parameters
    ----------
    slices : tuple of Dataset
        The header of each slice's file; of Enhanced CT the same one for all its frames.
    frame_numbers : tuple of int or None
        Which frame of its file each slice is, from 1; None in a classic file.
    is_nameless : bool
        Whether the headers were made to identify nobody.
    """

    slices: tuple[Dataset, ...]
    frame_numbers: tuple[int | None, ...]
    geometry: Geometry
    is_nameless: bool = False

    def nameless(self, pseudonyms: Pseudonyms) -> SourceSeries:
        """The same with headers that identify nobody, for objects that don't."""
        nameless = {id(header): nameless_header(header, pseudonyms) for header in self.files}
        return replace(self, slices=tuple(nameless[id(header)] for header in self.slices), is_nameless=True)

    @property
    def files(self) -> tuple[Dataset, ...]:
        """The header of each file once."""
        return tuple({id(image): image for image in self.slices}.values())


def source_series(path: Path, grid: Geometry) -> SourceSeries:
    """The CT series under a path whose grid is the one asked for.

    Raises
    ------
    DicomError
        SOURCE_GRID if no series lies on that grid, SERIES_AMBIGUOUS if several do.
    """
    stacks = [stack for stack in (check_series(series).stack for series in discover(path).series) if stack]
    fitting = [stack for stack in stacks if _is_its_slices(stack) and stack.geometry.same_grid_as(grid)]
    if len(fitting) != 1:
        raise DicomError(_fault(path, grid, stacks, fitting))
    headers = fitting[0].headers
    with quiet():
        files = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in {one.path: None for one in headers}}
    return SourceSeries(
        slices=tuple(files[header.path] for header in headers),
        frame_numbers=tuple(header.frame + 1 if is_multi_frame(header) else None for header in headers),
        geometry=fitting[0].geometry,
    )


def _is_its_slices(stack: Stack) -> bool:
    """Whether each plane of the grid is one of the slices, to a rounding of its position."""
    placement = stack.placement
    return len(stack.headers) == stack.geometry.shape[0] and placement.is_even and placement.is_nudged


def _fault(path: Path, grid: Geometry, stacks: list[Stack], fitting: list[Stack]) -> Fault:
    expected = "one CT series on the mask's own grid, for the DICOM object to refer to"
    if fitting:
        found = f"{len(fitting)} CT series on this grid"
        remedy = "Name the folder of the series that the mask was drawn on."
        return Fault(code="SERIES_AMBIGUOUS", source=str(path), found=found, expected=expected, remedy=remedy)
    if any(stack.geometry.same_grid_as(grid) for stack in stacks):
        found = "a CT series that was straightened onto this grid: none of its slices is one of the grid's"
    else:
        found = f"{len(stacks)} readable CT series, none on this grid"
    remedy = "Load the mask onto its image first, or write .nii.gz, .nrrd, .seg.nrrd or .mha."
    return Fault(code="SOURCE_GRID", source=str(path), found=found, expected=expected, remedy=remedy)
