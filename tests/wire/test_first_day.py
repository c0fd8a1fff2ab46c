"""What Ark refuses on the first day of an account, in a conversation: search, pictures, bursts."""

import functools
import ssl
from datetime import timedelta

import pytest

from chatbot.ark.memory import choose as memory
from chatbot.storage.attachments import Stored
from chatbot.ui.texts import reason_text, text
from tests.conftest import finished
from tests.fake_ark import FAULTS, Fault
from tests.wire.asking import calls
from tests.wire.test_offline_pictures import picture as drawn

pytestmark = pytest.mark.anyio

LITE = "doubao-seed-2-1-lite-260915"
KINDS = ("context", "responses", "chat")
READING = ("responses", "chat")
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(ssl, "create_default_context", certificates)


# Web search


async def searching(chat):
    one = await chat.started()
    await chat.service.choose(chat.user_id, one, {"search": True})
    return one


async def test_a_search_that_is_not_opened_is_told_and_the_question_answered(open_chat, ark):
    ark.search_plugin = "closed"
    async with open_chat(memory="auto", model=LITE) as chat:
        one = await searching(chat)
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.state, reply.notes) == ("one", "complete", ("search_closed",))
        assert calls(ark) == [("responses", False), ("responses", True)]
        asked, again = ark.requests[-2:]
        assert (bool(asked.body["tools"]), bool(again.body.get("tools"))) == (True, False)
        for language in ("en", "zh"):
            assert "组件库" in text("note_search_closed", language)

        # The chain goes on, and what is opened meanwhile is used at once.
        ark.search_plugin = "open"
        on = await chat.ask(one, "echo: two")
        assert (on.content, on.notes) == ("two", ())
        assert ark.requests[-1].body["previous_response_id"]
        assert ark.requests[-1].body["tools"]


async def test_a_question_without_search_does_not_blame_the_search(open_chat, ark):
    async with open_chat(memory="auto", model=LITE) as chat:
        one = await chat.started()
        ark.fail_next(FAULTS["ToolNotOpen"].on("responses"))
        reply = await chat.ask(one, "echo: one")
        assert (reply.error, reply.notes) == ("tool_not_open", ())
        assert calls(ark) == [("responses", False)]


async def test_a_search_that_was_not_needed_costs_what_ark_counted(open_chat, ark):
    async with open_chat(memory="auto", model=LITE) as chat:
        one = await searching(chat)
        reply = await chat.ask(one, "echo: hello")
        assert reply.content == "hello"
        assert reply.prompt_tokens < 100, "not the pages that might have been found"


# Pictures


async def show(chat, one, question="what is it?"):
    stored = Stored("image", "image/png", "a.png", 32, 32, 0, drawn("PNG", 32, 32))
    file = await chat.service.attach(chat.user_id, one, stored)
    started = await chat.service.send(chat.user_id, one, question, [file.id])
    await finished(chat.runner.writing(chat.user_id, started.reply_id))
    return (await chat.messages(one))[-1]


def details(ark, since=0):
    """Which of the requests named a detail."""
    return ["'detail'" in str(call.body) for call in ark.requests[since:] if call.method == "POST"]


BAD_DETAIL = FAULTS["InvalidArgumentError.InvalidImageDetail"]


@pytest.mark.parametrize("kind", READING)
async def test_a_detail_that_is_refused_is_left_out_for_a_day(open_chat, ark, clock, kind):
    async with open_chat(memory=kind, model=LITE) as chat:
        one = await chat.started()
        ark.fail_next(BAD_DETAIL.on(kind))
        reply = await show(chat, one)
        assert (reply.state, reply.error, reply.notes) == ("complete", "", ())
        assert details(ark) == [True, False]
        seen = len(ark.requests)
        assert (await show(chat, await chat.started())).state == "complete"
        assert details(ark, seen) == [False]
    # It is kept in the database.
    async with open_chat(memory=kind, model=LITE) as chat:
        seen = len(ark.requests)
        assert (await show(chat, await chat.started())).state == "complete"
        assert details(ark, seen) == [False]
        clock.ahead = timedelta(hours=25)
        seen = len(ark.requests)
        assert (await show(chat, await chat.started())).state == "complete"
        assert details(ark, seen) == [True]


PICTURES = [
    (FAULTS["InvalidParameter.UnsupportedImageFormat"], "picture_refused"),
    (FAULTS["InvalidParameter.OversizeImage"], "picture_refused"),
    (FAULTS["InvalidImageURL.InvalidFormat"], "picture_refused"),
    (FAULTS["InvalidImageURL.EmptyURL"], "picture_refused"),
    (FAULTS["InvalidArgumentError.InvalidPixelLimit"], "picture_refused"),
    (Fault.http(400, "InvalidParameter", "Timeout while downloading url: x"), "picture_refused"),
    (Fault.http(400, "InvalidParameter", "Model only support text input"), "pictures_not_read"),
    (Fault.http(400, "InvalidParameter", "Model do not support image input"), "pictures_not_read"),
    (FAULTS["InputImageSensitiveContentDetected"], "moderated"),
]


@pytest.mark.parametrize("kind", READING)
async def test_a_picture_that_is_refused_is_told_once_and_in_words(open_chat, ark, kind):
    for fault, error in PICTURES:
        async with open_chat(memory=kind, model=LITE) as chat:
            one = await chat.started()
            seen = len(ark.requests)
            ark.fail_next(fault.on(kind))
            reply = await show(chat, one)
            assert (reply.content, reply.error) == ("", error), fault
            assert calls(ark, seen) == [(kind, False)]
            assert not reply.micro_yuan or error == "moderated"
            assert "图片" in reason_text(reply.error, "zh", LITE) or error == "moderated"


async def test_a_refused_picture_does_not_step_down(open_chat, ark):
    async with open_chat(memory="auto", model=LITE) as chat:
        one = await chat.started()
        for fault, _ in PICTURES:
            seen = len(ark.requests)
            ark.fail_next(fault.on("responses"))
            await show(chat, one)
            assert calls(ark, seen) == [("responses", False)]


# Too fast


@pytest.fixture
def waited(monkeypatch):
    found = []

    async def wait(seconds):
        found.append(seconds)

    monkeypatch.setattr(memory, "pause", wait)
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.5)
    return found


@pytest.mark.parametrize(
    ("code", "shortest", "longest"),
    [
        ("RequestBurstTooFast", 5, 30),
        ("ServerOverloaded", 5, 30),
        ("InflightBatchsizeExceeded", 5, 30),
        ("ModelAccountRpmRateLimitExceeded", 0.5, 2),
        ("RateLimitExceeded.EndpointTPMExceeded", 0.5, 2),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_burst_is_waited_for_longer_than_a_limit(
    open_chat, ark, waited, kind, code, shortest, longest
):
    async with open_chat(memory=kind) as chat:
        one = await chat.started()
        for _ in range(2):
            ark.fail_next(FAULTS[code].on(kind))
        assert (await chat.ask(one, "echo: one")).content == "one"
        first, second = waited
        assert shortest <= first <= second <= longest


async def test_a_burst_of_the_whole_account_is_over_in_the_end(open_chat, ark, waited):
    ark.burst = 2
    async with open_chat(memory="auto", model=LITE) as chat:
        assert (await chat.ask(await chat.started(), "echo: one")).content == "one"
        assert [answered for _, answered in calls(ark)] == [False, False, True]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_wait_cannot_cure_is_not_asked_again(open_chat, ark, waited, kind):
    async with open_chat(memory=kind) as chat:
        for code in ("SetLimitExceeded", "QuotaExceeded", "AccountOverdueError"):
            # Even if it comes with a time to wait.
            status = FAULTS[code].status
            ark.fail_next(Fault.http(status, code, headers={"Retry-After": "3"}).on(kind))
            assert not (await chat.ask(await chat.started(), "echo: one")).content
        assert waited == []


@pytest.mark.parametrize("kind", KINDS)
async def test_the_wait_that_ark_asks_for_holds_for_each_kind(open_chat, ark, waited, kind):
    async with open_chat(memory=kind) as chat:
        fault = Fault.http(429, "RequestBurstTooFast", headers={"Retry-After": "12"})
        ark.fail_next(fault.on(kind))
        assert (await chat.ask(await chat.started(), "echo: one")).content == "one"
        assert waited == [12]
