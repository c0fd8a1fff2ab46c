"""Checks the text of a setting: each function returns the value as the app uses it, or raises
`ValueError` with what is allowed. Knows no setting's name, and opens no connection."""

import re
import unicodedata
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

BEARER = re.compile(r"bearer\s+", re.IGNORECASE)
KEY = re.compile(r"[\x21-\x7e]+")
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
NAMED = re.compile(r"([a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
POLICY_SOURCES = re.compile(r"[\x20-\x7e]+")
LONGEST_MODEL_NAME = 120
CALLS = re.compile(r"/(chat/completions|completions|responses|context/\w+|models|embeddings)$")
ARK_HOST = re.compile(r"(^|\.)ark[\w-]*\.[\w.-]*(volces|bytepluses)\.com$")
ARK_PATH = re.compile(r"/api(/\w+)?/v\d+$")


def clean(text: str) -> str:
    """The text without white space around it, and without the quotes that `docker --env-file`
    keeps."""
    text = text.strip().strip("\ufeff\u200b").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    return text


def storable(text: str) -> str:
    """The text unchanged, if UTF-8 and every database can store it."""
    for character in text:
        kind = unicodedata.category(character)
        if kind == "Cs":
            raise ValueError("must be UTF-8 text")
        if kind == "Cc" and character not in "\t\n\r":
            raise ValueError(f"must not hold the control character U+{ord(character):04X}")
    return text


def one_line(text: str) -> str:
    """A text without line breaks and other control characters."""
    if "\n" in storable(text) or "\r" in text:
        raise ValueError("must be one line")
    return text


def model_names(text: str) -> str:
    """Names of models, separated by commas; one of them as `endpoint=model` if that is known."""
    names = [name.strip() for name in one_line(clean(text)).split(",") if name.strip()]
    for name in names:
        endpoint, named, model = (part.strip() for part in name.partition("="))
        if not endpoint or (named and not model) or len(name) > LONGEST_MODEL_NAME:
            raise ValueError(
                "must be model ids, or endpoints as ep-…=model id, separated by commas"
            )
    return ", ".join(names)


def key(text: str) -> str:
    """An API key, without the `Bearer` prefix of examples."""
    text = BEARER.sub("", clean(text), count=1)
    if text and not KEY.fullmatch(text):
        raise ValueError(
            "has characters that no key has (only ASCII letters, digits and signs, no blanks): "
            "copy it again from Ark's console"
        )
    return text


def base_url(text: str) -> str:
    """The base URL of a model service."""
    text = one_line(clean(text)).rstrip("/")
    form = "must look like https://host/api/v3"
    parts = _split(text, form)
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in text:
        raise ValueError(f"{form}, without a query string")
    # The SDK appends the path, so a query string would be in the middle.
    if "?" in text or "#" in text:
        raise ValueError(f"{form}, without a query string")
    if "@" in parts.netloc:
        raise ValueError(f"{form}, without a name and password")
    _host_of_url(parts.hostname)
    if call := CALLS.search(parts.path):
        raise ValueError(f"must end before {call[0]}, for that is added")
    if ARK_HOST.search(parts.hostname) and not ARK_PATH.search(parts.path):
        raise ValueError("must end in /api/v3, as all addresses of Ark do")
    return text


def _host_of_url(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        if not HOST.fullmatch(host) or not all(1 <= len(label) <= 63 for label in labels):
            raise ValueError(f"{host} is no name of a host") from None


def _split(text: str, form: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.port == 0:
            raise ValueError
    except ValueError:
        raise ValueError(f"{form}, with a port from 1 to 65535 if any") from None
    return parts


def database_url(text: str) -> str:
    text = clean(text)
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    storable(text)
    if text.startswith("sqlite:///"):
        # Everything after `sqlite:///` is the path, unchanged.
        if text.removeprefix("sqlite:///").startswith((":memory:", "file:")) or text[10:] == "":
            raise ValueError("sqlite:/// must be followed by the path of a file")
        return text
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with sqlite:/// or postgresql://")
    form = "must look like postgresql://user:password@host/name"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        # Do not quote the URL: it may hold a password.
        parts = None
    if parts is None or parts.fragment or not parts.path.strip("/"):
        raise ValueError(f"{form}; in a password write # as %23, / as %2F, ? as %3F and @ as %40")
    return text


def listening_host(text: str) -> str:
    """A name or address to listen on; an IPv6 address gets the brackets of a URL."""
    text = one_line(clean(text))
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return f"[{bare}]" if ip_address(bare).version == 6 else bare
    except ValueError:
        # Only digits and dots: a mistyped address, which a resolver may read as another one.
        if not HOST.fullmatch(text) or re.fullmatch(r"[\d.]+", text) or len(text) > 253:
            raise ValueError(
                "must be an address or a name of this machine, such as 127.0.0.1, 0.0.0.0 or ::1"
            ) from None
        return text


def public_host(text: str) -> str:
    """The host in a browser's address bar, with a port if any."""
    text = one_line(clean(text))
    host, _, port = text.partition(":")
    if text and (not HOST.fullmatch(host) or (":" in text and not _is_port(port))):
        raise ValueError("must be a host, such as name.hf.space")
    return text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536


def networks(text: str) -> str:
    """Addresses and networks, separated by commas."""
    names = [name.strip() for name in one_line(clean(text)).split(",") if name.strip()]
    for name in names:
        try:
            ip_network(name)
        except ValueError:
            raise ValueError(
                "must be addresses or networks, such as 127.0.0.1, 10.0.0.0/8"
            ) from None
    return ",".join(names)


def hosts(text: str) -> str:
    """Host names with optional ports, separated by commas."""
    names = [name.strip().lower() for name in one_line(clean(text)).split(",") if name.strip()]
    for name in names:
        if not NAMED.fullmatch(name):
            raise ValueError("must be host names, such as chat.example.com, demo.example:8443")
    return ",".join(names)


def zone(text: str) -> str:
    text = clean(text)
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be the name of a time zone, such as Asia/Shanghai") from None
    return text


def frame_ancestors(text: str) -> str:
    """Sources of a Content-Security-Policy; they become part of a header."""
    text = clean(text)
    if text and (not POLICY_SOURCES.fullmatch(text) or ";" in text or "," in text):
        raise ValueError("must be sources separated by blanks, such as 'self' https://example.com")
    return text
