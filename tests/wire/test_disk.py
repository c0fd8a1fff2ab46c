"""The database when it is locked, full, slow or told another time: what was typed and answered is
kept, and what cannot be stored is refused as a whole.

Some of it is a matter of moments, so time is steered here: pauses are short, locks are held and
let go, and a save can be kept waiting. Nothing waits for a fixed time.
"""

import asyncio
import contextlib
import json
import sqlite3
from datetime import timedelta

import peewee
import pytest

from chatbot.clock import now
from chatbot.errors import StorageUnavailable
from chatbot.storage import database, turns
from chatbot.storage.database import Storage
from chatbot.storage.tables import TABLES, Turn
from tests.conftest import finished, grown, leased_until
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio

LONG = "echo: " + "long enough to need new pages in the file " * 400


class Hurry:
    """What turns take for `asyncio`: the same, but with short pauses."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.05))


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr("chatbot.turns.keeper.asyncio", Hurry())
    monkeypatch.setattr("chatbot.turns.final_save.LONGEST_PAUSE", 0.05)
    # Five seconds of patience for each try would only make these tests long.
    monkeypatch.setitem(database.SQLITE_PRAGMAS, "busy_timeout", 20)


@contextlib.contextmanager
def locked(chat):
    """Another program writes, and takes its time."""
    other = sqlite3.connect(chat.storage.database.database, isolation_level=None)
    other.execute("begin exclusive")
    try:
        yield
    finally:
        other.close()


class Volume:
    full = False


@pytest.fixture
def volume(monkeypatch):
    """A disk that has no room for another page while it is `full`."""
    volume, writing = Volume(), Storage._writing

    @contextlib.contextmanager
    def written(storage):
        # As many pages as there are, if that is more.
        most = 1 if volume.full else 2**30
        storage.database.execute_sql(f"pragma max_page_count = {most}")
        with writing(storage):
            yield

    monkeypatch.setattr(Storage, "_writing", written)
    return volume


async def until(true, seconds=20):
    async with asyncio.timeout(seconds):
        while not (found := await true()):
            await asyncio.sleep(0.005)
    return found


async def stored(chat, conversation_id):
    return (await chat.messages(conversation_id))[-1]


async def everything(chat):
    """All rows of all tables."""
    return await chat.storage.read(
        lambda: {table.__name__: list(table.select().tuples()) for table in TABLES}
    )


async def memory_is_what_is_seen(chat, conversation_id):
    seen = [[m.role, m.content] for m in await chat.messages(conversation_id)]
    reply = await chat.ask(conversation_id, "recall")
    return json.loads(reply.content) == [["system", "Be brief."], *seen]


# Locked


@pytest.mark.parametrize("lease", [10, 0.05], ids=["briefly", "for longer than the lease"])
async def test_a_reply_that_ends_while_the_database_is_locked_is_saved(
    open_chat, ark, monkeypatch, caplog, lease
):
    monkeypatch.setattr("chatbot.turns.keeper.LEASE_SECONDS", lease)
    ark.fail_next(Fault.silence(after=3, seconds=0.1))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 30")
        await grown(turn, 3)
        with locked(chat):
            await grown(turn, len("1 2 3 4"))

            async def refused():
                return caplog.text.count("database is locked") > 2

            await until(refused)
            assert not turn.done, "a reply that is not saved has not ended"
            assert await stored(chat, one), "what is there can be read meanwhile"
        await finished(turn)
        reply = await stored(chat, one)
        assert (reply.state, reply.content) == ("complete", " ".join(map(str, range(1, 31))))
        assert await memory_is_what_is_seen(chat, one)


async def test_a_question_to_a_locked_database_is_refused_as_a_whole(open_chat, ark):
    async with open_chat() as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        before = await everything(chat)
        with locked(chat), pytest.raises(StorageUnavailable):
            await chat.send(one, "echo: two")
        assert await everything(chat) == before
        assert (await chat.ask(one, "echo: two")).content == "two"


async def test_a_save_that_comes_late_does_not_undo_the_final_one(open_chat, ark, monkeypatch):
    ark.pace = 0.01
    held, free, made = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow:
        """The storage, which takes its time for one save of text."""

        def __init__(self, storage):
            self.storage = storage

        def __getattr__(self, name):
            return getattr(self.storage, name)

        async def write(self, work, *args):
            if work is not turns.save or held.is_set() or not args[2][0].content:
                return await self.storage.write(work, *args)
            held.set()
            await free.wait()
            asked_to_stop = await self.storage.write(work, *args)
            made.set()
            return asked_to_stop

    async with open_chat() as chat:
        chat.runner._keeper._storage = Slow(chat.storage)
        one = await chat.started()
        turn = await chat.send(one, "count 30")
        await held.wait()
        await finished(turn)
        free.set()
        await made.wait()
        reply = await stored(chat, one)
        assert (reply.state, reply.content) == ("complete", " ".join(map(str, range(1, 31))))


# Full


async def test_a_question_to_a_full_disk_is_refused_as_a_whole(open_chat, ark, volume):
    async with open_chat(max_output_tokens=30_000) as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        before = await everything(chat)
        volume.full = True
        with pytest.raises(StorageUnavailable):
            await chat.send(one, LONG)
        assert await everything(chat) == before
        volume.full = False
        assert (await chat.ask(one, LONG)).content == LONG.removeprefix("echo: ").strip()
        assert await memory_is_what_is_seen(chat, one)


@pytest.mark.parametrize("how", ["complete", "stopped", "interrupted"])
async def test_a_reply_for_which_there_is_no_room_waits_for_it(open_chat, ark, volume, caplog, how):
    fault = {
        "complete": Fault.silence(after=3, seconds=0.1),
        "stopped": Fault.silence(after=2000),
        "interrupted": Fault.drop(after=2000),
    }
    ark.fail_next(fault[how])
    async with open_chat(max_output_tokens=30_000) as chat:
        one = await chat.started()
        volume.full = True
        turn = await chat.send(one, "count 3000")
        whole = " ".join(map(str, range(1, 3001)))
        await grown(turn, len(" ".join(map(str, range(1, 2001)))))

        async def refused():
            return caplog.text.count("ERROR") > 2

        if how == "stopped":
            await chat.service.stop(chat.user_id, one)
        await until(refused)
        assert not turn.done
        volume.full = False
        await finished(turn)
        reply = await stored(chat, one)
        assert (reply.state, reply.content) == (how, turn.text)
        assert whole.startswith(reply.content)
        assert await memory_is_what_is_seen(chat, one)


# Failing anywhere


class Failing:
    """Lets the n-th statement of a transaction fail, once."""

    def __init__(self, monkeypatch):
        self.at = None
        self.statements = 0
        execute = peewee.SqliteDatabase.execute_sql

        def executed(db, sql, *args, **kwargs):
            if self.at is not None and not sql.startswith(("PRAGMA", "SELECT", "WITH")):
                self.statements += 1
                if self.statements == self.at:
                    self.at = None
                    wrong = sqlite3.OperationalError("disk I/O error")
                    wrong.sqlite_errorcode = sqlite3.SQLITE_IOERR
                    with peewee.__exception_wrapper__:
                        raise wrong
            return execute(db, sql, *args, **kwargs)

        monkeypatch.setattr(peewee.SqliteDatabase, "execute_sql", executed)

    def next(self, at):
        self.at, self.statements = at, 0


@pytest.mark.parametrize("move", ["send", "edit", "regenerate", "go_on", "undo", "delete"])
async def test_what_fails_half_way_leaves_everything_as_it_was(open_chat, ark, monkeypatch, move):
    # Only what is tried here touches the database: the keeper sleeps.
    monkeypatch.setattr("chatbot.turns.keeper.SAVE_SECONDS", 3600)
    monkeypatch.setattr("chatbot.turns.keeper.asyncio", asyncio)
    async with open_chat() as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        ark.fail_next(Fault.drop(after=2))
        last = await chat.ask(one, "count 9")
        question = (await chat.messages(one))[-2]
        service, me = chat.service, chat.user_id
        tries = {
            "send": lambda: chat.send(one, "echo: two"),
            "edit": lambda: chat.edit(one, question.id, "echo: two"),
            "regenerate": lambda: chat.regenerate(one, last.id),
            "go_on": lambda: chat.go_on(one, last.id),
            "undo": lambda: service.undo(me, one, last.id),
            "delete": lambda: service.delete(me, one),
        }
        failing = Failing(monkeypatch)
        before = await everything(chat)
        refused = 0
        while True:
            failing.next(refused + 1)
            try:
                done = await tries[move]()
            except StorageUnavailable:
                refused += 1
                assert await everything(chat) == before
                continue
            break
        failing.at = None
        assert refused > 0
        if move in ("send", "edit", "regenerate", "go_on"):
            await finished(done)
            assert (await stored(chat, one)).state == "complete"
            assert await memory_is_what_is_seen(chat, one)


async def test_a_final_save_that_fails_half_way_is_made_again(open_chat, ark, monkeypatch):
    async with open_chat() as chat:
        one = await chat.started()
        failing = Failing(monkeypatch)
        number = 0
        while failing.at is None:
            number += 1
            ark.fail_next(Fault.silence(after=2, seconds=0.05))
            turn = await chat.send(one, f"echo: reply number {number}")
            failing.next(number)
            await finished(turn)
            reply = await stored(chat, one)
            assert (reply.state, reply.content) == ("complete", f"reply number {number}")
            if number > 12:
                break
        failing.at = None
        assert number > 3
        assert await memory_is_what_is_seen(chat, one)


# Another time


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_jumps_in_a_running_turn_loses_nothing(open_chat, ark, clock, hours):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 30")
        await grown(turn, 5)
        clock.ahead = timedelta(hours=hours)

        async def noticed():
            until = await here.storage.read(leased_until, one)
            return turn.done or not until or abs(until - clock()) < timedelta(minutes=1)

        # Either its own process is the first to notice, and renews the lease; or the other is,
        # and takes it for dead.
        await until(noticed)
        await there.service.stop(there.user_id, one)
        await finished(turn)
        reply = await stored(here, one)
        assert reply.content == "1 2 3"
        assert reply.state in ("stopped", "interrupted")
        assert await memory_is_what_is_seen(there, one)


async def test_a_running_reply_keeps_its_lease(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 30")
        first = await chat.storage.read(leased_until, one)

        async def renewed():
            return (await chat.storage.read(leased_until, one)) > first

        await until(renewed)
        await chat.service.stop(chat.user_id, one)
        await finished(turn)


async def test_a_reply_waits_for_room_for_as_long_as_it_takes(open_chat, volume, monkeypatch):
    async with open_chat(max_output_tokens=30_000) as chat:
        one = await chat.started()
        tries, end = [], turns.finish
        monkeypatch.setattr(turns, "finish", lambda *args: tries.append(1) or end(*args))
        volume.full = True
        turn = await chat.send(one, "count 3000")

        async def tried_often():
            return turn.done or len(tries) > 12

        await until(tried_often)
        volume.full = False
        await finished(turn)
        assert (await stored(chat, one)).content == turn.text


def said(*texts):
    """An answer of Ark in so many pieces; the texts are JSON strings."""
    frame = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]}'
    delta = '{"index":0,"delta":{"role":"assistant","content":%s},"finish_reason":%s}'
    deltas = [delta % (text, "null") for text in texts] + [delta % ('""', '"stop"')]
    lines = [f"data: {frame % one}\n\n" for one in deltas]
    body = "".join([*lines, "data: [DONE]\n\n"]).encode()
    return Fault("body", status=200, type="text/event-stream", body=body)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([r'"half \ud83d a character"'], "half \ufffd a character"),
        ([r'"in two \ud83d"', r'"\ude00 pieces"'], "in two 😀 pieces"),
        ([r'"a NUL \u0000 in it"'], "a NUL  in it"),
    ],
)
async def test_a_reply_that_no_database_can_hold_is_made_fit(open_chat, ark, pieces, text):
    async with open_chat() as chat:
        one = await chat.started()
        ark.fail_next(said(*pieces))
        turn = await chat.send(one, "hello")
        await asyncio.wait(chat.runner._tasks)
        assert turn.done
        reply = await stored(chat, one)
        assert (reply.state, reply.content) == ("complete", text)
        assert (await chat.ask(one, "echo: next")).content == "next"


async def test_a_question_that_no_database_can_hold_is_made_fit(chat):
    one = await chat.started()
    reply = await chat.ask(one, "echo: half \ud83d a character")
    assert reply.content == "half \ufffd a character"


@pytest.mark.parametrize("error", [peewee.DataError("one row"), StorageUnavailable()], ids=repr)
async def test_the_keeper_outlives_whatever_goes_wrong_in_one_round(
    open_chat, ark, monkeypatch, error
):
    wrong = [error]
    save = turns.save

    def save_or_fail(*args):
        if wrong:
            raise wrong.pop()
        return save(*args)

    monkeypatch.setattr(turns, "save", save_or_fail)
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 30")

        async def saved():
            return (await stored(chat, one)).content == "1 2 3"

        try:
            await until(saved, 3)
        finally:
            await chat.service.stop(chat.user_id, one)
            await finished(turn)


async def test_a_clock_set_back_does_not_make_a_dead_process_immortal(open_chat, clock):
    async with open_chat() as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        soon = now() + timedelta(seconds=10)
        died = {"user": chat.user_id, "conversation": one, "worker": "dead"}
        await chat.storage.write(Turn.create, lease_until=soon, **died)
        clock.ahead = timedelta(hours=-1)
        assert (await chat.ask(one, "echo: two")).content == "two"


# Not so yet


async def test_the_log_says_that_the_disk_is_full(open_chat, volume, caplog):
    async with open_chat() as chat:
        one = await chat.started()
        volume.full = True
        with pytest.raises(StorageUnavailable):
            await chat.send(one, LONG)
        volume.full = False
    assert "disk is full" in caplog.text


async def test_a_process_that_ends_does_not_sleep_before_the_last_save(
    open_chat, volume, monkeypatch
):
    class Endless(Hurry):
        async def sleep(self, _):
            await asyncio.Event().wait()

    tries, finish = [], turns.finish
    monkeypatch.setattr(turns, "finish", lambda *args: tries.append(1) or finish(*args))
    async with open_chat(max_output_tokens=30_000) as chat:
        monkeypatch.setattr("chatbot.turns.keeper.asyncio", Endless())
        one = await chat.started()
        volume.full = True
        turn = await chat.send(one, "count 3000")

        async def tried():
            return tries

        await until(tried)
        volume.full = False
        try:
            async with asyncio.timeout(2):
                await chat.runner.close()
        finally:
            for task in chat.runner._tasks:
                task.cancel()
        assert (await stored(chat, one)).content == turn.text
