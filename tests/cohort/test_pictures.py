"""What the pictures of a cohort show."""

from __future__ import annotations

from batches import measured_row, save

from ablmargin.cohort.analysis import analyze_cohort
from ablmargin.cohort.drawings import drawings_of
from ablmargin.cohort.pictures import strips_of
from ablmargin.cohort.table import read_results


def cohort_of(rows, folder):
    return analyze_cohort(read_results(save(rows, folder)))


def test_lesions_of_which_something_is_not_known_are_drawn_too(tmp_path):
    rows = [
        measured_row("a", tumor_volume_ml="", subcapsular=True),
        measured_row("b", tumor_volume_ml=2.0, subcapsular=""),
        measured_row("c", tumor_volume_ml=2.0, subcapsular=""),
    ]
    strips = {topic.name: members for topic, members in strips_of(cohort_of(rows, tmp_path).measured)}
    counts = {name: {key: len(inside) for key, inside in members.items()} for name, members in strips.items()}
    assert counts == {
        "Diameter": {"under 10 mm": 0, "10 to 20 mm": 2, "20 to 30 mm": 0, "30 mm or more": 0, "not known": 1},
        "RAS status": {"wild type": 3, "mutant": 0},
        "Capsule": {"subcapsular": 1, "not subcapsular": 0, "not known": 2},
    }


def test_a_plain_table_has_no_picture_of_groups(tmp_path):
    bare = {"case_id": "a", "lesion_id": "1", "mam_mm": 4.0, "verdict": "inadequate"}
    assert "groups" not in drawings_of(cohort_of([bare], tmp_path))


def test_what_is_known_alone_is_drawn(tmp_path):
    bare = {"case_id": "a", "lesion_id": "1", "mam_mm": 4.0, "verdict": "inadequate", "ras_mutation": "mutant"}
    cohort = cohort_of([bare], tmp_path)
    assert [topic.name for topic, _ in strips_of(cohort.measured)] == ["RAS status"]
    assert "groups" in drawings_of(cohort)
