"""From a matplotlib figure to PNG, without pyplot: no window, no global state."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

DPI = 140


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
