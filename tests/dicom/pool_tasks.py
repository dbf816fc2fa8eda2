"""What processes of a pool do for tests: in a module that they find by its name, however pytest has named the tests."""

from __future__ import annotations

from ablmargin.dicom.codec.process import FrameDecoder


def decoded(job):
    """A frame's pixels as bytes."""
    with FrameDecoder() as decoder:
        return decoder.decoded(job)
