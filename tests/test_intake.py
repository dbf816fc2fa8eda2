from __future__ import annotations

from ct_files import grid, write_series

from ablmargin.intake import CaseRequest, open_case


def test_a_caution_tells_which_exam_it_is_about(tmp_path):
    """Both exams are as coarse as each other: the same words twice would say nothing."""
    coarse = [
        write_series(tmp_path / name, grid((8, rows, 44), (5.0, 1.1, 0.9)), study_date=date)
        for name, rows, date in (("a", 40, "20260110"), ("b", 41, "20260111"))
    ]
    opened = open_case(CaseRequest(pre=coarse[0], post=coarse[1]))
    told = [caution.message for caution in opened.cautions if caution.code == "GEOM_COARSE"]
    assert [message.partition(": slices are ")[0] for message in told] == [
        "the CT before ablation",
        "the CT after ablation",
    ]
