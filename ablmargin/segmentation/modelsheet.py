"""What a network of one's own needs to be told besides its weights: a small TOML file beside it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablmargin.errors import Fault, InputError, printable
from ablmargin.geometry import FloatArray, Triple
from ablmargin.volume import Structure

Activation = Literal["softmax", "sigmoid", "none"]
Size = tuple[int, int, int]

DIRECTIONS_MM: Mapping[str, Triple] = {
    "L": (1.0, 0.0, 0.0),
    "R": (-1.0, 0.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "A": (0.0, -1.0, 0.0),
    "S": (0.0, 0.0, 1.0),
    "I": (0.0, 0.0, -1.0),
}
"""Toward the patient's left, right, back (posterior), front (anterior), head (superior) and feet (inferior), LPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """HU are cut to the window, then ``(HU - center_hu) / scale_hu``."""

    center_hu: float
    scale_hu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSheet:
    """How a network sees an image, and what its output means.

    Parameters
    ----------
    version : str
    axis_order : str
        Where the index of each of its three axes grows: ``SPL`` for slices from the feet up, rows to the back, columns to
        the left, as DICOM has them.
    spacing_mm : (float, float, float)
        Voxel spacing along these axes.
    window_hu : (float, float)
        HU are cut to it.
    normalization : Normalization
    patch : (int, int, int)
        Voxels that the network takes at a time, along these axes.
    overlap : float
        Share of a patch, along each axis, that the next one sees again; at least 0, below 1.
    labels : mapping
        From the number of a label to its structure.
    activation : str
        What turns the output into shares: ``softmax`` over a background and the labels, ``sigmoid`` for labels that are
        each for themselves, ``none`` if it holds shares already.
    """

    version: str
    axis_order: str
    spacing_mm: Triple
    window_hu: tuple[float, float]
    normalization: Normalization
    patch: Size
    overlap: float
    labels: Mapping[int, Structure]
    activation: Activation

    @property
    def directions_mm(self) -> FloatArray:
        """Unit vectors along its axes, shape (3, 3), LPS."""
        return np.array([DIRECTIONS_MM[letter] for letter in self.axis_order])

    def normalized(self, voxels_hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """HU as the network wants them."""
        cut = np.clip(voxels_hu, *self.window_hu)
        return np.asarray((cut - self.normalization.center_hu) / self.normalization.scale_hu, np.float32)


def read_sheet(path: Path) -> ModelSheet:
    """Read and check a model's TOML file.

    Raises
    ------
    InputError
        PATH_MISSING, FILE_UNREADABLE, or MODEL_SHEET with everything that is wrong with its keys.
    """
    table = _table(path)
    faults = [_unknown(path, key) for key in table if key not in _READERS]
    values: dict[str, Any] = {}
    for key, (read, expected) in _READERS.items():
        values[key] = None if key not in table else read(table[key])
        if values[key] is None:
            found = "nothing" if key not in table else printable(repr(table[key]))[:100]
            faults.append(_fault(path, key, found, expected, f"Mend {key} in {path.name}."))
    if not faults and isinstance(values["normalization"], str):
        low, high = values["window_hu"]
        values["normalization"] = _NAMED[values["normalization"]](low, high)
    if faults:
        raise InputError(*faults)
    return ModelSheet(**values)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "Write it beside the model, with the same name; docs/segmentation.md has an example."
        raise InputError(_file_fault("PATH_MISSING", path, "nothing there", remedy)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found = f"content that can't be read ({printable(str(error))})"
        raise InputError(_file_fault("FILE_UNREADABLE", path, found, "Mend the file.")) from None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _numbers(value: object, count: int) -> list[float] | None:
    numbers = [_number(entry) for entry in value] if isinstance(value, list) else []
    return [entry for entry in numbers if entry is not None] if len(numbers) == count and None not in numbers else None


def _version(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable() else None


def _axis_order(value: object) -> str | None:
    if not isinstance(value, str) or len(value) != 3:
        return None
    each_axis_once = all(len(set(value) & pair) == 1 for pair in ({"L", "R"}, {"P", "A"}, {"S", "I"}))
    return value if each_axis_once else None


def _spacing(value: object) -> Triple | None:
    numbers = _numbers(value, 3)
    return (numbers[0], numbers[1], numbers[2]) if numbers and min(numbers) > 0 else None


def _window(value: object) -> tuple[float, float] | None:
    numbers = _numbers(value, 2)
    return (numbers[0], numbers[1]) if numbers and numbers[0] < numbers[1] else None


def _normalization(value: object) -> Normalization | str | None:
    if isinstance(value, str):
        return value if value in _NAMED else None
    if not isinstance(value, dict) or set(value) != {"mean_hu", "sd_hu"}:
        return None
    mean_hu, sd_hu = _number(value["mean_hu"]), _number(value["sd_hu"])
    return None if mean_hu is None or not sd_hu or sd_hu < 0 else Normalization(center_hu=mean_hu, scale_hu=sd_hu)


def _patch(value: object) -> Size | None:
    numbers = _numbers(value, 3)
    if not numbers or min(numbers) < 1 or any(number != int(number) for number in numbers):
        return None
    return (int(numbers[0]), int(numbers[1]), int(numbers[2]))


def _overlap(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 0.9 else None


def _labels(value: object) -> Mapping[int, Structure] | None:
    if not isinstance(value, dict) or not value:
        return None
    fits = all(key.isdecimal() and int(key) > 0 and name in tuple(Structure) for key, name in value.items())
    labels = {int(key): Structure(name) for key, name in value.items()} if fits else {}
    return labels if len(set(labels.values())) == len(value) else None


def _activation(value: object) -> str | None:
    return value if isinstance(value, str) and value in {"softmax", "sigmoid", "none"} else None


_NAMED: Mapping[str, Callable[[float, float], Normalization]] = {
    "none": lambda low, high: Normalization(center_hu=0.0, scale_hu=1.0),  # noqa: ARG005 - any window
    "unit": lambda low, high: Normalization(center_hu=low, scale_hu=high - low),
}

_READERS: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "version": (_version, 'the model\'s version, such as "1.0"'),
    "axis_order": (_axis_order, 'one letter of each of L R, P A and S I, such as "SPL" or "RAS"'),
    "spacing_mm": (_spacing, "three positive numbers, in the order of axis_order"),
    "window_hu": (_window, "two rising numbers, such as [-160, 240]"),
    "normalization": (_normalization, '"none", "unit" (the window to 0..1) or { mean_hu = 100, sd_hu = 40 }'),
    "patch": (_patch, "three whole numbers of voxels, in the order of axis_order"),
    "overlap": (_overlap, "a number from 0 to 0.9"),
    "labels": (
        _labels,
        'whole numbers from 1 with a structure each, such as { 1 = "liver", 2 = "tumor", 3 = "ablation" }',
    ),
    "activation": (_activation, '"softmax", "sigmoid" or "none"'),
}
"""Of each key how its value is read, None if it is wrong, and what is expected of it."""


def _unknown(path: Path, key: str) -> Fault:
    near = difflib.get_close_matches(key, _READERS, n=1)
    remedy = f"Did you mean {near[0]}?" if near else "Leave it out."
    return _fault(path, printable(key), "an unknown key", ", ".join(_READERS), remedy)


def _fault(path: Path, key: str, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code="MODEL_SHEET", source=path.name, attribute=key, found=found, expected=expected, remedy=remedy)


def _file_fault(code: str, path: Path, found: str, remedy: str) -> Fault:
    return Fault(
        code=code, source=str(path), found=found, expected="a TOML file that tells of the model", remedy=remedy
    )
