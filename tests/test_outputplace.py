"""Where results mustn't be written."""

from __future__ import annotations

import pytest

from ablmargin.errors import UsageError
from ablmargin.outputplace import require_apart


@pytest.fixture
def places(tmp_path):
    (tmp_path / "data" / "ct").mkdir(parents=True)
    for name in ("ct.nii.gz", "tumor.nii.gz", "media/DICOMDIR"):
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "data" / "ct")
    return tmp_path


@pytest.mark.parametrize("named", ["ct", "../link"])
@pytest.mark.parametrize("out", ["data/ct", "data/ct/below", "link/below"])
def test_not_in_an_input_folder_by_whatever_name(places, named, out):
    with pytest.raises(UsageError, match="lies inside the input folder"):
        require_apart(places / out, [places / "data" / named])


def test_not_beside_a_dicomdir(places):
    with pytest.raises(UsageError, match="media, where nothing is ever written"):
        require_apart(places / "data" / "media" / "out", [places / "data" / "media" / "DICOMDIR"])


@pytest.mark.parametrize("named", ["ct", "tumor.nii.gz", "media/DICOMDIR"])
def test_not_around_an_input(places, named):
    with pytest.raises(UsageError, match="holds the input"):
        require_apart(places / "data", [places / "data" / named])


def test_beside_files_and_folders(places):
    require_apart(places / "data" / "out", [places / "data" / name for name in ("ct", "ct.nii.gz", "tumor.nii.gz")])
    require_apart(places / "data" / "ct-2", [places / "data" / "ct"])


def test_what_messages_call_it(places):
    with pytest.raises(UsageError, match=f"^{places / 'data'} holds"):
        require_apart(places / "data", [places / "data" / "ct"], option="")
