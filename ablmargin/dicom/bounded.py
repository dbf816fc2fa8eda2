"""Files of strangers, read within bounds: nothing longer than the file, nothing that swells without end."""

from __future__ import annotations

import zlib
from typing import BinaryIO

INFLATED_BYTES = 80 * 2**20
"""No deflated file may hold more: the largest slice and a long header."""
_ELEMENT_HEAD_BYTES = 16


class TooShortError(Exception):
    """Something in a file claims to be longer than the file."""


class TooLargeError(Exception):
    """A deflated file holds more than a slice may."""


class BoundedReader:
    """A file for pydicom that refuses lengths beyond its end before memory is taken for them."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.tell, self.seek, self.close = file.tell, file.seek, file.close

    def read(self, count: int = -1) -> bytes:
        """As of any file, but for lengths that the file itself declares."""
        if count < 0:  # pydicom reads to the end only where all that follows is deflated
            return _deflated_within_bounds(self._file.read())
        if count > _ELEMENT_HEAD_BYTES and count > self._size - self._file.tell():
            raise TooShortError
        return self._file.read(count)


def _deflated_within_bounds(data: bytes) -> bytes:
    """The same stream, once it is known how much it holds."""
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, INFLATED_BYTES + 1)
    if len(plain) > INFLATED_BYTES:
        raise TooLargeError
    return data
