"""Cases whose processes hang, die or take too much: the program that outlines their livers makes them."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ablmargin.batch import inputs, supervise
from ablmargin.batch.inputs import fingerprint_of, fingerprints_if_unchanged, input_paths, stamp_of
from ablmargin.batch.job import Analysis, CaseJob, Limits, digest_of, without_places
from ablmargin.batch.keeper import FORKS
from ablmargin.batch.marker import is_finished
from ablmargin.batch.supervise import carry_out, stop
from ablmargin.batch.work import CaseLog, work
from ablmargin.intake import CaseRequest

EATER = "import time; eaten = b'x' * 700_000_000; time.sleep(60)"


@pytest.fixture(scope="module", autouse=True)
def no_keeper_left():
    """Other tests look for processes that are left behind."""
    yield
    keeper = getattr(supervise._own, "keeper", None)
    if keeper is not None:
        keeper.end()
        supervise._own.keeper = None


@pytest.fixture
def job(cases, tmp_path) -> Callable[..., CaseJob]:
    """A job that runs a program in place of outlining a liver; whole without one."""

    def make(program: str | None = None, run: str = "r") -> CaseJob:
        case = cases / "c0"
        request = CaseRequest(
            pre=case / "pre.nii.gz",
            post=case / "post.nii.gz",
            liver_pre=None if program else str(case / "liver-pre.nii.gz"),
            liver_post=str(case / "liver-post.nii.gz"),
            tumors=(str(case / "tumor-1.nii.gz"),),
            ablations=(str(case / "ablation-1.nii.gz"),),
            case_id="c0",
            accepted=frozenset({"SEGMENTATION_DOUBTED"}),
        )
        command = None if program is None else f"{program} {{image}} {{mask}}"
        analysis = Analysis(auto_command=command)
        versions = digest_of(analysis.versions())
        return CaseJob(request=request, lesion_ids=("x",), analysis=analysis, out=tmp_path, versions=versions, run=run)

    return make


def shell(tmp_path: Path, *lines: str) -> str:
    """A program of shell lines; the path may hold anything."""
    script = tmp_path / "program.sh"
    script.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    return f"sh {shlex.quote(str(script))}"


def lives(path: Path) -> bool:
    """Whether the process whose number a program has written down still works; nobody may have buried it yet."""
    try:
        return psutil.Process(int(path.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_case_that_takes_too_long_is_ended_with_what_it_started(job, tmp_path):
    program = shell(tmp_path, f"echo $$ > {tmp_path}/pid", "sleep 60")
    outcome = carry_out(job(program), Limits(timeout_s=5.0))
    assert (outcome.state, outcome.error_code, outcome.tries) == ("failed", "CASE_TIMEOUT", 1)
    assert outcome.seconds < 15
    assert not lives(tmp_path / "pid")
    assert not (tmp_path / "c0").exists()


@pytest.mark.skipif(not FORKS, reason="only a keeper that forks outlives its case")
def test_a_case_that_is_ended_leaves_no_image_in_the_temporary_folder(job, tmp_path):
    program = shell(tmp_path, f"ls $PWD/image.nii.gz > {tmp_path}/image", "sleep 60")
    carry_out(job(program), Limits(timeout_s=5.0))
    image = Path((tmp_path / "image").read_text().strip())
    assert image.name == "image.nii.gz"
    assert not image.parent.exists()
    assert not list(Path(tempfile.gettempdir()).glob(f"{image.parent.parent.name}*"))


def test_a_case_that_takes_too_much_memory_is_ended(job, tmp_path):
    program = f"{sys.executable} -c {shlex.quote(EATER)}"
    outcome = carry_out(job(program), Limits(memory_bytes=600 * 2**20))
    assert (outcome.error_code, outcome.tries) == ("CASE_MEMORY", 1)
    assert outcome.peak_bytes > 600 * 2**20


def test_a_case_whose_process_dies_is_tried_once_more(job, tmp_path):
    program = shell(tmp_path, f"echo try >> {tmp_path}/tries", "kill -9 $PPID", "sleep 60")
    outcome = carry_out(job(program), Limits())
    assert (outcome.error_code, outcome.tries) == ("CASE_DIED", 2)
    assert "SIGKILL" in outcome.error
    assert (tmp_path / "tries").read_text() == "try\ntry\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing forks")
def test_a_keeper_that_dies_costs_no_case(job, tmp_path, cases):
    """The process above the case's is killed: the case ends as if nothing had been, and the next one has a new keeper."""
    keeper = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"
    program = shell(tmp_path, keeper, f"cp {cases}/c0/liver-pre.nii.gz $2")
    outcome = carry_out(job(program), Limits())
    assert (outcome.state, outcome.tries) == ("done", 1)
    assert carry_out(job(), Limits()).state == "done"


def test_one_that_dies_only_once_is_finished(job, tmp_path, cases):
    once = f"[ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; kill -9 $PPID; sleep 60; }}"
    program = shell(tmp_path, once, f"cp {cases}/c0/liver-pre.nii.gz $2")
    outcome = carry_out(job(program), Limits())
    assert (outcome.state, outcome.tries) == ("done", 2), outcome
    assert (tmp_path / "c0" / "result.json").exists()


def test_refused_input_is_not_tried_again(job, tmp_path):
    program = shell(tmp_path, f"echo try >> {tmp_path}/tries", "exit 3")
    outcome = carry_out(job(program), Limits())
    assert (outcome.error_code, outcome.tries) == ("SEGMENTATION_FAILED", 1)
    assert (tmp_path / "tries").read_text() == "try\n"


@pytest.mark.parametrize("taken", ["logs", "logs/c0.log"])
def test_a_log_that_cannot_be_opened_is_told_and_the_case_not_tried_again(job, tmp_path, taken):
    """As one that a colleague has made in a shared folder."""
    if taken == "logs":
        (tmp_path / "logs").touch()
    else:
        (tmp_path / "logs" / "c0.log").mkdir(parents=True)
    outcome = carry_out(job(), Limits())
    assert (outcome.state, outcome.error_code, outcome.tries) == ("failed", "IO_ERROR", 1)
    assert outcome.error.endswith(f": {Path(taken).name}")


def test_a_disk_that_is_full_for_the_log_too_is_told(job, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "smith" / "result.json"))

    monkeypatch.setattr("ablmargin.batch.work._analyze", full)
    monkeypatch.setattr(CaseLog, "say", full)
    log = CaseLog(tmp_path / "c0.log")
    with log.file:
        outcome = work(job(), log)
    assert (outcome.error_code, outcome.error) == ("IO_ERROR", "No space left on device: result.json")


def test_a_stopped_run_ends_its_cases_at_once(job, tmp_path):
    stop("another run")
    stop("stopped run")
    began = time.monotonic()
    outcome = carry_out(job(shell(tmp_path, "sleep 60"), run="stopped run"), Limits())
    assert outcome.state == "stopped"
    assert time.monotonic() - began < 5


def test_a_case_is_done_once_and_again_when_something_changes(job, tmp_path, cases):
    """Its files, their content, the parameters: each counts, the time of a file alone doesn't."""
    whole = job()
    assert carry_out(whole, Limits()).state == "done"
    assert carry_out(whole, Limits()).state == "kept"
    tumor = cases / "c0" / "tumor-1.nii.gz"
    os.utime(tumor)
    assert is_finished(whole), "the content is the same"
    content = tumor.read_bytes()
    try:
        tumor.write_bytes(content + b"\0")
        assert not is_finished(whole)
    finally:
        tumor.write_bytes(content)
    assert is_finished(whole)
    changed = {**vars(whole), "analysis": Analysis(seed=1)}
    changed.pop("parameters", None)
    assert not is_finished(CaseJob(**changed))
    assert is_finished(CaseJob(**{**changed, "analysis": Analysis(threads=2)})), "no number depends on threads"
    other = CaseJob(**{**changed, "analysis": Analysis(), "versions": "2"})
    assert not is_finished(other)
    assert carry_out(other, Limits()).error_code == "WORKER_VERSIONS", "it couldn't make the result that is asked for"
    (tmp_path / "c0" / "result.json").write_text("{}")
    assert not is_finished(whole), "somebody changed the result"


def test_another_file_isn_t_the_same_for_its_size_and_time(job, tmp_path, cases):
    """As uncompressed masks of two readers that came out of one archive."""
    whole = job()
    assert carry_out(whole, Limits()).state == "done"
    tumor = cases / "c0" / "tumor-1.nii.gz"
    status, other = tumor.stat(), tmp_path / "other.nii.gz"
    other.write_bytes(bytes(reversed(tumor.read_bytes())))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    request = replace(whole.request, tumors=(str(other),))
    named = CaseJob(
        **{name: value for name, value in vars(whole).items() if name != "parameters"} | {"request": request}
    )
    assert named.parameters == whole.parameters
    assert not is_finished(named)
    shutil.copy2(tumor, other)
    assert is_finished(named), "the same content at another place"


def test_overwritten_in_place_with_its_time_restored(tmp_path):
    path = tmp_path / "mask.nii"
    path.write_bytes(b"1")
    known, status = fingerprint_of(path), path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprints_if_unchanged([path], [known]) is None


def test_a_dicomdir_stands_for_its_folder(tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(b"list")
    (tmp_path / "IM1").write_bytes(b"1")
    request = CaseRequest(pre=tmp_path / "DICOMDIR", post=tmp_path / "post.nii")
    (known, _) = map(fingerprint_of, input_paths(request))
    (tmp_path / "IM1").write_bytes(b"2")
    assert fingerprint_of(input_paths(request)[0]) != known


def test_files_that_were_moved_are_read_once(job, cases, tmp_path, monkeypatch):
    whole = job()
    carry_out(whole, Limits())
    os.utime(cases / "c0" / "tumor-1.nii.gz")
    before = (tmp_path / "c0" / "DONE.json").read_bytes()
    assert carry_out(whole, Limits()).state == "kept"
    assert (tmp_path / "c0" / "DONE.json").read_bytes() != before
    monkeypatch.setattr(inputs, "fingerprint_of", None)
    assert is_finished(whole)


@pytest.mark.parametrize("name", ["report.html", "margins.csv", "masks"])
def test_a_case_that_lacks_a_file_is_done_again(job, tmp_path, name):
    whole = job()
    carry_out(whole, Limits())
    assert is_finished(whole)
    lost = tmp_path / "c0" / name
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert not is_finished(whole)


def test_a_new_process_is_ready_with_a_single_thread():
    """Else forking it could lock up."""
    code = "import os, ablmargin.batch.preloaded; print(len(os.listdir('/proc/self/task')))"
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1\n"


def test_what_makes_a_fingerprint(tmp_path):
    folder = tmp_path / "series"
    (folder / "below").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    (folder / "below" / "b").write_bytes(b"2")
    known = [fingerprint_of(folder)]

    def unchanged(paths, known):
        return fingerprints_if_unchanged(paths, known) is not None

    assert unchanged([folder], known)
    assert not unchanged([folder, folder], known)
    (folder / "a").rename(folder / "c")
    assert not unchanged([folder], known), "a file's name may choose a series"
    (folder / "c").rename(folder / "a")
    assert unchanged([folder], known)
    (folder / "below" / "b").write_bytes(b"3")
    assert not unchanged([folder], known)
    assert stamp_of(tmp_path / "none") == ""


def test_messages_name_no_folders(tmp_path):
    folder = tmp_path / "smith" / "pre"
    folder.mkdir(parents=True)
    mask = tmp_path / "smith" / "tumor.nii"
    request = CaseRequest(pre=folder, post=tmp_path / "jones.nii", tumors=(f"{mask}#Tumor 1",))
    told = f"{folder}/IM1.dcm, {folder}: bad; --tumor {mask}#Tumor 1 in {mask.parent}; {request.post}"
    assert without_places(told, request) == "pre/IM1.dcm, pre: bad; --tumor tumor.nii#Tumor 1 in (folder); jones.nii"


def test_nor_those_within_an_input_that_nobody_typed(tmp_path):
    inner = tmp_path / "pre" / "DOE^JANE 1933" / "CT\n1"
    inner.mkdir(parents=True)
    request = CaseRequest(pre=tmp_path / "pre", post=tmp_path / "p.nii", tumors=("t.nii",))
    told = (
        "GEOM_GAP: between DOE^JANE 1933/IM1.dcm and DOE^JANE 1933/CT\\n1/IM3.dcm: found 5 mm; expected 2.5 mm "
        "FOLDER_UNREADABLE: DOE^JANE 1933: found can't be opened"
    )
    assert without_places(told, request) == (
        "GEOM_GAP: between IM1.dcm and IM3.dcm: found 5 mm; expected 2.5 mm FOLDER_UNREADABLE: (folder): found can't be opened"
    )
