"""Pictures in a message: what Ark checks of them, and how many tokens they cost.

By the vendor's guide of August 2026. Of the formats that Ark takes, the local one knows five; the
others are refused. Nothing is downloaded: a picture by address costs as much as a large one.
"""

import math
from typing import Any
from urllib.parse import urlsplit

from chatbot.ark.offline.attachment import Attachment
from chatbot.ark.offline.data_url import read_data_url
from chatbot.ark.offline.picture_size import MIME, read_format, read_size
from chatbot.ark.offline.refusals import (
    bad_detail,
    bad_image_format,
    bad_image_url,
    bad_pixel_limit,
    empty_image_url,
    invalid,
    oversize_image,
    slow_download,
)

MOST_BYTES = 10_000_000
MOST_PIXELS = 36_000_000
LEAST_SIDE = 14
MOST_RATIO = 150
PIXELS_PER_TOKEN = 1_764
LARGE = 1_280 * PIXELS_PER_TOKEN
# The most pixels that are looked at; a larger picture is scaled down first.
DETAILS = {"low": LARGE, "high": LARGE, "auto": LARGE, "xhigh": 5_120 * PIXELS_PER_TOKEN}


def picture_at(url: Any, options: dict[str, Any]) -> Attachment:
    """The picture of a data URL or an address; `options` has its `detail` and pixel limits."""
    low, high = read_limits(options)
    if url is None or url == "":
        raise empty_image_url()
    if not isinstance(url, str):
        raise invalid("image_url", "it must be a string")
    if not url.startswith("data:"):
        return far_picture(url)
    named = read_data_url(url)
    if named is None:
        raise bad_image_url()
    mime, content = named
    form = read_format(content)
    if form is None or MIME[form] != mime:
        raise bad_image_format()
    return picture_of(content, low, high)


def picture_of(content: bytes, low: int = 0, high: int = LARGE) -> Attachment:
    """The picture in a file, looked at with so many pixels."""
    form, size = read_format(content), read_size(content)
    if form is None or size is None:
        raise bad_image_format()
    width, height = size
    check_size(width, height, len(content))
    pixels = max(low, min(width * height, high))
    return Attachment(
        math.ceil(pixels / PIXELS_PER_TOKEN),
        f"a {form} picture, {width} by {height} pixels",
        f"一张 {form} 图片，{width}×{height} 像素",
    )


def far_picture(url: str) -> Attachment:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise bad_image_url()
    # A name that never resolves stands for all that cannot be reached.
    if parts.hostname.endswith(".invalid"):
        raise slow_download(url)
    host = parts.hostname
    return Attachment(LARGE // PIXELS_PER_TOKEN, f"a picture at {host}", f"一张来自 {host} 的图片")


def check_size(width: int, height: int, length: int) -> None:
    """Which code Ark has for pictures that are too small or too narrow is not known."""
    if length > MOST_BYTES:
        raise oversize_image("the size of the image exceeds 10 MB")
    if min(width, height) <= LEAST_SIDE:
        raise invalid("image_url", f"width and height must be greater than {LEAST_SIDE} pixels")
    if width * height > MOST_PIXELS:
        raise oversize_image("the image has more than 36000000 pixels")
    if max(width, height) > MOST_RATIO * min(width, height):
        raise invalid("image_url", f"the aspect ratio must be at most {MOST_RATIO}")


def read_limits(options: dict[str, Any]) -> tuple[int, int]:
    """The fewest and the most pixels that a picture is looked at with."""
    detail = options.get("detail")
    if detail is not None and (not isinstance(detail, str) or detail not in DETAILS):
        raise bad_detail(detail)
    low, high = 0, DETAILS[detail or "high"]
    limit = options.get("image_pixel_limit")
    if limit is None:
        return low, high
    if not isinstance(limit, dict):
        raise bad_pixel_limit()
    low = pixels(limit, "min_pixels", low)
    high = pixels(limit, "max_pixels", high)
    if low > high:
        raise bad_pixel_limit()
    return low, high


def pixels(limit: dict[str, Any], name: str, usual: int) -> int:
    value = limit.get(name)
    if value is None:
        return usual
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MOST_PIXELS:
        raise bad_pixel_limit()
    return value
