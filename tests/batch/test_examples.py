"""The job array of docs/examples, with a stand-in for SLURM's srun. It needs no batch."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "slurm.sh"


@pytest.fixture
def submit(tmp_path):
    """Runs one task of the array as SLURM does; its exit code and what it starts, a word a line."""
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit $ENDS_WITH\n')
    srun.chmod(0o755)

    def run(*, task: int, tasks: int, ends_with: int = 0):
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_CPUS_PER_TASK": "4",
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_ARRAY_TASK_COUNT": str(tasks),
            "ENDS_WITH": str(ends_with),
        }
        words = ["bash", str(SCRIPT), "my manifest.csv", "my results"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    return run


@pytest.mark.parametrize("tasks", [10, 2])
def test_a_task_does_its_own_part_also_if_only_some_are_submitted_again(submit, tasks):
    code, words = submit(task=7, tasks=tasks)
    assert code == 0
    assert words == [
        *("ablmargin", "batch", "my manifest.csv", "--out", "my results"),
        *("--workers", "4", "--shard", "7/10"),
    ]


def test_the_array_has_a_task_for_each_part():
    text = SCRIPT.read_text(encoding="utf-8")
    (last,) = re.findall(r"^#SBATCH --array=1-(\d+)$", text, re.MULTILINE)
    assert f"\nparts={last}\n" in text


@pytest.mark.parametrize(("ends_with", "code"), [(0, 0), (4, 0), (3, 3), (130, 130)])
def test_failed_cases_are_no_failure_of_the_task(submit, ends_with, code):
    assert submit(task=1, tasks=10, ends_with=ends_with)[0] == code
