"""One word each: ``nox -s dev``, ``tests``, ``slow``, ``auto``, ``check``, ``bench``."""

import nox

nox.options.sessions = ["tests", "check"]
CHECKED = ("ablmargin", "cli", "tests", "benchmarks", "sample_data", "noxfile.py")


@nox.session(venv_params=["--clear"])
def dev(session: nox.Session) -> None:
    """Make .venv with everything that a developer needs."""
    session.run("python", "-m", "venv", ".venv", external=True)
    session.run(".venv/bin/python", "-m", "pip", "install", "-e", ".[test,check]", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests of every day, doctests among them; under a minute or so."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take minutes, those of the second engine among them."""
    session.install("-e", ".[test,elastix]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def auto(session: nox.Session) -> None:
    """The real TotalSegmentator on tiny models that the test makes: minutes, after an installation of up to 7.3 GB."""
    session.install("-e", ".[test,auto]")
    session.run("pytest", "-m", "slow", "-n", "0", "tests/segmentation/test_totalsegmentator_real.py", *session.posargs)


@nox.session
def check(session: nox.Session) -> None:
    """Lint, format, types, layers."""
    session.install("-e", ".[test,check]", "nox")
    session.run("ruff", "check", *CHECKED)
    session.run("ruff", "format", "--check", *CHECKED)
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def bench(session: nox.Session) -> None:
    """Accuracy against exact truth, and how often the bounds hold; half an hour. See benchmarks/README.md."""
    session.install("-e", ".[test]")
    for script, *options in (("accuracy",), ("calibration",), ("capsule", "--slices", "1"), ("cohort",), ("phantoms",)):
        session.run("python", f"benchmarks/{script}.py", *options)
