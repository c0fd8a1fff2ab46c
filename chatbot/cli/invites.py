"""`invites`: invitations, which people need to register if REGISTRATION says so."""

from dataclasses import asdict
from typing import Annotated

import typer

from chatbot.admin import MOST_DAYS, MOST_TOKENS, MOST_USES
from chatbot.cli.services import (
    AsJson,
    Failed,
    Services,
    answer,
    limit,
    moment,
    table,
    with_services,
)
from chatbot.errors import BadInput
from chatbot.views import InvitationRow

app = typer.Typer(help="Invitations to register.", no_args_is_help=True)

HEADS = ["id", "state", "uses left", "made", "expires", "tokens a day"]


@app.command()
def new(
    uses: Annotated[
        int, typer.Option(min=1, max=MOST_USES, help="How many accounts can be made with it.")
    ] = 1,
    days: Annotated[float, typer.Option(max=MOST_DAYS, help="Days until it expires.")] = 7,
    daily_tokens: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_TOKENS,
            help="Tokens a day for who comes with it; 0: no limit; without: USER_DAILY_TOKENS.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an invitation; its code is shown only now."""
    if not days > 0:
        raise typer.BadParameter("more than 0", param_hint="--days")

    async def work(services: Services) -> str:
        return await services.admin.invite(uses=uses, days=days, daily_tokens=daily_tokens)

    code = with_services(work)
    values = {"code": code, "uses": uses, "days": days, "daily_tokens": daily_tokens}
    accounts = "1 account" if uses == 1 else f"{uses} accounts"
    told = f"Put this behind the app's address ({accounts}, {days:g} days): /?invite={code}"
    answer(as_json, values, told)


@app.command("list")
def list_invites(as_json: AsJson = False) -> None:
    """Show all invitations, newest first, without their codes."""

    async def work(services: Services) -> tuple[list[InvitationRow], str]:
        rows = await services.admin.invitations()
        cells = [
            [
                row.id,
                row.state,
                row.uses_left,
                moment(row.created_at, services.zone),
                moment(row.expires_at, services.zone),
                limit(row.daily_tokens),
            ]
            for row in rows
        ]
        return rows, table(HEADS, cells) if rows else "There are no invitations yet."

    rows, shown = with_services(work)
    answer(as_json, [asdict(row) for row in rows], shown)


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="ID", help="Its id, as `invites list` shows.")],
    as_json: AsJson = False,
) -> None:
    """Let nobody else in with an invitation; who came with it stays."""

    async def work(services: Services) -> None:
        try:
            await services.admin.revoke(number)
        except BadInput:
            raise Failed(f"There is no invitation {number}.") from None

    with_services(work)
    answer(as_json, {"id": number, "state": "revoked"}, f"Invitation {number} is revoked.")
