"""Reads pictures. Whatever came, the result is a JPEG or PNG that every model takes, upright and
without metadata."""

import io
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from chatbot.errors import FileNotRead, FileTooLarge

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""The only decoders of Pillow that get the content."""
MEGAPIXELS = 50
"""Most million pixels, by the header, before anything is decoded."""
SIDE = 1_600
"""Pixels of the longer side; Ark scales a picture to 2.26 million pixels anyway."""
SHORTEST = 15
"""Fewest pixels of a side (docs/82379/1362931)."""
ASPECT = 150
"""How many times longer one side can be than the other (docs/82379/1362931)."""
QUALITY = 85
SMALL = 1024 * 1024
"""Most bytes of a PNG. It is chosen for transparency only."""
WIDE_GRAY = ("I;16", "I;16B", "I;16L", "I;16N")


class Picture(NamedTuple):
    """A picture as it is stored."""

    type: str
    width: int
    height: int
    data: bytes


def read_picture(content: bytes) -> Picture:
    """The picture in this content; of an animated one the first frame. Raises `FileNotRead` or
    `FileTooLarge`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            _check_size(*opened.size)
            # Of a JPEG this decodes fewer pixels.
            opened.draft(None, _stored_size(*opened.size))
            opened.load()
            return _stored(_upright(opened))
    except (FileNotRead, FileTooLarge):
        raise
    except Image.DecompressionBombError:
        raise FileTooLarge() from None
    except Exception:
        # A decoder raises anything for a broken file.
        raise FileNotRead() from None


def _check_size(width: int, height: int) -> None:
    if width * height > MEGAPIXELS * 1_000_000:
        raise FileTooLarge()
    shorter, longer = sorted((width, height))
    if shorter < SHORTEST or longer > ASPECT * shorter:
        raise FileNotRead()


def _stored_size(width: int, height: int) -> tuple[int, int]:
    shorter, longer = sorted((width, height))
    scale = min(1.0, max(SIDE / longer, SHORTEST / shorter))
    return max(round(width * scale), SHORTEST), max(round(height * scale), SHORTEST)


def _upright(picture: Any) -> Any:
    """The picture as its EXIF data says that the camera was held."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        # Broken metadata does not make the pixels unreadable.
        return picture


def _stored(picture: Any) -> Picture:
    picture = _in_rgb(picture)
    picture = picture.resize(_stored_size(*picture.size), Image.Resampling.LANCZOS)
    # Pillow would write a comment or color profile from here.
    picture.info = {}
    width, height = picture.size
    if picture.mode == "RGBA":
        data = _encoded(picture, "PNG", optimize=True)
        if len(data) <= SMALL:
            return Picture("image/png", width, height, data)
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    return Picture("image/jpeg", width, height, _encoded(picture, "JPEG", quality=QUALITY))


def _in_rgb(picture: Any) -> Any:
    """The picture in RGB, or in RGBA if any of its pixels is transparent."""
    if picture.mode in WIDE_GRAY:
        # Pillow would cut values above 255 off.
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    lowest, _ = picture.getchannel("A").getextrema()
    return picture if lowest < 255 else picture.convert("RGB")


def _encoded(picture: Any, format: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **how)
    return buffer.getvalue()
