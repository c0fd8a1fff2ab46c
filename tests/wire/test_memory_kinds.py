"""The three kinds of memory: which one a model gets, what is sent for it, and what of a
conversation fits into it. And a server that is not Ark's."""

import asyncio
import functools
import json
import ssl
import time
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from chatbot.ark.chunks import CallOptions, PromptMessage
from chatbot.ark.client import ArkClient
from chatbot.ark.memory import choose as memory
from chatbot.ark.offline.response_events import ResponseStream
from chatbot.ark.offline.wire import event
from chatbot.ark.tokens import estimate_tokens
from chatbot.clock import now
from chatbot.errors import ConversationNotFound
from chatbot.storage.tables import Conversation, Message
from tests.conftest import finished
from tests.fake_ark import FAULTS, Fault
from tests.wire.asking import CALLS, SYSTEM, calls, recalled, shown, stored
from tests.wire.serving import serving

pytestmark = pytest.mark.anyio

KINDS = ("context", "responses", "chat")
REMEMBERING = ("context", "responses")
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    # Read from disk for each client, and needed by none.
    monkeypatch.setattr(ssl, "create_default_context", certificates)


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


# Restarts with other settings


def refs_sent(ark, since):
    bodies = [r.body for r in ark.requests[since:] if r.path in CALLS]
    named = ("context_id", "previous_response_id")
    return {body[name] for body in bodies for name in named if body.get(name)}


@pytest.mark.parametrize(("old", "new"), [(a, b) for a in KINDS for b in KINDS if a != b])
async def test_another_kind_after_a_restart_builds_its_own_memory(open_chat, ark, old, new):
    async with open_chat(memory=old) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        foreign = {(await stored(chat, one)).memory_ref}
    for kind in (new, old):
        seen = len(ark.requests)
        async with open_chat(memory=kind) as chat:
            before = shown(await chat.messages(one))
            assert await recalled(chat, one) == [SYSTEM, *before]
            assert (await chat.messages(one))[-1].notes == ()
            conversation = await stored(chat, one)
            assert conversation.memory_kind == kind
        assert not foreign & refs_sent(ark, seen)
        assert all(answered for _, answered in calls(ark, seen))
        foreign.add(conversation.memory_ref)


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_another_model_after_a_restart_builds_its_own_memory(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        foreign = (await stored(chat, one)).memory_ref
    seen = len(ark.requests)
    async with open_chat(memory=kind, model="ep-other") as chat:
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert (await stored(chat, one)).model == "ep-other"
    assert foreign not in refs_sent(ark, seen)
    assert all(answered for _, answered in calls(ark, seen))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_settings_after_a_restart_go_on(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        ref = (await stored(chat, one)).memory_ref
    seen = len(ark.requests)
    async with open_chat(memory=kind) as chat:
        assert await recalled(chat, one) == [SYSTEM, ("user", "echo: one"), ("assistant", "one")]
    assert calls(ark, seen) == [(kind, True)]
    assert refs_sent(ark, seen) == ({ref} if ref else set())


@pytest.mark.parametrize("kind", KINDS)
async def test_another_system_prompt_after_a_restart_is_heeded(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
    async with open_chat(memory=kind, system_prompt="Be kind.") as chat:
        assert (await recalled(chat, one))[0] == ("system", "Be kind.")


# The Responses API


async def test_a_response_is_asked_for_as_documented(open_chat, ark):
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        began = time.time()
        await chat.ask(one, "echo: one")
        first_ref = (await stored(chat, one)).memory_ref
        await chat.ask(one, "echo: two")
        conversation = await stored(chat, one)
    first, second = (request.body for request in ark.requests)
    for body in (first, second):
        assert (body["store"], body["stream"]) == (True, True)
        assert body["thinking"] == {"type": "disabled"}
        assert body.get("caching") is None, "what is said again is cached by itself"
        assert 3600 <= body["expire_at"] - int(began) <= 3600 + 20
        assert body["max_output_tokens"] == 1000
        assert body.get("instructions") is None
    assert first.get("previous_response_id") is None
    assert first["input"] == [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "message", "role": "user", "content": "echo: one"},
    ]
    assert second["previous_response_id"] == first_ref
    assert second["input"] == [{"type": "message", "role": "user", "content": "echo: two"}]
    assert conversation.memory_ref != first_ref
    assert int(conversation.memory_expires_at.timestamp()) == second["expire_at"]


@pytest.mark.parametrize("kind", KINDS)
async def test_thoughts_are_kept_beside_the_answer_and_not_told_again(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "think")
        assert reply.thought
        assert reply.content
        assert reply.thought not in reply.content
        assert await recalled(chat, one) == [
            SYSTEM,
            ("user", "think"),
            ("assistant", reply.content),
        ]


async def test_an_event_of_an_unknown_type_is_ignored(open_chat, ark, monkeypatch):
    def with_more(part):
        def events(self):
            for sent in part(self):
                yield event({"type": "response.mood", "delta": "no text", "sequence_number": 0})
                yield sent

        return events

    monkeypatch.setattr(ResponseStream, "head", with_more(ResponseStream.head))
    monkeypatch.setattr(ResponseStream, "deltas", with_more(ResponseStream.deltas))
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        reply = await chat.ask(one, "think")
        assert (reply.state, "no text" in reply.content + reply.thought) == ("complete", False)
        assert await recalled(chat, one) == [
            SYSTEM,
            ("user", "think"),
            ("assistant", reply.content),
        ]


async def test_a_response_may_take_its_time_to_begin(ark):
    client = ArkClient(api_key="k", base_url=ark.base_url, first_token_seconds=20, idle_seconds=0.3)
    # `response.created` comes at once, whatever the model does then.
    ark.fail_next(Fault.silence(0, seconds=0.9))
    stream = client.stream_response(
        "ep-test",
        None,
        [PromptMessage("user", "count 9")],
        CallOptions(100),
        now() + timedelta(hours=1),
    )
    assert "".join([chunk.text async for chunk in stream]) == "1 2 3 4 5 6 7 8 9"
    await client.close()


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_memory_never_grows_beyond_the_owners_limit(open_chat, ark, kind):
    async with open_chat(memory=kind, history_tokens=600) as chat:
        one = await chat.started()
        cut = []
        for number in range(12):
            reply = await chat.ask(one, f"echo: {number} {'word ' * 40}")
            held = (await stored(chat, one)).memory_tokens
            cut.append("history_cut" in reply.notes)
            # The limit, and one question with its answer.
            assert held <= 600 + 400
        assert any(cut)
        assert not all(cut[4:]), "it is not built anew each time"


async def test_a_memory_never_grows_beyond_the_models_window(open_chat, ark):
    model = "ep-test=doubao-1-5-pro-32k-250115"
    async with open_chat(memory="context", model=model, history_tokens=10**6) as chat:
        one = await chat.started()
        await chat.service.choose(chat.user_id, one, {"max_tokens": 1_000})
        for number in range(5):
            reply = await chat.ask(one, f"echo: {number} {'长' * 9_000}")
            assert reply.prompt_tokens + 1_000 <= 32_000
        assert "history_cut" in reply.notes


async def whole(chat, ark):
    """A conversation with responses in several versions."""
    one = await chat.started()
    await chat.ask(one, "echo: one")
    reply = await chat.ask(one, "echo: two")
    await finished(await chat.regenerate(one, reply.id))
    question = (await chat.messages(one))[0]
    await finished(await chat.edit(one, question.id, "echo: three"))
    return one


async def cut_off(chat, ark):
    """... whose last reply is one that reached a limit."""
    one = await chat.started()
    ark.fail_next(Fault.length(3))
    await chat.ask(one, "count 9")
    return one


async def filtered(chat, ark):
    """... whose last reply was stopped by moderation."""
    one = await chat.started()
    ark.fail_next(Fault.content_filter(3))
    await chat.ask(one, "count 9")
    return one


async def continued(chat, ark):
    """... whose last reply was continued."""
    one = await chat.started()
    ark.fail_next(Fault.drop(3))
    reply = await chat.ask(one, "count 9")
    await finished(await chat.go_on(one, reply.id))
    return one


@pytest.mark.parametrize("make", [whole, cut_off, filtered, continued])
async def test_deleting_a_conversation_deletes_its_responses(open_chat, ark, make):
    async with open_chat(memory="responses") as chat:
        one = await make(chat, ark)
        assert ark.responses
        refs = set(ark.responses)
        await chat.service.delete(chat.user_id, one)
    # Closed: whatever was to be done in the background has been done.
    assert set(ark.responses) == set()
    deleted = {r.path.rpartition("/")[2] for r in ark.requests if r.method == "DELETE"}
    assert refs <= deleted


@pytest.mark.parametrize("how", ["gone", "down"])
async def test_a_response_that_cannot_be_deleted_stops_nobody(open_chat, ark, how):
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        if how == "gone":
            ark.responses.clear()
        else:
            ark.stop()
        await chat.service.delete(chat.user_id, one)
        with pytest.raises(ConversationNotFound):
            await chat.messages(one)
        assert await chat.storage.read(Message.select().count) == 0


# What fits


ANSWERS = [f"{number} {'abcdefghi ' * 5}".strip() for number in range(4)]
TURNS = [[("user", f"echo: {answer}"), ("assistant", answer)] for answer in ANSWERS]
TURN = sum(estimate_tokens(content) for _, content in TURNS[0])
REPLY = estimate_tokens(ANSWERS[0])


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (4 * TURN, 4),
        (4 * TURN - 1, 3),
        (2 * TURN, 2),
        # Room for half a turn more, which would put words into nobody's mouth.
        (2 * TURN + REPLY, 2),
        (TURN, 1),
        (TURN - 1, 0),
        (1, 0),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_oldest_turns_are_left_out(open_chat, ark, kind, budget, kept):
    async with (
        open_chat(memory=kind) as chat,
        open_chat(memory=kind, beside=chat, history_tokens=budget) as small,
    ):
        one = await chat.started()
        for answer in ANSWERS:
            await chat.ask(one, f"echo: {answer}")
        await chat.storage.write(lambda: Conversation.update(memory_expires_at=1000).execute())
        given = await recalled(small, one)
        assert given == [SYSTEM, *(line for turn in TURNS[4 - kept :] for line in turn)]
        notes = (await chat.messages(one))[-1].notes
        assert notes == (() if kept == 4 else ("history_cut",))
        # What was left out is still there for the person.
        assert shown(await chat.messages(one))[:8] == [line for turn in TURNS for line in turn]
        if kind != "chat" and kept == 4:
            known = shown(await chat.messages(one))[-2:]
            assert await recalled(small, one) == [*given, *known]
            assert (await chat.messages(one))[-1].notes == ()


# A server that is not Ark's


class Compatible:
    """Serves `/v1/chat/completions` alone, and is strict about what it is sent."""

    def __init__(self, root):
        self.bodies = []
        self.paths = []
        routes = [Route(f"{root}/chat/completions", self.answer, methods=["POST"])]
        self.app = Starlette(routes=routes, exception_handlers={404: self.not_found})

    async def not_found(self, request, _):
        self.paths.append(request.url.path)
        error = {"message": "Not Found", "type": "invalid_request_error", "code": "404"}
        return JSONResponse({"error": error}, status_code=404)

    async def answer(self, request):
        body = await request.json()
        self.bodies.append(body)
        if has_null(body):
            return PlainTextResponse("null is not of any type", status_code=400)
        return StreamingResponse(self.stream(body["messages"]), media_type="text/event-stream")

    async def stream(self, messages):
        asked = messages[-1]["content"]
        said = [f"heard {asked}"]
        if asked == "recall":
            said = [json.dumps([[m["role"], m["content"]] for m in messages[:-1]])]
        yield chunk({"role": "assistant", "content": ""})
        yield chunk({"reasoning": "let me see"})
        for piece in said:
            yield chunk({"content": piece})
        yield chunk({}, "stop")
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {}}
        yield event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"


def has_null(value):
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "choices": [choice]})


@pytest.mark.parametrize("model", ["qwen3:8b", "ep-test"])
async def test_a_compatible_server_is_given_the_history_and_no_nulls(open_chat, model):
    server = Compatible("/v1")
    with serving(server.app) as url:
        async with open_chat(url=f"{url}/v1", memory="auto", model=model) as chat:
            one = await chat.started()
            reply = await chat.ask(one, "hello")
            assert (reply.content, reply.thought, reply.state) == (
                "heard hello", "let me see", "complete",
            )  # fmt: skip
            assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (7, 0, 3)
            assert await recalled(chat, one) == [
                SYSTEM, ("user", "hello"), ("assistant", "heard hello"),
            ]  # fmt: skip
            assert (await stored(chat, one)).memory_kind == "chat"
    assert server.paths == []
    assert not any(map(has_null, server.bodies))


async def test_a_compatible_server_with_api_in_its_path(open_chat):
    server = Compatible("/api/v1")
    with serving(server.app) as url:
        async with open_chat(url=f"{url}/api/v1", memory="auto", model="some/model") as chat:
            one = await chat.started()
            reply = await chat.ask(one, "hello")
            assert (reply.content, reply.error) == ("heard hello", "")


@pytest.mark.parametrize(
    "name", ["InternalServiceError", "ServerOverloaded", "InvalidParameter", "drop", "end"]
)
async def test_a_chat_turn_may_be_asked_again_only_before_its_first_word(open_chat, ark, name):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(FAULTS[name])
        reply = await chat.ask(one, "count 9")
        again = name in ("InternalServiceError", "ServerOverloaded")
        assert len(calls(ark)) == 1 + again
        assert (reply.state == "complete") == again
