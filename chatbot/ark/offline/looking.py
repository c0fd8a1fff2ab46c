"""Looks at the pictures and files of messages, whichever API they came by."""

from typing import Any

from chatbot.ark.offline.attachment import Attachment
from chatbot.ark.offline.documents import document_in, far_document
from chatbot.ark.offline.files import Files
from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.pictures import picture_at
from chatbot.ark.offline.refusals import invalid


def look_at(messages: list[Message], files: Files) -> list[Message]:
    """The messages with each picture and file replaced by what was seen of it."""
    return [
        {**message, "content": [look(part, files) for part in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def look(part: dict[str, Any], files: Files) -> dict[str, Any]:
    match part.get("type"):
        case "input_image":
            seen = see_picture(part.get("image_url"), part, files)
        case "image_url":
            inner = inside(part, "image_url")
            seen = see_picture(inner.get("url"), inner, files)
        case "input_file":
            seen = see_document(part, files)
        case "file":
            seen = see_document(inside(part, "file"), files)
        case _:
            return part
    return {"type": part["type"], "seen": seen}


def inside(part: dict[str, Any], name: str) -> dict[str, Any]:
    inner = part.get(name)
    if not isinstance(inner, dict):
        raise invalid(f"messages.content.{name}", "it must be an object")
    return inner


def see_picture(url: Any, options: dict[str, Any], files: Files) -> Attachment:
    if url is None and (ref := options.get("file_id")) is not None:
        return files.seen(ref)
    return picture_at(url, options)


def see_document(told: dict[str, Any], files: Files) -> Attachment:
    if (ref := told.get("file_id")) is not None:
        return files.seen(ref)
    if told.get("file_url") is not None:
        return far_document(told["file_url"])
    return document_in(told.get("file_data"), told.get("filename"))
