"""Data URLs: `data:image/png;base64,…`."""

import base64
import binascii
import re

START = re.compile(r"data:([^;,]*);base64,")


def read_data_url(url: str) -> tuple[str, bytes] | None:
    """The type it names, as it is written, and its bytes; None if it is broken or empty."""
    start = START.match(url)
    if start is None:
        return None
    try:
        content = base64.b64decode(url[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    return (start[1], content) if content else None
