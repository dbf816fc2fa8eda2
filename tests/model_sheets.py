"""TOML files that tell of a network, for tests."""

from __future__ import annotations

from pathlib import Path

LINES = {
    "version": '"1.0"',
    "axis_order": '"SPL"',
    "spacing_mm": "[2.5, 1, 1.0]",
    "window_hu": "[-160, 240]",
    "normalization": '"unit"',
    "patch": "[32, 96, 64]",
    "overlap": "0.5",
    "labels": '{ 1 = "liver", 2 = "tumor", 3 = "ablation" }',
    "activation": '"softmax"',
}


def sheet_file(tmp_path, **changes: str | None) -> Path:
    """``model.toml`` with some lines changed, or left out where they are None."""
    lines = {key: value for key, value in (LINES | changes).items() if value is not None}
    path = tmp_path / "model.toml"
    path.write_text("\n".join(f"{key} = {value}" for key, value in lines.items()), encoding="utf-8")
    return path
