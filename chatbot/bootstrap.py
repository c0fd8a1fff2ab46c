"""Builds the app from its settings and runs it.

`create_app` connects only to the database; `App.serve` starts the web server.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware

from chatbot.accounts import Accounts
from chatbot.admin import Admin
from chatbot.ark.client import ArkClient
from chatbot.ark.memory import kept_in, memories_for
from chatbot.ark.offline import OfflineArk
from chatbot.budget import UNKNOWN_PRICES, Budget, prices_are_known
from chatbot.config import Settings
from chatbot.errors import BadInput, BadSettings, NameTaken
from chatbot.files.reader import FileReader
from chatbot.garbage import search_rarely
from chatbot.listening import port_for
from chatbot.model_file import configured_models
from chatbot.options import Bounds
from chatbot.self_service import SelfService
from chatbot.send_rate import SendRateLimit
from chatbot.service import ChatService
from chatbot.storage.database import Storage, open_storage
from chatbot.turns.purse import Purse
from chatbot.turns.runner import Limits, Runner
from chatbot.ui import blocks
from chatbot.ui.account_routes import account_routes
from chatbot.ui.admin_page import AdminHandlers
from chatbot.ui.delivery import Delivery, about_routes
from chatbot.ui.doors import Doors
from chatbot.ui.event_inputs import EventInputs
from chatbot.ui.events import shorten
from chatbot.ui.export import export_route
from chatbot.ui.files_routes import files_routes
from chatbot.ui.guard import Guard, Rules, stand_in_front
from chatbot.ui.handlers import Handlers
from chatbot.ui.hit import hit_route
from chatbot.ui.options_route import options_route
from chatbot.ui.origins import Origins
from chatbot.ui.pace import Pace
from chatbot.ui.parts import sheet_route
from chatbot.ui.proxies import Proxies
from chatbot.ui.routes import routes
from chatbot.ui.sessions import Sessions
from chatbot.ui.source import source_route
from chatbot.ui.stopping import Stopping
from chatbot.ui.tabs import IN_ALL, PER_PERSON, Tabs
from chatbot.ui.theme import theme

log = logging.getLogger("chatbot")

STOP_SECONDS = 10
QUEUE_SIZE = 500
STARTS = 3
EVENTS = 1000
"""Concurrent Gradio events. Each tab that follows a reply uses one, so 40 (default) is too few."""
ANONYMOUS_PACE = partial(Pace, burst=200, per_second=5)
"""Events of one address without a login. Opening the page takes two, so a class of 100 can open
the login page together."""
PERSON_PACE = partial(Pace, burst=120, per_second=20)
"""Events of one person, in all their tabs."""
SPARE = 100
"""Room for the sessions of closed tabs that are still being freed."""
INVITATION_USES, INVITATION_DAYS = 20, 7
RETIRED = "Ark does not serve {model} since {day}: name another model in ARK_MODEL."


@dataclass
class App:
    """The complete app. `serve` runs it until `stopped` is set."""

    settings: Settings
    storage: Storage
    accounts: Accounts
    runner: Runner
    service: ChatService
    reader: FileReader
    admin: Admin
    demo: gr.Blocks
    client: ArkClient
    offline_ark: OfflineArk | None
    registration: str
    loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    sessions: Sessions = field(default_factory=Sessions, repr=False)
    stopping: Stopping = field(default_factory=Stopping, repr=False)

    def __post_init__(self) -> None:
        self.routes = [
            *routes(
                self.accounts,
                self.storage.look,
                login_days=self.settings.login_days,
                paused=self.admin.paused,
            ),
            export_route(self.accounts, self.service),
            source_route(self.accounts, self.service),
            hit_route(self.accounts, self.service),
            options_route(self.accounts, self.service),
            *about_routes(blocks.TITLE, blocks.DESCRIPTION),
            sheet_route(),
            *files_routes(self.accounts, self.service),
            *account_routes(self.accounts, SelfService(self.storage, self.service, self.runner)),
        ]
        self.rules = self._rules()

    @asynccontextmanager
    async def lifespan(self, served: Any) -> AsyncIterator[None]:
        self.loop = asyncio.get_running_loop()
        self.runner.open()
        shortcuts = shorten(served)
        self.sessions.attach(served)
        self.stopping.attach(served)
        stand_in_front(served, self.rules, shortcuts)
        watching = asyncio.create_task(self.rules.watch())
        search_rarely()
        yield
        watching.cancel()

    def launch(self, **more: Any) -> str:
        """Start serving in the background; returns the local address.

        `more` goes to Gradio's `launch`. Raises `BadSettings` if host or port is not available.
        """
        self.demo.queue(
            default_concurrency_limit=None,
            max_size=QUEUE_SIZE,
        )
        host, port = self.settings.gradio_server_name, self.settings.gradio_server_port
        for attempt in range(1, STARTS + 1):
            free = port_for(host, port)
            try:
                url = self._launch(free, **more)
                break
            except OSError as error:
                # Another program took the port. The next attempt checks again: it may be free.
                if attempt == STARTS:
                    told = f"the web server did not start at port {free}, tried {STARTS} times"
                    raise BadSettings([told]) from error
        self.rules.doors.starting = False
        return url

    def _launch(self, port: int, **more: Any) -> str:
        settings = self.settings
        _, url, _ = self.demo.launch(
            server_name=settings.gradio_server_name,
            server_port=port,
            share=settings.gradio_share,
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            # On by default: would store inputs in the browser and publish usage figures.
            run_history=False,
            enable_monitoring=False,
            show_error=False,
            footer_links=[],
            max_file_size="1mb",
            max_threads=EVENTS,
            state_session_capacity=IN_ALL + SPARE,
            i18n=blocks.I18N,
            theme=theme(),
            css_paths=[blocks.HERE / name for name in blocks.STYLES],
            head=blocks.head(blocks.FileLimits(settings.max_files, settings.max_file_mb)),
            app_kwargs={
                "lifespan": self.lifespan,
                "routes": self.routes,
                "middleware": [
                    Middleware(Delivery, blocks.TITLE, blocks.DESCRIPTION),
                    Middleware(Guard, self.rules),
                ],
            },
            **more,
        )
        return str(url)

    def _rules(self) -> Rules:
        settings = self.settings
        handlers = {number: str(entry.name) for number, entry in self.demo.fns.items() if entry.fn}
        return Rules(
            accounts=self.accounts,
            doors=Doors(self.routes),
            proxies=Proxies(settings.trusted_proxies, self._outer_names),
            origins=Origins(
                settings.allowed_hosts,
                on_loopback=settings.is_on_loopback,
                own_name=settings.gradio_server_name,
                outer_names=self._outer_names,
            ),
            inputs=EventInputs(handlers, max_input_chars=settings.max_input_chars),
            # A user who may have many running replies may also follow them.
            tabs=Tabs(
                self.sessions.free,
                self.sessions.begin,
                per_person=max(PER_PERSON, 2 * settings.max_turns_per_user),
            ),
            anonymous_pace=ANONYMOUS_PACE(),
            person_pace=PERSON_PACE(),
            frame_ancestors=settings.frame_ancestors,
            largest_file=self.service.largest_file,
        )

    def _outer_names(self) -> dict[str, str]:
        """Known public hosts of this app, and their schemes."""
        urls = (self.demo.share_url, self.demo.root_path, f"https://{self.settings.space_host}")
        parts = (urlsplit(url or "") for url in urls)
        return {part.netloc.lower(): part.scheme for part in parts if part.netloc}

    def invite(self) -> str:
        """Create an invitation and return its code. Works only while serving."""
        made = self.accounts.invite(uses=INVITATION_USES, days=INVITATION_DAYS)
        return self._in_loop(made, STOP_SECONDS)

    def close(self) -> None:
        """Save the running turns and stop everything, within seconds."""
        if self.loop is not None:
            self._in_loop(self._stop(), STOP_SECONDS)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self.stopping.close(self.demo)
        if self.offline_ark is not None:
            self.offline_ark.stop()
        self.reader.close()
        self.storage.close()

    async def _stop(self) -> None:
        await self.runner.close()
        await self.accounts.close()
        await self.client.close()
        await self.stopping.let_go(self.rules.tabs)

    def _in_loop(self, work: Any, seconds: float) -> Any:
        assert self.loop is not None, "not serving"
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)


def create_app(settings: Settings, *, pace: float | None = None) -> App:
    """The app for these settings, ready to serve. Without a key it starts its own local Ark.

    `pace`: seconds per chunk of the local Ark; by default reading speed.
    """
    models = configured_models(settings)
    storage = open_storage(settings.database_url)
    offline_ark = OfflineArk(pace=pace).start() if settings.offline else None
    key = settings.ark_api_key
    client = ArkClient(
        api_key=key.get_secret_value() if key else "offline",
        base_url=offline_ark.base_url if offline_ark else settings.ark_base_url,
        first_token_seconds=settings.first_token_seconds,
        idle_seconds=settings.idle_seconds,
    )
    limits = Limits(
        models=models,
        bounds=Bounds(
            thinking=settings.thinking,
            search=settings.web_search,
            max_tokens=settings.max_output_tokens,
            max_temperature=settings.max_temperature,
            max_instructions=settings.max_instruction_chars,
        ),
        system_prompt=settings.system_prompt,
        history_tokens=settings.history_tokens,
        turn_seconds=settings.turn_seconds,
        orphan_seconds=settings.orphan_seconds,
        max_turns=settings.max_turns,
        max_turns_per_user=settings.max_turns_per_user,
    )
    # The address of the demo's own Ark is another one at each start.
    server = "offline" if offline_ark else settings.ark_base_url
    memories = memories_for(
        settings.ark_memory,
        client,
        settings.ark_context_ttl,
        models.kinds,
        kept_in(storage, server),
    )
    budget = Budget.of(settings, models)
    for model in models.all:
        if not prices_are_known(settings, model):
            log.warning(UNKNOWN_PRICES.format(model=model.name))
        if model.is_retired(storage.clock().date()):
            log.warning(RETIRED.format(model=model.name, day=model.retired))
    purse = Purse(budget)
    runner = Runner(storage, memories, purse, limits)
    registration = settings.registration
    if registration == "auto":
        registration = "invite" if settings.is_public else "open"
    accounts = Accounts(
        storage,
        registration=registration,
        login_days=settings.login_days,
        login_max_days=settings.login_max_days,
        bcrypt_cost=settings.bcrypt_cost,
    )
    if settings.admin_name:
        asyncio.run(_create_admin(accounts, settings))
    reader = FileReader(max_mb=settings.max_file_mb, max_pages=settings.max_pdf_pages)
    service = ChatService(
        storage,
        runner,
        purse,
        max_input_chars=settings.max_input_chars,
        max_files=settings.max_files,
        reader=reader,
    )
    admin = Admin(storage, accounts, budget, models)
    notices = {"offline": settings.offline, "not_kept": settings.hosted_without_disk}
    demo = blocks.build(
        Handlers(service, accounts, SendRateLimit(settings.sends_per_minute), models),
        AdminHandlers(admin, accounts),
        [key for key, true in notices.items() if true],
    )
    return App(
        settings,
        storage,
        accounts,
        runner,
        service,
        reader,
        admin,
        demo,
        client,
        offline_ark,
        registration,
    )


async def _create_admin(accounts: Accounts, settings: Settings) -> None:
    password = settings.admin_password
    try:
        await accounts.create_admin(
            settings.admin_name, password.get_secret_value() if password else ""
        )
    except (BadInput, NameTaken) as error:
        raise BadSettings([f"ADMIN_NAME, ADMIN_PASSWORD: {error}"]) from None
