"""The cache of the local Ark that works by itself."""

from typing import Any

import httpx
import pytest

from tests.fake_ark import FakeArk
from tests.wire.arks import chat, respond, user

pytestmark = pytest.mark.anyio

LONG = user("echo: " + "long " * 1_000)
SHORT = user("echo: " + "long " * 200)
REPLY = {"role": "assistant", "content": "yes"}


def hit(told: Any) -> int:
    usage = told["usage"]
    return (usage.get("prompt_tokens_details") or usage["input_tokens_details"])["cached_tokens"]


async def test_equal_leading_messages_are_cached_on_chat(raw: httpx.AsyncClient) -> None:
    assert hit(await chat(raw, LONG)) == 0
    cached = hit(await chat(raw, LONG, REPLY, user("echo: x")))
    assert 1_024 <= cached <= 1_510
    assert cached % 128 == 0
    assert hit(await chat(raw, user("echo: y"), LONG)) == 0
    assert hit(await chat(raw, LONG, user("echo: x"), model="ep-other")) == 0


async def test_short_prompts_are_not(raw: httpx.AsyncClient) -> None:
    await chat(raw, SHORT)
    assert hit(await chat(raw, SHORT, REPLY, user("echo: x"))) == 0


async def test_a_history_sent_again_is_cached_on_responses(raw: httpx.AsyncClient) -> None:
    await respond(raw, [LONG])
    assert hit(await respond(raw, [LONG, REPLY, user("echo: x")])) >= 1_024


async def test_the_cache_can_be_turned_off(raw: httpx.AsyncClient, ark: FakeArk) -> None:
    ark.caches = False
    for _ in range(2):
        assert hit(await chat(raw, LONG)) == hit(await respond(raw, [LONG])) == 0
    caching = {"type": "enabled"}
    one = await respond(raw, "echo: one", caching=caching)
    two = await respond(raw, "echo: 2", caching=caching, previous_response_id=one["id"])
    assert hit(two) == 0
