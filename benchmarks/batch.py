"""Batches: throughput, the engine's overhead, memory of the parent; kills, hostile input, the same numbers every time.

    python benchmarks/batch.py [--cases N]     throughput, overhead, memory; 100 cases: a quarter of an hour
    python benchmarks/batch.py --kill          kill -9 of everything at 20 random moments; then of single workers
    python benchmarks/batch.py --hostile       80 hostile cases and 10 good ones
    python benchmarks/batch.py --repeat        10 runs, rows shuffled, 1 and 2 workers

Exits with 1 if a figure isn't reached.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from batch_cases import Row, write_case, write_manifest

PROGRAM = (sys.executable, "-c", "from ablmargin_cli.main import script; script()")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SPEEDUP, OVERHEAD_S, GROWTH_MB = 1.7, 0.5, 50.0
KILLS, LOOP_CASES = 20, 10
STOP_S, EXIT_INTERRUPTED = 5.0, 130
NOT_NUMBERS = ("timings_s",)


class Figures:
    """What was reached, printed as it is found."""

    def __init__(self) -> None:
        self.missed = 0

    def told(self, what: str, *, reached: bool) -> None:
        """Print one figure, and remember if it was missed."""
        self.missed += not reached
        print(f"{'ok    ' if reached else 'MISSED'} {what}", flush=True)


def make_cases(folder: Path, count: int, *, first: int = 0) -> list[Row]:
    """Write cases, every fourth with two lesions, and return the rows of their manifest."""
    numbers = range(first, first + count)
    return [row for n in numbers for row in write_case(folder / f"c{n:03}", seed=n, lesions=2 if n % 4 == 3 else 1)]


def start(manifest: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a batch."""
    command = [*PROGRAM, "batch", str(manifest), "--out", str(out), *words]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)


def run(manifest: Path, out: Path, *words: str) -> tuple[int, float]:
    """Run a batch to its end: exit code and seconds."""
    began = time.monotonic()
    return start(manifest, out, *words).wait(), time.monotonic() - began


def events(out: Path) -> list[dict[str, Any]]:
    """The journal's whole lines about cases."""
    path = out / ".batch" / "journal-all.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [event for line in lines if line.endswith("}") and "case_id" in (event := json.loads(line))]


def numbers(out: Path) -> dict[str, Any]:
    """All results but their times, by case."""
    records = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in out.glob("*/result.json")}
    return {case: {k: v for k, v in record.items() if k not in NOT_NUMBERS} for case, record in records.items()}


def table(out: Path) -> list[dict[str, str]]:
    """The rows of results.csv."""
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def speed(folder: Path, figures: Figures, count: int) -> None:
    """Throughput with one and two workers, against a plain loop of processes; memory of the parent."""
    manifest = write_manifest(folder / "m.csv", make_cases(folder, count))
    alone_s, growth_mb = watched(manifest, folder / "one", count, "--workers", "1")
    both_s, _ = watched(manifest, folder / "two", count, "--workers", "2")
    looped = min(LOOP_CASES, count)
    loop_s = plain_loop(folder, manifest, looped) / looped
    own_s = sum(event["seconds"] for event in events(folder / "one")) / count
    print(
        f"{count} cases: {alone_s:.0f} s with one worker, {both_s:.0f} s with two; {own_s:.2f} s a case in its process"
    )
    figures.told(
        f"throughput {alone_s / both_s:.2f} times with two workers (asked {SPEEDUP})",
        reached=alone_s / both_s >= SPEEDUP,
    )
    overhead_s = alone_s / count - loop_s
    told = f"{overhead_s:+.2f} s a case against a plain loop of processes, {loop_s:.2f} s each (asked {OVERHEAD_S})"
    figures.told(told, reached=overhead_s <= OVERHEAD_S)
    beyond_s = alone_s / count - own_s
    figures.told(
        f"{beyond_s:+.2f} s a case beyond its own process, start and end included", reached=beyond_s <= OVERHEAD_S
    )
    figures.told(
        f"the parent grows by {growth_mb:+.1f} MB from case 10 to the last (asked {GROWTH_MB})",
        reached=abs(growth_mb) <= GROWTH_MB,
    )


def watched(manifest: Path, out: Path, count: int, *words: str) -> tuple[float, float]:
    """Run a batch: seconds, and by how many MB its parent grew from the tenth case to the last."""
    began = time.monotonic()
    process = start(manifest, out, *words)
    parent, resident = psutil.Process(process.pid), dict[int, float]()
    while process.poll() is None:
        done = len(events(out))
        if done:
            resident.setdefault(done, parent.memory_info().rss / 2**20)  # later it may be on its way out
        time.sleep(0.5)
    seconds = time.monotonic() - began
    after_ten = [size for done, size in resident.items() if done >= min(10, count)]
    return seconds, after_ten[-1] - after_ten[0]


def plain_loop(folder: Path, manifest: Path, count: int) -> float:
    """Seconds that ``ablmargin analyze`` takes for the first cases, a process after the other."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cases = list(dict.fromkeys(row["case_id"] for row in rows))[:count]
    began = time.monotonic()
    for case in cases:
        own = [row for row in rows if row["case_id"] == case]
        words = [
            w
            for name in ("pre", "post", "liver_pre", "liver_post")
            for w in (f"--{name.replace('_', '-')}", own[0][name])
        ]
        words += [w for row in own for name in ("tumor", "ablation") for w in (f"--{name}", row[name])]
        command = [*PROGRAM, "analyze", *words, "--threads", "1", "--out", str(folder / "loop" / case)]
        subprocess.run(command, env=ENVIRONMENT, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - began


def kill(folder: Path, figures: Figures, rounds: int) -> None:
    """Everything killed at random moments, then resumed; then single workers."""
    manifest = write_manifest(folder / "m.csv", make_cases(folder, 10))
    code, whole_s = run(manifest, folder / "undisturbed", "--workers", "2")
    assert code == 0
    true, rng = numbers(folder / "undisturbed"), random.Random(1)
    lost, halves, wrong, redone = 0, 0, 0, 0
    for number in range(rounds):
        out = folder / f"killed-{number}"
        process = start(manifest, out, "--workers", "2")
        time.sleep(rng.uniform(0.0, whole_s))
        kill_tree(process)
        before = {path.parent.name: path.read_bytes() for path in out.glob("*/DONE.json")}
        noted = {event["case_id"] for event in events(out) if event["event"] == "done"}
        lost += len(noted - set(before))
        halves += half_written(out)
        code, _ = run(manifest, out, "--workers", "2")
        halves += half_written(out)
        wrong += code != 0 or numbers(out) != true or len(table(out)) != len(table(folder / "undisturbed"))
        redone += sum((out / case / "DONE.json").read_bytes() != content for case, content in before.items())
        redone += len(list(out.glob("*.previous-*")))
        told = f"{lost} lost, {redone} done again, {halves} half-written, {wrong} wrong"
        print(f"  round {number + 1}: {len(before)} finished when killed; by now {told}", flush=True)
        shutil.rmtree(out)
    figures.told(
        f"{rounds} kills of everything: {lost} finished results lost, {redone} done again", reached=lost + redone == 0
    )
    figures.told(f"{halves} half-written files under a final name", reached=halves == 0)
    figures.told(f"{rounds - wrong} of {rounds} resumed to 10 of 10 with equal numbers", reached=wrong == 0)
    killed_workers(folder, figures, manifest, true)
    interrupted(folder, figures, manifest)


def killed_workers(folder: Path, figures: Figures, manifest: Path, true: dict[str, Any]) -> None:
    """One worker killed while it works: its case is tried again, the others go on."""
    out = folder / "worker"
    process = start(manifest, out, "--workers", "2")
    while len(events(out)) < 2:
        time.sleep(0.1)
    workers = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
    workers[0].kill()
    code = process.wait()
    figures.told(
        f"a worker killed: exit {code}, {len(numbers(out))} of 10, equal numbers",
        reached=code == 0 and numbers(out) == true,
    )


def interrupted(folder: Path, figures: Figures, manifest: Path) -> None:
    """How soon a batch ends that a job scheduler ends."""
    out = folder / "interrupted"
    process = start(manifest, out, "--workers", "2")
    while len(events(out)) < 2:
        time.sleep(0.1)
    began = time.monotonic()
    process.terminate()
    code, seconds = process.wait(), time.monotonic() - began
    told = f"SIGTERM: exit {code} after {seconds:.1f} s (asked {STOP_S})"
    figures.told(told, reached=code == EXIT_INTERRUPTED and seconds <= STOP_S)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 of a process and all below it, whatever its group."""
    tree = [psutil.Process(process.pid)] if process.poll() is None else []
    tree += tree[0].children(recursive=True) if tree else []
    for one in tree:
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(tree, timeout=10)


def half_written(out: Path) -> int:
    """How many cases and tables bear a final name without being whole."""
    count = 0
    for folder in (path for path in out.glob("c*") if path.is_dir()):
        whole = all(
            (folder / name).is_file() for name in ("result.json", "DONE.json", "report.html", "provenance.json")
        )
        count += not whole or not parses(folder / "result.json")
    if (out / "results.csv").exists():
        count += len({len(row) for row in table(out)}) != 1
    return count


def parses(path: Path) -> bool:
    """Whether a file holds JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def hostile(folder: Path, figures: Figures, count: int) -> None:
    """Cases as scanners, archives and attackers deliver them, among good ones."""
    root = Path(__file__).resolve().parents[1] / "tests"
    sys.path[:0] = [str(root), str(root / "dicom")]
    from hostile_ct import CASES  # noqa: PLC0415
    from hostile_pairs import pair  # noqa: PLC0415
    from hostile_phantom import CANARIES  # noqa: PLC0415

    good = make_cases(folder, 10, first=900)
    pair(folder / "pair")
    rows = []
    for number, case in enumerate(list(CASES.values())[:count]):
        name = f"h{number:02}"
        case.build(folder / name / "given")
        pre, post = (f"{name}/given/pre", f"{name}/given/post") if case.is_pair else (f"{name}/given", "pair/post")
        rows.append(good[0] | {"case_id": name, "pre": pre, "post": post})  # what loads has masks that lie elsewhere
    mixed = [*good, *rows]
    random.Random(2).shuffle(mixed)
    out = folder / "out"
    code, seconds = run(write_manifest(folder / "m.csv", mixed), out, "--workers", "2")
    told = table(out)
    bad = [row for row in told if row["case_id"].startswith("h")]
    results, refused = len(numbers(out)), sum(bool(row["error_code"] and row["error"]) for row in bad)
    ours = sum(row["error_code"] in {"INTERNAL_ERROR", "CASE_DIED", "ENGINE_ERROR", "NOT_RUN"} for row in told)
    figures.told(
        f"{results} results, {refused} of {len(bad)} with code and reason, exit {code}, {seconds:.0f} s",
        reached=results == 10 and refused == len(bad) and code == 4,
    )
    figures.told(f"{ours} failures are ours", reached=ours == 0)
    texts = [path.read_text(encoding="utf-8") for path in out.rglob("*") if path.suffix in {".csv", ".log", ".jsonl"}]
    leaks = sum(canary in text for canary in CANARIES for text in texts)
    figures.told(f"{leaks} names, IDs or dates in tables, logs and journal", reached=leaks == 0)
    for code_found in sorted({row["error_code"] for row in bad}):
        print(f"  {sum(row['error_code'] == code_found for row in bad):3} × {code_found}")


def repeat(folder: Path, figures: Figures, runs: int) -> None:
    """The same cases again and again, rows in another order, with one worker and two."""
    rows, rng = make_cases(folder, 5), random.Random(3)
    first: dict[str, Any] = {}
    different = 0
    for number in range(runs):
        rng.shuffle(rows)
        out = folder / f"run-{number}"
        code, _ = run(write_manifest(folder / "m.csv", rows), out, "--workers", str(1 + number % 2))
        first = first or numbers(out)
        different += code != 0 or numbers(out) != first
    figures.told(f"{runs - different} of {runs} runs gave the same numbers bit for bit", reached=different == 0)


@contextmanager
def scratch(kept: Path | None) -> Iterator[Path]:
    """A folder to work in: the one named, which stays, or one that disappears."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="ablmargin-bench-") as name:
        yield Path(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--rounds", type=int, default=None, help="kills or runs, fewer for a quick look")
    parser.add_argument("--keep", type=Path, default=None, help="an empty folder to work in, which stays")
    wanted = parser.parse_args(arguments)
    figures = Figures()
    with scratch(wanted.keep) as folder:
        if wanted.kill:
            kill(folder, figures, wanted.rounds or KILLS)
        elif wanted.hostile:
            hostile(folder, figures, 80)
        elif wanted.repeat:
            repeat(folder, figures, wanted.rounds or 10)
        else:
            speed(folder, figures, wanted.cases)
    return 1 if figures.missed else 0


if __name__ == "__main__":
    sys.exit(main())
