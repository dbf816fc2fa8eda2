"""Options from a file: TOML, a key an option, ``ras-mutation = "mutant"``."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import typer

from ablmargin.errors import UsageError

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a text, or a list of texts",
    str: "a text in quotation marks",
}
"""What an option's value must be, by its kind."""


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take a file's options as defaults.

    Raises
    ------
    UsageError
        If the file can't be read, names an option that the command doesn't have, or gives one a value of another kind.
    """
    if path is None:
        return None
    options = _read_toml(path)
    known = {option.removeprefix("--"): str(one.name) for one in context.command.params for option in one.opts}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"--config {path}: the command has no option {', '.join(unknown)}")
    hints = get_type_hints(inspect.unwrap(context.command.callback or read_config))
    defaults = {known[option]: _fitting(value, hints[known[option]], option, path) for option, value in options.items()}
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _fitting(value: Any, hint: Any, option: str, path: Path) -> Any:
    """The value of an option as its kind asks for it; UsageError if it is of another one."""
    kind = _kind_of(hint)
    if kind is list and isinstance(value, str):
        return [value]
    if _is_of(value, kind):
        return value
    raise UsageError(f"--config {path}: {option} = {value!r}: expected {_EXPECTED[kind]}")


def _kind_of(hint: Any) -> type:
    """What a value of an option's type is in TOML: paths, words and points are texts."""
    plain = next((part for part in get_args(hint) if part is not NoneType), hint) if _is_optional(hint) else hint
    plain = get_origin(plain) or plain
    return plain if plain in _EXPECTED else str


def _is_optional(hint: Any) -> bool:
    return NoneType in get_args(hint)


def _is_of(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    if kind is float:
        return type(value) in {int, float}
    return type(value) is kind


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        reason = "there is no such file"
    except OSError as error:
        reason = f"it can't be read ({error.strerror})"
    except UnicodeDecodeError:
        reason = "it is no text in UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason = f"it is no valid TOML: {error}"
    raise UsageError(f"--config {path}: {reason}")
