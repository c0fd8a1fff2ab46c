"""Which characters a text may have so that every database can hold it."""


def storable(text: str) -> str:
    """The text as a database can hold it: without NUL, which PostgreSQL refuses, and with halves
    of a surrogate pair, which no encoding has, replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(text: str) -> str:
    """The text without any character that is not seen, and no longer than a million of them."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())[:1_000_000]
