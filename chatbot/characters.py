"""Removes characters that a database cannot store."""


def storable(text: str) -> str:
    """The text as every database can store it: without NUL, which PostgreSQL refuses, and with
    lone surrogates, which cannot be encoded, replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(text: str) -> str:
    """The text without invisible characters, cut at a million characters."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())[:1_000_000]
