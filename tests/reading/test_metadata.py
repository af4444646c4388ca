"""Sound pixels are read, whatever the metadata beside them say; expected pixels are NumPy's rotations."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from kerasrun.errors import UnreadableImageError
from kerasrun.reading.data import ImageFormat
from tests.reading.decoded import decode_image

PIXELS = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
TURNED = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: np.rot90(PIXELS, -1),
    7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(PIXELS),
}
TYPES = range(14)  # those of TIFF 6.0, and two that it does not have
TAGS = (0x010F, 0x011A, 0x0128, 0x0131, 0x0132, 0x8769, 0x8825, 0x9286, 0xEA1C)
"""Make, XResolution, ResolutionUnit, Software, DateTime, the directories of EXIF and GPS, UserComment, padding."""


def exif(orientation, *entries, order="<"):
    """EXIF data with an orientation and other entries `(tag, type, count, value)`, the value as four bytes."""
    packed = sorted([(0x0112, 3, 1, struct.pack(f"{order}HH", orientation, 0)), *entries])
    directory = b"".join(struct.pack(f"{order}HHI", tag, kind, count) + value for tag, kind, count, value in packed)
    begin = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(packed))
    return begin + directory + struct.pack(f"{order}I", 0) + b"\xff\xff\xff\x80" * 4


def saved(file_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(*segments):
    content = saved("JPEG", quality=95)
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
    return content[:2] + made + content[2:]


def png(*chunks):
    content = saved("PNG")
    made = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)
        for kind, data, wrong in chunks
    )
    return content[:33] + made + content[33:]  # behind IHDR


def decoded(content, shape):
    return decode_image(content, ImageFormat(*shape[:2], "rgb"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", TURNED)
def test_an_image_is_turned_as_its_orientation_asks(orientation, order):
    expected = TURNED[orientation]
    content = png((b"eXIf", exif(orientation, order=order), 0))
    np.testing.assert_array_equal(decoded(content, expected.shape), expected)


@pytest.mark.parametrize("tag", TAGS)
def test_no_entry_of_exif_of_whatever_type_makes_an_image_unreadable_or_unturned(tag):
    plain = decoded(saved("JPEG", quality=95), PIXELS.shape)
    expected = np.rot90(plain, -1)
    for kind, count, value in itertools.product(
        TYPES, (0, 1, 70_000), (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x40\0\0\0")
    ):
        entry = (tag, kind, count, value)
        content = jpeg((0xE1, b"Exif\0\0" + exif(6, entry)))
        np.testing.assert_array_equal(decoded(content, expected.shape), expected, err_msg=str(entry))


@pytest.mark.parametrize(
    "segments",
    [
        [(0xE1, b"Exif\0\0")],
        [(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")],
        [(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff")],
        [(0xED, b"Photoshop 3.0\08BIM\x04\x04")],
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta")],
        [(0xFE, b"\xff" * 60_000)],
    ],
)
def test_no_segment_of_a_jpeg_beside_its_pixels_makes_it_unreadable(segments):
    np.testing.assert_array_equal(
        decoded(jpeg(*segments), PIXELS.shape), decoded(saved("JPEG", quality=95), PIXELS.shape)
    )


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 3_000_000), 0),
        (b"tEXt", b"Comment\0text", 1),
        (b"iTXt", b"\0\0\0", 0),
        (b"tIME", b"\0", 7),
        (b"pHYs", b"\0", 0),
        (b"iCCP", b"p\0\0" + b"no zlib", 0),
        (b"eXIf", b"II", 0),
    ],
)
def test_no_chunk_of_a_png_beside_its_pixels_makes_it_unreadable(chunk):
    np.testing.assert_array_equal(decoded(png(chunk), PIXELS.shape), PIXELS)


def test_odd_metadata_do_not_lose_the_orientation_of_a_png():
    content = png((b"tEXt", b"Comment\0text", 1), (b"eXIf", exif(6), 0))
    np.testing.assert_array_equal(decoded(content, TURNED[6].shape), TURNED[6])


def test_a_tiff_is_turned():
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[0x0112] = 6
    np.testing.assert_array_equal(decoded(saved("TIFF", tiffinfo=directory), TURNED[6].shape), TURNED[6])


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_pixels_that_are_missing_are_still_an_error(cut):
    for content in (saved("PNG"), jpeg((0xE1, b"Exif\0\0" + exif(6)))):
        with pytest.raises(UnreadableImageError):
            decoded(content[: int(cut * len(content))], PIXELS.shape)
