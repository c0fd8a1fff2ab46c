"""The last save of a reply on a database that does not take it, SQLite and PostgreSQL: the reply
ends, no word of it is lost, nobody else notices."""

import asyncio

import peewee
import pytest

from chatbot.errors import StorageUnavailable
from chatbot.storage import kept, turns
from chatbot.storage.current import database
from chatbot.storage.tables import State, Turn
from chatbot.turns.final_save import TRIES
from chatbot.turns.worker import is_gone
from tests.conftest import finished, grown, leased_until
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio

BELL = "a \x07 bell"
HOLD = "1 2 3 4 5 6 7 8 9"
EACH_WAY = 4


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Replies are kept in a folder of this test, and pauses are short."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr("chatbot.turns.final_save.LONGEST_PAUSE", 0.01)
    monkeypatch.setattr("chatbot.turns.keeper.SAVE_SECONDS", 0.02)
    return tmp_path


async def refuse(chat, text):
    """Have the database itself refuse every reply with this in it."""
    literal = text.replace("\x07", "'||{0}(7)||'")
    found = "replace({1}content, '" + literal + "', '') <> {1}content"

    def refuse() -> None:
        if isinstance(database.obj, peewee.PostgresqlDatabase):
            wrong = found.format("chr", "")
            database.execute_sql(
                f"ALTER TABLE message ADD CONSTRAINT no CHECK (role = 'user' OR NOT ({wrong}))"
            )
            return
        wrong = found.format("char", "NEW.")
        database.execute_sql(
            f"CREATE TRIGGER no BEFORE UPDATE ON message WHEN NEW.role <> 'user' AND {wrong} "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    await chat.storage.write(refuse)


def kept_in(folder):
    return [file.read_text("utf-8") for file in sorted(folder.rglob("reply-*.txt"))]


async def check_free(chat, one):
    """Nothing streams, nothing is reserved, and the conversation takes the next question."""

    running = Turn.select().where(Turn.state == State.STREAMING)
    assert await chat.storage.read(running.count) == 0
    assert (await chat.ask(one, "echo: next")).content == "next"


async def test_a_text_that_is_refused_for_its_odd_characters_is_stored_without(
    open_chat, here, caplog
):
    async with open_chat() as chat:
        one = await chat.started()
        await refuse(chat, "\x07")
        reply = await chat.ask(one, f"echo: {BELL}")
        assert (reply.state, reply.content) == ("complete", "a  bell")
        assert kept_in(here) == [BELL]
        await check_free(chat, one)
    (told,) = [line for line in caplog.messages if "is kept in" in line]
    assert str(here) in told
    assert "bell" not in told


async def test_a_text_that_is_refused_whatever_is_done_is_kept_in_a_file(open_chat, here):
    async with open_chat() as chat:
        one, two = await chat.started(), None
        await refuse(chat, "5 6")
        reply = await chat.ask(one, "count 9")
        assert (reply.state, reply.error) == ("failed", "not_saved")
        assert kept_in(here) == [HOLD]
        used = await chat.storage.read(Turn.get)
        assert used.state == State.FAILED
        assert (reply.prompt_tokens, reply.completion_tokens) == (
            used.prompt_tokens,
            used.completion_tokens,
        )
        await check_free(chat, one)
        two = await chat.started()
        assert two != one


async def test_one_text_that_is_refused_keeps_no_other_from_being_saved(open_chat, ark, here):
    ark.fail_next(Fault.silence(after=7))
    ark.fail_next(Fault.silence(after=4))
    async with open_chat() as chat:
        bad = await chat.started()
        await refuse(chat, "5 6")
        first = await chat.send(bad, "count 9")
        await grown(first, len("1 2 3 4 5 6 7"))
        good = await chat.started()
        second = await chat.send(good, "count 9")
        await grown(second, len("1 2 3 4"))

        async with asyncio.timeout(20):
            while (await chat.messages(good))[-1].content != "1 2 3 4":
                await asyncio.sleep(0.01)
        lease = await chat.storage.read(leased_until, bad)
        async with asyncio.timeout(20):
            while await chat.storage.read(leased_until, bad) == lease:
                await asyncio.sleep(0.01)
        assert not first.done
        for one in (bad, good):
            await chat.service.stop(chat.user_id, one)
        await finished(first)
        await finished(second)
        assert (await chat.messages(good))[-1].content == "1 2 3 4"
        assert kept_in(here) == [first.text]
        await check_free(chat, bad)


@pytest.mark.parametrize("failing", range(EACH_WAY + 1))
async def test_a_mistake_of_ours_in_the_last_save_loses_nothing(
    open_chat, here, monkeypatch, caplog, failing
):
    """So many of the ways to save fail, one after the other."""
    wrong = {
        "whole": failing > 0,
        "plain": failing > 1,
        "without text": failing > 2,
        "as reserved": failing > 3,
    }
    finish, give_up = turns.finish, turns.give_up
    tries = {"finish": 0, "give up": 0}

    def finish_or_not(*args):
        tries["finish"] += 1
        way = "whole" if tries["finish"] <= TRIES else "plain"
        if wrong[way]:
            raise TypeError(f"a mistake with {HOLD}")
        finish(*args)

    def give_up_or_not(*args):
        tries["give up"] += 1
        way = "without text" if tries["give up"] <= TRIES else "as reserved"
        if wrong[way]:
            raise TypeError(f"a mistake with {HOLD}")
        give_up(*args)

    monkeypatch.setattr(turns, "finish", finish_or_not)
    monkeypatch.setattr(turns, "give_up", give_up_or_not)
    monkeypatch.setattr("chatbot.turns.keeper.LEASE_SECONDS", 0.05)
    async with open_chat() as chat:
        one = await chat.started()
        reply = await chat.ask(one, "count 9")
        if failing < 2:
            assert (reply.state, reply.content) == ("complete", HOLD)
            assert kept_in(here) == []
        else:
            assert kept_in(here) == [HOLD]
        monkeypatch.undo()
        async with asyncio.timeout(20):
            # Where nothing at all could be stored, the next round of a keeper ends the reply.
            while (await chat.messages(one))[-1].state == "streaming":
                await chat.storage.write(turns.recover, is_gone)
        await check_free(chat, one)
    assert HOLD not in caplog.text
    assert caplog.text.count("TypeError in") == TRIES * failing


async def test_a_reply_that_a_closing_process_cannot_save_is_kept_in_a_file(
    open_chat, ark, here, monkeypatch
):
    ark.fail_next(Fault.silence(after=4))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 9")
        await grown(turn, len("1 2 3 4"))

        def unavailable(*args):
            raise StorageUnavailable()

        monkeypatch.setattr(turns, "finish", unavailable)
        monkeypatch.setattr(turns, "save", unavailable)
        async with asyncio.timeout(20):
            await chat.runner.close()
        assert kept_in(here) == [turn.text]
