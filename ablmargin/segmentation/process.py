"""An image to a program in a process of its own, and its labels back: through files that hold no name, ID or date."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ablmargin.errors import Fault, InputError, UsageError, printable
from ablmargin.geometry import Array, Geometry
from ablmargin.imagefile import load_labels, save_volume
from ablmargin.volume import Volume

LAST_LINES = 3
"""How much is told of what a program wrote before it failed."""

_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that segments a NIfTI file.

    Parameters
    ----------
    name : str
        What to call it in errors.
    command : callable
        The words of its command line, from the image's path and the path that its labels must be written to.
    timeout_s : float
        When to end it, s.
    environment : mapping, optional
        Its environment variables; ours if None.
    """

    name: str
    command: Callable[[Path, Path], Sequence[str]]
    timeout_s: float
    environment: Mapping[str, str] | None = None


def labels_by(program: Program, volume: Volume) -> tuple[Array, Geometry]:
    """Let a program segment an image.

    Returns
    -------
    labels : ndarray of int32, shape (slices, rows, columns)
    geometry : Geometry
        The grid that the program put them on.

    Raises
    ------
    UsageError
        If the program can't be started.
    InputError
        SEGMENTATION_FAILED if it fails, takes too long or leaves no labels.
    """
    with TemporaryDirectory(prefix="ablmargin-") as folder:
        image, result = Path(folder, "image.nii.gz"), Path(folder, "mask.nii.gz")
        save_volume(volume, image)
        outcome = _run(program, program.command(image, result), Path(folder))
        if outcome is not None:
            raise InputError(_failure(program, outcome))
        if not result.is_file():
            raise InputError(_failure(program, "no file with the mask, although it ended as if all was well"))
        try:
            return load_labels(result)
        except InputError as error:
            raise InputError(
                *(replace(fault, source=f"the mask by {program.name}") for fault in error.faults)
            ) from None


def _run(program: Program, command: Sequence[str], folder: Path) -> str | None:
    """Run a command to its end in a folder; what went wrong, in words, or None."""
    with Path(folder, "output").open("wb") as output, Path(folder, "errors").open("wb") as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command or ours, and no shell
                command,
                cwd=folder,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"{program.name}: {command[0]} can't be started ({error.strerror})") from None
        try:
            code = process.wait(program.timeout_s)
        except subprocess.TimeoutExpired:
            return f"no end after {program.timeout_s:g} s"
        finally:
            _end(process)
    if code == 0:
        return None
    said = "; ".join(_last_lines(folder / "errors") or _last_lines(folder / "output"))
    return f"{_ending(code)}{f': {said}' if said else ''}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started, if it still runs."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _ending(code: int) -> str:
    if code < 0:
        return f"an end by signal {-code}, as when memory runs out"
    return f"exit code {code}"


def _last_lines(path: Path) -> list[str]:
    """The last lines of a program's output, no traceback in them and nothing that could color a terminal."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    said = [printable(line) for line in lines if line.strip() and not line.startswith((" ", "Traceback"))]
    return said[-LAST_LINES:]


def _failure(program: Program, found: str) -> Fault:
    return Fault(
        code="SEGMENTATION_FAILED",
        source=program.name,
        found=found,
        expected="a mask",
        remedy="Mend what it says, choose another method, or give the mask as a file.",
    )
