import io
import random
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from kerasrun.errors import DataError
from kerasrun.reading import images
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.images import UnreadableImageError, as_array, own_size, read_image, resize_array
from tests.reading.decoded import decode_image

GREY = ImageFormat(6, 8, "grayscale")
RGB = ImageFormat(6, 8, "rgb")
RGBA = ImageFormat(6, 8, "rgba")


def encoded(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_files_give_their_pixels(tmp_path, suffix):
    pixels = noise(6, 8, 3)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    decoded = decode_image(tmp_path / f"a{suffix}", RGB)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".gif", ".webp"])
def test_other_formats_are_read(tmp_path, suffix):
    Image.fromarray(np.full((6, 8, 3), 200, np.uint8)).save(tmp_path / f"a{suffix}")
    decoded = decode_image(tmp_path / f"a{suffix}", RGB)
    assert decoded.shape == (6, 8, 3)
    assert abs(decoded.astype(int) - 200).max() <= 3


def test_bytes_and_files_decode_alike(tmp_path):
    content = encoded(noise(9, 9, 3), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    np.testing.assert_array_equal(decode_image(content, RGB), decode_image(tmp_path / "a.jpg", RGB))


def test_grey_is_itu_601():
    pixels = noise(6, 8, 3)
    grey = (pixels @ np.array([299, 587, 114])) / 1000
    assert np.abs(decode_image(encoded(pixels), GREY)[..., 0] - grey).max() <= 1


def test_grey_becomes_three_equal_channels():
    pixels = noise(6, 8)
    np.testing.assert_array_equal(decode_image(encoded(pixels), RGB), np.repeat(pixels[..., None], 3, axis=2))


def test_alpha_is_dropped_not_blended():
    pixels = noise(6, 8, 4)
    content = encoded(pixels)
    np.testing.assert_array_equal(decode_image(content, RGB), pixels[..., :3])
    np.testing.assert_array_equal(decode_image(content, RGBA), pixels)
    np.testing.assert_array_equal(decode_image(content, GREY), decode_image(encoded(pixels[..., :3]), GREY))


def test_a_missing_alpha_is_opaque():
    assert (decode_image(encoded(noise(6, 8, 3)), RGBA)[..., 3] == 255).all()


def test_palettes_become_colours():
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[2:, 3:] = (10, 200, 30)
    palette = Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(decode_image(encoded(palette), RGB), pixels)
    transparent = encoded(palette, transparency=bytes([0, 128]))
    np.testing.assert_array_equal(decode_image(transparent, RGB), pixels)
    assert (decode_image(transparent, RGBA)[..., 3] != 255).any()


def test_one_bit_is_black_and_white():
    pixels = noise(6, 8) > 127
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(pixels)), GREY)[..., 0], pixels * 255)


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (8, 6), (255, 0, 0, 0))
    decoded = decode_image(encoded(image, "JPEG", quality=100), RGB)
    assert abs(decoded.astype(int) - (0, 255, 255)).max() <= 3


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bits_keep_their_high_byte(file_format):
    pixels = noise(6, 8, dtype=np.uint16)
    np.testing.assert_array_equal(decode_image(encoded(pixels, file_format), GREY)[..., 0], pixels // 256)


@pytest.mark.parametrize("largest", [65535, 4095])
def test_a_pgm_of_more_than_8_bits_keeps_its_high_byte(largest):
    pixels = noise(6, 8, dtype=np.uint16) & largest
    pgm = b"P5\n8 6\n%d\n" % largest + pixels.astype(">u2").tobytes()
    expected = np.round(pixels / largest * 65535).astype(int) // 256  # Netpbm: largest is white
    np.testing.assert_array_equal(decode_image(pgm, GREY)[..., 0], expected)


def test_a_tiff_of_16_bits_in_which_white_is_zero_is_turned_round():
    pixels = noise(6, 8, dtype=np.uint16)
    tags = {256: 8, 257: 6, 258: 16, 259: 1, 262: 0, 273: 8, 277: 1, 278: 6, 279: pixels.nbytes}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    tiff = b"II*\0" + struct.pack("<I", 8 + pixels.nbytes) + pixels.astype("<u2").tobytes()
    tiff += struct.pack("<H", len(tags)) + entries + bytes(4)
    np.testing.assert_array_equal(decode_image(tiff, GREY)[..., 0], (65535 - pixels) // 256)


def test_16_bit_colour_keeps_its_high_byte_too():
    pixels = noise(6, 8, 3, dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 8, 6, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    np.testing.assert_array_equal(decode_image(content, RGB), pixels // 256)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bits_are_refused(tmp_path, dtype):
    Image.fromarray(np.zeros((6, 8), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=r"a\.tif: .*32 bits"):
        decode_image(tmp_path / "a.tif", GREY)


def test_rotation_by_exif_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    pixels = noise(8, 6, 3)
    upright = decode_image(encoded(pixels, "PNG", exif=exif), RGB)
    np.testing.assert_array_equal(upright, np.rot90(pixels, -1))


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("L", (8, 6), value) for value in (7, 99)]
    for file_format in ("GIF", "PNG", "TIFF"):
        content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert (decode_image(content, GREY) == 7).all()


def test_resizing_is_pillows_on_8_bits():
    pixels = noise(13, 17, 3)
    expected = np.asarray(Image.fromarray(pixels).resize((8, 6), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(decode_image(encoded(pixels), ImageFormat(6, 8, "rgb", "bicubic")), expected)


def test_padding_keeps_the_aspect_centred_on_zeros():
    decoded = decode_image(encoded(np.full((4, 8), 9, np.uint8)), ImageFormat(8, 8, "grayscale", fit_mode="pad"))[
        ..., 0
    ]
    assert (decoded[2:6] == 9).all()
    assert not decoded[:2].any()
    assert not decoded[6:].any()


def test_padding_leaves_at_least_one_pixel():
    decoded = decode_image(encoded(np.full((1, 300), 9, np.uint8)), ImageFormat(8, 8, "grayscale", fit_mode="pad"))
    assert (decoded != 0).any()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "is not an image; it begins with b'hello, this '"),
        (encoded(noise(6, 8, 3), "JPEG"), r"is misnamed: its content is JPEG, not PNG; rename it to a\.jpg"),
        (encoded(noise(6, 8, 3))[:-60], "is damaged or truncated"),
        (encoded(noise(6, 8, 3))[:-12], "is damaged or truncated: the end of the file is missing"),
    ],
)
def test_bad_files_are_told_with_their_path(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=words) as error:
        decode_image(path, RGB)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_half_a_file_is_truncated_in_every_format(file_format):
    content = encoded(noise(60, 80, 3), file_format)
    with pytest.raises(UnreadableImageError, match=r"image: is (damaged or truncated|not an image)"):
        decode_image(content[: len(content) // 2], RGB)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_damaged_bytes_never_end_in_another_error(file_format):
    content = encoded(noise(20, 20, 3), file_format)
    generator = random.Random(1)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(min(len(content), 400))] = generator.randrange(256)
        with suppress(UnreadableImageError):
            assert decode_image(bytes(damaged), RGB).shape == RGB.shape


@pytest.mark.parametrize("limit", [30, 10])  # 48 pixels: above the limit, and above twice the limit
def test_an_image_that_unpacks_to_too_much_is_an_error(monkeypatch, limit):
    content = encoded(noise(6, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableImageError, match=f"larger than {limit} pixels"):
        decode_image(content, GREY)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(UnreadableImageError, match="cannot be read: No such file"):
        decode_image(tmp_path / "a.png", RGB)


@pytest.mark.parametrize("fit_mode", ["resize", "pad"])
@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
def test_arrays_are_resized_as_files_are(color_mode, fit_mode):
    image_format = ImageFormat(5, 7, color_mode, "lanczos", fit_mode)
    images = noise(3, 12, 9, image_format.shape[2])
    files = [decode_image(encoded(image.squeeze()), image_format) for image in images]
    np.testing.assert_array_equal(resize_array(images, image_format), files)


def test_arrays_of_floats_and_of_many_channels_are_resized():
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 5)).astype(np.float32)
    resized = resize_array(images, ImageFormat(4, 6, "rgb"))
    assert resized.dtype == np.float32
    assert resized.shape == (2, 4, 6, 5)
    assert np.isclose(resized.mean(), images.mean(), atol=0.1)


def test_an_image_that_no_memory_holds_is_told_but_not_called_bad(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "_pixels", full)
    with pytest.raises(DataError, match=r"a\.png: does not fit into memory") as error:
        decode_image(tmp_path / "a.png", ImageFormat(2, 2, "rgb"))
    assert not isinstance(error.value, UnreadableImageError)


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_parts(file_format, part, count, place):
    content = encoded(noise(6, 8, 3), file_format)
    return content[:place] + part * count + content[place:]


SEGMENT = b"\xff\xe1\0\x08Exif\0\0"
PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**6)))
TOO_MANY_PARTS = {
    "Exif of JPEG": with_parts("JPEG", SEGMENT, 50_000, 2),
    "fill bytes of JPEG": with_parts("JPEG", b"\xff", 10**6, 2),
    "text of PNG": with_parts("PNG", chunk(b"tEXt", b"a\0b"), 50_000, 33),
    "unknown chunks of PNG": with_parts("PNG", chunk(b"prIv"), 50_000, 33),
    "profiles of PNG": with_parts("PNG", PROFILE, 200, 33),
    "comments of GIF": b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\x01x\0" * 100_000,
    "comments of PPM's header": with_parts("PPM", b"#\n", 100_000, 3),
    "comments of plain PPM": b"P3\n100 100\n255\n" + b"1 #\n" * 30_000,
    "tags of TIFF": b"II*\0\x08\0\0\0"
    + struct.pack("<H", 30_000)
    + b"".join(struct.pack("<HHII", 9000 + n, 2, 5, 99) for n in range(30_000)),
}


@pytest.mark.parametrize("content", TOO_MANY_PARTS.values(), ids=TOO_MANY_PARTS)
def test_files_of_very_many_parts_are_refused_in_time(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    began = time.process_time()
    with pytest.raises(UnreadableImageError, match=r"a: has far more parts, such as comments, than its size is worth"):
        decode_image(tmp_path / "a", RGB)
    with suppress(Exception):
        images.look_at(tmp_path / "a")
    assert time.process_time() - began < 4


@pytest.mark.parametrize("greatest", [15, 100, 4095])
def test_binary_pgm_of_any_greatest_value_is_read(greatest):
    """Pillow reads each of its pixels by itself."""
    pixels = bytes(200 * 300 * (1 if greatest < 256 else 2))
    assert not decode_image(b"P5 300 200 %d " % greatest + pixels, GREY).any()


def test_threads_take_turns_with_large_images(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_LARGE", 10)
    loading, at_once = [], []

    def converted(image, mode):
        loading.append(image)
        time.sleep(0.05)
        at_once.append(len(loading))
        loading.pop()
        return image

    monkeypatch.setattr(images, "_converted", converted)
    content = encoded(noise(6, 8, 3))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: images.read_image(content, "rgb"), range(8)))
    assert at_once == [1] * 8
    assert not images._of_one_thread.locked()


def test_text_of_very_many_numbers_is_refused(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P2\n2000 2000\n9\n" + b"1 " * 4_000_000)
    with pytest.raises(UnreadableImageError, match=r"a\.pgm: is text of more than 2,097,152 numbers"):
        decode_image(tmp_path / "a.pgm", GREY)


def test_webp_is_refused_before_its_copies_fill_the_memory(tmp_path):
    content = bytearray(encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True))
    place = content.index(b"VP8L") + 9  # behind the signature: width - 1 and height - 1, 14 bits each
    content[place : place + 4] = (8000 | 7999 << 14 | content[place + 3] & 0xF0 << 24).to_bytes(4, "little")
    (tmp_path / "a.webp").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.webp: is larger than 50,000,000 pixels"):
        decode_image(tmp_path / "a.webp", RGB)


def test_a_large_mask_of_one_colour_is_read():
    assert not decode_image(encoded(Image.new("L", (8000, 8000)), compress_level=1), GREY).any()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "PPM", "BMP"])
def test_large_photos_are_read(file_format):
    """Noise is larger than any photo of so many pixels, and has metadata as large as a camera's."""
    options = {"exif": b"Exif\0\0" + bytes(60_000)} if file_format in ("JPEG", "WEBP") else {}
    assert decode_image(encoded(noise(1000, 1000, 3), file_format, **options), RGB).shape == (6, 8, 3)


def photo(width, height, file_format="JPEG", mode="RGB", **options):
    """A smooth picture, which has no detail that a smaller one could not show."""
    across, down = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    waves = np.stack([np.sin(across + shift) * np.cos(down - shift) for shift in range(3)], axis=-1)
    image = Image.fromarray((127 + 120 * waves).astype(np.uint8)).convert(mode)
    return encoded(image, file_format, quality=95, **options)


def scaled(height, width, **options):
    return ImageFormat(height, width, "rgb", decode="scaled", **options)


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((63, 200), (32, 32), (63, 200)),  # not twice as large
        ((64, 200), (32, 32), (32, 100)),
        ((255, 127), (32, 32), (128, 64)),  # a part of a pixel is one
        ((257, 129), (32, 32), (65, 33)),
        ((256, 256), (16, 32), (32, 32)),
        ((999, 999), (16, 32), (125, 125)),  # no smaller than an eighth
        ((31, 300), (32, 32), (31, 300)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_part_that_has_the_longer_side(size, wanted, expected):
    image = read_image(photo(*size), "rgb", scaled_for=scaled(*wanted).scaled_for)
    assert image.size == expected
    assert own_size(image) == size


@pytest.mark.tensorflow
@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"mode": "L"}])
def test_a_part_of_the_size_is_libjpegs_as_tensorflow_has_it(ratio, options):
    import tensorflow as tf

    content = photo(16 * ratio + 3, 16 * ratio + 5, **options)
    ours = as_array(read_image(content, "rgb", scaled_for=16))
    theirs = tf.io.decode_jpeg(content, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit_mode", ["resize", "pad"])
def test_scaled_is_nearly_exact_whichever_way_the_photo_is_turned(orientation, fit_mode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = photo(333, 166, exif=exif)
    exact = decode_image(content, ImageFormat(20, 30, "rgb", fit_mode=fit_mode)).astype(int)
    there = decode_image(content, scaled(20, 30, fit_mode=fit_mode)).astype(int)
    assert 0 < np.abs(there - exact).max() < 12
    np.testing.assert_array_equal(there.any(axis=2), exact.any(axis=2))  # what `pad` filled


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_scaled_grey_and_cmyk_are_nearly_exact(mode):
    content = photo(333, 166, mode=mode)
    exact, there = (decode_image(content, one).astype(int) for one in (ImageFormat(20, 20, "rgb"), scaled(20, 20)))
    assert 0 < np.abs(there - exact).max() < 12


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_what_is_not_a_jpeg_is_exact_when_scaled(file_format):
    content = photo(333, 166, file_format)
    np.testing.assert_array_equal(
        decode_image(content, scaled(20, 20)), decode_image(content, ImageFormat(20, 20, "rgb"))
    )


def test_half_a_jpeg_is_truncated_when_scaled():
    content = encoded(noise(400, 400, 3), "JPEG")
    with pytest.raises(UnreadableImageError, match="damaged or truncated"):
        decode_image(content[: len(content) // 2], scaled(20, 20))
