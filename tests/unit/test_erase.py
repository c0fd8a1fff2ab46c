"""Deleted text leaves the files of the database, whichever way it was deleted."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from chatbot.accounts import Person
from chatbot.self_service import SelfService
from chatbot.storage import database

pytestmark = pytest.mark.anyio
SECRET = "Zugvogel-4711"


def holding(folder, secret=SECRET):
    """The files of the folder that hold the text."""
    return [path.name for path in folder.iterdir() if secret.encode() in path.read_bytes()]


async def talk(chat):
    """A session in which the secret is in the title, a question, and replies that grew."""
    one = await chat.started()
    await chat.ask(one, f"echo: {SECRET} " + f"{SECRET} is secret. " * 500)
    await chat.ask(one, f"echo: {SECRET}")
    return one


async def by_session(chat, one):
    await chat.service.delete(chat.user_id, one)


async def by_account(chat, one):
    own = SelfService(chat.storage, chat.service, chat.runner)
    await own.delete_account(Person(chat.user_id, "ann", False))


WAYS = {"a session": by_session, "an account": by_account}


@pytest.mark.parametrize("delete", WAYS.values(), ids=WAYS)
async def test_deleted_text_is_in_no_file_any_more(chat, tmp_path, delete):
    kept = await chat.started()
    await chat.ask(kept, "echo: stays")
    one = await talk(chat)
    assert holding(tmp_path)
    await delete(chat, one)
    assert holding(tmp_path) == []


async def test_a_log_that_others_read_is_emptied_when_they_have_done(chat, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "LOG_SECONDS", (0.02,) * 500)
    one = await talk(chat)
    with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from message").fetchall()
        await chat.service.delete(chat.user_id, one)
        assert holding(tmp_path)
    async with asyncio.timeout(20):
        while holding(tmp_path):
            await asyncio.sleep(0.01)
