"""Format and size of a picture, read from the beginning of its file."""

import struct
from typing import Literal

Format = Literal["PNG", "JPEG", "GIF", "WebP", "BMP"]
MIME: dict[Format, str] = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WebP": "image/webp",
    "BMP": "image/bmp",
}
# The JPEG markers that start a frame, and so tell its size.
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def read_format(data: bytes) -> Format | None:
    """By its first bytes, None if it is none of these."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return "BMP" if data[:2] == b"BM" else None


def read_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, None if the file is broken or none of these."""
    try:
        match read_format(data):
            case "PNG":
                return pair(">II", data, 16)
            case "JPEG":
                return jpeg_size(data)
            case "GIF":
                return pair("<HH", data, 6)
            case "WebP":
                return webp_size(data)
            case "BMP":
                width, height = pair("<ii", data, 18)
                return width, abs(height)
    except (struct.error, IndexError):
        pass
    return None


def pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return first, second


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in FRAMES:
            height, width = pair(">HH", data, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8 ":
            width, height = pair("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            wide, high = data[24:27], data[27:30]
            if len(high) == 3:
                return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    return None
