"""The servers the works play on: the local Ark, the plain ChatInterface and the app."""

import contextlib
import functools
import json
import random
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks import people
from benchmarks.server import Server, get, running

OPEN_HOUSE = {
    # What would end a benchmark and has nothing to do with its speed. The password hash is made
    # cheap to get many accounts quickly: only the work that times logins does log in, and that
    # one sets its own.
    "USER_DAILY_TOKENS": "0",
    "DAILY_YUAN": "0",
    "MONTHLY_YUAN": "0",
    "MAX_TURNS": "200",
    "SENDS_PER_MINUTE": "0",
    # So that the accounts seem to come from many places.
    "TRUSTED_PROXIES": "127.0.0.1",
    "REGISTRATION": "open",
    "BCRYPT_COST": "4",
}


class Stage:
    """Hands out servers that all talk to one local Ark; `folder` takes databases and logs."""

    def __init__(self, folder: Path, ark: Server, ends: contextlib.ExitStack) -> None:
        self.folder = folder
        self.ark = ark
        self.ark_url = ark.url + "api/v3"
        self._ends = ends

    @functools.cached_property
    def standing_plain(self) -> Server:
        """A plain ChatInterface that stays for the whole run."""
        return self._ends.enter_context(self.plain())

    @functools.cache  # noqa: B019
    def standing_app(self, **environment: str) -> "App":
        """The app with these settings, for the whole run; each work brings people of its own."""
        return self._ends.enter_context(self.app(**environment))

    def pace(self, seconds: float) -> None:
        """Let Ark take so long for each token."""
        get(f"{self.ark.url}pace/{seconds}")

    def sent(self) -> list[dict[str, Any]]:
        """The replies that Ark has given since this was last asked."""
        return list(json.loads(get(f"{self.ark.url}sent")))

    @contextlib.contextmanager
    def plain(self, messages: int = 0) -> Iterator[Server]:
        """A plain ChatInterface."""
        command = ["-m", "benchmarks.plain", "{port}", self.ark_url, str(messages)]
        with running(command, self.folder) as server:
            yield server

    @contextlib.contextmanager
    def app(
        self, database: str = "", via: Sequence[str] = (), **environment: str
    ) -> Iterator["App"]:
        """This app, on a database of its own if none is named; `via` a program that runs it."""
        url = database or f"sqlite:///{self.folder / uuid4().hex}.db"
        settings = {
            **OPEN_HOUSE,
            "ARK_API_KEY": "bench-key",
            "ARK_MODEL": "ep-bench",
            # As the bare SDK asks: the ratios compare the same calls.
            "ARK_MEMORY": "context",
            "ARK_BASE_URL": self.ark_url,
            "DATABASE_URL": url,
            **environment,
        }
        with running([*via, "app.py", "--port", "{port}"], self.folder, **settings) as server:
            yield App(server, url)


class App:
    """The running app, its people and their conversations."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database

    def newcomer(self) -> tuple[str, dict[str, str]]:
        """The name of a new account, and the headers of a browser that is logged in with it."""
        name = uuid4().hex[:16]
        answer = self.post("register", name, "correct horse battery")
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return name, {"cookie": cookie, "accept-language": "en"}

    def known(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers of a browser that logged in to another process on the same database: the
        login cookie is named after the port."""
        port = urllib.parse.urlsplit(self.server.url).port
        return {**headers, "cookie": re.sub(r"_\d+=", f"_{port}=", headers["cookie"])}

    def post(self, route: str, name: str, password: str) -> Any:
        """Log in or register, from an address of one's own so that so many are no flood."""
        address = ".".join(["10", *(str(random.randrange(256)) for _ in range(3))])
        request = urllib.request.Request(
            f"{self.server.url}gradio_api/chatbot/{route}",
            json.dumps({"name": name, "password": password}).encode(),
            {"content-type": "application/json", "x-forwarded-for": address},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return direct.open(request, timeout=30)

    def tab(self, *conversations: int) -> dict[str, Any]:
        """What a driver needs for a tab of a new account.

        With numbers it has conversations of so many messages, and the last one is opened.
        """
        name, headers = self.newcomer()
        made = people.converse(self.database, name, conversations) if conversations else [""]
        return {"headers": headers, "conversation": made[-1]}


@contextlib.contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    with contextlib.ExitStack() as ends:
        ark = running(["-m", "benchmarks.ark", "{port}"], folder, path="sent")
        yield Stage(folder, ends.enter_context(ark), ends)
