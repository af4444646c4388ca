"""The metadata beside the pixels of an image file: the orientation is read, everything else can be left out.

Light to import. Formats: JPEG, ITU-T T.81 B.1.1.4; PNG, https://www.w3.org/TR/png-3/ 5.3; EXIF data are a directory of
TIFF 6.0, section 2.
"""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS_OF_PNG = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
_START_OF_SCAN = 0xDA
_JFIF, _ADOBE, _COMMENT = 0xE0, 0xEE, 0xFE
"""Markers of JPEG: JFIF's and Adobe's segments say how colours are encoded, those from one to the other do not."""
_ORIENTATION, _SHORT = 0x0112, 3


def without_metadata(content: bytes) -> bytes:
    """Return a JPEG or PNG file with its pixels alone; any other content as it is."""
    if content.startswith(_PNG):
        return _PNG + b"".join(chunk for kind, chunk in _chunks(content) if kind in _PIXELS_OF_PNG)
    if content.startswith(b"\xff\xd8"):
        kept = [part for marker, part in _segments(content) if not _is_metadata(marker)]
        return b"\xff\xd8" + b"".join(kept)
    return content


def exif_orientation(content: bytes) -> int | None:
    """Return the orientation, from 1 to 8, in the EXIF data of a JPEG or PNG file; None where there is none."""
    if content.startswith(_PNG):
        found = [chunk[8:-4] for kind, chunk in _chunks(content) if kind == b"eXIf"]
    else:
        found = [part[10:] for _, part in _segments(content) if part[4:10] == b"Exif\0\0"]
    return _orientation(found[0]) if found else None


def _orientation(exif: bytes) -> int | None:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return None
        (begin,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, begin)
        for number in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", exif, begin + 2 + 12 * number)
            if (tag, kind, count) == (_ORIENTATION, _SHORT, 1):
                return int(value)
    except struct.error:  # it ends too early
        return None
    return None


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG file, each with its length, kind and checksum."""
    found, place = [], len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place : place + 12 + length]
        found.append((chunk[4:8], chunk))
        place += len(chunk)
    return found


def _segments(content: bytes) -> list[tuple[int, bytes]]:
    """Return the segments of a JPEG file from behind its first marker; the pixels, to the end, are the last."""
    found, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != _START_OF_SCAN:
        (length,) = struct.unpack_from(">H", content, place + 2)
        found.append((content[place + 1], content[place : place + 2 + length]))
        place += 2 + length
    return [*found, (_START_OF_SCAN, content[place:])]


def _is_metadata(marker: int) -> bool:
    return _JFIF < marker < _ADOBE or marker in (_ADOBE + 1, _COMMENT)
