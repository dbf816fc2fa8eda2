"""Exact distances to triangle meshes, by VTK: the only file here that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry

if TYPE_CHECKING:
    from ablmargin.metrics.surface import Surface


def signed_distances_mm(surface: Surface, points_mm: FloatArray) -> FloatArray:
    """Signed distance of points to a closed surface, positive inside.

    Exact for the triangles as given. The sign is that of the angle-weighted normal at the closest point (Baerentzen
    and Aanaes 2005), so the parts of a surface must not cut each other.

    Parameters
    ----------
    surface : Surface
    points_mm : ndarray, shape (n, 3)
        LPS mm, in the surface's frame.

    Returns
    -------
    ndarray of float, shape (n,)

    References
    ----------
    doi:10.1109/TVCG.2005.49
    """
    return -_implicit_distances(surface.vertices_mm, surface.triangles, points_mm)


def distances_mm(vertices_mm: FloatArray, triangles: Array, points_mm: FloatArray) -> FloatArray:
    """Distance of points, shape (n, 3), to any set of triangles, closed or not; shape (n,), never negative."""
    used, compact = np.unique(triangles, return_inverse=True)
    return np.abs(_implicit_distances(vertices_mm[used], compact.reshape(-1, 3), points_mm))


def voxelize(surface: Surface, geometry: Geometry) -> BoolArray:
    """Which voxel centers of a grid lie inside a closed surface.

    Parameters
    ----------
    surface : Surface
    geometry : Geometry
        Any grid in the surface's frame: oblique, flipped, cutting through the surface or beside it.

    Returns
    -------
    ndarray of bool, shape ``geometry.shape``
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil  # noqa: PLC0415

    slices, rows, columns = geometry.shape
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(_poly_data(geometry.indices_at(surface.vertices_mm)[:, ::-1], surface.triangles))
    stencil.SetOutputWholeExtent(0, columns - 1, 0, rows - 1, 0, slices - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    inside: BoolArray = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(geometry.shape) > 0
    return inside


def _implicit_distances(vertices_mm: FloatArray, triangles: Array, points_mm: FloatArray) -> FloatArray:
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy  # noqa: PLC0415
    from vtkmodules.vtkCommonCore import vtkDoubleArray  # noqa: PLC0415
    from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance  # noqa: PLC0415

    if len(points_mm) == 0:
        return np.empty(0)
    implicit = vtkImplicitPolyDataDistance()
    implicit.SetInput(_poly_data(vertices_mm, triangles))
    distances = vtkDoubleArray()
    implicit.FunctionValue(numpy_to_vtk(np.array(points_mm, np.float64, order="C"), deep=True), distances)
    return np.array(vtk_to_numpy(distances))


def _poly_data(vertices: FloatArray, triangles: Array) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray  # noqa: PLC0415
    from vtkmodules.vtkCommonCore import vtkPoints  # noqa: PLC0415
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData  # noqa: PLC0415

    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.array(vertices, np.float64, order="C"), deep=True))
    cells = vtkCellArray()
    offsets = np.arange(0, 3 * len(triangles) + 1, 3, dtype=np.int64)
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(np.array(triangles, np.int64).ravel(), deep=True),
    )
    mesh = vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    return mesh
