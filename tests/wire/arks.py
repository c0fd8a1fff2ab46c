"""Asking Ark over plain HTTP, and reading its answers."""

from typing import Any

import httpx

MODEL = "doubao-seed-2-1-lite-260915"
QUIET = {"type": "disabled"}


async def respond(raw: httpx.AsyncClient, given: Any, **options: Any) -> Any:
    """The object of a response, or the body of its refusal."""
    body = {"model": MODEL, "input": given, **options}
    return (await raw.post("/responses", json=body)).json()


async def chat(raw: httpx.AsyncClient, *messages: dict[str, Any], **options: Any) -> Any:
    body = {"model": MODEL, "messages": list(messages), **options}
    return (await raw.post("/chat/completions", json=body)).json()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def answer_of(response: Any) -> str:
    """The text of a response or a completion."""
    if "choices" in response:
        return str(response["choices"][0]["message"]["content"])
    return "".join(
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    )
