"""Reads PDF files, as far as needed to count their pages."""

import io
import logging

from pypdf import PdfReader

from chatbot.errors import FileNotRead

START = b"%PDF-"


def is_pdf(content: bytes) -> bool:
    return content.startswith(START)


def count_pages(content: bytes) -> int:
    """The number of pages, 1 or more. Raises `FileNotRead`, also if the file is encrypted.

    A hostile file can make this run forever: call it where it can be ended.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(content))
        pages = 0 if reader.is_encrypted else len(reader.pages)
    except Exception:
        # A broken file makes it raise anything.
        raise FileNotRead() from None
    if pages < 1:
        raise FileNotRead()
    return pages
