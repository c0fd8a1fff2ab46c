"""The three kinds of memory: which one a model gets, what is sent for it, and what of a
conversation fits into it. And a server that is not Ark's."""

import asyncio
import functools
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from chatbot.ark import memory
from chatbot.ark.chunks import Line
from chatbot.ark.client import ArkClient
from chatbot.ark.offline import FAULTS, Fault
from chatbot.ark.offline.listener import Listener
from chatbot.ark.offline.response_events import ResponseStream
from chatbot.ark.offline.wire import event
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import ConversationNotFound
from chatbot.storage.models import Conversation, Message
from tests.conftest import finished, grown

pytestmark = pytest.mark.anyio

SYSTEM = ("system", "Be brief.")
KINDS = ("context", "responses", "chat")
REMEMBERING = ("context", "responses")
PLAIN_MODEL = "doubao-seed-1-6-251015"
CALLS = {
    "/api/v3/context/create": "create",
    "/api/v3/context/chat/completions": "context",
    "/api/v3/responses": "responses",
    "/api/v3/chat/completions": "chat",
}


certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    # Read from disk for each client, and needed by none.
    monkeypatch.setattr(ssl, "create_default_context", certificates)


def calls(ark, since=0):
    """Which calls were made, in order, and whether they were answered."""
    return [(CALLS[r.path], r.status == 200) for r in ark.requests[since:] if r.path in CALLS]


def shown(messages):
    return [(m.role, m.content) for m in messages]


async def recalled(chat, one):
    reply = await chat.ask(one, "recall")
    assert reply.state == "complete", reply.error
    return [tuple(line) for line in json.loads(reply.content)]


async def stored(chat, one):
    return await chat.storage.read(lambda: Conversation.get_by_id(one))


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


# Stepping down


@pytest.mark.parametrize("shape", ["not_found", "bad_request"])
@pytest.mark.parametrize(
    ("lacks", "tried", "kind"),
    [
        ("", [("create", True), ("context", True)], "context"),
        ("context", [("create", False), ("responses", True)], "responses"),
        (
            "context responses",
            [("create", False), ("responses", False), ("chat", True)],
            "chat",
        ),
    ],
)
async def test_auto_takes_the_first_kind_that_the_model_serves(
    open_chat, ark, lacks, tried, kind, shape
):
    ark.unsupported_shape = shape
    ark.models_without_context = {"ep-test"} if "context" in lacks else set()
    ark.models_without_responses = {"ep-test"} if "responses" in lacks else set()
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.state, reply.notes) == ("one", "complete", ())
        assert calls(ark) == tried
        assert (await stored(chat, one)).memory_kind == kind
        assert (await chat.service.open(chat.user_id, one, 1)).entry.memory == kind

        seen = len(ark.requests)
        assert await recalled(chat, one) == [SYSTEM, ("user", "echo: one"), ("assistant", "one")]
        other = await chat.started()
        await chat.ask(other, "echo: two")
        assert all(answered for _, answered in calls(ark, seen)), "it is not tried again"
        assert kind in {call for call, _ in calls(ark, seen)}


@pytest.mark.parametrize("shape", ["not_found", "bad_request"])
async def test_stepping_down_in_mid_conversation_loses_nothing(open_chat, ark, shape):
    ark.unsupported_shape = shape
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        for answer in ("one", "two"):
            await chat.ask(one, f"echo: {answer}")
        for gone, kind in (
            (ark.models_without_context, "responses"),
            (ark.models_without_responses, "chat"),
        ):
            gone.add("ep-test")
            before = shown(await chat.messages(one))
            assert await recalled(chat, one) == [SYSTEM, *before]
            assert (await stored(chat, one)).memory_kind == kind


async def test_another_process_tries_again(open_chat, ark):
    ark.models_without_context = {"ep-test"}
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        ark.models_without_context = set()
        async with open_chat(memory="auto", beside=chat) as other:
            before = shown(await chat.messages(one))
            assert await recalled(other, one) == [SYSTEM, *before]
            assert (await stored(chat, one)).memory_kind == "context"


@pytest.mark.parametrize(("lacks", "kind"), [(set(), "responses"), ({PLAIN_MODEL}, "chat")])
async def test_a_model_id_never_gets_a_context(open_chat, ark, lacks, kind):
    ark.models_without_responses = lacks
    async with open_chat(memory="auto", model=PLAIN_MODEL) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        assert await recalled(chat, one) == [SYSTEM, ("user", "echo: one"), ("assistant", "one")]
        assert (await stored(chat, one)).memory_kind == kind
        assert "create" not in {call for call, _ in calls(ark)}


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_kind_that_is_set_is_not_left(open_chat, ark, kind):
    ark.models_without_context = ark.models_without_responses = {"ep-test"}
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "not_supported")
        assert len(calls(ark)) == 1
        async with open_chat(memory="auto", beside=chat) as other:
            again = await other.service.regenerate(other.user_id, one, reply.id)
            await finished(again)
            assert shown(await chat.messages(one)) == [("user", "echo: one"), ("assistant", "one")]


async def test_a_model_id_with_the_context_kind_is_told(open_chat, ark):
    async with open_chat(memory="context", model=PLAIN_MODEL) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "not_supported")


UNKNOWN_PATHS = {
    "html": Fault.html(404),
    "empty": Fault.empty(404),
    "405": Fault.empty(405),
    "501": Fault.empty(501),
    "fastapi": Fault("body", status=404, type="application/json", body=b'{"detail":"Not Found"}'),
    "openai": Fault(
        "body",
        status=404,
        type="application/json",
        body=b'{"error":{"message":"Not Found","type":"invalid_request_error","code":null}}',
    ),
    "numbered": Fault(
        "body",
        status=404,
        type="application/json",
        body=b'{"error":{"message":"Not Found","code":404}}',
    ),
    "named": Fault(
        "body",
        status=404,
        type="application/json",
        body=b'{"error":{"message":"Unknown request URL","code":"unknown_url"}}',
    ),
}


@pytest.mark.parametrize("name", UNKNOWN_PATHS)
async def test_a_gateway_without_these_paths_is_stepped_down_from(open_chat, ark, name):
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        ark.fail_next(UNKNOWN_PATHS[name].on("create"))
        ark.fail_next(UNKNOWN_PATHS[name].on("responses"))
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.error) == ("one", "")
        assert calls(ark) == [("create", False), ("responses", False), ("chat", True)]


async def test_a_turn_keeps_its_kind_while_another_steps_down(open_chat, ark):
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        ark.fail_next(Fault.silence(3, seconds=1.5))
        slow = await chat.send(one, "count 9")
        await grown(slow, 3)
        ark.models_without_context = {"ep-test"}
        other = await chat.started()
        await chat.ask(other, "echo: two")
        assert not slow.done
        await finished(slow)
        conversation = await stored(chat, one)
        assert (conversation.memory_kind, conversation.memory_ref[:4]) == ("context", "ctx-")
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert all(answered for _, answered in calls(ark)[-1:])


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
        assert body["caching"] == {"type": "enabled"}
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
        "ep-test", None, [Line("user", "count 9")], 100, memory.now() + memory.timedelta(hours=1)
    )
    assert "".join([chunk.text async for chunk in stream]) == "1 2 3 4 5 6 7 8 9"
    await client.close()


async def whole(chat, ark):
    """A conversation with responses in several versions."""
    one = await chat.started()
    await chat.ask(one, "echo: one")
    reply = await chat.ask(one, "echo: two")
    await finished(await chat.service.regenerate(chat.user_id, one, reply.id))
    question = (await chat.messages(one))[0]
    await finished(await chat.service.edit(chat.user_id, one, question.id, "echo: three"))
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
    await finished(await chat.service.go_on(chat.user_id, one, reply.id))
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
        if kind != "chat":
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


@contextmanager
def serving(app):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Listener(app)
        thread = threading.Thread(target=server.serve_on, args=[listener], daemon=True)
        thread.start()
        assert server.ready.wait(10)
        yield f"http://127.0.0.1:{port}"
        server.close()
        thread.join(10)


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
