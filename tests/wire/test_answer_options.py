"""The buttons under a reply that failed: what they offer, and that it helps."""

import functools
import re
import ssl

import pytest

from chatbot.ark.memory import choose as memory
from chatbot.storage import switches
from chatbot.storage.attachments import Stored
from chatbot.turns.keeper import MODEL_OFF
from chatbot.ui.answer_options import CLOSED, answer_options, changes_of
from tests.conftest import BOUNDS, finished
from tests.fake_ark import FAULTS, Fault
from tests.page import browser, reply_of
from tests.server import running_server
from tests.wire.asking import calls
from tests.wire.test_offline_pictures import picture as drawn

pytestmark = pytest.mark.anyio

LITE = "doubao-seed-2-1-lite-260915"
PRO = "doubao-seed-2-1-pro-260915"
TEXT_ONLY = "glm-5-2-260617"
BOTH = f"{LITE}, {PRO}"
ASK_PRO = {"value": f"model:{PRO}", "label": "Ask Doubao Seed 2.1 Pro instead"}
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(ssl, "create_default_context", certificates)


async def offered(chat, one, language="en"):
    thread = await chat.service.open(chat.user_id, one, 60)
    return answer_options(thread, language, chat.runner.limits.models)


async def switch_off(chat, model):
    """As an admin does; the keeper, which looks once a second, is not waited for."""
    await chat.storage.write(switches.turn, MODEL_OFF + model, True)
    chat.runner.limits.models.off = await chat.storage.read(switches.names_on, MODEL_OFF)


async def press(chat, one, value):
    """Press a button under the newest reply; the reply after it."""
    reply = (await chat.messages(one))[-1]
    changes = changes_of(value)
    assert changes is not None
    started = await chat.service.answer_otherwise(chat.user_id, one, reply.id, changes)
    await finished(chat.runner.writing(chat.user_id, started.reply_id))
    return (await chat.messages(one))[-1]


async def test_on_a_fresh_account_the_other_model_answers_and_later_the_first(open_chat, ark):
    ark.states[LITE] = "not_opened"
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        reply = await chat.ask(one, "echo: hello")
        assert (reply.content, reply.error, reply.model) == ("", "model_not_open", LITE)
        assert await offered(chat, one) == [ASK_PRO]
        [chinese] = await offered(chat, one, "zh")
        assert chinese == {"value": f"model:{PRO}", "label": "改问 豆包 Seed 2.1 Pro"}

        again = await press(chat, one, ASK_PRO["value"])
        assert (again.content, again.state, again.model) == ("hello", "complete", PRO)
        assert await offered(chat, one) == []
        assert [(m.role, m.content) for m in await chat.messages(one)] == [
            ("user", "echo: hello"), ("assistant", "hello"),
        ]  # fmt: skip
        # The session keeps that model, and the next new session begins with it.
        assert (await chat.ask(one, "echo: on")).model == PRO
        assert (await chat.ask(await chat.started(), "echo: new")).model == PRO

        ark.states[LITE] = "open"
        await chat.service.choose(chat.user_id, one, {"model": LITE})
        first = await chat.ask(one, "echo: opened")
        assert (first.content, first.model) == ("opened", LITE)
        assert first.notes == ("model_changed",)
        assert {request.body["model"] for request in ark.requests[-1:]} == {LITE}


async def test_both_models_closed_lead_from_one_to_the_other(open_chat, ark):
    ark.states = {LITE: "limit_set", PRO: "quota_gone"}
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        assert (await chat.ask(one, "echo: hello")).error == "limit_reached"
        again = await press(chat, one, ASK_PRO["value"])
        assert (again.error, again.model) == ("free_quota_used_up", PRO)
        [back] = await offered(chat, one)
        assert back["value"] == f"model:{LITE}"
        ark.states[LITE] = "open"
        assert (await press(chat, one, back["value"])).content == "hello"
        assert calls(ark) == [("responses", False), ("responses", False), ("responses", True)]


# An error as Ark tells it, what is stored, and whether another model may not have it.
ERRORS = [
    (FAULTS["ModelNotOpen"], "model_not_open", True),
    (FAULTS["InvalidEndpointOrModel.NotFound"], "model_not_found", True),
    (FAULTS["InvalidEndpoint.ClosedEndpoint"], "endpoint_closed", True),
    (FAULTS["InvalidEndpointOrModel.ModelIDAccessDisabled"], "endpoint_needed", True),
    (FAULTS["AccessDenied"], "access_refused", True),
    (FAULTS["SetLimitExceeded"], "limit_reached", True),
    (FAULTS["QuotaExceeded"], "quota_used_up", True),
    (Fault.http(429, "QuotaExceeded", "exhausted its free trial quota for the [m] model."),
     "free_quota_used_up", True),
    (Fault.http(400, "InvalidParameter", "Model only support text input."),
     "pictures_not_read", True),
    (FAULTS["AuthenticationError"], "key_refused", False),
    (FAULTS["InvalidSubscription"], "plan_key", False),
    (FAULTS["AccountOverdueError"], "account_overdue", False),
    (FAULTS["InputTextSensitiveContentDetected"], "moderated", False),
    (FAULTS["InvalidParameter"], "bad_request", False),
    (FAULTS["InvalidParameter.OversizeImage"], "picture_refused", False),
    (Fault.html(404), "wrong_address", False),
    (Fault.http(429, "X", headers={"Retry-After": "45"}), "busy_for:45", False),
]  # fmt: skip


def test_each_error_of_one_model_is_played():
    assert {error for _, error, helps in ERRORS if helps} == set(CLOSED)


@pytest.mark.parametrize(("fault", "error", "helps"), ERRORS, ids=[row[1] for row in ERRORS])
async def test_another_model_is_offered_where_it_may_help(open_chat, ark, fault, error, helps):
    async with open_chat(memory="chat", model=BOTH) as chat:
        one = await chat.started()
        ark.fail_next(fault)
        reply = await chat.ask(one, "echo: one")
        assert reply.error.startswith(error)
        assert await offered(chat, one) == ([ASK_PRO] if helps else [])
        if helps:
            await switch_off(chat, PRO)
            assert await offered(chat, one) == [], "an admin has switched it off"
            assert (await press(chat, one, ASK_PRO["value"])).model == LITE, "nor can it be sent"


@pytest.mark.parametrize("state", ["not_opened", "retired", "limit_set", "quota_gone"])
async def test_a_single_model_has_no_other(open_chat, ark, state):
    ark.states[LITE] = state
    async with open_chat(memory="auto", model=LITE) as chat:
        one = await chat.started()
        assert (await chat.ask(one, "echo: one")).error
        assert await offered(chat, one) == []


async def test_a_model_that_was_switched_off_leads_to_one_that_is_on(open_chat, ark):
    async with open_chat(memory="auto", model=f"{LITE}, {PRO}, {TEXT_ONLY}") as chat:
        one = await chat.started()
        ark.states[LITE] = "not_opened"
        await chat.ask(one, "echo: one")
        await switch_off(chat, PRO)
        [button] = await offered(chat, one)
        assert button["value"] == f"model:{TEXT_ONLY}"
        assert (await press(chat, one, button["value"])).content == "one"


async def test_for_a_picture_a_model_that_reads_pictures_is_offered(open_chat, ark):
    ark.models[LITE] = ark.models[TEXT_ONLY]
    async with open_chat(memory="auto", model=f"{LITE}, {TEXT_ONLY}, {PRO}") as chat:
        one = await chat.started()
        picture = Stored("image", "image/png", "a.png", 32, 32, 0, drawn("PNG", 32, 32))
        file = await chat.service.attach(chat.user_id, one, picture)
        started = await chat.service.send(chat.user_id, one, "what is it?", [file.id])
        await finished(chat.runner.writing(chat.user_id, started.reply_id))
        assert (await chat.messages(one))[-1].error == "pictures_not_read"
        assert await offered(chat, one) == [ASK_PRO]
        again = await press(chat, one, ASK_PRO["value"])
        assert (again.state, again.model) == ("complete", PRO)
        assert "data:image/png;base64," in str(ark.requests[-1].body["input"])


async def thought_only(chat, one):
    reply = await chat.ask(one, "think")
    assert (reply.content, reply.error, bool(reply.thought)) == ("", "only_thought", True)
    return reply


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_a_reply_that_only_thought_can_be_answered_without(open_chat, ark, kind, shown):
    ark.shows_cut_thoughts = shown
    async with open_chat(memory=kind, model=LITE, max_output_tokens=400) as chat:
        one = await chat.started()
        await chat.service.choose(chat.user_id, one, {"thinking": "high", "max_tokens": 8})
        await thought_only(chat, one)
        without, longer = await offered(chat, one)
        assert without == {"value": "thinking:off", "label": "Answer without thinking"}
        assert longer == {"value": "max_tokens:16", "label": "Allow 16 tokens"}
        again = await press(chat, one, without["value"])
        assert (again.content != "", again.thought) == (True, "")
        assert ark.requests[-1].body["thinking"] == {"type": "disabled"}


async def test_more_tokens_are_allowed_up_to_the_owners_limit(open_chat, ark):
    async with open_chat(memory="responses", model=LITE, max_output_tokens=20) as chat:
        one = await chat.started()
        await chat.service.choose(chat.user_id, one, {"thinking": "on", "max_tokens": 4})
        await thought_only(chat, one)
        values = []
        while (await chat.messages(one))[-1].error == "only_thought":
            buttons = [one["value"] for one in await offered(chat, one)]
            if len(buttons) < 2:
                break
            values.append(buttons[-1])
            await press(chat, one, buttons[-1])
        assert values == ["max_tokens:8", "max_tokens:16", "max_tokens:20"][: len(values)]
        sent = [request.body["max_output_tokens"] for request in ark.requests]
        assert sent == [4, 8, 16, 20][: len(sent)]
        assert BOUNDS.max_tokens > 20


async def test_a_model_that_always_thinks_is_not_offered_to_stop(open_chat, ark):
    async with open_chat(memory="responses", model="glm-5-3-flash-260828") as chat:
        one = await chat.started()
        await chat.service.choose(chat.user_id, one, {"max_tokens": 4})
        await thought_only(chat, one)
        assert [button["value"] for button in await offered(chat, one)] == ["max_tokens:8"]


async def test_the_button_works_in_the_page(ark, tmp_path):
    ark.states[LITE] = "not_opened"
    environment = {"ARK_MODEL": BOTH, "REGISTRATION": "open"}
    with running_server(ark, tmp_path, **environment) as server:
        async with browser(server, "Ann") as ann:
            tab = ann.tab()
            one = await tab.new_conversation()
            outputs = await tab.result("send", one, None, "", "echo: hello", "")
            messages = outputs[0]
            assert messages[-1]["options"] == [ASK_PRO]
            [shown] = re.findall(r'data-reply="(\d+)"', str(outputs))
            event = {"index": [1, 0], "value": ASK_PRO["value"]}
            messages, *_ = await tab.result("choose_option", one, None, "", shown, data=event)
            assert reply_of(messages) == "hello"
            assert messages[-1]["options"] in ([], None)


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        ("continue", None),
        ("model:a=b", {"model": "a=b"}),
        ("thinking:off", {"thinking": "off"}),
        ("max_tokens:16", {"max_tokens": 16}),
        ("max_tokens:1e3", None),
        ("max_tokens:-1", None),
        ("max_tokens:" + "9" * 30, None),
        ("max_tokens:²", None),
        ("instructions:x", None),
        ("", None),
    ],
)
def test_a_button_changes_only_what_buttons_change(value, changes):
    assert changes_of(value) == changes
