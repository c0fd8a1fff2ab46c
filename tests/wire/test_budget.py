"""The purse: nothing is spent that was not set aside before Ark was called."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chatbot.ark.offline import count_messages, count_tokens
from chatbot.ark.tokens import estimate_tokens
from chatbot.budget import Prices
from chatbot.clock import now
from chatbot.errors import AppBudgetUsedUp, BudgetUsedUp, MonthlyBudgetUsedUp, Paused, TooManyTurns
from chatbot.storage import switches, turns, usage
from chatbot.storage.tables import Message, Turn, User
from chatbot.turns.purse import PAUSE, Purse
from chatbot.turns.worker import is_gone
from chatbot.usage import Used
from tests.conftest import LIMITS, NO_LIMITS, finished, grown
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio
PRICES = Prices(input=1.0, cached=0.1, output=10.0, storage=0)
TIGHT = replace(NO_LIMITS, prices=lambda model: PRICES)


async def ledger(chat):
    return await chat.storage.read(lambda: list(Turn.select().order_by(Turn.started_at)))


def model_calls(ark):
    return [r for r in ark.requests if r.path.endswith("completions") or "responses" in r.path]


@pytest.mark.parametrize(
    "text",
    [
        "hello there, how are you today?",
        "你好，今天天气怎么样？" * 20,
        "mixed 中文 and English " * 30,
        "def f(x):\n\treturn x ** 2\n" * 40,
        "😀🎉👩‍💻" * 50,
        "مرحبا بالعالم " * 40,
        "x" * 5000,
        "1234567890 " * 99,
    ],
)
def test_the_estimate_is_never_below_what_the_local_ark_counts(text):
    assert estimate_tokens(text) >= count_messages([{"role": "user", "content": text}])


@pytest.mark.parametrize("memory", ["context", "responses", "chat"])
async def test_what_was_set_aside_covers_what_was_used(open_chat, memory):
    set_aside = []
    unwatched = Purse.reserve

    def noted(self, turn, calls, before=()):
        if not before:
            set_aside.append(sum(calls, Used()))
        unwatched(self, turn, calls, before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Purse, "reserve", noted)
        async with open_chat(memory=memory) as chat:
            one = await chat.started()
            for text in ("echo: " + "some words " * 50, "count 100", "你好" * 200, "recall"):
                await chat.ask(one, text)
            rows = await ledger(chat)
    assert len(rows) == 4
    for row, most in zip(rows, set_aside, strict=True):
        assert row.state != "streaming"
        assert 0 < row.prompt_tokens <= most.prompt
        assert 0 < row.completion_tokens <= most.completion == LIMITS.bounds.max_tokens


async def test_a_reply_costs_what_its_tokens_cost(open_chat):
    async with open_chat(budget=TIGHT) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        reply = await chat.ask(one, "count 50")
        fresh = reply.prompt_tokens - reply.cached_tokens
        cost = fresh + reply.cached_tokens * 0.1 + reply.completion_tokens * 10
        assert cost <= reply.micro_yuan < cost + 1
        thread = await chat.service.open(chat.user_id, one, 30)
        costs = [message.micro_yuan for message in thread.messages if message.role != "user"]
        assert thread.totals.micro_yuan == sum(costs)
        assert thread.totals.saved_micro_yuan == int(thread.totals.cached * 0.9)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"user_daily_tokens": 900}, BudgetUsedUp),
        ({"daily_yuan": 0.009}, AppBudgetUsedUp),
        ({"monthly_yuan": 0.009}, MonthlyBudgetUsedUp),
    ],
)
async def test_a_turn_that_could_cross_a_limit_is_refused_before_ark_is_called(
    open_chat, ark, limits, error
):
    async with open_chat(budget=replace(TIGHT, **limits)) as chat:
        one = await chat.started()
        with pytest.raises(BudgetUsedUp) as caught:
            await chat.send(one, "hello")
        assert type(caught.value) is error
        resets = caught.value.values["resets"]
        assert now() < resets <= now() + timedelta(days=32)
        assert ark.requests == []
        assert await chat.messages(one) == []
        assert await ledger(chat) == []


async def test_a_limit_of_ones_own_goes_before_the_common_one(open_chat):
    async with open_chat(budget=replace(TIGHT, user_daily_tokens=900)) as chat:
        one = await chat.started()
        await chat.storage.write(User.update(daily_tokens=100_000).execute)
        assert (await chat.ask(one, "echo: yes")).content == "yes"


async def test_yesterday_does_not_count(open_chat):
    async with open_chat(budget=replace(TIGHT, user_daily_tokens=3000)) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        await chat.storage.write(Turn.update(prompt_tokens=5000).execute)
        with pytest.raises(BudgetUsedUp):
            await chat.send(one, "again")
        await chat.storage.write(Turn.update(started_at=now() - timedelta(days=1, hours=1)).execute)
        assert (await chat.ask(one, "echo: again")).content == "again"


async def test_the_switch_stops_new_turns_in_every_process(open_chat, ark):
    ark.fail_next(Fault.silence(after=2))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 9")
        await grown(turn)
        await there.storage.write(switches.turn, PAUSE, True)
        for chat in (here, there):
            other = await chat.started()
            with pytest.raises(Paused):
                await chat.send(other, "hello")
        assert not turn.done, "what runs goes on"
        await there.storage.write(switches.turn, PAUSE, False)
        await here.service.stop(here.user_id, one)
        await finished(turn)
        assert (await there.ask(await there.started(), "echo: on")).content == "on"


async def test_what_was_stopped_is_paid_for_by_estimate(open_chat, ark):
    ark.fail_next(Fault.silence(after=5))
    async with open_chat(budget=TIGHT) as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 50")
        await grown(turn, 5)
        await chat.service.stop(chat.user_id, one)
        await finished(turn)
        (row,) = await ledger(chat)
        assert row.state != "streaming"
        given = [{"content": LIMITS.system_prompt}, {"content": "count 50"}]
        built, asked = count_messages(given[:1]), count_messages(given)
        assert row.prompt_tokens >= built + asked
        assert count_tokens(turn.text) <= row.completion_tokens == estimate_tokens(turn.text)
        reply = (await chat.messages(one))[-1]
        assert reply.prompt_tokens == row.prompt_tokens
        assert reply.completion_tokens == row.completion_tokens


async def test_what_another_session_has_set_aside_is_held_but_not_used(open_chat, ark):
    async with open_chat(budget=replace(TIGHT, user_daily_tokens=1_800)) as chat:
        await chat.ask(await chat.started(), "echo: a")
        (row,) = await ledger(chat)
        used = (row.prompt_tokens + row.completion_tokens, row.micro_yuan)

        ark.fail_next(Fault.silence(after=5))
        one = await chat.started()
        turn = await chat.send(one, "count 50")
        await grown(turn)
        today = await chat.storage.read(chat.purse.today, chat.user_id)
        assert (today.tokens, today.micro_yuan) == used
        assert today.reserved > LIMITS.bounds.max_tokens
        with pytest.raises(BudgetUsedUp):
            await chat.send(await chat.started(), "echo: b")
        await chat.service.stop(chat.user_id, one)
        await finished(turn)
        today = await chat.storage.read(chat.purse.today, chat.user_id)
        assert today.reserved == 0
        assert today.tokens > used[0]


async def test_what_ark_refused_costs_nothing(open_chat, ark):
    async with open_chat(budget=TIGHT, memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(Fault.http(401, "AuthenticationError"))
        await chat.ask(one, "hello")
        (row,) = await ledger(chat)
        assert (row.state, row.micro_yuan) == ("failed", 0)


async def test_a_reservation_of_a_dead_process_is_settled_as_it_is(chat):
    one = await chat.started()
    await chat.ask(one, "echo: some words")

    died = {"state": "streaming", "completion_tokens": 1000, "lease_until": 1000}
    await chat.storage.write(Turn.update(**died).execute)
    await chat.storage.write(turns.recover, is_gone)
    (row,) = await ledger(chat)
    reply = (await chat.messages(one))[-1]
    assert row.state != "streaming"
    assert row.completion_tokens == reply.completion_tokens == 1000


@pytest.mark.parametrize("memory", ["context", "chat"])
async def test_twenty_at_the_edge_of_a_budget_never_cross_it(open_chat, memory):
    """Two processes' worth of services, 20 people, all at once; some are served, the sum holds."""
    limit = 0.1
    tight = replace(TIGHT, daily_yuan=limit)
    async with (
        open_chat(budget=tight, memory=memory) as here,
        open_chat(budget=tight, memory=memory, beside=here) as there,
    ):
        people = [await here.user(f"person-{number}") for number in range(20)]

        async def ask(place, user_id):
            chat = (here, there)[place % 2]
            one = await chat.service.start_conversation(user_id)
            try:
                turn = await chat.send_as(user_id, one, "count 30")
            except (AppBudgetUsedUp, TooManyTurns):
                return 0
            await finished(turn)
            return 1

        served = await asyncio.gather(*(ask(*pair) for pair in enumerate(people)))
        budget = here.purse.budget
        months = budget.day(now()), budget.month(now())
        spent, _ = await here.storage.read(usage.of_app, *months)
        assert 0 < sum(served) < 20
        assert spent <= limit * 1_000_000
        assert await here.storage.read(Message.select().count) == 2 * sum(served)


def test_a_day_begins_where_the_budget_lives():
    tokyo = replace(NO_LIMITS, zone=ZoneInfo("Asia/Tokyo"))
    # Still the last day of May in London.
    at = datetime(2026, 5, 31, 16, 30, tzinfo=UTC)
    assert tokyo.day(at) == datetime(2026, 5, 31, 15, tzinfo=UTC), "midnight in Tokyo"
    assert tokyo.month(at) == datetime(2026, 5, 31, 15, tzinfo=UTC), "the first of June"
    assert NO_LIMITS.month(at) == datetime(2026, 5, 1, tzinfo=UTC)
