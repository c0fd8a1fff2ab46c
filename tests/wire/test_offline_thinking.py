"""Thinking of the local Ark: its switches, its effort, and raw thoughts that nobody can read."""

import json
from typing import Any

import httpx
import pytest

from tests.wire.arks import MODEL, QUIET, chat, respond, user

pytestmark = pytest.mark.anyio

PLAIN = "doubao-seed-2-0-mini-260428"
SEALED = "reasoning.encrypted_content"


def thought_in(told: Any) -> str:
    if "choices" in told:
        return str(told["choices"][0]["message"].get("reasoning_content", ""))
    items = [item for item in told["output"] if item["type"] == "reasoning"]
    return "".join(part["text"] for item in items for part in item["summary"])


async def thought(raw: httpx.AsyncClient, api: str, effort: str | None, **options: Any) -> str:
    if api == "chat":
        return thought_in(await chat(raw, user("你好"), reasoning_effort=effort, **options))
    reasoning = {"effort": effort} if effort else None
    return thought_in(await respond(raw, "你好", reasoning=reasoning, **options))


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_more_effort_is_a_longer_thought(raw: httpx.AsyncClient, api: str) -> None:
    lengths = [len(await thought(raw, api, effort)) for effort in (None, "low", "medium", "high")]
    assert lengths == sorted(set(lengths))
    assert lengths[0] > 0
    assert len(await thought(raw, api, "max")) == lengths[-1]
    assert [await thought(raw, api, effort) for effort in ("none", "minimal")] == ["", ""]
    assert await thought(raw, api, None, thinking=QUIET) == ""
    assert await thought(raw, api, "minimal", thinking=QUIET) == ""


async def test_disabled_thinking_has_no_effort(raw: httpx.AsyncClient) -> None:
    told = await respond(raw, "hi", thinking=QUIET, reasoning={"effort": "low"})
    assert (told["error"]["code"], told["error"]["param"]) == ("InvalidParameter", "reasoning")
    told = await chat(raw, user("hi"), thinking=QUIET, reasoning_effort="low")
    assert told["error"]["param"] == "reasoning_effort"


@pytest.mark.parametrize("options", [{"thinking": QUIET}, {"reasoning": {"effort": "none"}}])
async def test_some_models_always_think(raw: httpx.AsyncClient, options: dict) -> None:
    told = await respond(raw, "hi", model="glm-5-3-flash-260828", **options)
    assert told["error"]["code"] == "InvalidParameter"
    assert thought_in(await respond(raw, "hi", model="glm-5-3-flash-260828"))


async def test_chat_sends_the_raw_thought_on_its_own(raw: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "messages": [user("echo: a b")], "stream": True}
    text = (await raw.post("/chat/completions", json=body)).text
    chunks = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (at,) = [n for n, delta in enumerate(deltas) if "encrypted_content" in delta]
    assert deltas[at]["content"] == ""
    assert all("reasoning_content" in delta for delta in deltas[:at])
    assert "".join(delta["content"] for delta in deltas[at:]) == "a b"
    whole = (await chat(raw, user("echo: a b")))["choices"][0]["message"]
    assert whole["encrypted_content"] == deltas[at]["encrypted_content"]
    for options in ({"thinking": QUIET}, {"model": PLAIN}):
        told = await chat(raw, user("echo: a b"), **options)
        assert "encrypted_content" not in told["choices"][0]["message"]


async def test_responses_send_it_when_asked(raw: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "input": "echo: x", "stream": True, "include": [SEALED]}
    text = (await raw.post("/responses", json=body)).text
    told = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    items = [e["item"] for e in told if e["type"].startswith("response.output_item")]
    added, done = [item for item in items if item["type"] == "reasoning"]
    assert list(added) == ["id", "type", "encrypted_content", "status"]
    assert list(done) == ["id", "type", "summary", "encrypted_content", "status"]
    assert added["encrypted_content"] == done["encrypted_content"]
    assert told[-1]["response"]["output"][0] == done
    plain = await respond(raw, "echo: x")
    other = await respond(raw, "echo: x", model=PLAIN, include=[SEALED])
    for response in (plain, other):
        assert "encrypted_content" not in response["output"][0]
    refused = await respond(raw, "echo: x", include=["message.output_text.logprobs"])
    assert refused["error"]["param"] == "include"
