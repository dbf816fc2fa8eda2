"""Batches that are interrupted, killed, split or sent elsewhere: real processes, so all of it is slow."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from batch import PROGRAM, events, half_written, kill_tree, numbers, start, table
from batch_cases import write_case, write_manifest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four")
    rows = [
        row for number in range(4) for row in write_case(folder / f"c{number}", seed=number, lesions=1 + number % 2)
    ]
    return write_manifest(folder / "m.csv", rows)


@pytest.fixture(scope="module")
def undisturbed(manifest, tmp_path_factory):
    out = tmp_path_factory.mktemp("true") / "out"
    assert start(manifest, out, "--workers", "2").wait() == 0
    return out


@pytest.fixture
def begin():
    """Starts batches that don't outlive the test."""
    begun = []

    def begin_one(*arguments):
        begun.append(start(*arguments))
        return begun[-1]

    yield begin_one
    for process in begun:
        kill_tree(process)


def wait_for(condition, process=None, patience_s=240.0):
    """Until a condition holds, while a process lives."""
    until = time.monotonic() + patience_s
    while not condition():
        assert process is None or process.poll() is None, "it has ended before"
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_it_ends_soon_and_goes_on_later(manifest, undisturbed, begin, tmp_path, kind):
    """Ctrl-C and a closed terminal reach every process of the terminal's group; SIGTERM the one it is sent to."""
    out = tmp_path / "out"
    process = begin(manifest, out, "--workers", "1")
    wait_for(lambda: len(events(out)) == 1, process)
    below = psutil.Process(process.pid).children(recursive=True)
    (os.kill if kind == "SIGTERM" else os.killpg)(process.pid, getattr(signal, kind))
    assert process.wait(timeout=30) == 130  # how soon, is measured by benchmarks/batch.py --kill
    told = out.with_suffix(".log").read_text().splitlines()
    assert told[-2:] == [
        "Finished cases are kept; the same command goes on with the others.",
        "ablmargin: interrupted",
    ]
    assert not [line for line in told if "Traceback" in line or "leaked" in line]
    _, alive = psutil.wait_procs(below, timeout=3)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    assert (
        json.loads((out / ".batch" / "journal-all.jsonl").read_text().splitlines()[-1])["event"] == "batch interrupted"
    )
    assert [row["error_code"] for row in table(out)].count("NOT_RUN") > 0
    assert begin(manifest, out, "--workers", "2").wait() == 0
    assert [event["event"] for event in events(out)[1:]].count("kept") >= 1
    assert numbers(out) == numbers(undisturbed)


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_while_its_workers_start_it_says_no_more_than_that(manifest, begin, tmp_path, kind, after_s):
    out = tmp_path / "out"
    process = begin(manifest, out, "--workers", "2")
    wait_for((out / ".batch" / "locks" / "all.lock").exists, process)
    time.sleep(after_s)
    os.killpg(process.pid, getattr(signal, kind))
    assert process.wait(timeout=30) == 130
    told = out.with_suffix(".log").read_text().splitlines()
    assert [line for line in told if line != "4 cases, 2 at once"] == [
        "Finished cases are kept; the same command goes on with the others.",
        "ablmargin: interrupted",
    ]


def test_when_the_terminal_closes_it_ends_in_order(manifest, tmp_path):
    """As when ssh loses its connection: nobody can be told anything any more, and that is no error."""
    out = tmp_path / "out"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM[0], [*PROGRAM, "batch", str(manifest), "--out", str(out), "--workers", "1"])
    wait_for(lambda: events(out))
    below = psutil.Process(pid).children(recursive=True)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    _, alive = psutil.wait_procs(below, timeout=3)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    lines = (out / ".batch" / "journal-all.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["event"] == "batch interrupted"
    assert [row["error_code"] for row in table(out)].count("NOT_RUN") > 0


def test_with_nohup_it_outlives_its_terminal(manifest, undisturbed, begin, tmp_path, monkeypatch):
    out = tmp_path / "out"
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # all that nohup does
    try:
        process = begin(manifest, out, "--workers", "2")
    finally:
        signal.signal(signal.SIGHUP, hangup)
    wait_for(lambda: events(out), process)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait() == 0
    assert numbers(out) == numbers(undisturbed)


def test_killed_with_all_below_it_it_loses_nothing(manifest, undisturbed, begin, tmp_path):
    out = tmp_path / "out"
    process = begin(manifest, out, "--workers", "2")
    wait_for(lambda: len(events(out)) >= 1, process)
    kill_tree(process)
    finished = {path.parent.name: path.read_bytes() for path in out.glob("*/DONE.json")}
    assert {event["case_id"] for event in events(out)} <= set(finished)
    assert half_written(out) == 0
    assert begin(manifest, out, "--workers", "2").wait() == 0
    assert half_written(out) == 0
    assert numbers(out) == numbers(undisturbed)
    assert all((out / case / "DONE.json").read_bytes() == content for case, content in finished.items())
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == {".batch"}, "no leftovers"


def test_a_killed_worker_is_replaced_and_its_case_tried_again(manifest, undisturbed, begin, tmp_path):
    out = tmp_path / "out"
    process = begin(manifest, out, "--workers", "2")
    wait_for(lambda: len(list((out / "logs").glob("*.log"))) == 2, process)
    workers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    workers[0].kill()
    assert process.wait() == 0
    assert numbers(out) == numbers(undisturbed)


def test_shards_at_once_make_one_table(manifest, undisturbed, begin, tmp_path):
    out = tmp_path / "out"
    shards = [begin(manifest, out, "--workers", "1", "--shard", f"{number}/2") for number in (1, 2)]
    assert [shard.wait() for shard in shards] == [0, 0]
    assert numbers(out) == numbers(undisturbed)
    assert [row["error_code"] for row in table(out)] == [""] * 6


@contextmanager
def cluster(folder: Path, *worker_words: str):
    """A scheduler and a worker as users start them; the scheduler's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    common = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = (sys.executable, "-m", "dask")
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **common
    )
    worker = subprocess.Popen([*dask, "worker", address, "--no-dashboard", "--nthreads", "2", *worker_words], **common)
    try:
        yield address
    finally:
        for process in (worker, scheduler):
            kill_tree(process)


def test_a_cluster_does_the_same(manifest, undisturbed, begin, tmp_path):
    """One worker with two threads has two cases at once."""
    out = tmp_path / "out"
    with cluster(tmp_path) as address:
        assert begin(manifest, out, "--scheduler", address).wait() == 0
    assert numbers(out) == numbers(undisturbed)


def test_a_cluster_that_is_not_there_is_told(manifest, tmp_path, monkeypatch, capsys):
    from ablmargin.batch import engine
    from ablmargin_cli.main import main

    monkeypatch.setattr(engine, "CONNECT_S", 1.0)
    assert main(["batch", str(manifest), "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err
    assert main(["batch", str(manifest), "--out", str(tmp_path / "out"), "--scheduler", "nonsense://x"]) == 2
