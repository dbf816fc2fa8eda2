"""Files of strangers, read within bounds: nothing longer than the file, nothing that swells without end."""

from __future__ import annotations

import zlib
from typing import BinaryIO

INFLATED_BYTES = 80 * 2**20
"""No deflated file may hold more, inflated or not: the largest slice and a long header."""
HEADER_BYTES = 64 * 2**20
"""More isn't read of a header."""
_ELEMENT_HEAD_BYTES = 16


class TooShortError(Exception):
    """Something in a file claims to be longer than the file."""


class TooLargeError(Exception):
    """Reading on would take more memory than is sensible."""


class BoundedReader:
    """A file for pydicom that refuses lengths beyond its end, or beyond a bound, before memory is taken for them.

    Parameters
    ----------
    size : int
        Of the file, bytes.
    most : int
        So much may be read in all. What is skipped doesn't count, nor does a deflated data set, which has its own bound.
    """

    def __init__(self, file: BinaryIO, size: int, most: int = HEADER_BYTES) -> None:
        self._file, self._size, self._left = file, size, most
        self.tell, self.seek, self.close = file.tell, file.seek, file.close

    def read(self, count: int = -1) -> bytes:
        """As of any file, but for lengths that the file itself declares."""
        if count < 0:  # pydicom reads to the end only where all that follows is deflated
            return self._deflated()
        if count > _ELEMENT_HEAD_BYTES and count > self._size - self._file.tell():
            raise TooShortError
        self._left -= count
        if self._left < 0:
            raise TooLargeError
        return self._file.read(count)

    def _deflated(self) -> bytes:
        """All that is left, once it is known to be no more than a slice, inflated or not."""
        if self._size - self._file.tell() > INFLATED_BYTES:
            raise TooLargeError
        return _deflated_within_bounds(self._file.read())


def _deflated_within_bounds(data: bytes) -> bytes:
    """The same stream, once it is known how much it holds."""
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, INFLATED_BYTES + 1)
    if len(plain) > INFLATED_BYTES:
        raise TooLargeError
    return data
