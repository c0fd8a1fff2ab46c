"""Files as people upload them: small pictures and PDF files, good and bad."""

import io
import random
import struct
import zlib

from PIL import ExifTags, Image
from pypdf import PdfWriter


def picture(width=64, height=48, format="PNG", color="navy", mode="RGB", **how) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), color).save(buffer, format, **how)
    return buffer.getvalue()


def photo(width=400, height=300, **how) -> bytes:
    """A JPEG with a red top left corner, and a place and an owner in its metadata."""
    image = Image.new("RGB", (width, height), "navy")
    image.paste("red", (0, 0, width // 4, height // 4))
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ann Secret"
    for tag, value in how.pop("exif", {}).items():
        exif[tag] = value
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, comment=b"taken at home", quality=90, **how)
    return buffer.getvalue()


def sideways() -> bytes:
    """A photo of a camera that was held upright: the red corner is shown top right."""
    return photo(exif={ExifTags.Base.Orientation: 6})


def noise(width, height) -> bytes:
    """A PNG that hardly compresses, with transparency."""
    pixels = random.Random(1).randbytes(width * height * 4)
    buffer = io.BytesIO()
    Image.frombytes("RGBA", (width, height), pixels).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(width=60_000, height=60_000) -> bytes:
    """A PNG whose header tells of far more pixels than come."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + _chunk(b"IEND", b"")
    )


def pdf(pages=2, password="", owner="") -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(width=200, height=200)
    if password or owner:
        writer.encrypt(password, owner or None, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><script>1</script></svg>'


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def large_photo(width: int, height: int) -> bytes:
    """A JPEG of several megabytes."""
    small = Image.frombytes("RGB", (500, 500), random.Random(1).randbytes(500 * 500 * 3))
    buffer = io.BytesIO()
    small.resize((width, height), Image.Resampling.NEAREST).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
