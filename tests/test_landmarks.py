"""Landmarks: read as they were marked, or refused with the row that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from orientations import grid_around

from ablmargin.case import Landmarks
from ablmargin.errors import InputError
from ablmargin.landmarks import read_landmarks, require_imaged

HEADER = "name,pre_x,pre_y,pre_z,post_x,post_y,post_z"


@pytest.fixture
def written(tmp_path):
    def write(*lines: str):
        path = tmp_path / "points.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def faults_of(action) -> list[str]:
    with pytest.raises(InputError) as refusal:
        action()
    assert {fault.code for fault in refusal.value.faults} == {"LANDMARKS_UNUSABLE"}
    return [fault.found for fault in refusal.value.faults]


def test_rows_are_pairs_whatever_else_stands_there(written):
    found = read_landmarks(written(HEADER, "portal,1,2,3,4,5,6", "hepatic,-1.5,0,7e1,0,0,0"))
    assert found.pre_mm.tolist() == [[1, 2, 3], [-1.5, 0, 70]]
    assert found.post_mm.tolist() == [[4, 5, 6], [0, 0, 0]]


def test_every_bad_row_is_told(written):
    path = written(HEADER, "a,1,2,3,4,5,6", "b,1,2,3,4,5,", "c,1,2,3,4,5,nan", "d,1,2,3")
    assert faults_of(lambda: read_landmarks(path)) == [f"no six numbers in row {row}" for row in (2, 3, 4)]


@pytest.mark.parametrize(
    ("lines", "found"),
    [((), "no column pre_x"), (("x,y,z", "1,2,3"), "no column pre_x"), ((HEADER,), "no row of points")],
)
def test_no_such_table(written, lines, found):
    (told,) = faults_of(lambda: read_landmarks(written(*lines)))
    assert told.startswith(found)


def test_no_such_file(tmp_path):
    (told,) = faults_of(lambda: read_landmarks(tmp_path / "nowhere.csv"))
    assert "can't be read" in told


def test_points_of_another_frame_are_refused(written):
    grid = grid_around((0, 0, 100), shape=(20, 30, 30), spacing_mm=(2.0, 1.0, 1.0))
    path = written(HEADER, "a,0,0,100,0,0,100", "b,5,5,105,-5,-5,400")
    landmarks = read_landmarks(path)
    (told,) = faults_of(lambda: require_imaged(landmarks, path, pre=grid, post=grid))
    assert told == "1 of 2 points outside the CT after"


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="pairs of points"):
        Landmarks(pre_mm=np.zeros((2, 3)), post_mm=np.zeros((1, 3)))
