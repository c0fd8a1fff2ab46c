"""What a turn costs when the server does not tell its usage: the estimate, once."""

import pytest

from chatbot.ark.memory import choose as memory
from chatbot.ark.tokens import estimate_tokens
from tests.conftest import LIMITS, stored_turns
from tests.fake_ark import FAULTS, Fault
from tests.wire.asking import calls

pytestmark = pytest.mark.anyio

ASKED = "echo: hello"
PROMPT = estimate_tokens(LIMITS.system_prompt) + estimate_tokens(ASKED)
"""The most that system prompt and question can be; Ark counts about half."""


async def used(chat):
    [turn] = await stored_turns(chat)
    return turn.prompt_tokens, turn.completion_tokens


@pytest.mark.parametrize("kind", ["responses", "chat"])
@pytest.mark.parametrize("fault", ["no_usage", "empty_usage"])
async def test_a_hello_costs_its_estimate_once(open_chat, ark, kind, fault):
    async with open_chat(memory=kind) as chat:
        ark.fail_next(FAULTS[fault].on(kind))
        reply = await chat.ask(await chat.started(), ASKED)
        assert calls(ark) == [(kind, True)]
        assert await used(chat) == (PROMPT, estimate_tokens("hello"))
        assert (reply.prompt_tokens, reply.completion_tokens) == await used(chat)
        # Each message counts 8 tokens for its frame; a rare word a token for two letters.
        assert (PROMPT, estimate_tokens("hello")) == (14 + 16, 12)


async def test_a_context_costs_its_estimate_too(open_chat, ark):
    async with open_chat(memory="context") as chat:
        ark.fail_next(FAULTS["no_usage"].on("context"))
        await chat.ask(await chat.started(), ASKED)
        prompt, completion = await used(chat)
        # Making the context is a call of its own, and Ark tells what that took.
        assert PROMPT < prompt < 2 * PROMPT
        assert completion == estimate_tokens("hello")


REFUSED = {
    "a field": (Fault.http(400, "InvalidParameter", param="stream_options"), "chat"),
    "the page of a proxy": (Fault.html(429), "chat"),
    "too fast": (FAULTS["RequestBurstTooFast"], "chat"),
    "a burst of responses": (FAULTS["RequestBurstTooFast"], "responses"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_call_that_was_refused_costs_nothing(open_chat, ark, monkeypatch, name):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    fault, kind = REFUSED[name]
    async with open_chat(memory=kind) as chat:
        ark.fail_next(fault.on(kind))
        ark.fail_next(FAULTS["no_usage"].on(kind))
        reply = await chat.ask(await chat.started(), ASKED)
        assert (reply.content, reply.state) == ("hello", "complete")
        assert calls(ark) == [(kind, False), (kind, True)]
        assert await used(chat) == (PROMPT, estimate_tokens("hello"))
