from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ct_files import write_series
from interrupted import interrupted

from ablmargin_cli.main import main

PATIENCE_S = 60.0
SLEEPS = "import pathlib, sys, time; pathlib.Path(sys.argv[1] + '.begun').touch(); time.sleep(600)"


@pytest.mark.parametrize(
    ("kind", "module", "code", "words"),
    [
        ("SIGINT", "typer", 130, "interrupted"),
        ("SIGINT", "ablmargin_cli.app", 130, "interrupted"),
        ("SIGINT", "numpy", 130, "interrupted"),
        ("SIGINT", "ablmargin_cli.validate", 130, "interrupted"),
        ("SIGTERM", "numpy", 143, "terminated"),
    ],
)
def test_stopped_while_it_loads(kind, module, code, words):
    """Ctrl-C or SIGTERM amid any import: the signal's exit code, a line of words and no traceback."""
    program = interrupted("--version", module=module, kind=kind)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == f"ablmargin: {words}\n"
    assert done.stdout == ""


def wait_for(path_like, folder: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while not any(folder.rglob(path_like)):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_terminated_it_removes_temporary_files_and_ends_other_processes(tmp_path):
    """The image that another program outlines lies in a temporary folder: it mustn't stay there."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "sleeps.py").write_text(SLEEPS)
    command = ["segment", "--image", write_series(tmp_path / "ct"), "--structure", "liver", "--out", tmp_path / "o.nii"]
    command += ["--auto-command", f"{sys.executable} {tmp_path / 'sleeps.py'} {{image}} {{mask}}"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from ablmargin_cli.main import script; script()", *map(str, command)],
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for("*.begun", scratch)
        (begun,) = psutil.Process(process.pid).children(recursive=True)
        assert [path.name for path in scratch.rglob("*.nii.gz")] == ["image.nii.gz"]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (143, "ablmargin: terminated\n")
    assert list(scratch.iterdir()) == []
    assert not begun.is_running()


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


@pytest.mark.parametrize(
    ("command", "line", "expected"),
    [
        ("segment", "overwrite = []", "true or false"),
        ("segment", "json = 1", "true or false"),
        ("segment", "image = 5", "a text in quotation marks"),
        ("segment", "point = [1, 2, 3]", "a text in quotation marks"),
        ("segment", "inside = [[1, 2, 3]]", "a text, or a list of texts"),
        ("segment", "segmenter = true", "a text in quotation marks"),
        ("analyze", "accept = 3", "a text, or a list of texts"),
        ("analyze", "threads = 1.5", "a whole number"),
        ("analyze", "seed = true", "a whole number"),
        ("analyze", "pre = {a = 1}", "a text in quotation marks"),
        ("batch", 'timeout = "5"', "a number"),
        ("batch", "workers = []", "a whole number"),
        ("margin", "registration-sd = true", "a number"),
    ],
)
def test_an_option_of_a_wrong_kind_in_a_file(tmp_path, capsys, command, line, expected):
    (tmp_path / "o.toml").write_text(line)
    assert main([command, "--config", str(tmp_path / "o.toml")]) == 2
    said = capsys.readouterr().err
    assert f"o.toml: {line.partition(' ')[0]} = " in said
    assert f"expected {expected}\n" in said


def test_the_command_line_replaces_a_list_in_a_file(tmp_path, capsys):
    (tmp_path / "o.toml").write_text('accept = ["NONSENSE"]\nimage = "i"\nout = "o.nii"\nstructure = "liver"\n')
    words = ["segment", "--config", str(tmp_path / "o.toml")]
    assert main(words) == 2
    assert "--accept NONSENSE" in capsys.readouterr().err
    assert main([*words, "--accept", "GEOM_GAP"]) == 3
    assert "PATH_MISSING" in capsys.readouterr().err


def test_inspect_tells_scripts_whether_anything_can_be_used(tmp_path, capsys):
    """It has found what there is, whatever that is good for: the exit code says no more."""
    folder = write_series(tmp_path / "ct")
    for usable in (True, False):
        assert main(["inspect", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["usable"] is usable
        sorted(folder.glob("*.dcm"))[7].unlink(missing_ok=True)


def test_what_is_not_there_is_an_input_that_is_refused(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "none")]) == 3
    assert "PATH_MISSING" in capsys.readouterr().err
    words = ["analyze", "--pre", str(tmp_path / "a"), "--post", str(tmp_path / "b"), "--tumor", "t", "--ablation", "z"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.count("PATH_MISSING") == 2
