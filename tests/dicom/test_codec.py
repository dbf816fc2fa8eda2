"""Streams of every compression are read to the value; damaged ones are refused, never made up for."""

from __future__ import annotations

import numpy as np
import pytest
from encoded import J2K, J2K_ANY, JPEG_LOSSLESS_1, JPEG_LS, RLE
from pydicom.data import get_testdata_file
from streams import (
    HTJ2K,
    HTJ2K_ANY,
    HTJ2K_RPCL,
    HTJ2K_STREAM,
    JPEG_12_BIT_STREAM,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS_NEAR,
    jpeg_lossless,
    lossless_streams,
    slice_values,
)

from ablmargin.dicom.codec.jpeg import jpeg_stream
from ablmargin.dicom.codec.lossless import encodes_to
from ablmargin.dicom.codec.process import DecodingError, FrameDecoder
from ablmargin.dicom.codec.wire import Job

VALUES = slice_values()
LOSSLESS = (
    RLE,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_1,
    JPEG_LS,
    JPEG_LS_NEAR,
    J2K,
    J2K_ANY,
    HTJ2K,
    HTJ2K_RPCL,
    HTJ2K_ANY,
)


@pytest.fixture(scope="module")
def decoder():
    with FrameDecoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    made = lossless_streams(VALUES, tmp_path_factory.mktemp("streams"))
    return made | dict.fromkeys((HTJ2K, HTJ2K_RPCL, HTJ2K_ANY), HTJ2K_STREAM)


def job(syntax, data, **changes):
    rows, columns = VALUES.shape
    form = {"rows": rows, "columns": columns, "bits_allocated": 16, "bits_stored": 16, "signed": False, "frame": 0}
    return Job(syntax=syntax, data=data, **(form | changes))


def decoded(decoder, syntax, data, **changes):
    one = job(syntax, data, **changes)
    return np.frombuffer(decoder.decoded(one), "<u2").reshape(one.rows, one.columns)


def refusal(decoder, syntax, data, **changes):
    with pytest.raises(DecodingError) as caught:
        decoder.decoded(job(syntax, data, **changes))
    return str(caught.value)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_streams_are_read_to_the_value(decoder, streams, syntax):
    np.testing.assert_array_equal(decoded(decoder, syntax, streams[syntax]), VALUES)


def test_twelve_bits_with_loss(decoder):
    """Quality 95 quantizes by a few steps of 4096: a misread precision or sign would be off by a thousand."""
    values = decoded(decoder, JPEG_EXTENDED, JPEG_12_BIT_STREAM, bits_stored=12)
    assert np.abs(values.astype(int) - VALUES).max() < 20


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("ending", ["cut", "marked", "zeros"])
def test_a_stream_that_ends_early_is_refused(decoder, streams, syntax, share, ending):
    whole = streams[syntax]
    kept = whole[: int(share * len(whole))]
    endings = {"cut": b"", "marked": b"\xff\xd9", "zeros": bytes(len(whole) - len(kept))}
    assert refusal(decoder, syntax, kept + endings[ending])


@pytest.mark.parametrize("syntax", [JPEG_LS, J2K, J2K_ANY])
def test_zeros_in_the_midst_are_refused(decoder, tmp_path, syntax):
    """As by a broken transfer. OpenJPEG takes zeros for packets that hold nothing."""
    noise = np.random.default_rng(3).integers(0, 4096, (96, 96)).astype(np.uint16)
    whole = lossless_streams(noise, tmp_path)[syntax]
    form = {"rows": 96, "columns": 96}
    np.testing.assert_array_equal(decoded(decoder, syntax, whole, **form), noise)
    half = len(whole) // 2
    assert refusal(decoder, syntax, whole[:half] + bytes(len(whole) - half - 2) + whole[-2:], **form)


@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
def test_a_lossy_stream_that_ends_early_is_refused(decoder, ending):
    cut = JPEG_12_BIT_STREAM[: len(JPEG_12_BIT_STREAM) // 2]
    assert refusal(decoder, JPEG_EXTENDED, cut + ending, bits_stored=12)


def test_a_decoder_that_makes_values_up_is_found_out(decoder, streams):
    """GDCM alone takes half a stream with an end mark for a whole image."""
    stream = streams[JPEG_LOSSLESS_1]
    told = refusal(decoder, JPEG_LOSSLESS_1, stream[: len(stream) // 2] + b"\xff\xd9")
    assert told == "two decoders read different values"


@pytest.mark.parametrize("selection", range(1, 8))
@pytest.mark.parametrize("restart_rows", [0, 3])
def test_every_predictor_with_and_without_restarts(decoder, selection, restart_rows):
    stream = jpeg_lossless(VALUES, selection=selection, restart_rows=restart_rows)
    np.testing.assert_array_equal(decoded(decoder, JPEG_LOSSLESS, stream), VALUES)


@pytest.mark.parametrize(("precision", "transform"), [(12, 0), (16, 0), (12, 2), (9, 0)])
def test_the_proof_holds_for_every_precision(precision, transform):
    rng = np.random.default_rng(5)
    values = rng.integers(0, 1 << precision, (13, 9)).astype(np.uint16)
    values[:2, :3] = [[0, (1 << precision) - 1, 0], [1 << (precision - 1), 0, 1]]
    values = values >> transform << transform
    stream = jpeg_stream(jpeg_lossless(values, selection=5, precision=precision, transform=transform))
    assert encodes_to(stream, values)
    for place in np.ndindex(values.shape):
        other = values.copy()
        other[place] ^= 1 << transform
        assert not encodes_to(stream, other)


def test_the_proof_refuses_more_or_less_than_the_stream_holds():
    stream = jpeg_lossless(VALUES)
    for damaged in (stream[:-12] + b"\xff\xd9", stream[:-2] + bytes(9) + b"\xff\xd9"):
        assert not encodes_to(jpeg_stream(damaged), VALUES)
    assert encodes_to(jpeg_stream(stream[:-2] + b"\xff\xff\xff\xd9"), VALUES)  # fill bytes mean nothing


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_a_stream_of_another_size_is_refused(decoder, streams, syntax):
    assert refusal(decoder, syntax, streams[syntax], rows=39)
    if syntax != RLE:  # which doesn't tell where rows end
        assert refusal(decoder, syntax, streams[syntax], rows=36, columns=40)


@pytest.mark.parametrize(("syntax", "other"), [(JPEG_LS, J2K), (J2K, JPEG_LS), (JPEG_LOSSLESS_1, JPEG_LS), (RLE, J2K)])
def test_a_stream_of_another_compression_is_refused(decoder, streams, syntax, other):
    assert refusal(decoder, syntax, streams[other])


def test_near_lossless_is_no_lossless(decoder):
    import jpeg_ls

    stream = bytes(jpeg_ls.encode_array(VALUES, lossy_error=3))
    assert np.abs(decoded(decoder, JPEG_LS_NEAR, stream).astype(int) - VALUES).max() == 3
    assert "format" in refusal(decoder, JPEG_LS, stream)


def test_eight_bits_are_no_hounsfield_units(decoder):
    """A windowed picture in a file that says its values have 12 bits; and what an encoder made of bytes by mistake."""
    import jpeg_ls
    import openjpeg.utils

    eight = bytearray(JPEG_12_BIT_STREAM)
    eight[eight.index(b"\xff\xc1") + 4] = 8
    assert "format" in refusal(decoder, JPEG_EXTENDED, bytes(eight), bits_stored=12)
    assert "format" in refusal(decoder, JPEG_LS, bytes(jpeg_ls.encode_array(VALUES % 200)))
    picture = openjpeg.utils.encode_array((VALUES % 200).astype(np.uint8), bits_stored=8, photometric_interpretation=2)
    assert "format" in refusal(decoder, J2K, bytes(picture))


def test_a_declared_size_is_looked_at_before_memory_is_taken(decoder, streams):
    stream = bytearray(streams[J2K])
    stream[8:16] = b"\0\0\xff\xff\0\0\xff\xff"
    assert refusal(decoder, J2K, bytes(stream))
    assert refusal(decoder, J2K, bytes(stream), rows=65535, columns=65535)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.204"])
def test_films_and_references_are_no_slices(decoder, syntax):
    assert refusal(decoder, syntax, b"anything") == "a compression that isn't read"


def test_a_sign_that_only_the_header_knows(decoder):
    """JPEG 2000 without sign, 13 bits; the header says they have one. Air is -2000 in this file."""
    from pydicom import dcmread
    from pydicom.encaps import generate_frames

    file = dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    (stream,) = generate_frames(file.PixelData, number_of_frames=1)
    form = {"rows": file.Rows, "columns": file.Columns, "signed": True}
    values = decoded(decoder, J2K, stream, bits_stored=13, **form)
    signed = ((values ^ 0x1000).astype(int) & 0x1FFF) - 0x1000
    np.testing.assert_array_equal(signed, file.pixel_array)
    assert "format" in refusal(decoder, J2K, stream, bits_stored=16, **form)
