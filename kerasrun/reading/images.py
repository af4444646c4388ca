"""The one decoder: an image file becomes uint8 of shape (height, width, channels), the same way everywhere.

The rules, in the order in which they are applied:

1. The first frame of an animation counts.
2. The rotation that the EXIF data asks for is applied. No metadata makes sound pixels unreadable.
3. Samples of 16 bits keep their high byte (value // 256), grey and colour alike; 32-bit samples are refused.
4. Palettes and CMYK become RGB. For `grayscale` and `rgb` an alpha channel is dropped, as Keras does, not blended with
   a background; for `rgba` a missing one is opaque. Grey is ITU-R 601: (299 R + 587 G + 114 B) / 1000.
5. With `decode: scaled` a JPEG is decoded at 1/2, 1/4 or 1/8 of its size: the smallest of which both sides are still
   at least as long as the longer side that is wanted. Only its header and the wanted size decide it.
6. Resizing is Pillow's, on uint8, so that the values are rounded to uint8; `pad` keeps the aspect, centres, and fills
   with zeros.
"""

import errno
import io
import math
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from kerasrun import regular_files
from kerasrun.errors import DataError, KerasrunError, UnreadableImageError
from kerasrun.reading.data import ColorMode, ImageFormat
from kerasrun.reading.memory import too_packed
from kerasrun.reading.metadata import exif_orientation, without_metadata

FORMATS: dict[str, tuple[str, ...]] = {
    # MPO: the several pictures in one JPEG that some cameras write; .jfif: what browsers on Windows save.
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
    ".png": ("PNG",),
    ".bmp": ("BMP", "DIB"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    ".gif": ("GIF",),
    ".webp": (WebPImagePlugin.WebPImageFile.format,),
    **dict.fromkeys((".tif", ".tiff"), (TiffImagePlugin.TiffImageFile.format,)),
}
"""Pillow's names of what a file with this extension may hold."""

# JPEG's reader reads MPO.
_READERS = tuple({name: None for names in FORMATS.values() for name in names if name != "MPO"})
_MODES: dict[ColorMode, str] = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
# What EXIF's orientations from 2 to 8 ask for: CIPA DC-008, 4.6.5.1, tag Orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_LARGEST = 2**30
"""More bytes than those of the largest image that is read, of 16 bits and without compression."""
_SMALL = 2**22
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_LONGEST_SIDE = 65_535
"""As in JPEG: Pillow takes 8 bytes for each row, however short it is."""
_SCAN, _MOST_SCANS = b"\xff\xda", 500
"""A progressive JPEG goes over all of its pixels in each scan, of which 15 bytes can ask for one."""
_MOST_READS, _BYTES_OF_A_READ, _MOST_TIMES = 5000, 1024, 8
"""How often an image is read from, besides once for so many bytes, and how many times all of its bytes."""
_MOST_OF_WEBP = 50_000_000
"""Pixels: its decoder has four copies of them, and 34 bytes are enough for any number of one colour."""
_PLAIN, _MOST_NUMBERS, _MOST_COMMENTS = (b"P1", b"P2", b"P3"), 2**21, 1000
"""How the text of PBM, PGM and PPM begins; Pillow's time grows with the numbers, and the square of the comments."""
_PNG, _MOST_PROFILES = b"\x89PNG\r\n\x1a\n", 100
"""A PNG has one, each of a thousand bytes is unpacked to a million, and Pillow unpacks all."""
_LARGE = 2**25
"""Pixels of an image above which threads take turns: its decoder takes up to 15 bytes for each."""
_ORIENTATION = 0x0112
_PHOTOMETRIC = 0x0106
_OWN_SIZE = "kerasrun_own_size"
"""Where `Image.info` has the size in the file of an image that was decoded at a part of it."""

# Pillow only warns of an image between one and two times its limit. Here it is an error, without filters of
# warnings, which belong to the whole process: files are read while other threads import what changes them.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Pillow's remarks (a broken EXIF entry, a palette) name no file, and do not change the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Otherwise several threads would do it at once.
Image.preinit()


def read_bytes(path: Path) -> bytes:
    try:
        _require_bytes(path)
        return regular_files.read_bytes(path, _LARGEST)
    except OSError as error:
        raise UnreadableImageError(path, f"cannot be read: {error.strerror}") from error


class _Bounded(io.BufferedReader):
    """A file for Pillow, which takes time for each part of it, such as a comment, however small; and reads some twice.

    A file whose parts are that many more than its bytes are worth is refused.
    """

    def __init__(self, file: Any, size: int) -> None:
        super().__init__(file)
        of_pixels = min(size, _MOST_NUMBERS) if _is_read_by_pixel(self.peek()[:_BYTES_OF_A_READ]) else 0
        self._reads = _MOST_READS + max(of_pixels, size // _BYTES_OF_A_READ)
        self._bytes = _MOST_TIMES * size + _BYTES_OF_A_READ

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._reads -= 1
        self._bytes -= len(found)
        if self._reads < 0 or self._bytes < 0:
            raise _TooManyPartsError
        return found


def _is_read_by_pixel(header: bytes) -> bool:
    """Return whether Pillow reads each pixel by itself: those of binary PGM and PPM whose greatest value is not 255."""
    words = re.sub(rb"#[^\n]*\n", b" ", header).split()[:4]
    return len(words) == 4 and words[0] in (b"P5", b"P6") and words[3] != b"255"


class _TooManyPartsError(Exception):
    pass


class _Turn(threading.local):
    """Whether this thread has the turn to hold a large image, and how many blocks it is in that end with it."""

    blocks = 0
    is_taken = False


_turn, _of_one_thread = _Turn(), threading.Lock()


@contextmanager
def large_in_turn() -> Iterator[None]:
    """Have no other thread load a large image until the block is left, if one is loaded in it."""
    _turn.blocks += 1
    try:
        yield
    finally:
        _turn.blocks -= 1
        if _turn.is_taken and not _turn.blocks:
            _turn.is_taken = False
            _of_one_thread.release()


def _wait_for_turn(pixels: int) -> None:
    if pixels > _LARGE and not _turn.is_taken:
        _of_one_thread.acquire()
        _turn.is_taken = True


def look_at(path: Path) -> tuple[int, int, str]:
    """Return height, width and Pillow's mode by the header of an image file; raises anything if it is damaged."""
    _require_bytes(path)
    with (
        regular_files.open_regular(path) as file,
        _Bounded(file, path.stat().st_size) as bounded,
        Image.open(bounded, formats=_READERS) as image,
    ):
        return image.height, image.width, image.mode


def _require_bytes(path: Path) -> None:
    """Refuse a file of holes with an OSError: Pillow walks through them byte by byte, as through any other bytes."""
    if why := too_packed(path.stat().st_size, path, small=_SMALL):
        raise OSError(errno.EFBIG, why, str(path))


def changed(path: Path) -> UnreadableImageError:
    """Return the error for a file whose content is not what it was."""
    return UnreadableImageError(path, "is not as it was when the data were opened; expected files that stay")


def read_image(
    content: bytes, color_mode: ColorMode, path: Path | None = None, scaled_for: int | None = None
) -> Image.Image:
    """Return the image, upright and in 8-bit `color_mode`, in its own size unless it is `scaled_for` a side.

    Args:
        path: for the check of its extension.
        scaled_for: the longer side that is wanted, where a JPEG may be decoded at a part of its size.
    """
    with opened(content, path, scaled_for) as image:
        return _converted(image, color_mode)


@contextmanager
def opened(content: bytes, path: Path | None = None, scaled_for: int | None = None) -> Iterator[Image.Image]:
    """Give the image of the file, loaded and upright; what Pillow raises within is an `UnreadableImageError`."""
    if not content:
        raise UnreadableImageError(path, "is empty (0 bytes); expected an image")
    try:
        with large_in_turn():
            yield _loaded(content, path, scaled_for)
    except KerasrunError:
        raise
    except MemoryError as error:  # not a bad file, which may be left out: how much memory there is differs
        raise DataError(f"{path or 'image'}: does not fit into memory; scale it down") from error
    except _TooManyPartsError as error:
        reason = "has far more parts, such as comments, than its size is worth; save it again without metadata"
        raise UnreadableImageError(path, reason) from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(path, f"is not an image; it begins with {content[:12]!r}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = f"is larger than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
        raise UnreadableImageError(path, reason) from error
    except Exception as error:
        raise UnreadableImageError(path, f"is damaged or truncated: {error}") from error


def _loaded(content: bytes, path: Path | None, scaled_for: int | None) -> Image.Image:
    """Load the pixels; where that fails, once more without what is not pixels."""
    try:
        return _upright(_pixels(content, path, scaled_for))
    except (KerasrunError, MemoryError, Image.DecompressionBombError, _TooManyPartsError):
        raise
    except Exception:
        bare = without_metadata(content)
        if bare == content:
            raise
        return _turned(_pixels(bare, path, scaled_for), exif_orientation(content))


def _pixels(content: bytes, path: Path | None, scaled_for: int | None) -> Image.Image:
    is_plain = content[:2] in _PLAIN
    # To count in a large photo takes as long as to hash it.
    has_profiles = content.startswith(_PNG) and content.count(b"iCCP") > _MOST_PROFILES
    if has_profiles or (is_plain and content.count(b"#") > _MOST_COMMENTS):
        raise _TooManyPartsError
    image = Image.open(_Bounded(io.BytesIO(content), len(content)), formats=_READERS)
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if Image.MAX_IMAGE_PIXELS and tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0) > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    if max(image.size) > _LONGEST_SIDE:
        raise UnreadableImageError(path, f"has a side of more than {_LONGEST_SIDE:,} pixels; cut it into several")
    if image.format == "JPEG" and content.count(_SCAN) > _MOST_SCANS:
        raise UnreadableImageError(path, f"has more than {_MOST_SCANS} scans; save it again as a baseline JPEG")
    if image.format == "WEBP" and image.width * image.height > _MOST_OF_WEBP:
        raise UnreadableImageError(path, f"is larger than {_MOST_OF_WEBP:,} pixels; scale it down, or save it as PNG")
    if is_plain and math.prod(image.size) * len(image.getbands()) > _MOST_NUMBERS:
        raise UnreadableImageError(path, f"is text of more than {_MOST_NUMBERS:,} numbers; save it in the binary form")
    _check_extension(image, path)
    _wait_for_turn(image.width * image.height)
    size = image.size
    if scaled_for and image.draft(None, (scaled_for, scaled_for)):  # of other formats it does nothing
        image.info[_OWN_SIZE] = size
    image.load()
    if (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode == "I;16"
        and image.tag_v2.get(_PHOTOMETRIC) == 0
    ):
        return Image.fromarray(0xFFFF - np.asarray(image))  # white is 0, which Pillow turns round only of 8 bits
    if image.format == "PNG" and b"IEND" not in content:  # Pillow does without the end once it has the pixels
        raise OSError("the end of the file is missing")
    return image


def _upright(image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF data asks for; TIFF's reader has done so, and left no orientation."""
    return _turned(image, orientation_of(image))


def orientation_of(image: Image.Image) -> int:
    """Return the orientation that the EXIF data of an image ask for, also after it was turned; 1 for as it is."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  metadata that cannot be read say nothing
        return 1
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def _turned(image: Image.Image, orientation: int | None) -> Image.Image:
    turn = _UPRIGHT.get(orientation or 1)
    if turn is None:
        return image
    turned = image.transpose(turn)
    if _OWN_SIZE in image.info and orientation in _ON_ITS_SIDE:
        turned.info[_OWN_SIZE] = image.info[_OWN_SIZE][::-1]
    return turned


def own_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height that an image of `read_image` has in its file, upright."""
    size: tuple[int, int] = image.info.get(_OWN_SIZE, image.size)
    return size


def _check_extension(image: Image.Image, path: Path | None) -> None:
    expected = FORMATS.get(path.suffix.lower()) if path else None
    if path and expected and image.format not in expected:
        right = next(suffix for suffix, names in FORMATS.items() if image.format in names)
        raise UnreadableImageError(
            path, f"is misnamed: its content is {image.format}, not {expected[0]}; rename it to {path.stem}{right}"
        )


def _converted(image: Image.Image, color_mode: ColorMode) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        # Colour of 16 bits arrives from Pillow as its high byte already; PGM's greys are 32-bit numbers below 2**16.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError("its samples have 32 bits, for which there is no range; expected 8 or 16 bits")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image if image.mode == _MODES[color_mode] else image.convert(_MODES[color_mode])


def in_format(image: Image.Image, image_format: ImageFormat) -> NDArray[np.uint8]:
    """Return an image that a program has as what its file would become, uint8 of shape (height, width, channels)."""
    return as_array(fit(_converted(_upright(image), image_format.color_mode), image_format))


def fit(image: Image.Image, image_format: ImageFormat) -> Image.Image:
    """Return the image in the format's size."""
    size = (image_format.width, image_format.height)
    resampling = Image.Resampling[image_format.interpolation.upper()]
    if image.size == size:
        return image
    if image_format.fit_mode == "resize":
        return image.resize(size, resampling)
    inner = inner_size(own_size(image), size)
    canvas = Image.new(image.mode, size)
    canvas.paste(image.resize(inner, resampling), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return canvas


def inner_size(size: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the same aspect within `outer`, at least one pixel each way."""
    scale = min(outer[0] / size[0], outer[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def as_array(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image as uint8 of shape (height, width, channels)."""
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., np.newaxis]


def resize_array(images: NDArray[Any], image_format: ImageFormat) -> NDArray[Any]:
    """Resize images, uint8 or float32 of shape (examples, height, width, channels), whatever the colour mode.

    uint8 gives what files with these pixels would give; float32 stays float32.
    """
    if images.shape[1:3] == (image_format.height, image_format.width):
        return images
    resized = np.empty((len(images), image_format.height, image_format.width, images.shape[3]), images.dtype)
    whole = images.dtype == np.uint8 and images.shape[3] in (3, 4)
    for image, target in zip(images, resized, strict=True):
        if whole:
            target[...] = np.asarray(fit(Image.fromarray(image), image_format))
        else:
            for channel in range(images.shape[3]):
                target[..., channel] = np.asarray(fit(Image.fromarray(image[..., channel]), image_format))
    return resized
