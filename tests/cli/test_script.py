from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ablmargin_cli.main import main

STALLED = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from ablmargin_cli.main import script

class Interrupted(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
sys.argv = ["ablmargin", "--version"]
script()
"""


@pytest.mark.parametrize("module", ["typer", "ablmargin_cli.app", "numpy", "ablmargin_cli.validate"])
def test_interrupted_while_it_loads(module):
    """Ctrl-C amid any import: the exit code of an interruption, a line of words and no traceback."""
    done = subprocess.run(
        [sys.executable, "-c", STALLED.format(module=module)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "ablmargin: interrupted\n"
    assert done.stdout == ""


def test_loaded_it_is_interrupted_as_usual():
    """The handler for loading is gone: a command gets KeyboardInterrupt, and can clean up."""
    usual = signal.getsignal(signal.SIGINT)
    code = (
        "import signal, sys, ablmargin_cli.main as m\n"
        "m.main = lambda: print(signal.getsignal(signal.SIGINT) is signal.default_int_handler) or 0\n"
        "m.script()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert signal.getsignal(signal.SIGINT) is usual


def test_the_script_itself_needs_nothing_that_takes_time():
    code = "import sys, ablmargin_cli.main; print(sorted({'typer', 'numpy', 'ablmargin.errors'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (b"a = ", "it is no valid TOML"),
        (b"\xff\xfe", "it is no text in UTF-8"),
    ],
)
def test_an_options_file_that_cannot_be_read(tmp_path, capsys, content, words):
    config = tmp_path / "o.toml"
    if content is not None:
        config.write_bytes(content)
    assert main(["margin", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert f"o.toml: {words}" in said
    assert "Errno" not in said


def test_what_is_not_there_is_an_input_that_is_refused(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "none")]) == 3
    assert "PATH_MISSING" in capsys.readouterr().err
    words = ["analyze", "--pre", str(tmp_path / "a"), "--post", str(tmp_path / "b"), "--tumor", "t", "--ablation", "z"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.count("PATH_MISSING") == 2
