"""The purse, through the real SDK and a local Ark: whatever happens, what Ark counted was set aside
before and is paid, and messages, ledger and totals say the same."""

import asyncio
import json
import re
import shutil
import uuid
from collections import Counter
from dataclasses import replace

import pytest

from chatbot.accounts import Accounts
from chatbot.ark.memory import choose as memory
from chatbot.ark.offline import calls, contexts, responses
from chatbot.ark.offline.usage import Usage as Counted
from chatbot.ark.offline.usage import count_tokens
from chatbot.budget import Prices
from chatbot.errors import ArkError, BudgetUsedUp, ConversationNotFound, TooManyTurns
from chatbot.storage import erase, messages, turns, users
from chatbot.storage.tables import Conversation, Message, Turn, User
from chatbot.turns.purse import Purse
from chatbot.turns.worker import is_gone
from chatbot.usage import Used
from tests.conftest import LIMITS, NO_LIMITS, finished, grown
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio

KINDS = ["context", "responses", "chat"]
PRICES = Prices(input=1.0, cached=0.1, output=10.0, storage=0)
TIGHT = replace(NO_LIMITS, prices=lambda model: PRICES)
LONG = "echo: " + "and tell why this question is so long, with 1,234,567 reasons. " * 80


@pytest.fixture
def both(request, tmp_path):
    """The address of a new database, of either kind."""
    if request.param == "sqlite":
        return (
            f"sqlite:///{shutil.copy(request.getfixturevalue('empty_file'), tmp_path / 'chat.db')}"
        )
    server, empty = map(request.getfixturevalue, ("postgres", "empty_database"))
    name = f"chat_{uuid.uuid4().hex}"
    server.psql(f"create database {name} template {empty}")
    return server.get_uri(name)


on_both = pytest.mark.parametrize("both", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request, tmp_path):
    if "both" in request.fixturenames:
        return request.getfixturevalue("both")
    return f"sqlite:///{shutil.copy(request.getfixturevalue('empty_file'), tmp_path / 'chat.db')}"


@pytest.fixture(autouse=True)
def less_waiting(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)


class Meter:
    """The prompt tokens of everything that Ark has begun to work on."""

    def __init__(self, monkeypatch):
        self.prompt = 0
        for place in (calls, contexts, responses):
            monkeypatch.setattr(place, "Usage", self._counted)

    def _counted(self, prompt, **more):
        self.prompt += prompt
        return Counted(prompt, **more)


@pytest.fixture
def meter(monkeypatch):
    return Meter(monkeypatch)


@pytest.fixture
def set_aside(monkeypatch):
    """What was reserved for each turn in the end, by its id."""
    most = {}
    set_aside = Purse.reserve

    def seen(self, turn, calls, before=()):
        set_aside(self, turn, calls, before)
        most[turn.id] = sum(calls, Used())

    monkeypatch.setattr(Purse, "reserve", seen)
    return most


async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.002)


async def ledger(chat):
    return await chat.storage.read(lambda: list(Turn.select().order_by(Turn.started_at)))


async def check_sums(chat, one):
    """Messages, ledger and totals agree, for every version of every message; all is settled."""

    def look():
        names = ("prompt_tokens", "cached_tokens", "completion_tokens", "micro_yuan")
        rows = list(Turn.select().where(Turn.conversation == one))
        heads = Message.select(Message.id).where(Message.conversation == one)
        shown_of = {m.id: m for head in heads for m in messages.shown_branch(head.id, 100)}
        replies = list(shown_of.values())
        assert all(row.state != "streaming" for row in rows)
        by_reply = Counter()
        for row in rows:
            by_reply.update({(row.reply_id, name): getattr(row, name) for name in names})
        shown = {
            (reply.id, name): number
            for reply in replies
            for name in names
            if (number := getattr(reply, name))
        }
        assert shown == {key: number for key, number in by_reply.items() if number}
        return [sum(getattr(row, name) for row in rows) for name in names]

    sums = await chat.storage.read(look)
    totals = (await chat.service.open(chat.user_id, one, 100)).totals
    assert [totals.prompt, totals.cached, totals.completion, totals.micro_yuan] == sums
    return sums


async def stop(chat, one, turn):
    await chat.service.stop(chat.user_id, one)
    await finished(turn)


def asked(ark, path):
    return [request for request in ark.requests if request.path.endswith(path)]


PATHS = {
    "context": "context/chat/completions",
    "responses": "responses",
    "chat": "v3/chat/completions",
}


async def stopped_while_the_memory_is_built(chat, ark, one, kind):
    await chat.storage.write(Conversation.update(memory_upto=None).execute)
    ark.fail_next(Fault.silence_before().on("create"))
    before = len(asked(ark, "create"))
    turn = await chat.send(one, "count 9")
    await until(lambda: len(asked(ark, "create")) > before)
    await stop(chat, one, turn)
    assert turn.turn.got_nothing


async def stopped_in_silence(chat, ark, one, kind):
    ark.fail_next(Fault.silence_before().on(kind))
    before = len(asked(ark, PATHS[kind]))
    turn = await chat.send(one, "count 9")
    await until(lambda: len(asked(ark, PATHS[kind])) > before)
    await stop(chat, one, turn)
    row = (await ledger(chat))[-1]
    assert row.completion_tokens == LIMITS.bounds.max_tokens


async def stopped_in_mid_answer(chat, ark, one, kind):
    ark.fail_next(Fault.silence(after=5))
    turn = await chat.send(one, "count 50")
    await grown(turn, 5)
    await stop(chat, one, turn)


async def asked_and_stopped_again_and_again(chat, ark, one, kind):
    for _ in range(3):
        await stopped_in_silence(chat, ark, one, kind)


async def broken_off(chat, ark, one, kind):
    ark.fail_next(Fault.drop(after=5))
    assert (await chat.ask(one, "count 50")).state == "interrupted"


async def broken_off_at_once(chat, ark, one, kind):
    ark.fail_next(Fault.drop(after=0))
    await chat.ask(one, "count 50")


async def nothing_was_told(chat, ark, one, kind):
    ark.fail_next(Fault.with_usage("none"))
    assert (await chat.ask(one, "count 50")).state == "complete"


async def only_the_prompt_was_told(chat, ark, one, kind):
    ark.fail_next(Fault.with_usage("partial"))
    assert (await chat.ask(one, "count 50")).state == "complete"


async def moderated(chat, ark, one, kind):
    ark.fail_next(Fault.content_filter(after=4).on(kind))
    assert (await chat.ask(one, "count 50")).state == "filtered"


async def server_errors(chat, ark, one, kind):
    for _ in range(2):
        ark.fail_next(Fault.http(500, "InternalServiceError"))
    assert (await chat.ask(one, "count 50")).state == "complete"


async def lost(chat, ark, one, kind):
    for ref in [*ark.contexts, *ark.responses]:
        ark.forget(ref)
    assert (await chat.ask(one, "count 50")).state == "complete"


async def continued(chat, ark, one, kind):
    ark.fail_next(Fault.silence(after=5))
    turn = await chat.send(one, LONG)
    await grown(turn, 5)
    await stop(chat, one, turn)
    await finished(await chat.go_on(one, turn.started.reply_id))
    ark.fail_next(Fault.silence(after=2))
    turn = await chat.go_on(one, turn.started.reply_id)
    await grown(turn, len(turn.started.prefix) + 2)
    await stop(chat, one, turn)


async def regenerated_and_edited(chat, ark, one, kind):
    reply = await chat.ask(one, LONG)
    await finished(await chat.regenerate(one, reply.id))
    question = (await chat.messages(one))[-2]
    await finished(await chat.edit(one, question.id, "count 3"))


STORIES = [
    stopped_in_silence,
    stopped_in_mid_answer,
    asked_and_stopped_again_and_again,
    broken_off,
    broken_off_at_once,
    nothing_was_told,
    only_the_prompt_was_told,
    moderated,
    server_errors,
    lost,
    continued,
    regenerated_and_edited,
]


@pytest.mark.parametrize(
    ("kind", "story"),
    [
        ("context", stopped_while_the_memory_is_built),
        *((kind, story) for kind in KINDS for story in STORIES),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_all_tokens_that_ark_counted_were_reserved_and_are_counted(
    open_chat, ark, meter, set_aside, kind, story
):
    async with open_chat(memory=kind, budget=TIGHT) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: " + "a history of many words, 1 2 3 4 5 " * 40)
        await story(chat, ark, one, kind)
        await chat.ask(one, "echo: and on")
        rows = await ledger(chat)
        said = await chat.storage.read(lambda: [m.content for m in Message.select()])
        for row in rows:
            assert 0 < row.prompt_tokens <= set_aside[row.id].prompt
            assert 0 <= row.completion_tokens <= set_aside[row.id].completion
        assert sum(row.prompt_tokens for row in rows) >= meter.prompt
        answered = sum(map(count_tokens, said[1::2]))
        assert sum(row.completion_tokens for row in rows) >= answered
        await check_sums(chat, one)


async def test_stepping_down_is_set_aside_and_paid(open_chat, ark, meter, set_aside):
    async with open_chat(memory="auto", budget=TIGHT) as chat:
        one = await chat.started()
        for gone in (ark.models_without_context, ark.models_without_responses, set()):
            await chat.ask(one, "echo: " + "a history of many words, 1 2 3 4 5 " * 40)
            gone.add("ep-test")
        rows = await ledger(chat)
        assert all(row.prompt_tokens <= set_aside[row.id].prompt for row in rows)
        assert sum(row.prompt_tokens for row in rows) >= meter.prompt
        await check_sums(chat, one)


async def test_a_turn_that_cannot_pay_for_a_new_memory_ends_and_keeps_what_it_has(open_chat, ark):
    async with open_chat() as chat:
        one = await chat.started()
        await chat.ask(one, "echo: " + "a long history, 1 2 3 4 5 " * 100)
        rows = await ledger(chat)
        used = sum(row.prompt_tokens + row.completion_tokens for row in rows)
        held = (await chat.storage.read(Conversation.get_by_id, one)).memory_tokens
    # Enough for the question on top of what Ark holds, not for building that anew.
    enough = used + held + LIMITS.bounds.max_tokens + 100
    async with open_chat(budget=replace(TIGHT, user_daily_tokens=enough)) as chat:
        for ref in list(ark.contexts):
            ark.forget(ref)
        before = len(ark.requests)
        reply = await chat.ask(one, "count 9")
        assert (reply.state, reply.error) == ("failed", "budget_used_up")
        assert [r.status for r in ark.requests[before:]] == [404], "nothing was built"
        await check_sums(chat, one)
        row = (await ledger(chat))[-1]
        assert (row.state, row.prompt_tokens, row.completion_tokens) == ("failed", 0, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_continued_travels_whole_whatever_the_limit_on_history(
    open_chat, ark, set_aside, kind
):
    async with open_chat(memory=kind, history_tokens=500) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: before")
        ark.fail_next(Fault.silence(after=5))
        turn = await chat.send(one, LONG)
        await grown(turn, 5)
        await stop(chat, one, turn)
        since = len(ark.requests)
        await finished(await chat.go_on(one, turn.started.reply_id))
        bodies = [request.body for request in ark.requests[since:]]
        sent = [
            (line["role"], line["content"])
            for body in bodies
            for line in body.get("messages") or body.get("input")
        ]
        assert sent[0] == ("system", "Be brief.")
        assert sent[1:3] == [("user", LONG.strip()), ("assistant", turn.text)]
        assert len(sent) == 4, "the turn before had no room"
        row = (await ledger(chat))[-1]
        assert row.prompt_tokens <= set_aside[row.id].prompt
        await check_sums(chat, one)


# What a server tells


HOSTILE = [
    "-900000000",
    '"12"',
    "[7]",
    '{"a": 1}',
    "true",
    "NaN",
    "1e23",
    "1" + "0" * 23,
    "2.5",
    "null",
    "2147483648",
]


def told(kind, number):
    """A whole answer of Ark whose usage is this, wherever a number belongs."""
    if kind == "responses":
        usage = (
            f'{{"input_tokens":{number},"output_tokens":{number},"total_tokens":{number},'
            f'"input_tokens_details":{{"cached_tokens":{number}}},'
            f'"output_tokens_details":{{"reasoning_tokens":{number}}}}}'
        )
        events = [
            '{"type":"response.created","response":{"id":"resp_1"}}',
            '{"type":"response.output_text.delta","delta":"some words"}',
            f'{{"type":"response.completed","response":{{"id":"resp_1","usage":{usage}}}}}',
        ]
    else:
        usage = (
            f'{{"prompt_tokens":{number},"completion_tokens":{number},"total_tokens":{number},'
            f'"prompt_tokens_details":{{"cached_tokens":{number}}},'
            f'"completion_tokens_details":{{"reasoning_tokens":{number}}}}}'
        )
        events = [
            '{"id":"1","choices":[{"index":0,"delta":{"content":"some words"}}]}',
            '{"id":"1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}',
            f'{{"id":"1","choices":[],"usage":{usage}}}',
        ]
    body = "".join(f"data: {one}\n\n" for one in [*events, "[DONE]"])
    fault = Fault("body", status=200, type="text/event-stream", body=body.encode())
    return fault.on(kind)


@pytest.mark.parametrize("number", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
async def test_numbers_of_a_hostile_server_lose_no_reply_and_cost_the_estimate(
    open_chat, ark, set_aside, kind, number
):
    async with open_chat(memory=kind, budget=TIGHT) as chat:
        one = await chat.started()
        ark.fail_next(told(kind, number))
        reply = await chat.ask(one, "hello")
        assert (reply.state, reply.content) == ("complete", "some words")
        (row,) = await ledger(chat)
        most = set_aside[row.id]
        assert 0 < row.prompt_tokens <= most.prompt
        assert 0 < row.completion_tokens <= most.completion
        assert (row.cached_tokens, row.reasoning_tokens) == (0, 0)
        assert 0 < row.micro_yuan <= PRICES.micro_yuan(most.prompt, 0, most.completion)
        await check_sums(chat, one)
        assert (await chat.ask(one, "echo: next")).content == "next"


LONG_ID = "x" * 100_000
ODD_IDS = ["", "nul \x00", "half \ud83d", "two\nlines", "two words", LONG_ID]


@on_both
@pytest.mark.parametrize("ref", ODD_IDS, ids=lambda ref: repr(ref)[:12])
async def test_an_id_that_cannot_be_stored_costs_the_memory_and_nothing_else(
    open_chat, ark, both, ref
):
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        fault = told("responses", 7)
        body = fault.body.replace(b'"resp_1"', json.dumps(ref).encode())
        ark.fail_next(replace(fault, body=body))
        reply = await chat.ask(one, "hello")
        assert (reply.state, reply.content) == ("complete", "some words")
        assert (await chat.storage.read(Conversation.get_by_id, one)).memory_ref is None
        known = json.loads((await chat.ask(one, "recall")).content)
        assert known == [["system", "Be brief."], ["user", "hello"], ["assistant", "some words"]]


@on_both
async def test_an_error_with_odd_strings_ends_the_reply_like_any_other(open_chat, ark, both):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        body = {"error": {"code": "C\x00\ud83d" * 999, "message": "Request id: \x00\x07" + LONG_ID}}
        fault = Fault("body", status=400, body=json.dumps(body).encode(), type="application/json")
        ark.fail_next(fault)
        reply = await chat.ask(one, "hello")
        assert (reply.state, reply.content) == ("failed", "")
        assert (await chat.ask(one, "echo: next")).content == "next"


def test_what_an_error_has_from_a_server_is_short_and_visible():
    error = ArkError(ark_code="a\x00b\ud83d" * 99, request_id="\n" + LONG_ID)
    assert error.ark_code == ("ab" * 99)[:100]
    assert error.request_id == "x" * 80


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
async def test_a_reply_without_end_is_cut_and_its_request_closed(open_chat, ark, field):
    piece = json.dumps({"id": "1", "choices": [{"index": 0, "delta": {field: "x" * 1_000}}]})
    body = f"data: {piece}\n\n" * 200
    fault = Fault("body", status=200, type="text/event-stream", body=body.encode())
    async with open_chat(memory="chat", max_output_tokens=500) as chat:
        one = await chat.started()
        ark.fail_next(fault.on("chat"))
        turn = await chat.send(one, "hello")
        await finished(turn)
        reply = (await chat.messages(one))[-1]
        assert len(reply.content) + len(reply.thought) == 16 * 500
        assert reply.state == ("length" if field == "content" else "failed")
        await check_sums(chat, one)
        assert (await chat.ask(one, "echo: next")).content == "next"


# Who may start, and who must end


@pytest.mark.parametrize("most", [1, 3])
async def test_many_that_start_at_once_are_counted_before_anything_is_waited_for(
    open_chat, ark, most
):
    for _ in range(most):
        ark.fail_next(Fault.silence(after=1))
    async with open_chat(max_turns=most, max_turns_per_user=9) as chat:
        ones = []
        for number in range(8):
            user = await chat.user(f"person-{number}")
            ones.append((user, await chat.service.start_conversation(user)))
        started = await asyncio.gather(
            *(chat.send_as(user, one, "count 9") for user, one in ones),
            return_exceptions=True,
        )
        running = [turn for turn in started if not isinstance(turn, BaseException)]
        refused = [error for error in started if isinstance(error, BaseException)]
        assert len(running) == most
        assert {type(error) for error in refused} == {TooManyTurns}
        for (user, one), turn in zip(ones, started, strict=True):
            if turn in running:
                await grown(turn)
                await chat.service.stop(user, one)
                await finished(turn)
        assert (await chat.ask(await chat.started(), "echo: on")).content == "on"


@on_both
async def test_one_person_who_starts_many_at_once_has_only_so_many(open_chat, ark, both):
    for _ in range(6):
        ark.fail_next(Fault.silence(after=1))
    async with (
        open_chat(max_turns_per_user=2) as here,
        open_chat(beside=here, max_turns_per_user=2) as there,
    ):
        ones = []
        for _ in range(6):
            made = await here.storage.write(Conversation.create, user=here.user_id)
            ones.append(str(made.id))
        started = await asyncio.gather(
            *((here, there)[n % 2].send(one, "count 9") for n, one in enumerate(ones)),
            return_exceptions=True,
        )
        running = [turn for turn in started if not isinstance(turn, BaseException)]
        assert len(running) == 2
        for turn in running:
            turn.stop("stopped")
            await finished(turn)


@on_both
async def test_a_killed_process_leaves_no_reservation(open_chat, ark, both, monkeypatch):
    monkeypatch.setattr("chatbot.turns.keeper.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("chatbot.turns.keeper.SAVE_SECONDS", 0.02)
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 30")
        await grown(turn, 3)
        async with asyncio.timeout(20):
            while not (await here.messages(one))[-1].content:
                await asyncio.sleep(0.01)
        reserved = (await ledger(here))[-1]
        assert reserved.state == "streaming"
        # As SIGKILL would: nothing runs on, nothing more is saved.
        for task in [*here.runner._tasks, turn.reader, here.runner._keeper._task]:
            task.cancel()
        async with asyncio.timeout(20):
            while (row := (await ledger(there))[-1]).state == "streaming":
                await there.storage.write(turns.recover, is_gone)
        assert row.prompt_tokens == reserved.prompt_tokens > 0
        assert row.completion_tokens == reserved.completion_tokens == LIMITS.bounds.max_tokens
        reply = (await there.messages(one))[-1]
        assert (reply.state, reply.error) == ("interrupted", "process_died")
        await check_sums(there, one)
        turn.finish()


@on_both
@pytest.mark.parametrize("what", ["session", "account"])
async def test_a_deletion_under_a_running_turn_leaves_no_reservation(open_chat, ark, both, what):
    """Another process deletes: nobody tells the one that runs the turn."""
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 30")
        await grown(turn, 3)
        if what == "session":
            await chat.storage.write(erase.conversation, chat.user_id, one)
        else:
            await chat.storage.write(erase.account, chat.user_id)
        # Noticed by the process that runs it, which lives.
        await chat.storage.write(turns.recover, is_gone)
        await finished(turn)
        (row,) = await ledger(chat)
        assert row.state != "streaming"
        assert row.prompt_tokens > 0
        assert 0 < row.completion_tokens < LIMITS.bounds.max_tokens, "the one that ran it knows"
        assert (row.user_id is None) == (what == "account")
        with pytest.raises(ConversationNotFound):
            await chat.messages(one)


@on_both
async def test_a_turn_taken_for_dead_corrects_what_it_was_settled_at(open_chat, ark, both):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 30")
        await grown(turn, 3)

        def taken_for_dead() -> None:
            Turn.update(lease_until=1_000).execute()
            assert turns.recover(is_gone) == 1

        await chat.storage.write(taken_for_dead)
        await check_sums(chat, one)
        turn.stop("stopped")
        await finished(turn)
        reply = (await chat.messages(one))[-1]
        assert reply.content == turn.text
        assert reply.completion_tokens < LIMITS.bounds.max_tokens
        await check_sums(chat, one)


# A fresh quota


def accounts_of(chat, registration="open"):
    return Accounts(
        chat.storage, registration=registration, login_days=1, login_max_days=1, bcrypt_cost=4
    )


async def joined(chat, accounts, name, address, invite=""):
    await accounts.register(name, "correct horse", invite, address)
    user = await chat.storage.read(users.by_name_key, name)
    return replace(chat, user_id=user.id)


async def spend(chat):
    return await chat.ask(await chat.started(), "count 200")


@on_both
async def test_a_deleted_account_gives_no_fresh_quota_on_its_network(open_chat, both):
    async with open_chat(budget=replace(TIGHT, user_daily_tokens=2_000)) as chat:
        accounts = accounts_of(chat)
        honest = await joined(chat, accounts, "honest", "192.0.2.1")
        first = await joined(chat, accounts, "first", "192.0.2.1")
        await spend(first)
        used = (await chat.storage.read(chat.purse.today, first.user_id)).tokens
        assert used > 200
        await chat.storage.write(Turn.update(prompt_tokens=1_500).execute)
        with pytest.raises(BudgetUsedUp):
            await spend(first)
        await chat.storage.write(erase.account, first.user_id)

        second = await joined(chat, accounts, "first", "192.0.2.1")
        with pytest.raises(BudgetUsedUp):
            await spend(second)
        await chat.storage.write(erase.account, second.user_id)
        third = await joined(chat, accounts, "third", "192.0.2.1")
        with pytest.raises(BudgetUsedUp):
            await spend(third)

        assert (await spend(honest)).state == "complete", "who was there before is not concerned"
        elsewhere = await joined(chat, accounts, "elsewhere", "198.51.100.7")
        assert (await spend(elsewhere)).state == "complete"

        # Tomorrow it is over.
        await chat.storage.write(Turn.update(started_at=Turn.started_at - 86_400_000).execute)
        assert (await spend(third)).state == "complete"


async def test_an_address_is_kept_as_a_hash_and_not_for_long(open_chat):
    async with open_chat() as chat:
        accounts = accounts_of(chat)
        first = await joined(chat, accounts, "first", "192.0.2.1")
        await spend(first)
        network = (await chat.storage.read(User.get_by_id, first.user_id)).network
        assert re.fullmatch("[0-9a-f]{64}", network), "no address has that form"
        await chat.storage.write(erase.account, first.user_id)
        assert [row.network for row in await ledger(chat)] == [network]
        await chat.storage.write(Turn.update(started_at=Turn.started_at - 2 * 86_400_000).execute)
        second = await joined(chat, accounts, "second", "2001:db8::1")
        await chat.storage.write(erase.account, second.user_id)
        assert [row.network for row in await ledger(chat)] == [""]
