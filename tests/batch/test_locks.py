"""One batch a folder; shards beside each other; no lock outlives its holder for long."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from ablmargin.batch import locks
from ablmargin.batch.journal import Journal, last_events
from ablmargin.batch.locks import MAKING_S, SILENCE_S, batch_lock, table_lock
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


@pytest.fixture(params=["hard links", "none"])
def disk(request, monkeypatch):
    """With hard links, and without as exFAT and some network drives."""

    def refused(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(os, "link", refused)
    return request.param


def aged(path, seconds):
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_lock_that_makes_no_sense_holds_nothing_unless_it_may_be_in_the_making(disk, tmp_path, content):
    path = record(tmp_path, "all")
    path.write_bytes(content)
    with pytest.raises(UsageError, match="since a moment ago"), batch_lock(tmp_path, "all"):
        pass
    assert path.read_bytes() == content
    aged(path, MAKING_S + 1)
    with batch_lock(tmp_path, "all"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_process_that_was_killed_while_it_removed_a_lock_is_in_nobodys_way_for_long(tmp_path):
    claim = record(tmp_path, "all", born=12.0).with_name(".all.lock.gone")
    claim.touch()
    with pytest.raises(UsageError), batch_lock(tmp_path, "all"):
        pass
    aged(claim, MAKING_S + 1)
    with batch_lock(tmp_path, "all"):
        pass
    assert not claim.exists()


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_at_once_one_gets_the_lock(disk, tmp_path, stale):
    """Also if all of them find one whose holder is gone."""
    if stale:
        record(tmp_path, "all", born=12.0)
    inside, most, got, refused = 0, 0, 0, 0
    counting = threading.Lock()

    def work():
        nonlocal inside, most, got, refused
        for _ in range(20):
            try:
                with batch_lock(tmp_path, "all"):
                    with counting:
                        inside, got = inside + 1, got + 1
                        most = max(most, inside)
                    time.sleep(0.001)
                    with counting:
                        inside -= 1
            except UsageError:
                refused += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert got >= 1
    assert got + refused == 160, "nothing but a refusal"
    assert not list((tmp_path / ".batch" / "locks").iterdir())


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


def test_who_waits_long_says_for_whom_and_waits_on(tmp_path, monkeypatch, caplog):
    """An interruption that is under way stays one."""
    monkeypatch.setattr(locks, "PATIENCE_S", 0.3)
    release = threading.Event()

    def hold():
        with table_lock(tmp_path):
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    while not list(tmp_path.rglob("table.lock")):
        time.sleep(0.01)
    threading.Timer(1.5, release.set).start()

    def interrupted():
        try:
            raise KeyboardInterrupt
        finally:
            with table_lock(tmp_path):
                assert release.is_set()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    holder.join()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        "another batch writes the table of results "
        f"(process {os.getpid()} on {socket.gethostname()}): waiting until it is done"
    )


def test_a_table_whose_holder_was_killed_is_free(holder, tmp_path):
    process = holder("all")
    (tmp_path / ".batch" / "locks" / "all.lock").rename(tmp_path / ".batch" / "locks" / "table.lock")
    threading.Timer(0.5, process.kill).start()
    threading.Thread(target=process.wait).start()
    with table_lock(tmp_path):
        assert process.poll() is not None


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
