"""What a user chooses for a session: model, thinking, search, and how the model answers."""

import json
from dataclasses import replace

import pytest

from chatbot.errors import ConversationNotFound
from chatbot.storage import conversations
from chatbot.storage.tables import User
from tests.conftest import BOUNDS, NO_LIMITS, finished, models_of, stored_turns
from tests.fake_ark import Fault
from tests.wire.asking import SYSTEM, calls, recalled, shown, stored

pytestmark = pytest.mark.anyio

LITE, PRO = "doubao-seed-2-1-lite-260915", "doubao-seed-2-1-pro-260915"
GLM, OLD = "glm-5-3-flash-260828", "ep-old=doubao-1-5-pro-32k-250115"
BOTH = f"{LITE}, {PRO}"
PRICED = replace(NO_LIMITS, prices=models_of(f"{LITE}, {OLD}, {PRO}").prices)


async def choose(chat, one, **changes):
    return await chat.service.choose(chat.user_id, one, changes)


async def chosen(chat, one):
    return (await chat.service.open(chat.user_id, one, 10)).chosen


def bodies(ark):
    return [request.body for request in ark.requests if request.method == "POST"]


# Models


async def test_each_model_answers_by_its_own_memory_and_price(open_chat, ark):
    async with open_chat(memory="auto", model=f"{LITE}, {OLD}, {PRO}", budget=PRICED) as chat:
        for name, kind, input, output in (
            (LITE, "responses", 0.80, 2.70), (OLD, "context", 0.80, 2), (PRO, "responses", 6, 30),
        ):  # fmt: skip
            one = await chat.started()
            await choose(chat, one, model=name)
            reply = await chat.ask(one, "echo: one")
            assert (reply.content, reply.model) == ("one", name)
            conversation = await stored(chat, one)
            assert (conversation.model, conversation.memory_kind) == (name, kind)
            turn = (await stored_turns(chat))[-1]
            exact = turn.prompt_tokens * input + turn.completion_tokens * output
            cached = turn.cached_tokens * (input - {0.80: 0.16, 6: 1.20}[input])
            assert exact - cached <= turn.micro_yuan <= exact - cached + 2
    models = [body["model"] for body in bodies(ark)]
    assert models == [LITE, "ep-old", "ep-old", PRO]


async def test_another_model_in_mid_session_gets_the_whole_session(open_chat, ark):
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        await chat.ask(one, "echo: two")
        await choose(chat, one, model=PRO)
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert bodies(ark)[-1].get("previous_response_id") is None
        reply = (await chat.messages(one))[-1]
        assert (reply.model, reply.notes) == (PRO, ("model_changed",))
        # From then on the new memory is continued, without a word.
        await chat.ask(one, "echo: three")
        assert bodies(ark)[-1]["previous_response_id"]
        assert (await chat.messages(one))[-1].notes == ()


async def test_a_running_reply_keeps_the_model_it_began_with(open_chat, ark):
    ark.pace = 0.02
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 9")
        await choose(chat, one, model=PRO)
        await finished(turn)
        assert (await chat.messages(one))[-1].model == LITE
        assert (await stored(chat, one)).model == LITE
        assert (await chosen(chat, one)).model == PRO


async def test_the_choice_is_the_default_of_new_sessions_of_the_same_person(open_chat):
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        await choose(chat, one, model=PRO, thinking="high", search=True, instructions="Rhyme.")
        await chat.ask(one, "echo: one")
        two = await chat.started()
        assert two != one
        now = await chosen(chat, two)
        assert (now.model, now.thinking, now.search) == (PRO, "high", True)
        assert now.instructions == "", "instructions are for one session"
        other = await chat.user("bob")
        three = await chat.service.start_conversation(other)
        theirs = (await chat.service.open(other, three, 1)).chosen
        assert (theirs.model, theirs.thinking, theirs.search) == (LITE, "off", False)
        # What is chosen in one session does not change another one.
        await choose(chat, two, model=LITE)
        assert (await chosen(chat, one)).model == PRO


async def test_a_model_that_is_not_offered_any_more_is_replaced_by_the_default(open_chat):
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        await choose(chat, one, model=PRO)
    async with open_chat(memory="auto", model=LITE) as chat:
        assert (await chosen(chat, one)).model == LITE
        reply = await chat.ask(one, "echo: one")
        assert (reply.content, reply.model) == ("one", LITE)
    async with open_chat(memory="auto", model=BOTH) as chat:
        assert (await chosen(chat, one)).model == PRO, "the choice was kept"


async def test_nobody_chooses_for_somebody_else(open_chat):
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        other = await chat.user("bob")
        with pytest.raises(ConversationNotFound):
            await chat.service.choose(other, one, {"model": PRO})
        assert (await chosen(chat, one)).model == LITE


@pytest.mark.parametrize(
    "changes",
    [
        {"model": 1}, {"model": "x" * 10_001}, {"model": "no such model"}, {"thinking": None},
        {"thinking": "very much"}, {"search": "yes"}, {"temperature": "1"}, {"temperature": True},
        {"temperature": -1}, {"temperature": 2.5}, {"temperature": float("nan")}, {"top_p": []},
        {"max_tokens": 0}, {"max_tokens": 1.5}, {"max_tokens": 10**9}, {"instructions": ["a"]},
        {"instructions": "a\0b"}, {"nothing": 1}, {},
    ],
)  # fmt: skip
async def test_what_no_control_sends_changes_nothing(open_chat, changes):
    async with open_chat(memory="auto", model=BOTH) as chat:
        one = await chat.started()
        before = await chosen(chat, one)
        assert await chat.service.choose(chat.user_id, one, changes) == before
        assert (await chat.ask(one, "echo: one")).content == "one"


@pytest.mark.parametrize("odd", ["{", "[]", "1", '{"model": 5}', '{"search": "x", "top_p": {}}'])
async def test_stored_options_that_cannot_be_read_are_left_out(open_chat, odd):
    async with open_chat() as chat:
        await chat.storage.write(lambda: User.update(options=odd).execute())
        one = await chat.started()
        await chat.storage.write(
            lambda: conversations.change(conversations.find(chat.user_id, one).id, options=odd)
        )
        assert (await chat.ask(one, "echo: one")).content == "one"


# Thinking

SENT = [
    ("responses", LITE, "off", {"thinking": {"type": "disabled"}}),
    ("responses", LITE, "low", {"reasoning": {"effort": "low"}}),
    ("responses", LITE, "high", {"reasoning": {"effort": "high"}}),
    ("responses", "ep-1", "on", {"thinking": {"type": "enabled"}}),
    ("responses", GLM, "low", {"reasoning": {"effort": "low"}}),
    ("chat", LITE, "off", {"thinking": {"type": "disabled"}}),
    ("chat", LITE, "medium", {"reasoning_effort": "medium"}),
    ("chat", "ep-1", "on", {"thinking": {"type": "enabled"}}),
    ("context", "ep-1", "on", {}),
]


@pytest.mark.parametrize(("kind", "model", "thinking", "fields"), SENT)
async def test_thinking_is_asked_for_in_the_form_of_each_api(
    open_chat, ark, kind, model, thinking, fields
):
    async with open_chat(memory=kind, model=model) as chat:
        one = await chat.started()
        await choose(chat, one, thinking=thinking)
        reply = await chat.ask(one, "echo: one")
        assert reply.content == "one"
    body = bodies(ark)[-1]
    names = ("thinking", "reasoning", "reasoning_effort")
    assert {name: body[name] for name in names if body.get(name) is not None} == fields
    if model == LITE:
        assert bool(reply.thought) == (thinking != "off")
        assert (reply.thought_ms is None) == (thinking == "off")


async def test_the_owners_default_holds_until_somebody_chooses(open_chat, ark):
    bounds = replace(BOUNDS, thinking="medium")
    async with open_chat(memory="auto", model=LITE, bounds=bounds) as chat:
        one = await chat.started()
        assert (await chosen(chat, one)).thinking == "medium"
        await chat.ask(one, "echo: one")
        assert bodies(ark)[-1]["reasoning"] == {"effort": "medium"}
        await choose(chat, one, thinking="off")
        await chat.ask(one, "echo: two")
        assert bodies(ark)[-1]["thinking"] == {"type": "disabled"}


async def test_another_thinking_builds_the_memory_anew(open_chat, ark):
    async with open_chat(memory="responses", model=LITE) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        await choose(chat, one, thinking="high")
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [SYSTEM, *before]
        assert bodies(ark)[-1].get("previous_response_id") is None


async def test_a_model_that_refuses_the_switch_is_asked_once_more_and_remembered(open_chat, ark):
    # An endpoint of a model that cannot stop thinking, and nobody has said so.
    ark.models["ep-1"] = ark.models[GLM]
    async with open_chat(memory="responses", model="ep-1") as chat:
        one = await chat.started()
        assert (await chat.ask(one, "echo: one")).content == "one"
        assert calls(ark) == [("responses", False), ("responses", True)]
        seen = len(ark.requests)
        await chat.ask(one, "echo: two")
        assert calls(ark, seen) == [("responses", True)]
    seen = len(ark.requests)
    async with open_chat(memory="responses", model="ep-1") as chat:
        await chat.ask(one, "echo: three")
        assert calls(ark, seen) == [("responses", True)], "the database remembers it"


# Parameters


async def test_parameters_are_sent_within_the_owners_limits(open_chat, ark):
    bounds = replace(BOUNDS, max_temperature=1.2, max_instructions=10)
    for kind in ("responses", "context", "chat"):
        async with open_chat(memory=kind, bounds=bounds) as chat:
            one = await chat.started()
            now = await choose(
                chat,
                one,
                temperature=1.9,
                top_p=0.5,
                max_tokens=50_000,
                instructions="Rhyme often!",
            )
            assert (now.temperature, now.top_p, now.max_tokens) == (1.2, 0.5, 1000)
            assert now.instructions == "Rhyme ofte"
            assert await recalled(chat, one) == [("system", "Be brief.\n\nRhyme ofte")]
            body = bodies(ark)[-1]
            assert (body["temperature"], body["top_p"]) == (1.2, 0.5)
            now = await choose(
                chat, one, temperature=None, top_p=None, max_tokens=7, instructions=""
            )
            assert (now.temperature, now.max_tokens, now.instructions) == (None, 7, "")
            reply = await chat.ask(one, "count 90")
            assert reply.state == "length"
            assert bodies(ark)[-1].get("temperature") is None


async def test_other_instructions_build_the_memory_anew(open_chat, ark):
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        await choose(chat, one, instructions="Rhyme.")
        before = shown(await chat.messages(one))
        assert await recalled(chat, one) == [("system", "Be brief.\n\nRhyme."), *before]


@pytest.mark.parametrize("field", ["temperature", "top_p"])
async def test_a_refused_parameter_is_left_out(open_chat, ark, field):
    fault = Fault.http(
        400, "InvalidParameter.UnsupportedParameter", param=field, message="not supported"
    )
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        await choose(chat, one, temperature=0.5, top_p=0.5)
        ark.fail_next(fault)
        assert (await chat.ask(one, "echo: one")).content == "one"
        body = bodies(ark)[-1]
        assert body.get(field) is None
        assert {"temperature": 0.5, "top_p": 0.5}.items() - {field: 0.5}.items() <= body.items()


# The page


async def test_the_page_is_told_what_can_be_chosen(open_chat):
    async with open_chat(memory="auto", model=f"{LITE}, {OLD}, {GLM}") as chat:
        lite, old, glm = (await chosen(chat, await chat.started())).choices
        assert (lite.thinking, lite.search, lite.inputs) == (
            ("off", "low", "medium", "high"), True, ("image",),
        )  # fmt: skip
        assert (old.thinking, old.search, old.inputs) == (("off",), False, ())
        assert (glm.thinking, glm.search) == (("low", "on"), True)
        told = json.dumps([lite.label, old.label_zh])
        assert json.loads(told) == ["Doubao Seed 2.1 Lite", "豆包 1.5 Pro 32K"]
