"""What Dask's own failures become: a few words in a case's row, or one line."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from ablmargin.batch.engine import _lost
from ablmargin_cli.main import main


@pytest.mark.parametrize("allowed", [0, 3])
def test_a_workers_deaths_are_those_that_the_scheduler_counted(allowed):
    """A running cluster has a limit of its own, whatever --retries says."""
    travelled = pickle.loads(pickle.dumps(KilledWorker("case", None, allowed)))
    outcome = _lost(SimpleNamespace(case_id="c0"), travelled)
    assert (outcome.state, outcome.error_code) == ("failed", "WORKER_DIED")
    assert f"died, {allowed + 1} " in outcome.error


def test_what_a_worker_cannot_start_is_told_by_its_kind():
    outcome = _lost(SimpleNamespace(case_id="c0"), ImportError("/home/smith"))
    assert (outcome.error_code, outcome.error) == ("ENGINE_ERROR", "Its worker couldn't start it: ImportError.")


def test_workers_that_cannot_be_started_are_told_in_a_line(cases, tmp_path, monkeypatch, capsys):
    """Dask's own words end in a traceback."""
    monkeypatch.setattr("distributed.LocalCluster", _fails)
    assert main(["batch", str(cases / "m.csv"), "--out", str(tmp_path / "out"), "--workers", "2"]) == 2
    told = capsys.readouterr().err
    assert "--workers 2: they can't be started on this machine (RuntimeError: Nanny failed\\nto start.)" in told
    assert "Traceback" not in told
    assert not list((tmp_path / "out" / ".batch" / "locks").iterdir())


def _fails(**_):
    raise RuntimeError("Nanny failed\nto start.")
