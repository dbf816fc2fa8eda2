"""The tuning of the other registration programs: equal effort, pairs of its own, an honest choice. Nothing is registered."""

from __future__ import annotations

import pytest
import registration_pairs as pairs_
import registration_rivals as rivals
import registration_tuning as tuning
from registration_scores import Score

from ablmargin.registration.deformable import SIGNED
from ablmargin.registration.elastix import PARAMETERS


def scored(tumor_mm: float, cpu_s: float = 1.0) -> Score:
    return Score(program="any", tumor_mm=tumor_mm, liver_mm=0.5, mam_error_mm=0.0, cpu_s=cpu_s)


def test_every_program_gets_as_many_settings_and_each_is_another():
    assert set(tuning.TRIALS) == {"ablmargin", *rivals.MODULES}
    for trials in tuning.TRIALS.values():
        assert len(trials) == len({repr(sorted(settings.items())) for settings in trials.values()}) == 6


def test_no_pair_is_one_that_the_benchmark_measures():
    measured = {(plan.kind, plan.seed) for plan in pairs_.plans(pairs_.KINDS, 50)}
    assert not measured & {(plan.kind, plan.seed) for plan in tuning.PAIRS}


@pytest.mark.parametrize("program", list(rivals.MODULES))
def test_what_the_benchmark_runs_was_tried(program):
    given = {name: " ".join(value) for name, value in PARAMETERS.items()} if program == "elastix" else {}
    tried = [{**given, **settings} for settings in tuning.TRIALS[program].values()]
    assert {**given, **rivals.SETTINGS[program]} in tried


def test_elastix_is_told_nothing_that_it_does_not_know():
    assert all(set(settings) <= set(PARAMETERS) for settings in tuning.TRIALS["elastix"].values())


def test_our_own_search_starts_from_the_product_and_changes_the_finest_level_only():
    recipes = [tuning.recipe_with(settings) for settings in tuning.TRIALS["ablmargin"].values()]
    assert recipes[0] == SIGNED
    assert all(recipe[:-1] == SIGNED[:-1] and recipe[-1] != SIGNED[-1] for recipe in recipes[1:])


def test_a_trial_is_the_mean_over_its_pairs_and_its_worst():
    trial = tuning.trial_of("setting", [scored(0.2, 3.0), scored(0.6, 5.0)])
    assert str(trial) == "| setting | 0.40 | 0.60 | 0.50 | 4.0 |"


def test_a_setting_that_fails_once_is_never_the_best():
    sound = tuning.trial_of("sound", [scored(0.9), scored(0.9)])
    broken = tuning.trial_of("broken", [scored(0.1), Score(program="any", failure="crashed")])
    assert tuning.ranked([broken, sound]) == [sound]


def test_the_tables_are_of_one_program_each():
    scores = {("own", "a"): [scored(0.2)], ("other", "a"): [scored(0.3)], ("other", "b"): [scored(0.1)]}
    assert [trial.name for trial in tuning.ranked(tuning.trials_of("other", scores))] == ["b", "a"]


def test_the_best_three_of_the_first_pair_go_on(monkeypatch, capsys):
    """Errors grow with the setting's number, but for the last, which is best at first and bad later."""
    names = [f"setting {number}" for number in range(6)]
    monkeypatch.setattr(tuning, "TRIALS", {"any": {name: {} for name in names}})
    asked = []

    def tried(plan, wanted, _data):
        asked.append(wanted["any"])
        last_mm = 0.05 if plan == tuning.PAIRS[0] else 5.0
        return [(name, scored(last_mm if name == names[-1] else 0.1 + names.index(name))) for name in wanted["any"]]

    monkeypatch.setattr(tuning, "tried", tried)
    monkeypatch.setattr("sys.argv", ["tuning", "--programs", "any"])
    assert tuning.main() == 0
    assert asked == [names, [names[5], names[0], names[1]]]
    last_table = capsys.readouterr().out.rpartition("|---|")[2]
    assert [line[2:11] for line in last_table.splitlines() if line.startswith("| ")] == [names[0], names[1], names[5]]
