"""The process that reads one file: the content comes in on stdin, the result goes out on stdout.

A process of its own, because decoders work on hostile content: it can be ended at any moment, its
memory is limited, it knows no secret of the app, and it takes no time from the replies.
"""

import json
import os
import sys

from chatbot.errors import ChatbotError
from chatbot.files.pdf import count_pages, is_pdf
from chatbot.files.pictures import read_picture

MEMORY = 1536 * 1024 * 1024
"""Most bytes of its address space."""
CPU_SECONDS = 15


def main() -> None:
    """Write a line of JSON: facts of the file, or the `error` code. After it comes the picture."""
    _limit()
    content = sys.stdin.buffer.read()
    try:
        facts, data = _read(content)
    except ChatbotError as error:
        facts, data = {"error": error.code}, b""
    out = sys.stdout.buffer
    out.write(json.dumps(facts).encode() + b"\n" + data)
    out.flush()


def _read(content: bytes) -> tuple[dict[str, object], bytes]:
    if is_pdf(content):
        return {"kind": "pdf", "type": "application/pdf", "pages": count_pages(content)}, b""
    picture = read_picture(content)
    size = {"width": picture.width, "height": picture.height}
    return {"kind": "image", "type": picture.type, **size}, picture.data


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    os.nice(10)
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            # Some systems have no such limit.
            continue


if __name__ == "__main__":
    main()
