"""``ablmargin batch``: many cases, each in a process of its own, to one table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablmargin.case import RasMutation
from ablmargin.errors import MissingExtraError, UsageError
from ablmargin.registration.enginename import EngineName
from ablmargin.segmentation.segmentername import SegmenterName

from . import options
from .stopping import ended_as_interrupted

if TYPE_CHECKING:
    from ablmargin.batch.keyfile import KeyFile

EXIT_SOME_FAILED = 4
BYTES_PER_GB = 2**30
MOST_MINUTES, MOST_GB = 366 * 24 * 60.0, 1e6
"""More than any case takes, and less than any system's own limits."""


def _number(value: float) -> float:
    """Refuse NaN: ranges let it pass."""
    if math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


@ended_as_interrupted()
def batch(
    *,
    manifest: Annotated[
        Path, typer.Argument(help="CSV or Parquet, a row a lesion; see docs/batch.md.", metavar="MANIFEST")
    ],
    out: Annotated[Path, typer.Option("--out", help="The batch's folder; run again, it goes on there.", metavar="DIR")],
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Cases at once on this machine; else as many as it has cores for, with --threads each.",
            min=1,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="The address of a running Dask cluster: tcp://host:8786.", metavar="ADDRESS"),
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", help="Only one of so many parts, for job arrays: 3/10.", metavar="N/COUNT")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and tell what would be done.")] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            help="When a case is given up.",
            min=0.01,
            max=MOST_MINUTES,
            callback=_number,
            metavar="MINUTES",
        ),
    ] = 30.0,
    memory: Annotated[
        float,
        typer.Option(
            "--memory",
            help="What a case may take before it is given up.",
            min=0.1,
            max=MOST_GB,
            callback=_number,
            metavar="GB",
        ),
    ] = 8.0,
    retries: Annotated[int, typer.Option("--retries", help="New tries for a case whose process died.", min=0)] = 1,
    ras_mutation: Annotated[
        RasMutation, typer.Option("--ras-mutation", help="Of cases whose rows don't tell.")
    ] = RasMutation.UNKNOWN,
    segmenter: options.SegmenterChoice = SegmenterName.BUILT_IN,
    model: options.Model = None,
    auto_command: options.AutoCommand = None,
    reviewed: options.Reviewed = False,
    accept: options.Accept = [],  # noqa: B006 - typer reads it as "none given"
    engine: options.Engine = EngineName.GAUSS_NEWTON,
    threads: options.Threads = 1,
    seed: options.Seed = 0,
    deidentify: options.Deidentify = False,
    deidentify_key: options.DeidentifyKey = None,
    config: options.Config = None,  # noqa: ARG001 - read before the others, as their defaults
) -> int:
    """Analyze every case of a manifest; run again, it goes on where it was."""
    _require_extra()
    from ablmargin.batch.cells import Defaults
    from ablmargin.batch.job import Analysis, Limits
    from ablmargin.batch.keyfile import without_patients
    from ablmargin.batch.manifest import read_manifest
    from ablmargin.batch.run import Plan, Shard, require_writable
    from ablmargin.registration.engines import engine_named
    from ablmargin.threads import available_cores

    from .batching import carry_out, tell_plan

    if scheduler is not None and workers is not None:
        raise UsageError("--workers is about this machine; a cluster behind --scheduler has its own")
    key_file = _key_file(wanted=deidentify, path=deidentify_key)
    defaults = Defaults(ras_mutation=ras_mutation, accepted=options.accepted(accept), reviewed=reviewed)
    analysis = Analysis(
        seed=seed,
        threads=threads,
        engine=engine,
        segmenter=segmenter,
        model=None if model is None else model.absolute(),
        auto_command=auto_command,
        key_file=key_file,
    )
    given = read_manifest(manifest, defaults)
    plan = Plan(
        manifest=given if key_file is None else without_patients(given, key_file.key()),
        out=out,
        analysis=analysis,
        limits=Limits(timeout_s=60 * timeout, memory_bytes=int(memory * BYTES_PER_GB), retries=retries),
        shard=Shard() if shard is None else Shard.from_text(shard),
        workers=workers or max(1, available_cores() // threads),
        scheduler=scheduler,
    )
    engine_named(engine).require_installed()
    analysis.methods()
    require_writable(plan)
    if dry_run:
        return tell_plan(plan)
    return EXIT_SOME_FAILED if carry_out(plan) else 0


def _key_file(*, wanted: bool, path: Path | None) -> KeyFile | None:
    from ablmargin.batch.keyfile import KeyFile

    if wanted and path is None:
        raise UsageError(
            "batch --deidentify needs --deidentify-key FILE, so that cases that are added later get the same stand-ins: "
            "head -c 32 /dev/urandom > project.key"
        )
    return None if path is None else KeyFile.at(path)


def _require_extra() -> None:
    import sys
    from importlib.util import find_spec

    if sys.platform == "win32":
        raise UsageError("batch runs on Linux and macOS; on Windows, in its subsystem for Linux (WSL)")
    missing = [name for name in ("cryptography", "distributed", "psutil", "pyarrow") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f'batch needs {", ".join(missing)}: pip install "ablmargin[batch]"')
