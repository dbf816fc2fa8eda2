"""Compressed pixels: what decodes them, and the process of its own in which that happens."""
