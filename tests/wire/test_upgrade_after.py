"""After an upgrade, and in the midst of one: people go on, and whatever dies has lost nothing."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import peewee
import pytest
from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.clock import now
from chatbot.errors import TurnRunning
from chatbot.storage import conversations, erase, turns, usage
from chatbot.storage.current import database
from chatbot.storage.database import MIGRATIONS, open_storage
from chatbot.storage.fields import stored_instant
from chatbot.storage.tables import Conversation, Login, Message, Turn, User
from chatbot.turns.worker import is_gone
from tests.conftest import finished, grown
from tests.fake_ark import Fault
from tests.wire.old_rows import ANN, BOB, EARLIER, OldRows, fill, open_old

pytestmark = pytest.mark.anyio

LAST = EARLIER[-1]
BEFORE_THE_PURSE = "0004_prompts"
ONE, TWO, THREE, FOUR = (str(uuid.UUID(int=number)) for number in range(1, 5))
LONG_AGO = now() - timedelta(days=365)


@pytest.fixture(params=EARLIER)
def schema(request):
    return request.param


@pytest.fixture
def database_url(each_bare_database_url):
    return each_bare_database_url


@pytest.fixture
def filled(database_url, schema):
    fill_now(database_url, schema)
    return schema


def fill_now(url, schema):
    """A database of that schema in which people talk at this moment."""
    old = open_old(url, schema)
    with old.connection_context(), old.atomic():
        fill(old, schema, stored_instant(now()))


def ledger(url):
    """How many rows with numbers the ledger of an old database has, and their sum."""
    old = db_url.connect(url)
    numbers = "prompt_tokens + completion_tokens"
    with old.connection_context():
        [row] = old.execute_sql(
            f"SELECT COUNT(*), SUM({numbers}) FROM usage WHERE {numbers} > 0"
        ).fetchall()
    return tuple(map(int, row))


def turns_with_numbers():
    """The same of the turns."""
    tokens = Turn.prompt_tokens + Turn.completion_tokens
    [row] = Turn.select(peewee.fn.COUNT(Turn.id), peewee.fn.SUM(tokens)).where(tokens > 0).tuples()
    return tuple(map(int, row))


def used_by_all():
    everybody = [ANN, BOB, *(row.id for row in User.select().where(User.id > BOB))]
    return {user: usage.of_person(user, LONG_AGO)[:3] for user in everybody}


async def test_people_go_on(filled, open_chat, ark, clock):
    async with open_chat() as chat:
        assert chat.user_id == ANN

        # A reply that another process writes is left to it, and can be asked to stop.
        with pytest.raises(TurnRunning):
            await chat.send(TWO, "echo: too early")
        await chat.service.stop(ANN, TWO)

        # What is there is continued, answered again and followed by more.
        stopped = (await chat.messages(ONE))[-1]
        await finished(await chat.go_on(ONE, stopped.id))
        longer = (await chat.messages(ONE))[-1]
        assert (longer.id, longer.state) == (stopped.id, "complete")
        assert longer.content.startswith(stopped.content)
        assert longer.prompt_tokens > (stopped.prompt_tokens or 0)
        await finished(await chat.regenerate(ONE, longer.id))
        assert len((await chat.service.open(ANN, ONE, 99)).versions) == 2
        ark.fail_next(Fault.silence(after=5))
        turn = await chat.send(ONE, "count 500")
        await grown(turn, 5)
        await chat.service.stop(ANN, ONE)
        await finished(turn)
        assert (await chat.messages(ONE))[-1].state == "stopped"

        # What a dead process left has been ended.
        for talk, state in ((THREE, "interrupted"), (FOUR, "failed")):
            last = (await chat.messages(talk))[-1]
            assert (last.state, last.error) == (state, "process_died")
            assert (await chat.ask(talk, "echo: on")).content == "on"

        clock.ahead = timedelta(seconds=20)
        assert (await chat.ask(TWO, "echo: free")).content == "free"

        used = await chat.storage.read(usage.of_person, ANN, LONG_AGO)
        await chat.service.delete(ANN, ONE)
        assert await chat.storage.read(usage.of_person, ANN, LONG_AGO) == used
        app = await chat.storage.read(usage.of_app, LONG_AGO, LONG_AGO)
        await chat.storage.write(erase.account, ANN)
        assert await chat.storage.read(usage.of_app, LONG_AGO, LONG_AGO) == app
        left = await chat.storage.read(
            lambda: list(Turn.select().where((Turn.refs != "") | Turn.conversation.is_null(False)))
        )
        assert {turn.user_id for turn in left} == {BOB}
        if chat.storage.folder:
            check = await chat.storage.read(
                lambda: database.execute_sql("PRAGMA foreign_key_check").fetchall()
            )
            assert check == []


def test_turns_of_dead_processes_are_ended_with_what_was_set_aside(database_url, filled, clock):
    clock.at = now()
    storage = open_storage(database_url, clock=clock)
    before = storage.write_now(used_by_all)
    # Those without a lease that runs: two conversations, and what belongs to nothing any more.
    assert storage.write_now(turns.recover, is_gone) == 2 + 2 * (filled >= "0003")
    running = storage.write_now(lambda: [turns.running_in(user) for user in (ANN, BOB)])
    assert [len(keys) for keys in running] == [1, 1]
    clock.ahead = timedelta(seconds=20)
    assert storage.write_now(turns.recover, is_gone) == 2
    after = storage.write_now(used_by_all)
    assert {user: (tokens + held, 0) for user, (tokens, _, held) in before.items()} == {
        user: (tokens, held) for user, (tokens, _, held) in after.items()
    }
    assert not storage.write_now(Turn.select().where(Turn.state == "streaming").exists)
    storage.close()


def test_no_id_is_given_twice(database_url, filled):
    storage = open_storage(database_url)

    def last_ids():
        conversation = Conversation.get_by_id(ONE)
        message = Message.create(conversation=conversation, role="user")
        user = User.create(name="fay", name_key="fay", password_hash="x")
        login = Login.create(user=user, token_hash=uuid.uuid4().hex, expires_at=now())
        ids = message.id, user.id, login.id
        message.delete_instance()
        user.delete_instance()
        return ids

    first, second = storage.write_now(last_ids), storage.write_now(last_ids)
    storage.close()
    assert [new > old for old, new in zip(first, second, strict=True)] == [True] * 3


MANY = (
    """
INSERT INTO "user" (id, name, name_key, password_hash, is_admin, created_at, network)
SELECT number, number, number, 'x', false, 0, '' FROM generate_series(100, 199) AS number
""",
    """
INSERT INTO usage (at, user_id, model, prompt_tokens, cached_tokens, completion_tokens,
    reasoning_tokens, micro_yuan, saved_micro_yuan, settled, network)
SELECT 60000 * number, 100 + MOD(number, 100), '', 1, 0, 1, 0, 1, 0, true, ''
FROM generate_series(1, 10000) AS number
""",
)


@pytest.mark.parametrize("schema", [LAST])
def test_what_is_asked_most_is_found_by_index(database_url, filled):
    if not database_url.startswith("sqlite"):
        # PostgreSQL plans by the number of rows, and reads all of a few.
        old = db_url.connect(database_url)
        with old.connection_context():
            for statement in MANY:
                old.execute_sql(statement)
    storage = open_storage(database_url)
    since = datetime.fromtimestamp(300_000, UTC)

    def plans(look, *args):
        """How the database finds the turns for what is looked up."""
        asked = []
        execute = storage.database.execute_sql
        storage.database.execute_sql = lambda sql, params=None: (
            asked.append((sql, params)) or execute(sql, params)
        )
        try:
            look(*args)
        finally:
            del storage.database.execute_sql
        explain = "EXPLAIN QUERY PLAN" if storage.folder else "EXPLAIN"
        return " ".join(
            str(row) for sql, params in asked if '"turn"' in sql
            for row in execute(f"{explain} {sql}", params).fetchall()
        )  # fmt: skip

    def look():
        if not storage.folder:
            database.execute_sql("ANALYZE")
        return (
            plans(conversations.listed, ANN, ONE),
            plans(turns.running_in, ANN),
            plans(usage.of_person, ANN, since),
            plans(usage.of_app, now(), now()),
        )

    talk, running, person, app = storage.write_now(look)
    assert "turn_running" in talk
    assert "turn_running_of_user" in running
    assert "turn_user_id_started_at" in person
    assert "turn_started_at_micro_yuan" in app
    for plan in (talk, running, person, app):
        assert not re.search("SCAN t|Seq Scan on turn", plan), plan
    storage.close()


# In the midst of an upgrade

DIES = """
import os, signal, sys
import peewee
from chatbot.storage.database import open_storage

url, last = sys.argv[1:]
execute = peewee.Database.execute_sql

def deadly(self, sql, *args, **kwargs):
    found = execute(self, sql, *args, **kwargs)
    if last in sql:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

peewee.Database.execute_sql = deadly
open_storage(url)
"""
"""Opens a database in a process that dies with a certain statement."""


def test_an_upgrade_that_is_killed_is_done_by_the_next_start(tmp_path):
    url = f"sqlite:///{tmp_path / 'killed'}"
    fill_now(url, LAST)
    stored = ledger(url)
    for last in ("INTO turn", "DROP TABLE usage", 'DROP TABLE "message"', 'schema_migration" ('):
        died = subprocess.run([sys.executable, "-c", DIES, url, last], check=False)
        assert died.returncode == -signal.SIGKILL, last
        assert ledger(url) == stored, "nothing of it is there"
    storage = open_storage(url)
    assert storage.write_now(turns_with_numbers) == stored
    storage.close()
    with closing(sqlite3.connect(tmp_path / "killed")) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("schema", [None, "0001_first_tables", LAST])
def test_processes_that_start_at_once_upgrade_together(postgres, schema):
    for _ in range(3):
        url = new_database(postgres)
        if schema:
            fill_now(url, schema)
        stored = ledger(url) if schema else None
        with ThreadPoolExecutor(3) as starts:
            opened = list(starts.map(open_storage, [url] * 3))
        if stored:
            assert opened[0].write_now(turns_with_numbers) == stored
        for storage in opened:
            storage.close()


def new_database(postgres):
    name = f"chat_{uuid.uuid4().hex}"
    postgres.psql(f"create database {name}")
    return str(postgres.get_uri(name))


def test_what_others_write_before_the_tables_are_changed_is_kept(postgres):
    """An old version may still run on the server when the first new one starts."""
    url = new_database(postgres)
    fill_now(url, LAST)
    old = db_url.connect(url)
    with old.connection_context(), ThreadPoolExecutor(1) as start:
        with old.atomic():
            OldRows(old, 6, stored_instant(now())).ledger(ANN, None, None, (1, 0, 1, 0))
            opening = start.submit(open_storage, url)
            waits = "SELECT 1 FROM pg_locks JOIN pg_database ON database = pg_database.oid "
            waits += "WHERE NOT granted AND datname = current_database()"
            until = time.monotonic() + 20
            while not old.execute_sql(waits).fetchall() and time.monotonic() < until:
                time.sleep(0.01)
        [[rows]] = [[ledger_rows(opening.result())]]
    assert rows == 1


def ledger_rows(storage):
    """How many turns used one token for the prompt and one for the completion."""
    one = (Turn.prompt_tokens == 1) & (Turn.completion_tokens == 1)
    found = storage.write_now(Turn.select().where(one).count)
    storage.close()
    return found


@pytest.mark.parametrize("schema", ["0002_response_ids", LAST])
def test_an_upgrade_takes_as_long_as_there_are_messages(tmp_path, schema):
    """Not as long as their square: a hundred thousand messages took minutes."""
    few, many = (steps(tmp_path / str(replies), schema, replies) for replies in (400, 1_600))
    assert many < 4 * few * 1.5


def steps(path, schema, replies):
    """How many thousand steps SQLite takes to upgrade so many replies."""
    old = open_old(f"sqlite:///{path}", schema)
    with old.connection_context():
        with old.atomic():
            rows = OldRows(old, int(schema[:4]), stored_instant(now()))
            rows.user(ANN, "ann")
            for number in range(replies):
                talk = rows.talk(number + 1, ANN)
                rows.ask(talk, None, "a", "b", (9, 0, 1, 0))
        taken = []
        old.execute_sql("PRAGMA foreign_keys = 0")
        old.connection().set_progress_handler(lambda: taken.append(1) and None, 1_000)
        Runner(old, str(MIGRATIONS)).up()
    return len(taken)


# A process that died while it wrote its second reply, before the purse was mended


@pytest.fixture
def cut_off(database_url):
    """A conversation of two turns, of which the second was cut off."""
    old = open_old(database_url, BEFORE_THE_PURSE)
    with old.connection_context(), old.atomic():
        rows = OldRows(old, 4, stored_instant(now()))
        rows.user(ANN, "ann")
        soon = rows.at + 60_000
        talk = rows.talk(7, ANN, memory_kind="context", memory_ref="gone", memory_expires_at=soon)
        _, first = rows.ask(talk, None, "echo: one", "one", (40, 0, 5, 0))
        asked = rows.message(talk, first, "user", "count 9")
        rows.write(talk, asked, (90, 0, 1000, 0), answer="1 2 3", until=-1)
        rows.finish()
    return str(uuid.UUID(talk.key)), first, talk.head


async def test_the_sums_stay_and_the_open_reservation_is_settled(cut_off, open_chat):
    one, first, second = cut_off
    async with open_chat() as chat:

        def rows():
            return [
                (row.reply_id, row.state, row.prompt_tokens, row.completion_tokens)
                for row in Turn.select().order_by(Turn.started_at)
            ]

        await chat.storage.write(turns.recover, is_gone)
        assert await chat.storage.read(rows) == [
            (first, "complete", 40, 5),
            (second, "interrupted", 90, 1000),
        ]
        used = await chat.storage.read(usage.of_person, ANN, LONG_AGO)
        assert used[:2] == (40 + 5 + 90 + 1000, 55 + 3090)
        replies = (await chat.messages(one))[1::2]
        assert [(m.state, m.prompt_tokens, m.completion_tokens) for m in replies] == [
            ("complete", 40, 5), ("interrupted", 90, 1000),
        ]  # fmt: skip
        totals = (await chat.service.open(chat.user_id, one, 9)).totals
        assert (totals.prompt, totals.completion, totals.micro_yuan) == (130, 1005, 3145)


async def test_a_memory_whose_size_nobody_knows_is_reserved_by_the_history(cut_off, open_chat):
    one, _, last = cut_off
    async with open_chat() as chat:
        await chat.storage.write(turns.recover, is_gone)
        # As the old version left it after a turn that ended well; Ark has lost it since.
        known = Conversation.update(memory_upto=last, prompt_hash=await prompt_hash(chat))
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
