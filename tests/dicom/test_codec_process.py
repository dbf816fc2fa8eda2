"""Whatever becomes of the process that decodes, the reader lives on, tells it, and leaves nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from encoded import JPEG_LOSSLESS_1, JPEG_LS
from pool_tasks import decoded
from streams import jpeg_lossless, slice_values
from test_codec import job

from ablmargin.dicom.codec import process
from ablmargin.dicom.codec.process import DecodingError, FrameDecoder

VALUES = slice_values()
GOOD = job(JPEG_LOSSLESS_1, jpeg_lossless(VALUES))
TOY = """
import os, signal, sys, time
sys.path[:] = sys.argv[2:]
from ablmargin.dicom.codec import child
def decoded(job):
    match job.data:
        case b"die": os.kill(os.getpid(), signal.SIGSEGV)
        case b"leave": os._exit(3)
        case b"hang": time.sleep(600)
        case b"eat": return bytes(bytearray(2 << 30))
        case b"panic": raise SystemExit
        case b"lie": return b"x" * 7
        case b"print": os.write(1, b"said by a library")
    return bytes(job.decoded_bytes)
child.decoded = decoded
child.main(sys.argv[1])
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """No file and no process is left behind by any test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.iterdir())
    assert not children()


def children():
    """Processes that we started, zombies too; without the one that multiprocessing keeps."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"resource_tracker" not in words:
            found.append(words)
    return found


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(process, "_CHILD", TOY)
    with FrameDecoder(frame_seconds=20) as decoder:
        yield decoder


def toy_job(data=b"well"):
    return job(JPEG_LS, data)


def refusal(decoder, data):
    with pytest.raises(DecodingError) as caught:
        decoder.decoded(toy_job(data))
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"die", "PIXEL_DECODE", "the decoder crashed (signal 11)"),
        (b"leave", "PIXEL_DECODE", "the decoder crashed (exit code 3)"),
        (b"lie", "PIXEL_DECODE", "the decoder crashed"),
        (b"eat", "RESOURCE_LIMIT", "more memory than a slice may"),
        (b"panic", "PIXEL_DECODE", "a damaged stream"),
    ],
)
def test_a_frame_that_no_decoder_survives(toy, data, code, words):
    assert toy.decoded(toy_job()) == bytes(GOOD.decoded_bytes)
    told = refusal(toy, data)
    assert told[0] == code
    assert words in told[1]
    assert toy.decoded(toy_job()) == bytes(GOOD.decoded_bytes)


def test_a_frame_without_end(monkeypatch):
    monkeypatch.setattr(process, "_CHILD", TOY)
    with FrameDecoder(frame_seconds=3) as decoder:
        decoder.decoded(toy_job())
        start = time.monotonic()
        assert refusal(decoder, b"hang") == ("RESOURCE_LIMIT", "not decoded within 3 s")
        assert time.monotonic() - start < 10
        assert decoder.decoded(toy_job()) == bytes(GOOD.decoded_bytes)


def test_what_a_library_prints_is_no_reply(toy):
    assert toy.decoded(toy_job(b"print")) == bytes(GOOD.decoded_bytes)


def test_losses_are_not_repeated_without_end(toy):
    for _ in range(process.MOST_LOSSES):
        assert "crashed" in refusal(toy, b"die")[1]
    assert "not tried" in refusal(toy, b"well")[1]


def test_no_interpreter(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with FrameDecoder() as decoder:
        assert refusal(decoder, b"well")[0] == "RESOURCE_LIMIT"


def test_one_process_serves_all_frames():
    with FrameDecoder() as decoder:
        decoder.decoded(GOOD)
        first = decoder._process.pid
        decoder.decoded(GOOD)
        assert decoder._process.pid == first


def test_it_is_told_no_names(monkeypatch, tmp_path):
    """Neither arguments nor environment of ours: a pipe with numbers and the stream."""
    with FrameDecoder() as decoder:
        decoder.decoded(GOOD)
        words = Path(f"/proc/{decoder._process.pid}/cmdline")
        if words.exists():
            known = {sys.executable, "-P", "-c", process._CHILD, *sys.path}
            (other,) = {word.decode() for word in words.read_bytes().split(b"\0")} - known - {""}
            assert Path(other).parent == tmp_path


def test_in_a_worker_of_a_pool(tmp_path):
    """Daemonic workers may have no children of multiprocessing; they may have this one."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (pixels,) = pool.map_async(decoded, [GOOD]).get(timeout=60.0)
        pool.close()
        pool.join()
    np.testing.assert_array_equal(np.frombuffer(pixels, "<u2").reshape(VALUES.shape), VALUES)


INTERRUPTED = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from test_codec_process import TOY, process, toy_job
process._CHILD = TOY
with process.FrameDecoder() as decoder:
    decoder.decoded(toy_job())
    print(decoder._process.pid, flush=True)
    decoder.decoded(toy_job(b"hang" if sys.argv[2] == "in work" else b"well"))
    import time
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_killed_reader(tmp_path, how):
    """Ctrl-C reaches the whole group, at work. A reader that is killed outright can't clean up: its helper does."""
    reader = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), "in work" if how == signal.SIGINT else "idle"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    helper = int(reader.stdout.readline())
    time.sleep(0.3)
    if how == signal.SIGINT:
        os.killpg(reader.pid, how)
    else:
        reader.kill()
    _, said = reader.communicate(timeout=20)
    assert (b"KeyboardInterrupt" in said) == (how == signal.SIGINT)
    for _ in range(100):
        if not Path(f"/proc/{helper}").exists() and not list(tmp_path.iterdir()):
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{helper}").exists()
