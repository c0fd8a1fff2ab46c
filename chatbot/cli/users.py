"""`users`: user accounts."""

from dataclasses import asdict
from typing import Annotated

import typer

from chatbot.cli.services import (
    AsJson,
    FromStdin,
    Name,
    Services,
    answer,
    limit,
    moment,
    password,
    table,
    with_services,
    yuan,
)
from chatbot.views import PersonRow

app = typer.Typer(help="People's accounts.", no_args_is_help=True)

COMMON = "common"
HEADS = ["id", "name", "kind", "made", "seen", "tokens today", "yuan this month", "tokens a day"]


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Show all accounts, with what they have used."""

    async def work(services: Services) -> tuple[list[PersonRow], str]:
        rows = await services.admin.people()
        cells = [
            [
                row.id,
                row.name,
                "disabled" if row.disabled else "admin" if row.is_admin else "-",
                moment(row.created_at, services.zone),
                moment(row.seen_at, services.zone),
                row.tokens_today,
                yuan(row.micro_yuan_month),
                limit(row.daily_tokens),
            ]
            for row in rows
        ]
        return rows, table(HEADS, cells) if rows else "There are no accounts yet."

    rows, shown = with_services(work)
    answer(as_json, [asdict(row) for row in rows], shown)


@app.command()
def add(name: Name, password_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Make an account for somebody, also where registration is closed."""
    secret = password(password_stdin)
    with_services(lambda services: services.admin.add_person(name, secret))
    answer(as_json, {"name": name}, f"{name} can log in.")


@app.command()
def disable(name: Name, as_json: AsJson = False) -> None:
    """Lock somebody out: all their logins end at once. Their sessions are kept."""
    _set_disabled(name, True)
    answer(as_json, {"name": name, "disabled": True}, f"{name} is locked out.")


@app.command()
def enable(name: Name, as_json: AsJson = False) -> None:
    """Let somebody in again who was locked out."""
    _set_disabled(name, False)
    answer(as_json, {"name": name, "disabled": False}, f"{name} can log in again.")


@app.command("reset-password")
def reset_password(name: Name, as_json: AsJson = False) -> None:
    """Give somebody a random password, shown only now; all their logins end at once."""

    async def work(services: Services) -> str:
        return await services.admin.reset_password(await services.id_of(name))

    made = with_services(work)
    answer(as_json, {"name": name, "password": made}, f"The new password of {name}: {made}")


@app.command("limit")
def set_limit(
    name: Name,
    tokens: Annotated[
        str,
        typer.Argument(help=f"Tokens a day; 0: no limit; {COMMON}: USER_DAILY_TOKENS, as others."),
    ],
    as_json: AsJson = False,
) -> None:
    """Set how many tokens somebody may use in a day."""
    if tokens != COMMON and not (tokens.isascii() and tokens.isdigit()):
        raise typer.BadParameter(f"a number or {COMMON!r}", param_hint="TOKENS")
    daily = None if tokens == COMMON else int(tokens)

    async def work(services: Services) -> None:
        await services.admin.set_limit(await services.id_of(name), daily)

    with_services(work)
    told = f"The limit of {name}, tokens a day: {limit(daily)}."
    answer(as_json, {"name": name, "daily_tokens": daily}, told)


def _set_disabled(name: str, disabled: bool) -> None:
    async def work(services: Services) -> None:
        await services.admin.set_disabled(await services.id_of(name), disabled)

    with_services(work)
