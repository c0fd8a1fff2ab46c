"""A public link under attack: two processes on one database, and people who mean no good.

Each attack runs against both processes at once; in the middle of it honest people are served.
"""

import asyncio
import uuid
from collections import Counter
from contextlib import AsyncExitStack, contextmanager

import httpx
import pytest

from chatbot.accounts.throttle import PER_ACCOUNT, PER_ADDRESS
from chatbot.storage import users
from chatbot.storage.database import open_storage
from chatbot.storage.tables import Conversation, Turn
from tests.fake_ark import FakeArk
from tests.page import PASSWORD, ROUTES, Refused, browser
from tests.server import running_server

pytestmark = pytest.mark.anyio

YUAN = 1_000_000
DAILY_YUAN = 2
RESERVED = 100
"""Completion tokens set aside for a turn: about a twentieth of the day's budget."""
SETTINGS = {
    "TRUSTED_PROXIES": "127.0.0.1",
    "REGISTRATION": "open",
    "DAILY_YUAN": str(DAILY_YUAN),
    "MAX_OUTPUT_TOKENS": str(RESERVED),
    "PRICE_INPUT": "1",
    "PRICE_OUTPUT": "1000",
    "MAX_TURNS_PER_USER": "2",
    "SENDS_PER_MINUTE": "0",
}
SLOW = 20
"""How many failures more than are free may have been let through, because time passes."""


@pytest.fixture(scope="module")
def database(postgres):
    """A PostgreSQL: what SQLite with its one writer cannot get wrong can go wrong here."""
    name = f"chat_{uuid.uuid4().hex}"
    postgres.psql(f"create database {name}")
    return postgres.get_uri(name)


@pytest.fixture
def ark(abused_ark):
    return abused_ark


@pytest.fixture(scope="module")
def abused_ark():
    with FakeArk(pace=0) as running:
        yield running


@pytest.fixture(scope="module")
def servers(abused_ark, database, tmp_path_factory):
    """Two processes of the app."""
    folders = [tmp_path_factory.mktemp("server") for _ in range(2)]
    settings = {**SETTINGS, "DATABASE_URL": database}
    with (
        running_server(abused_ark, folders[0], **settings) as one,
        running_server(abused_ark, folders[1], **settings) as two,
    ):
        yield one, two


@contextmanager
def looking_into(database):
    """The database as the test itself sees it."""
    storage = open_storage(database)
    yield storage
    storage.close()


async def swarm(servers, path, bodies, address):
    """Post all of these, 20 at a time, to one server and the other; counts the answers."""
    told = Counter()
    pending = list(enumerate(bodies))
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=60))
            for server in servers
        ]

        async def post():
            while pending:
                number, body = pending.pop()
                headers = {"X-Forwarded-For": address(number)}
                answer = await clients[number % 2].post(path, json=body, headers=headers)
                told[answer.status_code] += 1

        await asyncio.gather(*[post() for _ in range(20)])
    return told


async def test_a_hundred_registrations_make_a_handful_of_accounts(servers):
    bodies = [{"name": f"robot {number}", "password": PASSWORD} for number in range(100)]
    flood = asyncio.create_task(
        swarm(servers, f"{ROUTES}/register", bodies, lambda _: "203.0.113.1")
    )
    async with browser(servers[0], "honest one", address="198.51.100.1") as someone:
        assert (await someone.client.get(f"{ROUTES}/me")).json()["user"]["name"] == "honest one"
    told = await flood
    assert set(told) == {200, 429}
    assert told[200] <= PER_ADDRESS.free + SLOW


async def test_hundreds_of_wrong_passwords_are_a_handful_of_guesses(servers):
    async with browser(servers[1], "guessed at", address="198.51.100.2") as owner:
        bodies = [{"name": "guessed at", "password": f"guess {n:04}"} for n in range(400)]
        # From everywhere, so that only the account can tell.
        flood = asyncio.create_task(
            swarm(servers, f"{ROUTES}/login", bodies, lambda n: f"203.0.{n // 250}.{n % 250}")
        )
        assert (await owner.client.get(f"{ROUTES}/me")).json()["user"]["name"] == "guessed at"
        async with browser(servers[0], "honest two", address="198.51.100.3") as someone:
            login = {"name": "honest two", "password": PASSWORD}
            assert (await someone.client.post(f"{ROUTES}/login", json=login)).is_success
        told = await flood
        assert set(told) == {401, 429}
        assert told[401] <= PER_ACCOUNT.free + SLOW
        # Who is logged in already is not locked out by it.
        assert (await owner.client.get(f"{ROUTES}/me")).json()["user"]["name"] == "guessed at"


async def test_fifty_sends_at_once_are_two_replies(servers, database, ark):
    ark.pace = 0.05
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            browser(servers[0], "greedy", address="198.51.100.4")
        )
        second = await stack.enter_async_context(
            browser(servers[1], known=first.cookies, address="198.51.100.4")
        )
        with looking_into(database) as storage:
            sessions = storage.write_now(fifty_sessions, "greedy")
        accepted = []

        async def send(number):
            tab = (first, second)[number % 2].tab()
            await tab.result("view", sessions[number], None)
            try:
                async for messages, *_ in tab.event(
                    "send", sessions[number], None, "", "count 90", ""
                ):
                    if messages and number not in accepted:
                        accepted.append(number)
            except Refused:
                pass

        sending = [asyncio.create_task(send(number)) for number in range(50)]
        running = set(sending)
        while len(running) > 2:
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        assert len(accepted) == 2
        async with browser(servers[1], "honest three", address="198.51.100.5") as someone:
            tab = someone.tab()
            session = await tab.new_conversation()
            assert await tab.ask(session, "echo: served") == "served"
        await asyncio.gather(*sending)
        assert len(accepted) == 2
    ark.pace = 0


def fifty_sessions(name):
    user = users.by_name_key(name)
    return [str(Conversation.create(user=user, title=f"session {n}").id) for n in range(50)]


async def test_twenty_people_at_the_edge_of_the_budget_never_cross_it(servers, database, ark):
    ark.pace = 0.002

    async def talk(number):
        """Ask until the purse is empty."""
        server, address = servers[number % 2], f"198.51.100.{100 + number}"
        async with browser(server, f"spender {number}", address=address) as someone:
            tab = someone.tab()
            session = await tab.new_conversation()
            with pytest.raises(Refused, match="budget for today"):
                await ask_for_ever(tab, session)

    await asyncio.gather(*[talk(number) for number in range(20)])
    with looking_into(database) as storage:
        rows = storage.write_now(lambda: list(Turn.select()))
    spent = sum(row.micro_yuan for row in rows)
    assert all(row.state != "streaming" for row in rows)
    assert spent <= DAILY_YUAN * YUAN
    # As much as can be spent is spent: less is left than one more turn could take.
    assert spent > (DAILY_YUAN - 2 * RESERVED / 1000) * YUAN


async def ask_for_ever(tab, session):
    while True:
        await tab.ask(session, "count 20")
