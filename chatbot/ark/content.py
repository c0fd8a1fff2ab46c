"""One message of a prompt, as each API of Ark takes it. Files go as data URLs: nothing to upload,
nothing that expires (docs/82379/1362931)."""

import base64
from typing import Any

from chatbot.ark.chunks import PromptFile, PromptMessage
from chatbot.ark.dialect import Dialect

DETAIL = "high"
"""At most 2.26 million pixels, about 1,280 tokens for a picture."""


def chat_message(line: PromptMessage, dialect: Dialect) -> dict[str, Any]:
    """A message of chat completions (docs/82379/1494384); the text comes after the files."""
    if not line.files:
        return {"role": line.role, "content": line.content}
    parts: list[dict[str, Any]] = []
    for file in line.files:
        if file.kind == "image":
            url = {"url": _data_url(file), **_detail(dialect)}
            parts.append({"type": "image_url", "image_url": url})
        else:
            held = {"file_data": _data_url(file), "filename": file.name}
            parts.append({"type": "file", "file": held})
    return {"role": line.role, "content": [*parts, *_text("text", line.content)]}


def response_item(line: PromptMessage, dialect: Dialect) -> dict[str, Any]:
    """An input item of the Responses API (docs/82379/1569618)."""
    content: Any = line.content
    if line.files:
        parts: list[dict[str, Any]] = []
        for file in line.files:
            if file.kind == "image":
                part = {"type": "input_image", "image_url": _data_url(file), **_detail(dialect)}
            else:
                part = {
                    "type": "input_file", "file_data": _data_url(file), "filename": file.name,
                }  # fmt: skip
            parts.append(part)
        content = [*parts, *_text("input_text", line.content)]
    return {"type": "message", "role": line.role, "content": content}


def _text(type: str, content: str) -> list[dict[str, Any]]:
    return [{"type": type, "text": content}] if content else []


def _detail(dialect: Dialect) -> dict[str, str]:
    return {"detail": DETAIL} if dialect.takes("detail") else {}


def _data_url(file: PromptFile) -> str:
    return f"data:{file.type};base64,{base64.b64encode(file.data).decode()}"
