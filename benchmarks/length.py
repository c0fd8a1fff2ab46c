"""What grows with use: long conversations, long lists, many messages to search."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.driver import Driven, Job, ready
from benchmarks.people import converse
from benchmarks.server import Server
from benchmarks.sheet import Sheet
from benchmarks.stage import App, Stage
from benchmarks.statements import MARK
from benchmarks.streaming import BRIEFLY, add_first_token, add_reader
from benchmarks.work import APP, BARE, PLAIN, Scale

SMALL = 30
"""Messages of the conversation that a long one is compared with: as many as the page shows."""
ROUNDS = 5
SEARCHED = 256
"""Bytes of each message that is searched."""
STATEMENT = re.compile(f"{MARK}(?:SELECT|WITH|INSERT|UPDATE|DELETE)".encode())


def replies(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """A reply at a reader's pace, in conversations of different length."""
    work = f"one user, {scale.steady} tokens at 50/s in a long conversation"
    question = f"count {scale.steady}"
    app = stage.standing_app()

    def asked(question: str, length: int) -> Job:
        return Job("tab", app.server.url, question, [app.tab(length) if length else app.tab()])

    for _ in range(scale.repeat):
        for length in (0, *scale.lengths):
            name, job = _named(APP, length), asked(question, length)
            add_reader(stage, sheet, work, name, app.server, job, scale.steady)
        for length in (0, *scale.lengths):
            job = Job("bare", stage.ark_url, question, [{"messages": length}])
            add_reader(stage, sheet, work, _named(BARE, length), None, job, scale.steady)
    for _ in range(scale.firsts):
        for length in (0, *scale.lengths):
            name, job = _named(APP, length), asked(BRIEFLY, length)
            add_first_token(stage, sheet, work, name, app.server, job)
    for length in scale.plain_lengths:
        with stage.plain(length) as plain:
            for _ in range(scale.repeat):
                job = Job("tab", plain.url, question, [{"headers": {}}])
                add_reader(stage, sheet, work, _named(PLAIN, length), plain, job, scale.steady)


def _named(subject: str, length: int) -> str:
    return f"{subject}, {length} messages" if length else f"{subject}, empty"


def looking(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """Opening a conversation, listing conversations, searching messages."""
    app = stage.standing_app()
    lookers = _lookers(app, scale)
    for (work, subject), user in lookers.items():
        with ready([Job("looker", app.server.url, work, [user])]) as look:
            look()
            for _ in range(scale.repeat * ROUNDS):
                [heard] = look().heard
                sheet.add(work, "answer", "ms", subject, (heard.at(1) - heard.asked) * 1000)
                sheet.add(work, "answer's size", "KB", subject, heard.bytes / 1024)
    with stage.app(app.database, via=["-m", "benchmarks.statements"]) as app:
        for (work, subject), user in lookers.items():
            known = {**user, "headers": app.known(user["headers"])}
            with ready([Job("looker", app.server.url, work, [known])]) as look:
                look()
                # Every second the app also looks after running replies: the least is the event's.
                least = min(statements(app.server, look) for _ in range(ROUNDS))
                sheet.add(work, "SQL statements, the login's included", "count", subject, least)


def _lookers(app: App, scale: Scale) -> dict[tuple[str, str], dict[str, Any]]:
    """By work and subject, somebody with so much to look at."""
    lookers: dict[tuple[str, str], dict[str, Any]] = {}
    for length in (SMALL, scale.opened):
        lookers["open a conversation", f"{length} messages"] = app.tab(length)
    for size in scale.list_sizes:
        lookers["list the conversations", f"{size} conversations"] = app.tab(*[2] * size)
    for size in scale.search_sizes:
        name, headers = app.newcomer()
        most = min(size, 100)
        made = converse(app.database, name, [most] * (size // most), SEARCHED)
        user = {"headers": headers, "conversation": made[0]}
        lookers["search for a word that is nowhere", f"{size} messages"] = user
    return lookers


def statements(server: Server, look: Callable[[], Driven]) -> int:
    """How many SQL statements the app has logged while somebody looked."""
    before = server.log.stat().st_size
    look()
    return len(STATEMENT.findall(server.log.read_bytes()[before:]))
