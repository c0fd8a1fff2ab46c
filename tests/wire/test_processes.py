"""Several processes on one database, and several databases in one process."""

import asyncio
import subprocess
import sys

import pytest

from chatbot.bootstrap import create_app
from chatbot.config import Settings
from chatbot.errors import TurnRunning
from chatbot.storage import erase
from chatbot.storage.database import open_storage
from chatbot.storage.tables import Turn, User
from chatbot.turns.running import RunningTurn
from chatbot.turns.worker import is_gone, new_worker
from tests.conftest import finished, grown
from tests.fake_ark import Fault
from tests.page import browser, reply_of
from tests.server import running_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


async def rounds(looks, many):
    """Wait until the keepers have looked at all running turns so many times more."""
    until = len(looks) + many
    async with asyncio.timeout(20):
        while len(looks) < until:
            await asyncio.sleep(0.005)


@pytest.fixture
def looks(monkeypatch):
    """Grows with each look of a keeper at one of its turns; seconds pass faster for keepers."""
    seen, is_orphan = [], RunningTurn.is_orphan

    def looked(self, seconds):
        seen.append(self)
        return is_orphan(self, seconds)

    monkeypatch.setattr(RunningTurn, "is_orphan", looked)
    monkeypatch.setattr("chatbot.turns.keeper.SAVE_SECONDS", 0.01)
    return seen


async def test_to_watch_from_another_process_is_to_watch(open_chat, ark, monkeypatch, looks):
    monkeypatch.setattr("chatbot.service.WATCH_SECONDS", 1.0)
    monkeypatch.setattr("chatbot.service.STORED_FRAME_SECONDS", 0.05)
    ark.fail_next(Fault.silence(after=3))
    async with open_chat(orphan_seconds=0.3) as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 9")

        async def watch():
            followed = there.service.follow(there.user_id, one, turn.started.reply_id, 0.05)
            return [snapshot async for snapshot in followed]

        watching = asyncio.create_task(watch())
        # For many times as long as an unwatched reply may run.
        until = asyncio.get_running_loop().time() + 1
        while asyncio.get_running_loop().time() < until:
            await rounds(looks, 5)
            assert not turn.done, "somebody watches it"
        watching.cancel()
        await finished(turn)
        stored = (await here.messages(one))[-1]
        assert (stored.state, stored.error) == ("interrupted", "orphaned")


async def test_a_thread_that_is_emptied_ends_who_follows_it(open_chat, ark, monkeypatch):
    monkeypatch.setattr("chatbot.service.STORED_FRAME_SECONDS", 0.01)
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 9")
        await grown(turn, 3)

        def empty():
            erase._delete_messages(Turn.conversation == one, erase.Message.conversation == one)
            erase.conversations.change(one, head_id=None)

        followed = there.service.follow(there.user_id, one, turn.started.reply_id, 0.01)
        async for snapshot in followed:
            if not snapshot.done:
                await here.storage.write(empty)
        assert snapshot.text == ""
        await finished(turn)


async def test_after_a_kill_the_conversation_is_free_at_once(ark, tmp_path):
    """The lease of 10 seconds is for other machines: here everybody sees that it is dead."""
    ark.fail_next(Fault.silence(after=3))
    with running_server(ark, tmp_path) as server:
        async with browser(server, "Ann") as here:
            tab = here.tab()
            one = await tab.new_conversation()
            async for messages, *_ in tab.event("send", one, None, "", "count 9", ""):
                if reply_of(messages).startswith("1 2"):
                    break
            server.end(9)
            server.start(server.port)
            messages, *_ = await here.tab().result("send", one, None, "", "echo: at once", "")
            assert reply_of(messages) == "at once"


OPEN_AND_CLOSE = """
import sqlite3, sys
opened = sqlite3.connect(sys.argv[1])
print(opened.execute("select count(*) from user").fetchone()[0])
opened.close()
"""


async def test_to_look_at_the_database_lets_go_of_no_lock(tmp_path):
    """To close any handle of a file releases the process's locks on it: another process that ends
    then takes itself for the last one and deletes the log that this one writes to."""
    path = tmp_path / "chat.db"
    storage = open_storage(f"sqlite:///{path}")

    def others_see():
        asked = [sys.executable, "-c", OPEN_AND_CLOSE, str(path)]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    for number in range(3):
        await storage.look()
        values = {"name": f"p{number}", "name_key": f"p{number}", "password_hash": "x"}
        await storage.write(User.create, **values)
        assert await asyncio.to_thread(others_see) == number + 1
    storage.close()


async def test_a_living_process_keeps_its_conversation(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 9")
        with pytest.raises(TurnRunning):
            await there.send(one, "too early")
        await here.service.stop(here.user_id, one)
        await finished(turn)


def test_a_process_is_known_by_its_number_and_its_start():
    me = new_worker()
    place, pid, started, random = me.rsplit(":", 3)
    assert not is_gone(me)
    assert is_gone(f"{place}:{pid}:{int(started) - 1}:{random}"), "its number was given again"
    assert not is_gone(f"elsewhere:{pid}:1:{random}"), "of another machine nobody can say"
    for odd in ("", "dead", "a:b:c:d", f"{place}:{pid}", f"{place}:x:1:y", f"{place}:-1:1:y"):
        assert not is_gone(odd)


async def test_to_end_waits_for_no_deletion_at_ark(open_chat, monkeypatch):
    monkeypatch.setattr("chatbot.turns.runner.FORGET_SECONDS", 0.05)
    async with open_chat(memory="responses") as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        begun = asyncio.Event()

        async def forget(refs):
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(chat.runner._memories, "forget", forget)
        await chat.service.delete(chat.user_id, one)
        await begun.wait()
        async with asyncio.timeout(10):
            await chat.runner.close()
        assert not chat.runner._deletions


def test_two_apps_in_one_process_do_not_touch(tmp_path):
    def settings(name):
        url = f"sqlite:///{tmp_path / name}.db"
        return Settings.from_env(ark_api_key=None, database_url=url, bcrypt_cost=4)

    apps = [create_app(settings(name)) for name in ("one", "two")]
    try:
        for app, name in zip(apps, ("Ann", "Bob"), strict=True):
            app.storage.write_now(User.create, name=name, name_key=name, password_hash="x")

        def nested():
            mine = [user.name for user in User.select()]
            other = apps[1].storage.write_now(lambda: [user.name for user in User.select()])
            return mine, other, [user.name for user in User.select()]

        assert apps[0].storage.write_now(nested) == (["Ann"], ["Bob"], ["Ann"])
    finally:
        for app in apps:
            app.close()
