"""``lesion-<id>.vtp``: a tumor's surface with its margins, for ParaView, 3D Slicer and the like. The only file here with VTK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablmargin.result import LesionResult


def save_surface(lesion: LesionResult, path: Path) -> None:
    """Write a tumor's surface in the frame of the exam after ablation, LPS mm.

    With the point arrays ``margin_mm`` and, where it is known, ``margin_sd_mm``, its standard deviation.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray  # noqa: PLC0415  VTK takes 0.3 s to load
    from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray  # noqa: PLC0415
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData  # noqa: PLC0415
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter  # noqa: PLC0415

    points, cells, mesh = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(lesion.tumor_post.vertices_mm, np.float64), deep=True))
    triangles = np.ascontiguousarray(lesion.tumor_post.triangles, np.int64)
    offsets = np.arange(0, triangles.size + 1, 3, dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(triangles.ravel(), deep=True))
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    margins = numpy_to_vtk(np.ascontiguousarray(lesion.margin.margin_mm, np.float64), deep=True)
    margins.SetName("margin_mm")
    mesh.GetPointData().SetScalars(margins)
    if lesion.margin_sd_mm is not None:
        deviations = numpy_to_vtk(np.ascontiguousarray(lesion.margin_sd_mm, np.float64), deep=True)
        deviations.SetName("margin_sd_mm")
        mesh.GetPointData().AddArray(deviations)
    space = vtkStringArray()
    space.SetName("SPACE")
    space.InsertNextValue("LPS")
    mesh.GetFieldData().AddArray(space)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(mesh)
    if writer.Write() != 1:
        raise OSError(f"could not write {path.name}")
