"""PDF files in a message: what is checked of them, and what they cost.

With which codes Ark refuses them is not known: those here are our choice. So is the price, 1,000
tokens a page, and the number of pages is a rough one.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from chatbot.ark.offline.attachment import Attachment
from chatbot.ark.offline.data_url import read_data_url
from chatbot.ark.offline.refusals import invalid, missing

PAGE = re.compile(rb"/Type\s*/Page\b")
PAGE_TOKENS = 1_000
MOST_BYTES = 50_000_000
PDF = "application/pdf"


def document_in(data: Any, name: Any) -> Attachment:
    """The PDF of a data URL."""
    if not isinstance(name, str) or not name:
        raise missing("filename")
    named = read_data_url(data) if isinstance(data, str) else None
    if named is None:
        raise invalid("file_data", "it must be a data URL with base64")
    mime, content = named
    if mime != PDF or not content.startswith(b"%PDF-"):
        raise invalid("file_data", f"only {PDF} is supported")
    return document_of(content, name)


def document_of(content: bytes, name: str) -> Attachment:
    if len(content) > MOST_BYTES:
        raise invalid("file_data", "the size of the file exceeds 50 MB")
    pages = max(1, len(PAGE.findall(content)))
    some = "1 page" if pages == 1 else f"{pages} pages"
    return Attachment(
        pages * PAGE_TOKENS,
        f"the PDF “{name}”, {len(content):,} bytes, about {some}",
        f"PDF 文件“{name}”，{len(content):,} 字节，约 {pages} 页",
    )


def far_document(url: Any) -> Attachment:
    """A PDF by its address. Nothing is downloaded: it has one page."""
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("file_url", "it must be an address")
    name = parts.path.rpartition("/")[2] or parts.hostname
    return Attachment(PAGE_TOKENS, f"the PDF “{name}”", f"PDF 文件“{name}”")
