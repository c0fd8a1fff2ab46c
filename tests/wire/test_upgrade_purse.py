"""A database of the schema before the purse was mended, with a running turn in it, is opened and
gone on with: on SQLite and on PostgreSQL."""

import uuid

import pytest
from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.clock import now
from chatbot.storage import turns
from chatbot.storage.database import MIGRATIONS
from chatbot.storage.fields import stored_instant
from chatbot.storage.tables import Conversation, Turn
from chatbot.turns.worker import is_gone

pytestmark = pytest.mark.anyio

BEFORE = "0004_prompts"
SOON = 60_000


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A database of that schema in which a process died while it wrote its second reply."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'chat.db'}"
    else:
        server = request.getfixturevalue("postgres")
        name = f"chat_{uuid.uuid4().hex}"
        server.psql(f"create database {name}")
        url = server.get_uri(name)
    old = db_url.connect(url)
    with old.connection_context(), old.atomic():
        Runner(old, str(MIGRATIONS)).up(BEFORE)
        fill(old)
    return url


def fill(old):
    at = stored_instant(now())
    one = uuid.UUID(int=7).hex
    no = "'0'" if "Postgres" in type(old).__name__ else "0"
    yes = no.replace("0", "1")

    def insert(table, **values):
        given = {
            name: value.strip("!") for name, value in values.items() if str(value).startswith("!")
        }
        places = [given.get(name, old.param) for name in values]
        old.execute_sql(
            f'INSERT INTO "{table}" ({", ".join(values)}) VALUES ({", ".join(places)})',
            [value for name, value in values.items() if name not in given],
        )

    insert(
        "user", id=1, name="ann", name_key="ann", password_hash="x", is_admin=f"!{no}",
        created_at=at,
    )  # fmt: skip
    insert(
        "conversation", id=one, user_id=1, title="one", created_at=at, updated_at=at, head_id=4,
        model="ep-test", memory_kind="context", memory_ref="ctx-gone",
        memory_expires_at=at + SOON, turn_owner="dead", turn_until=at - 1,
    )  # fmt: skip
    said = {1: "echo: one", 2: "one", 3: "count 9", 4: "1 2 3"}
    for number, content in said.items():
        reply = number % 2 == 0
        insert(
            "message", id=number, conversation_id=one, parent_id=number - 1 or None,
            role="assistant" if reply else "user", content=content, thought="",
            state="streaming" if number == 4 else "complete", error="", notes="",
            stop_asked=f"!{no}", created_at=at, model="ep-test" if reply else "", request_id="",
            prompt_tokens=40 if number == 2 else None,
            completion_tokens=5 if number == 2 else None,
            micro_yuan=42 if number == 2 else None,
        )  # fmt: skip
    for reply, settled, prompt, completion, cost in ((2, yes, 40, 5, 42), (4, no, 90, 1000, 2072)):
        insert(
            "usage", at=at, user_id=1, conversation_id=one, reply_id=reply, model="ep-test",
            prompt_tokens=prompt, cached_tokens=0, completion_tokens=completion,
            reasoning_tokens=0, micro_yuan=cost, saved_micro_yuan=0, settled=f"!{settled}",
        )  # fmt: skip
    if "Postgres" in type(old).__name__:
        for table in ("user", "message"):
            old.execute_sql(f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), 100)")


async def test_the_sums_stay_and_the_open_reservation_is_settled(open_chat):
    async with open_chat() as chat:
        one = str(uuid.UUID(int=7))

        def rows():
            return [
                (row.reply_id, row.state, row.prompt_tokens, row.completion_tokens)
                for row in Turn.select().order_by(Turn.started_at)
            ]

        await chat.storage.write(turns.recover, is_gone)
        assert await chat.storage.read(rows) == [
            (2, "complete", 40, 5),
            (4, "interrupted", 90, 1000),
        ]
        today = await chat.storage.read(chat.purse.today, chat.user_id)
        assert (today.tokens, today.micro_yuan) == (40 + 5 + 90 + 1000, 42 + 2072)
        replies = (await chat.messages(one))[1::2]
        assert [(m.state, m.prompt_tokens, m.completion_tokens) for m in replies] == [
            ("complete", 40, 5), ("interrupted", 90, 1000),
        ]  # fmt: skip
        totals = (await chat.service.open(chat.user_id, one, 9)).totals
        assert (totals.prompt, totals.completion, totals.micro_yuan) == (130, 1005, 2114)


async def test_a_memory_whose_size_nobody_knows_is_reserved_by_the_history(open_chat):
    async with open_chat() as chat:
        one = str(uuid.UUID(int=7))
        await chat.storage.write(turns.recover, is_gone)
        # As the old version left it after a turn that ended well; Ark has lost it since.
        known = Conversation.update(memory_upto=4, prompt_hash=await prompt_hash(chat))
        await chat.storage.write(known.execute)
        reply = await chat.ask(one, "echo: on")
        assert (reply.content, reply.state) == ("on", "complete")
        row = (await chat.storage.read(lambda: list(Turn.select().order_by(Turn.started_at))))[-1]
        assert row.state != "streaming"
        assert (row.prompt_tokens, row.micro_yuan) == (reply.prompt_tokens, reply.micro_yuan)
        held = (await chat.storage.read(Conversation.get_by_id, one)).memory_tokens
        assert held > 0


async def prompt_hash(chat):
    """Of the system prompt that this app is started with."""
    await chat.ask(await chat.started(), "echo: x")
    return await chat.storage.read(
        lambda: Conversation.select().where(Conversation.prompt_hash != "").get().prompt_hash
    )
