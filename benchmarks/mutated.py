"""Damaged files: whether any takes the reader down, slips past it with a foreign error, or costs too much.

``python benchmarks/mutated.py`` damages one slice of a small CT series in six encodings with 1,000 seeds each, loads
each series in a reader of its own that is watched, and exits with 1 unless no reader died, every failure was an
``InputError``, no file took more than 60 s and none more than 800 MB. ``--first`` and ``--seeds`` choose seeds, so that
it can be run in pieces. Linux only, as memory is read from the system's accounting.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from encoded import DEFLATED, J2K, JPEG_LOSSLESS_1, JPEG_LS, RLE, recode
from mutations import mutated

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.errors import InputError
from ablmargin.geometry import Geometry
from ablmargin.loading import load_image
from ablmargin.volume import Volume

ENCODINGS = {
    "uncompressed": "",
    "deflated": DEFLATED,
    "RLE": RLE,
    "JPEG lossless": JPEG_LOSSLESS_1,
    "JPEG-LS": JPEG_LS,
    "JPEG 2000": J2K,
}
SECONDS_LIMIT, MEMORY_LIMIT_MB = 60.0, 800.0
_SHAPE = (3, 64, 64)


@dataclass(kw_only=True)
class Tally:
    """What became of damaged files; ``outcomes`` of one encoding only."""

    outcomes: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory_mb: float = 0.0


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many for each encoding")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--encodings", nargs="+", choices=ENCODINGS, default=list(ENCODINGS))
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read:
        serve(options.read)
        return 0
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mutated-") as folder:
        for name in options.encodings:
            _try_encoding(tally, name, range(options.first, options.first + options.seeds), Path(folder))
            for outcome, count in sorted(tally.outcomes.items()):
                print(f"{count:6d}  {name}: {outcome}", flush=True)
            tally.outcomes.clear()
    print(
        f"longest {tally.seconds:.1f} s (limit {SECONDS_LIMIT:g}), most memory {tally.memory_mb:.0f} MB (limit {MEMORY_LIMIT_MB:g})"
    )
    if tally.memory_mb > MEMORY_LIMIT_MB:
        tally.missed.append("memory")
    print("figures reached" if not tally.missed else "NOT reached: " + "; ".join(tally.missed))
    return 1 if tally.missed else 0


def _try_encoding(tally: Tally, name: str, seeds: range, folder: Path) -> None:
    clean = series(folder / name, ENCODINGS[name])
    values = load_image(folder / name).record.sha256
    number = list(ENCODINGS).index(name)
    with Reader.over(folder / f"{name}, damaged") as reader:
        for seed in seeds:
            for path in clean:
                data = path.read_bytes()
                is_damaged = path == clean[1]
                damaged = mutated(data, number * 10**6 + seed, deflated=name == "deflated") if is_damaged else data
                (reader.folder / path.name).write_bytes(damaged)
            outcome = reader.outcome()
            other = ", other values" if outcome.get("sha256") not in {None, values} else ""
            tally.outcomes[f"{outcome['what']}{other}"] += 1
            tally.seconds = max(tally.seconds, outcome["seconds"])
            tally.memory_mb = max(tally.memory_mb, outcome["memory_mb"])
            if outcome["bad"] or outcome["seconds"] > SECONDS_LIMIT:
                tally.missed.append(f"{name}, seed {seed}: {outcome['what']}, {outcome['seconds']:.1f} s")


def series(folder: Path, syntax: str) -> list[Path]:
    """Write a clean series of three slices: a body in noisy air."""
    rng = np.random.default_rng(7)
    k, j, i = np.indices(_SHAPE)
    body = np.hypot(j - 31.5, i - 31.5) < 24
    hu = np.where(body, 50 + k + (i // 4) % 9, -1000) + rng.integers(-8, 9, _SHAPE)
    geometry = Geometry(shape=_SHAPE, spacing_mm=(2.5, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0))
    write_ct_series(Volume(voxels_hu=hu.astype(np.float32), geometry=geometry), folder, identity=SeriesIdentity())
    paths = sorted(folder.glob("*.dcm"))
    if syntax:
        recode(paths, syntax)
    return paths


class Reader:
    """A process that loads a folder whenever it is asked to; started again when it dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    @contextmanager
    def over(cls, folder: Path) -> Iterator[Reader]:
        """A reader of a new folder, gone afterwards."""
        folder.mkdir()
        reader = cls(folder)
        try:
            yield reader
        finally:
            reader.end()

    def outcome(self) -> dict[str, object]:
        """What it makes of the folder's present files."""
        if self._process is None:
            command = [sys.executable, __file__, "--read", str(self.folder)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        start, process = time.monotonic(), self._process
        watch = threading.Timer(2 * SECONDS_LIMIT, process.kill)
        watch.start()
        try:
            process.stdin.write("load\n")
            process.stdin.flush()
            told = process.stdout.readline()
        except OSError:
            told = ""
        watch.cancel()
        if told:
            return json.loads(told)
        self.end()
        seconds = time.monotonic() - start
        return {"what": f"DIED ({process.returncode})", "bad": True, "seconds": seconds, "memory_mb": 0.0}

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


def serve(folder: Path) -> None:
    """Load a folder for every line of standard input, and tell what came of it."""
    replies, sys.stdout = sys.stdout, sys.stderr
    before_mb = _peak_mb(resource.RUSAGE_SELF)
    for _ in sys.stdin:
        start = time.monotonic()
        told = _loaded(folder)
        grown_mb = _peak_mb(resource.RUSAGE_SELF) - before_mb + _peak_mb(resource.RUSAGE_CHILDREN)
        told |= {"seconds": time.monotonic() - start, "memory_mb": grown_mb}
        print(json.dumps(told), file=replies, flush=True)


def _loaded(folder: Path) -> dict[str, object]:
    """What loading comes to, whether it must not, and the hash of what was loaded."""
    try:
        image = load_image(folder)
    except InputError as error:
        untold = not all(fault.source and fault.found for fault in error.faults)
        return {"what": f"refused {error.faults[0].code}", "bad": untold}
    except BaseException as error:  # noqa: BLE001 - anything else is what is searched for
        return {"what": f"FOREIGN {type(error).__name__}", "bad": True}
    what = "loaded with a caution" if image.cautions else "loaded"
    return {"what": what, "bad": False, "sha256": image.record.sha256}


def _peak_mb(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
