from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from ablmargin.report.meshes import save_surface
from ablmargin.report.tables import save_margins


def read_rows(result, path):
    save_margins(result, path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_margins_have_a_row_a_surface_point(two_tumors, tmp_path):
    header, *rows = read_rows(two_tumors, tmp_path / "margins.csv")
    assert header == ["lesion", "x", "y", "z", "margin_mm", "area_mm2", "depth_mm", "margin_sd_mm"]
    for lesion in two_tumors.lesions:
        mine = np.array([row[1:] for row in rows if row[0] == lesion.lesion_id], float)
        margin = lesion.margin
        assert mine[:, :3] == pytest.approx(margin.points_mm, abs=1e-4)
        assert mine[:, 3] == pytest.approx(margin.margin_mm, abs=1e-4)
        assert mine[:, 4].sum() == pytest.approx(lesion.tumor_post.area_mm2, rel=1e-3)
        assert mine[:, 5] == pytest.approx(margin.depth_mm, abs=1e-4)
        assert mine[:, 6] == pytest.approx(lesion.margin_sd_mm, abs=1e-4)
    assert {row[0] for row in rows} == {"1", "seg-7"}


def test_depth_is_empty_without_a_liver(result, tmp_path):
    lesion = replace(result.lesions[0], margin=replace(result.lesions[0].margin, depth_mm=None))
    _, *rows = read_rows(replace(result, lesions=(lesion,)), tmp_path / "margins.csv")
    assert {row[6] for row in rows} == {""}


def test_deviation_is_empty_where_the_error_is_not_known(result, tmp_path):
    lesion = replace(result.lesions[0], margin_sd_mm=None)
    _, *rows = read_rows(replace(result, lesions=(lesion,)), tmp_path / "margins.csv")
    assert {row[7] for row in rows} == {""}
    save_surface(lesion, tmp_path / "lesion-1.vtp")
    assert "margin_sd_mm" not in (tmp_path / "lesion-1.vtp").read_text(encoding="latin-1")


def test_surface_reads_back_with_its_margins(result, tmp_path):
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    lesion = result.lesions[0]
    save_surface(lesion, tmp_path / "lesion-1.vtp")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "lesion-1.vtp"))
    reader.Update()
    mesh = reader.GetOutput()
    assert vtk_to_numpy(mesh.GetPoints().GetData()) == pytest.approx(lesion.margin.points_mm, abs=1e-9)
    assert vtk_to_numpy(mesh.GetPointData().GetArray("margin_mm")) == pytest.approx(lesion.margin.margin_mm, abs=1e-9)
    assert vtk_to_numpy(mesh.GetPointData().GetArray("margin_sd_mm")) == pytest.approx(lesion.margin_sd_mm, abs=1e-9)
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    assert (triangles == lesion.tumor_post.triangles).all()
    assert mesh.GetFieldData().GetAbstractArray("SPACE").GetValue(0) == "LPS"


def test_surface_that_cannot_be_written_says_so(result, tmp_path, capfd):
    with pytest.raises(OSError, match=r"lesion-1\.vtp"):
        save_surface(result.lesions[0], tmp_path / "nowhere" / "lesion-1.vtp")
