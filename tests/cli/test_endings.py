"""SIGTERM and SIGHUP end a batch as Ctrl-C does, from its first moment on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from interrupted import interrupted

from ablmargin_cli import stopping
from ablmargin_cli.stopping import ENDINGS, ended_as_interrupted


@pytest.fixture(autouse=True)
def _usual():
    """What was set for the tests themselves comes back."""
    before = {one: signal.getsignal(one) for one in ENDINGS}
    for one in ENDINGS:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("kind", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("module", ["ablmargin.batch.manifest", "ablmargin_cli.batching"])
def test_as_soon_as_the_command_begins_it_is_interrupted(tmp_path, kind, module):
    program = interrupted("batch", "none.csv", "--out", "out", module=module, kind=kind)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "ablmargin: interrupted\n")


@pytest.mark.parametrize("kind", ENDINGS)
def test_signals_that_end_interrupt_and_leave_what_was(kind):
    def work():
        with ended_as_interrupted():
            os.kill(os.getpid(), kind)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(kind) is signal.SIG_DFL


def test_what_is_ignored_stays_ignored():
    """What nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_as_interrupted():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_second_signal_soon_after_cuts_nothing_short_and_a_later_one_does(monkeypatch):
    done = []

    def work(pause_s):
        with ended_as_interrupted():
            try:
                os.kill(os.getpid(), signal.SIGHUP)
            finally:
                monkeypatch.setattr(stopping, "_ONCE_S", 5.0 - pause_s)
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(pause_s)

    for pause_s in (0.0, 5.0):
        monkeypatch.setattr(stopping, "_ONCE_S", 5.0)
        with pytest.raises(KeyboardInterrupt):
            work(pause_s)
    assert done == [0.0]
