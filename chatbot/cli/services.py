"""Shared by all commands: opens the database with the app's settings, and prints results.

Results are lines and tables for people, or JSON for programs.
"""

import asyncio
import json
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from getpass import GetPassWarning
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatbot.accounts import Accounts
from chatbot.admin import Admin
from chatbot.budget import Budget
from chatbot.config import Settings
from chatbot.model_file import configured_models
from chatbot.storage.database import Storage, open_storage
from chatbot.storage.place import shown

T = TypeVar("T")
MILLION = 1_000_000
WIDEST = 10_000
"""A console width that no table reaches."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
Name = Annotated[str, typer.Argument(help="Name of the account, in any capitals.")]
FromStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from standard input instead of asking for it."
    ),
]


class Failed(Exception):
    """A command failed; the message is one sentence."""


@dataclass(frozen=True)
class Services:
    """The services that commands use."""

    settings: Settings
    storage: Storage
    admin: Admin

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.budget_zone)

    async def id_of(self, name: str) -> int:
        """The id of the user with this name. Raises `Failed` if there is none."""
        found = await self.admin.id_of(name)
        if found is None:
            raise Failed(f"There is no account {name!r}.")
        return found


def with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """Run `work` on the database of the settings and return its result.

    An old schema is upgraded only if it is certain that no server uses the database.
    """

    async def done() -> T:
        settings = Settings.from_env()
        url = at_database(settings.database_url)
        with closing(open_storage(url, may_upgrade=False)) as storage:
            accounts = Accounts(
                storage,
                registration="closed",
                login_days=settings.login_days,
                login_max_days=settings.login_max_days,
                bcrypt_cost=settings.bcrypt_cost,
            )
            try:
                models = configured_models(settings)
                admin = Admin(storage, accounts, Budget.of(settings, models), models)
                return await work(Services(settings, storage, admin))
            finally:
                await accounts.close()

    return asyncio.run(done())


def at_database(url: str) -> str:
    """Print which database is used, and return its URL."""
    # Not on standard output, which another program may read.
    typer.echo(f"Database: {shown(url)}", err=True)
    return url


def password(from_stdin: bool) -> str:
    """A new password: the first line of standard input, or typed twice without being shown."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)
        try:
            return str(
                typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
            )
        except GetPassWarning:
            told = "There is no terminal to type a password at: pass it with --password-stdin."
            raise Failed(told) from None


def answer(as_json: bool, values: object, *lines: str) -> None:
    """Print the values as JSON, or the lines."""
    if as_json:
        typer.echo(to_json(values, indent=2))
    else:
        for line in lines:
            typer.echo(line)


def to_json(values: object, *, indent: int | None = None) -> str:
    return json.dumps(values, ensure_ascii=False, indent=indent, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with columns as wide as their cells; numbers are right-aligned."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for place, head in enumerate(heads):
        numeric = all(isinstance(row[place], int | float) for row in rows)
        made.add_column(Text(head), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    # No line breaks: another program may read it, and a terminal wraps lines itself.
    console = Console(width=WIDEST, color_system=None)
    with console.capture() as told:
        console.print(made)
    return "\n".join(line.rstrip() for line in told.get().splitlines())


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else "-"


def yuan(micro_yuan: int) -> str:
    return f"{micro_yuan / MILLION:.4f}"


def limit(daily_tokens: int | None) -> str:
    """A user's daily tokens as text."""
    if daily_tokens is None:
        return "common"
    return str(daily_tokens) if daily_tokens else "none"
