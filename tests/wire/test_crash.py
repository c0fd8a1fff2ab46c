"""The app as a process, killed in mid-reply and started again: what was asked and answered is
there, and people can go on.

The pages are played over the HTTP that browsers use, so that it is known what had been shown at
the moment of a kill.
"""

import asyncio
import json
import random
import re
import shutil
import signal
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from chatbot.turns.keeper import SAVE_SECONDS
from tests.page import PATIENCE, browser, reply_of
from tests.server import running_server

pytestmark = pytest.mark.anyio

SYSTEM = ["system", "Be brief."]
UNLIMITED = {
    "MAX_TURNS_PER_USER": "60",
    "SENDS_PER_MINUTE": "0",
    "USER_DAILY_TOKENS": "0",
    "DAILY_YUAN": "0",
    "MONTHLY_YUAN": "0",
    "SYSTEM_PROMPT": SYSTEM[1],
}
LATE = 3.0
"""Seconds by which a busy machine may be late with its save."""


def counted(last):
    return " ".join(map(str, range(1, last + 1)))


@dataclass
class Asked:
    """A question, and what the page has shown of its reply: when, and how much."""

    conversation: str
    last: int
    accepted: bool = False
    """Whether the page has shown the question as sent."""
    seen: list[tuple[float, str]] = field(default_factory=list)
    ended: bool = False
    stored: str = ""
    """What was stored of the reply when the server died."""

    @property
    def question(self):
        return f"count {self.last}"

    @property
    def text(self):
        return self.seen[-1][1] if self.seen else ""

    def seen_by(self, moment):
        return max((text for at, text in self.seen if at <= moment), key=len, default="")


async def ask(tab, asked):
    """Send the question and note what is shown, until the end of the reply or the server."""
    with suppress(httpx.HTTPError):
        async for messages, *_ in tab.event(
            "send", asked.conversation, None, "", asked.question, ""
        ):
            asked.accepted = True
            text = reply_of(messages)
            if re.match(r"1\b", text):
                asked.seen.append((time.monotonic(), text))
        asked.ended = True


def rows_of(folder):
    """What a dead server left in its file: messages by conversation, oldest first."""
    copies = folder / "copy"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    # A copy, since whoever opens the file itself does the recovery that is the app's to do.
    for file in folder.glob("chat.db*"):
        shutil.copy(file, copies)
    with closing(sqlite3.connect(copies / "chat.db")) as opened:
        assert opened.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert opened.execute("pragma foreign_key_check").fetchall() == []
        found = {}
        for conversation, *message in opened.execute(
            "select message.conversation_id, role, content, coalesce(state, 'complete'), "
            "coalesce(error, '') from message left join turn on reply_id = message.id "
            "order by message.id"
        ):
            found.setdefault(str(uuid.UUID(conversation)), []).append(message)
        return found


async def until(true):
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.002)


async def start_asking(tab, last):
    """A question in a conversation of its own, and the task that watches its reply."""
    asked = Asked(await tab.new_conversation(), last)
    return asked, asyncio.create_task(ask(tab, asked))


# Kill when the newest reply shows so many words, of how many; None: as soon as it was sent.
KILLS = [(None, 150), (0, 150), (20, 150), (300, 350), (30, 30), (45, 47)]


async def test_a_server_killed_at_any_moment_has_lost_nothing(ark, tmp_path):
    dice = random.Random(2026)
    everything, cookies = [], None
    with running_server(ark, tmp_path, **UNLIMITED) as server:
        port = server.port
        for words, last in KILLS:
            ark.pace = 0.02
            async with browser(server, "Ann", cookies) as here:
                cookies = here.cookies
                lengths = dice.randint(20, 200), dice.randint(20, 200), last
                asked, killed_at = await killed_in_mid_reply(
                    server, [here.tab() for _ in lengths], lengths, words, dice
                )
            stored = rows_of(tmp_path)
            for one in asked:
                if rows := stored.get(one.conversation):
                    check_stored(rows, one, killed_at)
                    everything.append(one)
                else:
                    # The next new conversation will be this one, since nothing was said in it.
                    assert not one.accepted, "a question that was shown as sent is stored"
            server.start(port)
        ark.pace = 0
        async with browser(server, "Ann", cookies) as here:
            tab = here.tab()
            for one in everything[:-3]:
                await goes_on(tab, one)
            await nothing_streams(tmp_path)
            for one in everything[-3:]:
                await goes_on(tab, one)
        assert server.end() == 0
        assert "Traceback" not in server.log


async def killed_in_mid_reply(server, tabs, lengths, words, dice):
    """Ask in every tab and kill the server when the last reply shows so many words."""
    asked, watching = [], []
    for tab, length in zip(tabs, lengths, strict=True):
        one, task = await start_asking(tab, length)
        asked.append(one)
        watching.append(task)
        if tab is not tabs[-1] or words is not None:
            await until(lambda one=one: one.accepted)
    await until(lambda: len(asked[-1].text.split()) >= (words or 0))
    await asyncio.sleep(dice.uniform(0, 0.05))
    killed_at = time.monotonic()
    server.end(signal.SIGKILL)
    await asyncio.gather(*watching)
    return asked, killed_at


def check_stored(rows, one, killed_at):
    (asked, question, _, _), (role, text, state, _) = rows
    assert (asked, question, role) == ("user", one.question, "assistant")
    assert counted(one.last).startswith(text)
    due = one.seen_by(killed_at - SAVE_SECONDS - LATE)
    assert text.startswith(due), f"{len(due)} characters were shown, {len(text)} are stored"
    if one.ended:
        assert (text, state) == (counted(one.last), "complete")
    one.stored = text


async def nothing_streams(folder):
    """Nobody has to ask: once the leases have run out, every reply has been ended."""
    with closing(sqlite3.connect(folder / "chat.db")) as file:
        streaming = "select count(*) from turn where state = 'streaming'"
        await until(lambda: file.execute(streaming).fetchone() == (0,))
        ended = file.execute(
            "select content, state, error from turn join message on message.id = reply_id "
            "where error != ''"
        )
        assert {(bool(text), state, error) for text, state, error in ended} <= {
            (True, "interrupted", "process_died"),
            (False, "failed", "process_died"),
        }


async def goes_on(tab, one):
    """The conversation opens as it was left, and the model knows it like that."""
    thread = await tab.thread(one.conversation)
    assert thread == [["user", one.question], ["assistant", one.stored]]
    messages, *_ = await tab.result("send", one.conversation, None, "", "recall", "")
    known = thread if one.stored else []
    assert json.loads(reply_of(messages)) == [SYSTEM, *known]


async def test_a_server_that_is_told_to_end_saves_fifty_running_replies(ark, tmp_path):
    ark.pace = 0.05
    with running_server(ark, tmp_path, **UNLIMITED) as server:
        # Two people: one may have fewer tabs.
        async with browser(server, "Ann") as here, browser(server, "Bob") as there:
            asked, watching = [], []
            for number in range(50):
                one, task = await start_asking((here, there)[number % 2].tab(), 5000)
                asked.append(one)
                watching.append(task)
                await until(lambda one=one: one.accepted)
            await until(lambda: all(one.text for one in asked))
            assert await asyncio.to_thread(server.end, signal.SIGTERM) == 0
            await asyncio.gather(*watching)
        stored = rows_of(tmp_path)
        for one in asked:
            question, (_, text, state, error) = stored[one.conversation]
            assert question[1] == one.question
            assert (state, error) == ("interrupted", "server_stopped")
            assert counted(one.last).startswith(text)
            assert text.startswith(one.text)
        assert "Traceback" not in server.log
