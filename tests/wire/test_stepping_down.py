"""Which kind of memory a model gets: the order, what makes it step down, what is kept of that."""

import functools
import ssl
from datetime import timedelta

import pytest

from chatbot.ark.memory import choose as memory
from chatbot.ui.texts import reason_text
from tests.conftest import finished, grown
from tests.fake_ark import FAULTS, FakeArk, Fault
from tests.wire.asking import SYSTEM, calls, recalled, shown, stored

pytestmark = pytest.mark.anyio

KINDS = ("context", "responses", "chat")
REMEMBERING = ("context", "responses")
PLAIN_MODEL = "doubao-seed-2-1-lite-260915"
OLD_MODEL = "ep-test=doubao-1-5-pro-32k-250115"
SHUT = ("empty", "not_found", "bad_request", "forbidden")
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    # Read from disk for each client, and needed by none.
    monkeypatch.setattr(ssl, "create_default_context", certificates)


SERVED = {"responses": [("responses", True)], "context": [("create", True), ("context", True)],
          "chat": [("chat", True)]}  # fmt: skip
REFUSED = {"responses": [("responses", False)], "context": [("create", False)]}


@pytest.mark.parametrize("shape", ["not_found", "bad_request"])
@pytest.mark.parametrize(
    ("model", "lacks", "kind"),
    [
        ("ep-test", "", "responses"),
        ("ep-test", "responses", "context"),
        ("ep-test", "responses context", "chat"),
        (OLD_MODEL, "", "context"),
        (OLD_MODEL, "context", "chat"),
        (PLAIN_MODEL, "", "responses"),
        (PLAIN_MODEL, "responses", "chat"),
    ],
)
async def test_auto_takes_the_first_kind_that_the_model_serves(
    open_chat, ark, model, lacks, kind, shape
):
    ark.unsupported_shape = shape
    name = model.partition("=")[0]
    ark.models_without_context = {name} if "context" in lacks else set()
    ark.models_without_responses = {name} if "responses" in lacks else set()
    async with open_chat(memory="auto", model=model) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.state, reply.notes) == ("one", "complete", ())
        tried = [call for lacked in lacks.split() for call in REFUSED[lacked]]
        assert calls(ark) == [*tried, *SERVED[kind]]
        assert (await stored(chat, one)).memory_kind == kind
        assert (await chat.service.open(chat.user_id, one, 1)).entry.memory == kind
        assert {request.body["model"] for request in ark.requests} == {name}

        seen = len(ark.requests)
        assert await recalled(chat, one) == [SYSTEM, ("user", "echo: one"), ("assistant", "one")]
        other = await chat.started()
        await chat.ask(other, "echo: two")
        assert all(answered for _, answered in calls(ark, seen)), "it is not tried again"
        assert kind in {call for call, _ in calls(ark, seen)}


@pytest.mark.parametrize("shut", SHUT)
@pytest.mark.parametrize(("model", "kind"), [(OLD_MODEL, "chat"), ("ep-test", "chat")])
async def test_a_context_api_that_was_shut_says_so_in_many_ways(open_chat, ark, model, kind, shut):
    ark.context_api = shut
    ark.models_without_responses = {"ep-test"}
    async with open_chat(memory="auto", model=model) as chat:
        one = await chat.started()
        assert (await chat.ask(one, "echo: one")).content == "one"
        seen = len(ark.requests)
        assert await recalled(chat, one) == [SYSTEM, ("user", "echo: one"), ("assistant", "one")]
        assert calls(ark, seen) == [(kind, True)], "it is not tried again"


@pytest.mark.parametrize("shape", ["not_found", "bad_request"])
async def test_stepping_down_in_mid_conversation_loses_nothing(open_chat, ark, shape):
    ark.unsupported_shape = shape
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        for answer in ("one", "two"):
            await chat.ask(one, f"echo: {answer}")
        for gone, kind in (
            (ark.models_without_responses, "context"),
            (ark.models_without_context, "chat"),
        ):
            gone.add("ep-test")
            before = shown(await chat.messages(one))
            assert await recalled(chat, one) == [SYSTEM, *before]
            assert (await stored(chat, one)).memory_kind == kind


async def test_what_was_learned_is_kept_over_a_restart(open_chat, ark):
    ark.models_without_responses = {"ep-test"}
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
    seen = len(ark.requests)
    async with open_chat(memory="auto") as chat:
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert calls(ark, seen) == [("context", True)], "responses are not tried again"
        assert (await stored(chat, one)).memory_kind == "context"


async def test_what_one_server_refuses_another_is_asked(open_chat, ark):
    ark.models_without_responses = {"ep-test"}
    async with open_chat(memory="auto") as chat:
        await chat.ask(await chat.started(), "echo: one")
    with FakeArk(pace=0) as better:
        async with open_chat(memory="auto", url=better.base_url) as chat:
            await chat.ask(await chat.started(), "echo: two")
        assert calls(better) == [("responses", True)]


async def test_what_was_learned_is_tried_again_after_a_day(open_chat, ark, clock):
    ark.models_without_responses = {"ep-test"}
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        ark.models_without_responses = set()
        clock.ahead = timedelta(hours=23)
        await chat.ask(one, "echo: two")
        assert (await stored(chat, one)).memory_kind == "context"
        clock.ahead = timedelta(hours=25)
        await chat.ask(one, "echo: three")
        assert (await stored(chat, one)).memory_kind == "responses"


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_kind_that_is_set_is_not_left(open_chat, ark, kind):
    ark.models_without_context = ark.models_without_responses = {"ep-test"}
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "not_supported")
        assert len(calls(ark)) == 1
        async with open_chat(memory="auto", beside=chat) as other:
            again = await other.regenerate(one, reply.id)
            await finished(again)
            assert shown(await chat.messages(one)) == [("user", "echo: one"), ("assistant", "one")]


async def test_a_model_id_with_the_context_kind_is_told(open_chat, ark):
    async with open_chat(memory="context", model=PLAIN_MODEL) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "not_supported")


def answered(status, body, type="application/json"):
    return Fault("body", status=status, type=type, body=body)


# Refusals in the place of an answer; whether they are Ark's own, and so are remembered.
CURABLE = {
    "html 404": (Fault.html(404), False),
    "html 400": (Fault.html(400), False),
    "empty 404": (Fault.empty(404), True),
    "plain 404": (answered(404, b"404 page not found\n", "text/plain"), True),
    "405": (Fault.empty(405), False),
    "501": (Fault.empty(501), False),
    "fastapi": (answered(404, b'{"detail":"Not Found"}'), False),
    "openai": (
        answered(404, b'{"error":{"message":"Not Found","type":"invalid_request_error"}}'), False,
    ),
    "numbered": (answered(404, b'{"error":{"message":"Not Found","code":404}}'), False),
    "named": (answered(404, b'{"error":{"message":"Unknown","code":"unknown_url"}}'), False),
    "UnsupportedModel": (FAULTS["UnsupportedModel"], True),
    "by parameter": (Fault.http(400, "InvalidParameter", param="model"), True),
    "by message": (
        Fault.http(400, "InvalidParameter", "the requested model m does not support this api."),
        True,
    ),
    "caching": (Fault.http(400, "InvalidParameter", param="caching"), True),
    "unknown field": (Fault.http(400, "InvalidParameter", 'json: unknown field "input".'), True),
    "missing": (FAULTS["MissingParameter"], True),
    "model id disabled": (FAULTS["InvalidEndpointOrModel.ModelIDAccessDisabled"], True),
}  # fmt: skip


@pytest.mark.parametrize("name", CURABLE)
async def test_any_refusal_that_another_kind_may_cure_steps_down(open_chat, ark, name):
    fault, kept = CURABLE[name]
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        ark.fail_next(fault.on("responses"))
        ark.fail_next(fault.on("create"))
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.error, reply.notes) == ("one", "", ())
        assert calls(ark)[-2:] == [("create", False), ("chat", True)]
        assert (await stored(chat, one)).memory_kind == "chat"

        seen = len(ark.requests)
        assert (await chat.ask(one, "echo: two")).content == "two"
        again = calls(ark, seen)
        assert again == ([("chat", True)] if kept else [("responses", True)]), (
            "a page of a proxy does not make it step down for good"
        )


@pytest.mark.parametrize(
    "fault",
    [
        "AuthenticationError", "InvalidAccountStatus", "AccountOverdueError", "AccessDenied",
        "ModelNotOpen", "InvalidEndpointOrModel.NotFound", "InvalidEndpoint.ClosedEndpoint",
        "SetLimitExceeded", "QuotaExceeded", "InputTextSensitiveContentDetected",
        "InvalidSubscription", "OutofContextError",
    ],
)  # fmt: skip
async def test_what_is_the_same_with_every_kind_is_told_at_once(open_chat, ark, fault):
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        ark.fail_next(FAULTS[fault].on("responses"))
        reply = await chat.ask(one, "echo: one")
        assert not reply.content
        assert calls(ark) == [("responses", False)]
        assert (await chat.ask(one, "echo: two")).content == "two"
        assert (await stored(chat, one)).memory_kind == "responses"


# Fresh accounts: what is told, and that nobody is asked for nothing.
STATES = [
    ("not_opened", "model_not_open", ("Model activation", "开通管理")),
    ("retired", "model_not_found", ("ARK_MODEL", "ARK_MODEL")),
    ("limit_set", "limit_reached", ("Safe experience mode", "安心体验模式")),
    ("quota_gone", "free_quota_used_up", ("Model activation", "开通管理")),
]
LITE = "doubao-seed-2-1-lite-260915"


@pytest.mark.parametrize(("state", "error", "words"), STATES)
@pytest.mark.parametrize("model", [LITE, f"ep-1={LITE}", "ep-1"])
async def test_a_model_that_cannot_be_used_is_told_with_the_next_click(
    open_chat, ark, model, state, error, words
):
    name = model.partition("=")[0]
    ark.states[name] = state
    async with open_chat(memory="auto", model=model) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "hello")
        assert (reply.state, reply.error, reply.model) == ("failed", error, model)
        assert calls(ark) == [("responses", False)]
        for language, word in zip(("en", "zh"), words, strict=True):
            told = reason_text(reply.error, language, reply.model)
            assert word in told
            assert name in told
        # Opened: the next question is answered, by the best kind.
        ark.states[name] = "open"
        assert (await chat.ask(one, "echo: on")).content == "on"
        assert calls(ark)[-1] == ("responses", True)


async def test_a_refusal_of_every_kind_is_told_and_changes_nothing(open_chat, ark):
    fault = FAULTS["MissingParameter"]
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        for place in ("responses", "create", "chat"):
            ark.fail_next(fault.on(place))
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "bad_request")
        assert calls(ark) == [("responses", False), ("create", False), ("chat", False)]
        await chat.ask(one, "echo: two")
        assert (await stored(chat, one)).memory_kind == "responses"


async def test_a_turn_keeps_its_kind_while_another_steps_down(open_chat, ark):
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        ark.fail_next(Fault.silence(3, seconds=1.5))
        slow = await chat.send(one, "count 9")
        await grown(slow, 3)
        ark.models_without_responses = {"ep-test"}
        other = await chat.started()
        await chat.ask(other, "echo: two")
        assert not slow.done
        await finished(slow)
        conversation = await stored(chat, one)
        assert (conversation.memory_kind, conversation.memory_ref[:5]) == ("responses", "resp_")
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert all(answered for _, answered in calls(ark)[-1:])
