"""What a model is asked in: thinking off, the limit with the thoughts, and what is asked instead
when it refuses a field. And what is done when the history or the wait is too long."""

import functools
import json
import ssl

import pytest

from chatbot.ark.memory import attempt
from chatbot.ark.memory import choose as memory
from chatbot.ark.offline import Model
from chatbot.ui.texts import reason_text
from tests.conftest import finished, leased_until
from tests.discretion import indiscretions
from tests.fake_ark import FAULTS, Fault
from tests.wire.asking import SYSTEM, calls, recalled

pytestmark = pytest.mark.anyio

KINDS = ("context", "responses", "chat")
LITE = "doubao-seed-2-1-lite-260915"
ALWAYS = "glm-5-3-flash-260828"
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(ssl, "create_default_context", certificates)


def bodies(ark, since=0):
    return [request.body for request in ark.requests[since:] if request.method == "POST"]


OFF = {"type": "disabled"}


@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_a_model_that_thinks_by_default_is_told_not_to(open_chat, ark, kind):
    async with open_chat(memory=kind, model=LITE) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: quick")
        assert (reply.content, reply.thought, reply.notes) == ("quick", "", ())
        [body] = bodies(ark)
        assert body["thinking"] == OFF


async def test_a_context_is_not_told_what_its_api_does_not_know(open_chat, ark):
    async with open_chat(memory="context") as chat:
        one = await chat.started()
        assert (await chat.ask(one, "echo: one")).state == "complete"
        assert not any(body.get("thinking") for body in bodies(ark))


REFUSALS = {
    "glm": "",
    "by parameter": Fault.http(400, "InvalidParameter", param="thinking"),
    "by type": Fault.http(
        400, "InvalidParameter", "Unsupported thinking type for the current model: disabled"
    ),
    "unsupported": Fault.http(400, "InvalidParameter.UnsupportedParameter", param="thinking"),
    "unknown": Fault.http(400, "InvalidParameter", 'json: unknown field "thinking"'),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_a_model_that_refuses_the_switch_is_asked_without_it(open_chat, ark, kind, name):
    # An endpoint of a model that always thinks, and nobody has said so.
    model = "ep-glm" if name == "glm" else "ep-test"
    ark.models["ep-glm"] = ark.models[ALWAYS]
    async with open_chat(memory=kind, model=model) as chat:
        one = await chat.started()
        if REFUSALS[name]:
            ark.fail_next(REFUSALS[name])
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.notes) == ("one", ())
        assert [body.get("thinking") for body in bodies(ark)] == [OFF, None]
        assert bool(reply.thought) == (name == "glm")

        # Remembered for the process, in every conversation.
        for conversation in (one, await chat.started()):
            seen = len(ark.requests)
            assert (await chat.ask(conversation, "echo: two")).content == "two"
            assert [body.get("thinking") for body in bodies(ark, seen)] == [None]


async def test_a_field_that_was_not_to_blame_is_sent_again(open_chat, ark):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(REFUSALS["by parameter"])
        ark.fail_next(FAULTS["InputTextSensitiveContentDetected"])
        assert (await chat.ask(one, "echo: one")).state == "filtered"
        assert (await chat.ask(one, "echo: two")).content == "two"
        assert bodies(ark)[-1]["thinking"] == OFF


@pytest.mark.parametrize("param", ["caching", "instructions", "text.format", "tools", "thinking"])
async def test_a_chain_that_began_in_another_way_is_left(open_chat, ark, param):
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        seen = len(ark.requests)
        ark.fail_next(Fault.http(400, "InvalidParameter", "differs from last round", param=param))
        reply = await chat.ask(one, "echo: two")
        assert (reply.content, reply.notes) == ("two", ("memory_rebuilt",))
        first, second = bodies(ark, seen)
        assert first["previous_response_id"]
        assert second["previous_response_id"] is None
        assert [line["content"] for line in second["input"]] == [
            "Be brief.", "echo: one", "one", "echo: two",
        ]  # fmt: skip


async def test_the_limit_includes_the_thoughts(open_chat, ark):
    async with open_chat(memory="chat", model=ALWAYS, max_output_tokens=40) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "long")
        assert reply.completion_tokens <= 40
        assert bodies(ark)[-1]["max_completion_tokens"] == 40
        assert bodies(ark)[-1].get("max_tokens") is None


async def test_a_limit_above_the_largest_is_lowered_to_it(open_chat, ark):
    ark.models["ep-test"] = Model(most_output=12_288)
    async with open_chat(memory="chat", max_output_tokens=32_000) as chat:
        one = await chat.started()
        for text in ("one", "two"):
            assert (await chat.ask(one, f"echo: {text}")).content == text
        assert [body["max_completion_tokens"] for body in bodies(ark)] == [32_000, 12_288, 12_288]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.http(400, "InvalidParameter", param="max_completion_tokens"),
        Fault.http(400, "InvalidParameter", 'json: unknown field "max_completion_tokens"'),
    ],
)
async def test_a_limit_that_is_not_known_gives_way_to_the_other(open_chat, ark, fault):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(fault)
        assert (await chat.ask(one, "echo: one")).content == "one"
        limits = [(b.get("max_completion_tokens"), b.get("max_tokens")) for b in bodies(ark)]
        assert limits == [(1000, None), (None, 1000)], "never both"


async def test_a_server_that_refuses_for_ever_is_not_asked_for_ever(open_chat, ark):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        for most in (900, 800, 700, 600, 500, 400):
            ark.fail_next(
                Fault.http(400, "X", f"expected a value <= {most}", param="max_completion_tokens")
            )
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", "bad_request")
        assert len(bodies(ark)) == 5


async def test_a_stream_without_usage_wanted_is_still_one(open_chat, ark):
    async with open_chat(memory="context") as chat:
        one = await chat.started()
        ark.fail_next(Fault.http(400, "X", param="stream_options").on("context"))
        assert (await chat.ask(one, "echo: one")).content == "one"
        assert bodies(ark)[-1].get("stream_options") is None


# A reply that was only thought about


@pytest.mark.parametrize("shows", [True, False])
@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_tokens_that_all_went_into_thoughts_are_told(open_chat, ark, kind, shows):
    ark.shows_cut_thoughts = shows
    async with open_chat(memory=kind, model=ALWAYS, max_output_tokens=10) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "think")
        assert (reply.content, reply.state, reply.error) == ("", "failed", "only_thought")
        assert reply.completion_tokens > 0
        for language, word in (("en", "thoughts"), ("zh", "思考")):
            assert word in reason_text(reply.error, language)


# A history that is too long


TOO_LONG = {
    "Ark": FAULTS["OutofContextError"],
    "Ark by message": Fault.http(
        400, "InvalidParameter", "Total tokens of image and text exceed max message tokens."
    ),
    "OpenAI": Fault.http(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 2000 tokens. However, you requested 9001 tokens "
        "(4905 in the messages, 4096 in the completion).",
        param="messages",
    ),
    "llama.cpp": Fault(
        "body",
        status=400,
        type="application/json",
        body=b'{"error":{"code":400,"message":"request (5000 tokens) exceeds the available context'
        b' size (600 tokens)","type":"exceed_context_size_error","n_ctx":600}}',
    ),
}
ANSWERS = [f"{number} {'abcdefghi ' * 5}".strip() for number in range(8)]


@pytest.mark.parametrize("name", TOO_LONG)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_history_that_is_too_long_is_shortened_once(open_chat, ark, kind, name):
    fault = TOO_LONG[name].on(kind)
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        for answer in ANSWERS:
            await chat.ask(one, f"echo: {answer}")
        seen = len(ark.requests)
        ark.fail_next(fault)
        reply = await chat.ask(one, "recall")
        assert (reply.state, reply.notes[0]) == ("complete", "history_cut")
        given = json.loads(reply.content)
        assert given[0] == list(SYSTEM)
        assert 0 < len(given[1:]) < 16, "the newest turns that fit, and the system prompt"
        assert given[1:] == [
            line
            for answer in ANSWERS[-(len(given) // 2) :]
            for line in (["user", f"echo: {answer}"], ["assistant", answer])
        ]
        assert len([call for call in calls(ark, seen) if call[0] == kind]) == 2
        if name == "OpenAI" and kind == "chat":
            assert bodies(ark)[-1]["max_completion_tokens"] == 500

        # The next question of another session does not fail first.
        other = await chat.started()
        seen = len(ark.requests)
        await chat.ask(other, "echo: fine")
        assert all(answered for _, answered in calls(ark, seen))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_still_too_long_is_told(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        for _ in range(2):
            ark.fail_next(FAULTS["OutofContextError"].on(kind))
        reply = await chat.ask(one, "echo: two")
        assert (reply.state, reply.error) == ("failed", "prompt_too_long")
        assert ark.pending_faults() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_question_alone_that_is_too_long_is_told_at_once(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        ark.fail_next(FAULTS["OutofContextError"].on(kind))
        reply = await chat.ask(one, "echo: two")
        assert (reply.state, reply.error) == ("failed", "prompt_too_long")
        assert len([call for call in calls(ark) if call[0] == kind]) == 1


# A wait that is asked for


BUSY = [
    Fault.http(429, "ModelAccountRpmRateLimitExceeded", headers={"Retry-After": "3"}),
    Fault.http(503, "ServiceUnavailable", headers={"Retry-After": "3"}),
]


@pytest.mark.parametrize("fault", BUSY, ids=lambda fault: fault.code)
async def test_the_wait_that_ark_asks_for_is_kept(open_chat, ark, fault, monkeypatch):
    waited = []

    async def wait(seconds):
        waited.append(seconds)

    monkeypatch.setattr(memory, "pause", wait)
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(fault)
        assert (await chat.ask(one, "echo: one")).content == "one"
    assert waited == [3]


@pytest.mark.parametrize("seconds", [45, 7200])
async def test_a_wait_longer_than_anybody_waits_is_told(open_chat, ark, seconds):
    fault = Fault.http(429, "QuotaLike", headers={"Retry-After": str(seconds)})
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(fault)
        reply = await chat.ask(one, "echo: one")
        assert (reply.state, reply.error) == ("failed", f"busy_for:{seconds}")
        assert not reply.micro_yuan, "what was refused costs nothing"
        assert len(bodies(ark)) == 1
        for language in ("en", "zh"):
            assert str(seconds) in reason_text(reply.error, language)


async def test_a_wait_that_does_not_help_is_told_in_the_end(open_chat, ark, monkeypatch):
    async def wait(seconds):
        pass

    monkeypatch.setattr(memory, "pause", wait)
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        for _ in range(attempt.RETRIES + 1):
            ark.fail_next(BUSY[0])
        assert (await chat.ask(one, "echo: one")).error == "busy_for:3"


# The log


ECHO = "what does my boss earn in a year?"
ECHOES = {
    "refusal": Fault.http(400, ECHO, ECHO, param=ECHO, type=ECHO),
    "known code": Fault.http(400, "InvalidParameter", f"Your text is odd: {ECHO}", param="model"),
    "page": Fault("body", status=400, type="text/html", body=ECHO.encode()),
    "stream": Fault.stream_error(0, ECHO, ECHO, ECHO),
    "flat": Fault("error_event", code=ECHO, message=ECHO),
    "header": Fault.http(500, "X", ECHO, headers={"Retry-After": ECHO}),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_a_provider_that_repeats_the_question_does_not_get_it_into_the_log(
    open_chat, ark, name, caplog
):
    caplog.set_level("DEBUG", "chatbot")
    async with open_chat(memory="auto") as chat:
        one = await chat.started()
        for _ in range(4):
            ark.fail_next(ECHOES[name])
        await finished(await chat.send(one, ECHO))
        assert "turn " in caplog.text
        assert indiscretions(caplog.text, ark) == []
        assert ECHO not in (await chat.messages(one))[-1].error


# Usage that cannot be


async def test_impossible_usage_gives_nobody_credit_and_loses_nothing(open_chat, ark, monkeypatch):
    from chatbot.ark.offline.usage import Usage

    for number in (-900_000_000, "12", [1], 10**23, float("nan"), True):
        told = {"prompt_tokens": number, "completion_tokens": number, "input_tokens": number,
                "output_tokens": number}  # fmt: skip
        monkeypatch.setattr(Usage, "chat", lambda *_, told=told: dict(told))
        monkeypatch.setattr(Usage, "responses", lambda *_, told=told: dict(told))
        for kind in ("responses", "chat"):
            async with open_chat(memory=kind) as chat:
                one = await chat.started()
                reply = await chat.ask(one, "count 9")
                assert reply.state == "complete", (kind, number)
                assert reply.prompt_tokens > 0
                assert reply.completion_tokens > 0
                assert await chat.storage.read(leased_until, one) is None
                assert len(await recalled(chat, one)) == 3
