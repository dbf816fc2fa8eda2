"""Where results may be written: never into an input, and never around one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ablmargin.dicom.walk import place_of
from ablmargin.errors import UsageError


def require_apart(out: Path, inputs: Iterable[Path], *, option: str = "--out ") -> None:
    """Refuse an output folder or file that lies in the folder of an input, or an output folder that holds an input.

    Parameters
    ----------
    inputs : iterable of Path
        Folders and files. The folder of a DICOMDIR is an input as a whole.
    option : str
        What messages put before the output's name.

    Raises
    ------
    UsageError
        With the first input that is in the way.
    """
    place = out.resolve()
    for named in dict.fromkeys(inputs):
        source = place_of(named)
        found = source.resolve()
        if found.is_dir() and place.is_relative_to(found):
            raise UsageError(f"{option}{out} lies inside the input folder {source}, where nothing is ever written")
        if found.is_relative_to(place):
            raise UsageError(f"{option}{out} holds the input {source}; name a folder of its own")
