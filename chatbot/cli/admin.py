"""`admin`: who sees the admin page."""

import typer

from chatbot.cli.services import (
    AsJson,
    Failed,
    FromStdin,
    Name,
    Services,
    answer,
    password,
    with_services,
)
from chatbot.errors import NameTaken

app = typer.Typer(help="Accounts that see the admin page.", no_args_is_help=True)


@app.command()
def create(name: Name, password_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Make an admin's account.

    If the account exists and this is its password, it becomes an admin's; an admin stays as
    they are.
    """
    secret = password(password_stdin)

    async def work(services: Services) -> None:
        try:
            await services.admin.create_admin(name, secret)
        except NameTaken:
            raise Failed(
                f"The account {name!r} exists and has another password. "
                "If you know whose it is: admin grant."
            ) from None

    with_services(work)
    answer(as_json, {"name": name, "is_admin": True}, f"{name} is an admin.")


@app.command()
def grant(name: Name, as_json: AsJson = False) -> None:
    """Make somebody an admin, whoever has registered this name."""
    _set(name, True)
    answer(as_json, {"name": name, "is_admin": True}, f"{name} is an admin.")


@app.command()
def withdraw(name: Name, as_json: AsJson = False) -> None:
    """Make somebody an admin no more; the account stays."""
    _set(name, False)
    answer(as_json, {"name": name, "is_admin": False}, f"{name} is not an admin any more.")


def _set(name: str, is_admin: bool) -> None:
    async def work(services: Services) -> None:
        await services.admin.set_admin(await services.id_of(name), is_admin)

    with_services(work)
