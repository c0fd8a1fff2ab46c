"""`export`: all data about users, as JSON to hand out.

Reads one account at a time, so that a large database need not fit into memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from chatbot.cli.services import AsJson, Services, answer, to_json, with_services
from chatbot.clock import now
from chatbot.storage import export as stored
from chatbot.storage.upkeep import whole_file


def export(
    user: Annotated[
        str | None, typer.Argument(help="Name of one account; without it all of them.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, must not exist yet; without it: standard output."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write accounts with their logins, sessions, all messages and their use, as JSON.

    All versions of a session are in it: each message names the one it comes after, and
    newest_message is where the visible version ends. With --out, --json is about what is printed.
    """

    async def work(services: Services) -> int:
        if user is None:
            ids = [row.id for row in await services.admin.people()]
        else:
            ids = [await services.id_of(user)]
        with _opened(out) as file:
            count = await _write(services, ids, file)
            if user is None:
                rows = await services.storage.read(stored.nobodys_usage)
                file.write(f',\n"usage_of_deleted_accounts": {to_json(rows)}')
            file.write("\n}\n")
        return count

    count = with_services(work)
    if out is not None:
        answer(as_json, {"file": str(out), "accounts": count}, f"{out}: {count} account(s).")


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with whole_file(out) as part, part.open("w", encoding="utf-8") as file:
        yield file


async def _write(services: Services, ids: list[int], file: TextIO) -> int:
    file.write(f'{{"exported_at": {to_json(now())},\n"accounts": [')
    count = 0
    for user_id in ids:
        account = await services.storage.read(stored.account, user_id)
        if account is not None:
            file.write((",\n" if count else "\n") + to_json(account))
            count += 1
    file.write("\n]")
    return count
