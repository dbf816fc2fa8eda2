"""The program ``ablmargin``: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, cast

import typer

from ablmargin.errors import AblMarginError, InputError, UsageError
from ablmargin.report import DISCLAIMER
from ablmargin.threads import one_blas_thread

from .analyze import analyze
from .batch import batch
from .cohort import cohort
from .compare import compare
from .demo import demo
from .inspect import inspect
from .margin import margin
from .register import register
from .segment import segment
from .simulate import simulate
from .terminal import say
from .validate import validate

EXIT_FAILED, EXIT_USAGE, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 3, 130

CommandLineError = cast(
    "type[typer.BadParameter]", next(kind for kind in reversed(typer.BadParameter.__mro__) if hasattr(kind, "show"))
)
"""What typer raises for wrong usage. It carries a copy of click whose exceptions have no public name but by their heir."""

app = typer.Typer(
    name="ablmargin",
    help=f"The 3-D ablative margin of liver tumors, from the CT before and after ablation.\n\n{DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (demo, inspect, analyze, batch, cohort, compare, margin, register, segment, simulate, validate):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"ablmargin {version('ablmargin')}\n{DISCLAIMER}\n")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing but the options of the program itself."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (CONTRACT: 0 done, 2 usage, 3 input refused, 130 interrupted).

    A full disk or the like exits with 1 and a line that says so. A bug of ours isn't caught: Python prints it, exit 1.
    """
    try:
        with one_blas_thread():
            code = app(args=arguments, standalone_mode=False)
    except CommandLineError as error:
        error.show()
        return EXIT_USAGE
    except UsageError as error:
        say(f"ablmargin: {error}")
        return EXIT_USAGE
    except InputError as error:
        for fault in error.faults:
            say(f"ablmargin: {fault}")
        return EXIT_INPUT
    except AblMarginError as error:
        say(f"ablmargin: {error}")
        return EXIT_INPUT
    except (KeyboardInterrupt, typer.Abort):
        say("ablmargin: interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        say(f"ablmargin: {error.strerror or error}: {error.filename or 'writing a file or standard output'}")
        return EXIT_FAILED
    if code == EXIT_INTERRUPTED:  # typer has caught the interruption itself
        say("ablmargin: interrupted")
    return code if isinstance(code, int) else 0
