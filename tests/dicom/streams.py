"""Compressed streams of one small slice, from encoders of several makers, and a plain encoder of lossless JPEG."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from encoded import J2K, J2K_ANY, JPEG_LOSSLESS_1, JPEG_LS, RLE, stream_of

JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LS_NEAR = (f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 81))
HTJ2K, HTJ2K_RPCL, HTJ2K_ANY = (f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))


def slice_values() -> np.ndarray:
    """Stored values, HU + 1024, of a body in air; what the constants below hold."""
    j, i = np.indices((40, 36))
    body = 1024 + 2 * j + (31 * j + 17 * i) % 13
    air = 24 + (7 * i + 3 * j) % 11
    return np.where((j < 6) | (j > 33) | (i < 5) | (i > 30), air, body).astype(np.uint16)


def lossless_streams(values: np.ndarray, folder) -> dict[str, bytes]:
    """A stream for each lossless syntax that can be encoded here, by transfer syntax."""
    made = {syntax: stream_of(values, syntax, folder) for syntax in (RLE, JPEG_LOSSLESS_1, JPEG_LS, J2K, J2K_ANY)}
    return made | {JPEG_LOSSLESS: jpeg_lossless(values, selection=7), JPEG_LS_NEAR: made[JPEG_LS]}


def jpeg_lossless(
    values: np.ndarray, *, selection: int = 1, precision: int = 16, transform: int = 0, restart_rows: int = 0
) -> bytes:
    """Lossless JPEG by the letter of T.81, value by value; all 17 categories have codes of 5 bits."""
    rows, columns = values.shape
    table = bytes([0] * 4 + [17] + [0] * 11) + bytes(range(17))
    bands = (
        [values[first : first + restart_rows] for first in range(0, rows, restart_rows)] if restart_rows else [values]
    )
    out = BytesIO()
    out.write(b"\xff\xd8")
    out.write(b"\xff\xc3" + struct.pack(">HBHHB3B", 11, precision, rows, columns, 1, 1, 0x11, 0))
    out.write(b"\xff\xc4" + struct.pack(">HB", 3 + len(table), 0) + table)
    if restart_rows:
        out.write(b"\xff\xdd" + struct.pack(">HH", 4, restart_rows * columns))
    out.write(b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, selection, 0, transform))
    for number, band in enumerate(bands):
        if number:
            out.write(bytes((0xFF, 0xD0 + (number - 1) % 8)))
        bits = "".join(_codes((band.astype(int) >> transform).tolist(), selection, 1 << (precision - transform - 1)))
        bits += "1" * (-len(bits) % 8)
        coded = bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits), 8))
        out.write(coded.replace(b"\xff", b"\xff\0"))
    out.write(b"\xff\xd9")
    return out.getvalue()


def _codes(values: Sequence[Sequence[int]], selection: int, start: int) -> Iterator[str]:
    for j, row in enumerate(values):
        for i, value in enumerate(row):
            difference = (value - _prediction(values, j, i, selection, start) + 32767) % 65536 - 32767
            category = abs(difference).bit_length()
            yield f"{category:05b}"
            if 0 < category < 16:
                yield f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}"


def _prediction(values: Sequence[Sequence[int]], j: int, i: int, selection: int, start: int) -> int:
    if j == i == 0:
        return start
    if j == 0:
        return values[0][i - 1]
    if i == 0:
        return values[j - 1][0]
    a, b, c = values[j][i - 1], values[j - 1][i], values[j - 1][i - 1]
    return (a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1)[selection - 1]


# Made by OpenJPH 0.26 (reversible) and by libjpeg-turbo 3 (12 bits, quality 95).
HTJ2K_STREAM = b64decode(
    "/0//UQApQAAAAAAkAAAAKAAAAAAAAAAAAAAAJAAAACgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJ"
    "CQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAABTwAAf+TwAArAMn9Av0y/vj6AoG0AMAAE8AAE8AAEwD8AowDC3QAlAPx"
    "AKI0AHz9Aod0AMAAFbAABXQAAVIqYAgCW4BQ+gf5RrUApLAAHWCcXP0AIYC+lgD6gDGh9AEAtADAABb0AAF1UAAFuKBEQZEIgJoUWZOn0aMAjI"
    "nO9DaYAQX3fwcYgDmaANJY8Esdb5RxUyBpG4ARdIJRoCRYwEZpJtKp6/4EBYhAe5uGhheMYGqeAGAiTgYCAsTqUdARCFxmpAiY7AQgD/8RiCBD"
    "OgDAABeuQAAXs8AAF6aAgouKRfqgJyDTCkBAu2AMgEH+AASTAQQIYIBtAGDL/Qkc5A9MIAlAAAECsAEEIDsWSLAQB1wZBAAAAGACACAdBmGHXe"
    "Mmxdna4JdJxgkY/kHGHLCf1M8tbgBlOgGACoZLyb0ftX7w8nErSC4h6hAAAwMGADAgYAAAAAUEGABQYIAAlQwNZIn4gE5hjxgEFoE9oILm8EW0"
    "UEDnAXwmUPpA5gQ0sAj8A6kX3ZFjRhCBIEIRXuPQm4U+7QGkPiEAIQgAC54BLz7I6XCsYECH0JAHEgYEEAoGoAoMGLzK4Q8QlA5CSBBkB6BXQA"
    "g0CCAIy8AVDCoH4uEhJ55bwY5GmQvMUb/B8bESx2zQRvGJGoYQWwHAAC/TSAAF+hsAAL748MTsu9XsKiMYnGbfrWr3aiTYALSOBS8B0SYEDCCU"
    "tzwNBCjAwD3/ARLgO4iDwYHgCRDUv3/AQIEABg4YwN8BBALAg2PBdxAHA0Cggf0bGAgw4AABGjAAAQQQOAAMHAg8OBZ8ByDQwP8BGGBwoAAGAj"
    "CAAgMQOGAH4sDAgcCDAwDIoIEDBhocYMABIlgAwAHBseB2IA4MHIBACBcIUIABBzRggAAFmMABAgQEB4IHx4LbgYAOQsjAAQwUEIABDByACyEB"
    "ILC7NNjK9l8cgEArjxjQQAABHAyJA6BB0FyFrOedo0EQDAwDxQAZCtnNqMGR4NY/JRaGT9wo4gaOhnPZP3CjRNxpx3C9k/UdC8L8juF6irF5d1"
    "y/I6UKM4WDd1y9HUEQpQ6jdOREIWFNafWFsNtw3ATUkgasqFfLRAecTOscANwBQP0C7xHcjz+B+AziH9gfgff1C5xX8H9BXAcEwOG14pe6xWiC"
    "l+ArHC4bKfIFbVG3GE3w0Rg46Yl8wC9oi7olY1HpRHnFWIl8wC9or1DrQLxQK2vFWIl8SMF6jQS8BF+hVtaKMSlMLwtSgC4AmDCADAiosAAi0G"
    "AACQfYUAAukGAADAWQAADtAxQQgQEBC6SKcSlWwAJVIfxZt4QOn++v7qEEAEMYArhjAn3DGBPuGOahcPb3p/nD+unL4Z+nt70/Kpyw/3DP09v5"
    "Xh+HPh/uGfkT6R+P9z8+H+3u7fVnw/3PzwtABohgXXDGBPuGIAPcMeQ2ySLa+rcHGYyVBvqQUFnw4EnpekhQWbCZCuxfUJBIUWU9i+KFFoIBvU"
    "Axn1SyWOGIUlZkWZFJVJXowxQRTMYVjhWOKGVFFvhoFXzFssGywTKucKxwhNLrKr1trLAYpWywbLCMKzpQuQm1LLEkxxIWo5QNlg0FiQ9KrGBZ"
    "kUksybGExZBJk+hKAIKBBFzNkA9Ep/a6ACDBgwKJQlKlBfpKqnRVmFpaUL3uANti99eyL996cI8N4o9RgiK/N+fPk2+eLnt9H/gefnybdL28LU"
    "nxYPPz+Mjd3ddPiwdfrJ8UP27uun4dbvbc/FD9u73z4gHOcGfipwCJ3l1NyevHqk7XUHoF/9k="
)

JPEG_12_BIT_STREAM = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDA"
    "sKDAkKCgr/wQALDAAoACQBAREA/8QAHAAAAgICAwAAAAAAAAAAAAAACgwBCwAHCAkN/8QAOhAAAQEECQIDBAkFAQAAAAAAAQIDBREhAAQGBwgJ"
    "CjFBCxIME2EVF1FxFBkiJzI3QoGxIzRikaHh/9oACAEBAAA/APB8NFdoLtWF1EDNLt7kp6O7KoOLzEzdfcC9L67cXZi/GwtgC7LCu19uNw117+"
    "0LbPxzu9t5TytI5Kv9GZVhdaWK75iWCmbFu0Zk8J8LtddQCglnobOzu/UczHDJIRhv7yvWXBEqSfC63XU0AE6GpRVBMB9ZfhkkeAB7yt+RHg8U"
    "0BmveHHOs0ZIWVniWzqc0XRwm7HDNhAw/wBsr7MRN5KMwrDw+jZKwllHJXX6/nuHe6bwa08K+Kq7XfW6yKtUqtWKy28rymLJq0WhmoIkDuEksE"
    "jcBpLecRMSnzS3/wDBTLu9o9U7x81dClFQ0/16Z+yePfdcaIQ53MOJ+lGgBVnuWzH17kfz/AB/0KYLMKQIMkBSY9vaEy9RDjaEN+TQf7qxrhQz"
    "6WNqWm/lkLRp/wDGSsQ5IuQtfMH5yBlACUaI/wCowP8Ad9vyZRBnuJGHy+MaXDPgmaoh49VNx+sFswEDT73qrkJD78LjDGHImSI7GjRSbNtGf4"
    "kdyd4xmNhEH/kZxJlCkCzCVmDJBSqHb2hM/UQ53hDbk0H36tI4gy6VjqZGzdgmCdPvjNWVAiH5HWwnP9hH5wFEccNlsh9hDQAziGYMeImPMqXG"
    "Hgi+pM691WXMBYrPeRp771lCAkB787iomG3qYwAI2o0oJsyQCthIbkGMiRueed9yTKFIVZtmr7LRh2Ef4xAhOH7fDYEzJoPj1bqzzWrdKb1NrQ"
    "oSQnT34z1ArMQIXG2wEYncShE7xlDeiMglKjErU2jGflHb0MxP/wAp3HaILqAOrk6cPmt3g53+jFzZhg1xQXp4enrcdby9BpcNYK8P2pYJ5P1w"
    "v6uugu23LifTvY+Y9LMONua0yqyK0j6EEIboZNm7NqU0PFVfXrwr+nrvj3JP4zlfYXAUzjE/djLcA+kDGmHxVd17BM2uu/TL9P1XmFuAhOH5Yz"
    "hOUvjOnHrNw8Sq9a9z1sqPE7kg5q2tHF6GF7GTh6ttcbiRuwOXLhwcptfYK1rirrgtC6PaLou7qrwqBrTseFbq/wBLqVZq9bYht5jBsyaoQ0SC"
    "0KuhuO5FS8wCQPftzDae+/whT//Z"
)
