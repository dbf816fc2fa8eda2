"""Our program, that gets a signal when it begins to load a module."""

from __future__ import annotations

_PROGRAM = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from ablmargin_cli.main import script

class Interrupted(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{kind})

sys.meta_path.insert(0, Interrupted())
sys.argv = ["ablmargin", *{words!r}]
script()
"""


def interrupted(*words: str, module: str, kind: str) -> str:
    """The program's text, for ``python -c``."""
    return _PROGRAM.format(words=words, module=module, kind=kind)
