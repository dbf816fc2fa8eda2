"""One batch a folder; shards beside each other; no lock outlives its holder for long."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from ablmargin.batch.journal import Journal, last_events
from ablmargin.batch.locks import SILENCE_S, batch_lock, table_lock
from ablmargin.errors import UsageError

HOLDER = """
import sys, time
from pathlib import Path
from ablmargin.batch.locks import batch_lock
with batch_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts processes that hold a lock."""
    running = []

    def hold(name):
        command = [sys.executable, "-c", HOLDER, str(tmp_path), name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield hold
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def record(tmp_path, name, **values):
    folder = tmp_path / ".batch" / "locks"
    folder.mkdir(parents=True)
    path = folder / f"{name}.lock"
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "born": 0.0, "token": "t"} | values))
    return path


def test_a_second_batch_is_refused_until_the_first_is_killed(holder, tmp_path):
    first = holder("all")
    with pytest.raises(UsageError, match=f"process {first.pid}"), batch_lock(tmp_path, "all"):
        pass
    first.kill()
    first.wait()
    with batch_lock(tmp_path, "all"):
        pass
    assert not list((tmp_path / ".batch" / "locks").iterdir())


@pytest.mark.parametrize(
    ("held", "wanted", "may"),
    [
        ("1-of-3", "2-of-3", True),
        ("1-of-3", "1-of-3", False),
        ("1-of-3", "1-of-4", False),
        ("1-of-3", "all", False),
        ("all", "1-of-3", False),
    ],
)
def test_who_may_work_beside_whom(tmp_path, held, wanted, may):
    with batch_lock(tmp_path, held):
        if may:
            with batch_lock(tmp_path, wanted):
                pass
        else:
            with pytest.raises(UsageError, match="another batch works in it"), batch_lock(tmp_path, wanted):
                pass
    with batch_lock(tmp_path, wanted):
        pass


def test_a_number_that_another_process_got_later_is_no_holder(tmp_path):
    record(tmp_path, "all", born=12.0)
    with batch_lock(tmp_path, "all"):
        pass


@pytest.mark.parametrize(("age_s", "free"), [(0, False), (SILENCE_S - 60, False), (SILENCE_S + 60, True)])
def test_a_holder_on_another_machine_is_gone_when_it_is_silent(tmp_path, age_s, free):
    path = record(tmp_path, "all", host="elsewhere")
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    if free:
        with batch_lock(tmp_path, "all"):
            pass
    else:
        with pytest.raises(UsageError, match="elsewhere"), batch_lock(tmp_path, "all"):
            pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_lock_that_makes_no_sense_holds_nothing(tmp_path, content):
    record(tmp_path, "all").write_bytes(content)
    with batch_lock(tmp_path, "all"):
        pass


def test_who_wants_the_table_waits(tmp_path):
    order = []

    def wait():
        with table_lock(tmp_path):
            order.append("second")

    with batch_lock(tmp_path, "all"):
        with table_lock(tmp_path):
            other = threading.Thread(target=wait)
            other.start()
            time.sleep(0.3)
            order.append("first")
        other.join(10)
    assert order == ["first", "second"]


def test_a_table_that_is_never_free_is_told(tmp_path):
    (tmp_path / ".batch" / "locks").mkdir(parents=True)
    with (
        table_lock(tmp_path),
        pytest.raises(UsageError, match="writes its results"),
        table_lock(tmp_path, patience_s=0.3),
    ):
        pass


def test_a_journal_outlives_a_line_that_was_cut_off(tmp_path):
    Journal(tmp_path, "all").write("done", case_id="a", tries=1)
    path = tmp_path / ".batch" / "journal-all.jsonl"
    with path.open("ab") as file:
        file.write(b'{"time": "2026-01-01T00:00:00+00:00", "event": "fai')
    Journal(tmp_path, "all").write("failed", case_id="b", error_code="X")
    assert {case: event["event"] for case, event in last_events(tmp_path).items()} == {"a": "done", "b": "failed"}


def test_what_happened_last_counts_across_shards(tmp_path):
    for shard, event in (("1-of-2", "failed"), ("2-of-2", "done")):
        Journal(tmp_path, shard).write(event, case_id="a")
    late = tmp_path / ".batch" / "journal-1-of-2.jsonl"
    late.write_text(json.dumps({"time": "2999-01-01T00:00:00+00:00", "event": "kept", "case_id": "a"}) + "\n")
    assert last_events(tmp_path)["a"]["event"] == "kept"
