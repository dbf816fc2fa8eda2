"""A hazard is taken by its name, one by one, and told; what can't be accepted is a wrong call."""

from __future__ import annotations

import pytest
from hostile_phantom import POST, exam, stack, write

from ablmargin.errors import InputError
from ablmargin.intake import CaseRequest, open_case
from ablmargin_cli.main import main


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two patients' exams, the second before the first and without one slice."""
    folder = tmp_path_factory.mktemp("pair")
    write(folder / "pre", stack())
    other = exam(POST, patient_id="ZZCANARYB", birth_date="19400101", sex="M", date="20310101")
    write(folder / "post", stack(other))[9].unlink()
    return CaseRequest(pre=folder / "pre", post=folder / "post")


def refused(pair, *accepted):
    with pytest.raises(InputError) as caught:
        open_case(CaseRequest(pre=pair.pre, post=pair.post, accepted=frozenset(accepted)))
    return [fault.code for fault in caught.value.faults]


def test_each_hazard_needs_its_own_name(pair):
    assert refused(pair) == ["GEOM_GAP"]
    assert refused(pair, "GEOM_GAP") == ["PATIENT_MISMATCH", "ORDER_SUSPECT"]
    assert refused(pair, "GEOM_GAP", "PATIENT_MISMATCH") == ["ORDER_SUSPECT"]
    assert refused(pair, "PATIENT_MISMATCH", "ORDER_SUSPECT") == ["GEOM_GAP"]


def test_all_that_was_taken_is_told(pair):
    accepted = frozenset({"GEOM_GAP", "PATIENT_MISMATCH", "ORDER_SUSPECT"})
    opened = open_case(CaseRequest(pre=pair.pre, post=pair.post, accepted=accepted))
    told = {caution.code: caution.message for caution in opened.cautions}
    assert accepted <= set(told)
    assert all("accepted on purpose: " in told[code] for code in accepted)
    assert told["GEOM_GAP"].startswith("the CT after ablation: ")
    assert opened.case.post.record.slice_thickness_mm == pytest.approx(5.0)
    assert not any(word in "".join(told.values()) for word in ("ZZCANARY", "1940", "2031"))


def test_the_way_to_accept_is_told_in_the_refusal(pair, tmp_path, capsys):
    command = ["register", "--pre", str(pair.pre), "--post", str(pair.post), "--out", str(tmp_path / "out")]
    assert main(command) == 3
    assert "Or --accept GEOM_GAP: missing slices are filled in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("code", ["SAME_SERIES", "GEOM_OFF_GRID", "everything", ""])
def test_what_cannot_be_accepted_is_a_wrong_call(pair, tmp_path, code, capsys):
    command = ["register", "--pre", str(pair.pre), "--post", str(pair.post), "--out", str(tmp_path / "out")]
    assert main([*command, "--accept", "GEOM_GAP", "--accept", code]) == 2
    assert "only these can be accepted" in capsys.readouterr().err
